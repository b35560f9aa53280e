"""What holds of every format: names, repeatability, and nothing told that the record does not tell."""

import json
from pathlib import Path

import pytest
from records import ODD_TEXTS, census_like, changed, minimal, odd_records

from tfx_trust.components.errors import UsageError
from tfx_trust.components.provenance.exports import FORMATS, export
from tfx_trust.components.provenance.naming import (
    address_of,
    address_of_repository,
    identifier,
    slug,
    uri_of,
)


def contents(texts: dict[str, str]) -> list[object]:
    """All JSON values of all files."""
    return [
        json.loads(text)
        for name, whole in texts.items()
        for text in (whole.splitlines() if name.endswith(".ndjson") else [whole])
    ]


def numbers(content: object) -> list[object]:
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return [number for item in content for number in numbers(item)]
    return [content] if isinstance(content, (int, float)) and not isinstance(content, bool) else []


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown format 'cyclonedz'.*did you mean 'cyclonedx'\?"):
        export(minimal(), "cyclonedz")


@pytest.mark.parametrize("format", FORMATS)
def test_equal_records_give_equal_files_of_json(format: str, tmp_path: Path) -> None:
    record = census_like(tmp_path)
    texts = export(record, format)
    assert texts
    assert contents(texts)
    assert export(type(record).of_bytes(record.to_bytes(), "here"), format) == texts


@pytest.mark.parametrize("format", FORMATS)
def test_an_unsealed_record_is_told_like_a_sealed_one(format: str) -> None:
    record = minimal()
    assert export(record.model_copy(update={"digest": ""}), format).keys() == export(record, format).keys()


@pytest.mark.parametrize("format", FORMATS)
def test_odd_names_break_nothing_and_make_no_odd_file_names(format: str) -> None:
    for record in odd_records():
        texts = export(record, format)
        assert len(contents(texts)) >= len(texts) - (format == "openlineage" and not record.executions)
        for name in texts:
            assert Path(name).name == name
            assert name.isascii()
            assert name.isprintable()
            assert len(name) < 150


@pytest.mark.parametrize("format", FORMATS)
def test_no_number_is_a_floating_point_one(format: str) -> None:
    assert not [item for item in numbers(contents(export(census_like(), format))) if isinstance(item, float)]


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_taken_from_elsewhere_than_the_record(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFX_TRUST_METADATA_PASSWORD", "hunter2-from-the-environment")
    monkeypatch.setenv("USER", "somebody-at-this-machine")
    told = "".join(export(census_like(), format).values())
    assert "hunter2" not in told
    assert "somebody-at-this-machine" not in told
    assert str(Path.cwd()) not in told


@pytest.mark.parametrize("format", ["prov", "openlineage", "cyclonedx", "slsa"])
def test_the_model_its_data_and_their_licence_are_told(format: str) -> None:
    record = census_like()
    told = "".join(export(record, format).values())
    for wanted in (record.artifact(15).tree, record.sources[0].tree, "CC-BY-4.0", "PrivateTrainer"):
        assert str(wanted) in told


def test_sources_of_one_name_keep_a_file_each() -> None:
    record = census_like()
    twice = [record.sources[0], record.sources[0].model_copy(update={"id": "source:2"})]
    texts = export(record.model_copy(update={"sources": twice}), "croissant")
    assert list(texts) == ["croissant-UCI-Adult.json", "croissant-UCI-Adult-source-2.json"]


def test_places_become_uris() -> None:
    assert uri_of("/srv/a b/#1?/50%/ü") == "file:///srv/a%20b/%231%3F/50%25/%C3%BC"
    assert uri_of("gs://bucket/a b") == "gs://bucket/a%20b"
    assert uri_of("https://example.org/%7Ea?q=[1]") == "https://example.org/%7Ea?q=%5B1%5D"
    assert uri_of("http://[::1]:80/a[1]") == "http://[::1]:80/a%5B1%5D"


def test_words_are_no_addresses() -> None:
    assert address_of("doi:10.24432/C5XW20") == "doi:10.24432/C5XW20"
    assert address_of("the billing system: exports") is None
    assert address_of("/srv/data") is None
    assert address_of(None) is None


def test_remotes_of_git_become_addresses() -> None:
    assert address_of_repository("git@example.org:a/b.git") == "ssh://git@example.org/a/b.git"
    assert address_of_repository("example.org:a/b.git") == "ssh://example.org/a/b.git"
    assert address_of_repository("https://example.org/a b.git") == "https://example.org/a%20b.git"
    assert address_of_repository("/srv/git/a.git") == "file:///srv/git/a.git"
    assert address_of_repository("../a.git") is None
    assert address_of_repository("") is None


def test_slugs_are_names_of_files() -> None:
    for text in ODD_TEXTS:
        assert not set(slug(text)) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def test_identifiers_depend_on_every_part_and_its_place() -> None:
    made = {
        identifier("a", "b"),
        identifier("b", "a"),
        identifier("ab"),
        identifier("a", "b", ""),
        identifier(1),
    }
    assert len(made) == 5
    assert identifier("a", 1) == identifier("a", 1)


def test_a_changed_record_has_other_names_of_its_own() -> None:
    record = census_like()
    other = changed(record, run="another")
    for format in ("prov", "cyclonedx"):
        assert export(record, format) != export(other, format)


def test_what_identifies_nobody_is_not_called_personal_data() -> None:
    record = census_like()
    source = record.sources[0]
    assert source.declaration is not None
    declared = source.declaration.model_copy(update={"legal_basis": "not_personal_data", "consent": None})
    record = record.model_copy(
        update={"sources": [source.model_copy(update={"declaration": declared}), *record.sources[1:]]}
    )
    for format in ("cyclonedx", "croissant"):
        (text, *_) = export(record, format).values()
        assert "It is declared that nobody can be identified by them." in text
        assert "holds personal data" not in text

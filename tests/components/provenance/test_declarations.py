"""Declarations in YAML beside the data, and which of them speaks of which source."""

import contextlib
import datetime
import posixpath
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from tfx.dsl.io import fileio

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.provenance.config import IntendedUse, SourceDeclaration
from tfx_trust.components.provenance.declarations import (
    Declared,
    Matched,
    declarations_beside,
    match,
    parse,
    read_file,
    template,
)
from tfx_trust.components.provenance.joining import joined
from tfx_trust.components.provenance.licences import terms_of
from tfx_trust.components.provenance.purposes import common, covers
from tfx_trust.components.provenance.record import FileEntry, SourceEntry
from tfx_trust.pipelines.census import data

WHOLE = """
name: Survey
covers: [train/*, "eval/*"]
origin: https://example.org/survey
version: 1.10
issued: 1996-05-01
licence: cc-by-4.0
terms: {commercial: forbidden}
legal_basis: consent
consent: NO
purposes: [research]
retention: 2030-12-31
personal_data: []
"""


def parsed(text: str) -> list[SourceDeclaration]:
    return [item.declaration for item in parse(text.encode(), "/data/source.yaml")]


def source(*paths: str, place: str = "/data", number: int = 1, **more: object) -> SourceEntry:
    files = [FileEntry(path=path, size=1, sha256="0" * 64) for path in paths]
    return SourceEntry.model_validate(
        {"id": f"source:{number}", "kind": "files", "place": place, "files": files, **more}
    )


def settings(name: str, *patterns: str, **more: object) -> Declared:
    return Declared(SourceDeclaration.of({"name": name, "covers": list(patterns), **more}), "settings")


def beside(name: str, folder: str, *patterns: str, **more: object) -> Declared:
    declaration = SourceDeclaration.of({"name": name, "covers": list(patterns), **more})
    return Declared(declaration, f"{folder}/source.yaml", folder)


def names(matched: Matched) -> list[str | None]:
    return [item.declaration and item.declaration.name for item in matched.sources]


def told(matched: Matched) -> list[tuple[str, str]]:
    return [(item.what, item.subject) for item in matched.unknowns]


# Files


def test_a_declaration_is_read_as_it_is_written() -> None:
    (declared,) = parsed(WHOLE)
    assert declared.licence == "CC-BY-4.0"
    assert declared.issued == datetime.date(1996, 5, 1)
    assert declared.retention == datetime.date(2030, 12, 31)
    assert declared.version == "1.10"
    assert declared.consent == "NO"
    assert declared.personal_data == []
    assert declared.covers == ["train/*", "eval/*"]


def test_a_field_that_is_left_empty_is_left_out() -> None:
    assert parsed("name: x\nlicence:\npersonal_data: ~\nretention: null") == [SourceDeclaration(name="x")]


def test_a_file_may_hold_several() -> None:
    assert [item.name for item in parsed("- name: a\n- {name: b, covers: [b.csv]}")] == ["a", "b"]


def test_a_day_may_stand_in_quotes() -> None:
    assert parsed('name: x\nissued: "1996-05-01"')[0].issued == datetime.date(1996, 5, 1)


# Nine lists of nine lists of nine …: eight lines that are 43 million texts.
BOMB = "name:\n- &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &a{number + 1} [{', '.join([f'*a{number}'] * 9)}]\n" for number in range(7)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "/data/source.yaml: no declaration in it"),
        ("[]", "/data/source.yaml: no declaration in it"),
        ("a text", "a declaration is a mapping of fields, such as `name: …`; found 'a text'"),
        ("name: x\nlicens: MIT", "'licens': known are citation, collection"),
        ("name: x\nlicens: MIT", "did you mean 'licence'?"),
        ("name: x\nname: y", "/data/source.yaml, line 2: the field 'name' is given twice"),
        ("name: x\nterms: {commercial: allowed, commercial: forbidden}", "'commercial' is given twice"),
        ("- name: x\n- nam: y", "/data/source.yaml, declaration 2: unknown"),
        ("origin: x", "name: Field required"),
        ("name: x\nlicence: CC-BY", "licence: unknown licence 'CC-BY'"),
        ("name: x\npurposes: research", "purposes: Input should be a valid list, found 'research'"),
        ("name: x\nissued: 1996", "issued: a day is written as 2030-12-31, found '1996'"),
        ("name: x\nretention: 20301231", "retention: a day is written as 2030-12-31"),
        ("name: x\nissued: 1996-13-01", "month value is outside expected range"),
        ("name: x\nterms: {comercial: allowed}", "unknown term 'comercial'; known ones are commercial"),
        (
            "name: x\nterms: {share_alike: forbidden}",
            "share_alike = 'forbidden'; possible are allowed, required",
        ),
        ("name: x\nlegal_basis: law", "'consent', 'contract'"),
        ("name: 'x", "/data/source.yaml, line 1: not YAML"),
        ("\t- x", "/data/source.yaml, line 1: not YAML"),
        ("name: !!python/object/apply:os.getcwd []", "could not determine a constructor for the tag"),
        (r'name: "a\e[31mb"', "line 1: not YAML: the character U+001B is none that a text has"),
        (r'name: "a\u202eb"', "the character U+202E is none that a text has"),
        ('name: "  "', "name: Field required"),
        ("name: !!int x", "could not determine a constructor for the tag"),
        ("name: !!timestamp x", "could not determine a constructor for the tag"),
        ("[" * 5_000, "nested too deeply"),
        ("{a: " * 3_000, "nested too deeply"),
        (BOMB, "/data/source.yaml, line 3: not YAML: the alias *a0 stands for what is written elsewhere"),
    ],
)
def test_an_error_names_the_file_the_field_and_what_is_allowed(text: str, expected: str) -> None:
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        parsed(text)
    assert str(caught.value).startswith("/data/source.yaml")
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60) | st.binary(max_size=30))
def test_any_file_is_a_declaration_or_refused(content: str | bytes) -> None:
    with contextlib.suppress(InputError):
        parse(content.encode() if isinstance(content, str) else content, "/data/source.yaml")


def test_a_password_is_refused_and_not_repeated() -> None:
    for field in ("origin", "citation"):
        with pytest.raises(InputError, match=f"{field} holds an address with a password") as caught:
            parsed(f"name: x\n{field}: mysql://reader:hunter2@db/people")
        assert "hunter2" not in str(caught.value)
    with pytest.raises(UsageError, match="covers holds an address") as refused:
        SourceDeclaration.of({"name": "x", "covers": ["mysql://reader:hunter2@db/people"]})
    assert "hunter2" not in str(refused.value)


def test_a_number_is_no_day_in_settings_either() -> None:
    with pytest.raises(UsageError, match="retention: a day is written as"):
        SourceDeclaration.of({"name": "x", "retention": 0})


def test_the_licence_of_a_model_is_checked_too() -> None:
    assert IntendedUse(purpose="x", licence="mit").licence == "MIT"
    with pytest.raises(UsageError, match="licence: unknown licence 'MITT'"):
        IntendedUse.of({"purpose": "x", "licence": "MITT"})


def test_a_file_that_is_no_declaration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source.yaml: the declaration cannot be read \(No such file"):
        read_file(str(tmp_path / "source.yaml"))
    (tmp_path / "source.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_file(str(tmp_path / "source.yaml"))
    (tmp_path / "source.yaml").write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(InputError, match="over 1 MB"):
        read_file(str(tmp_path / "source.yaml"))


def test_the_template_can_be_filled_in() -> None:
    text = template()
    assert parsed(text) == [SourceDeclaration(name="Survey of households 2024")]
    fields = re.findall(r"(?m)^(?:# )?([a-z_]+): ", text)
    assert [name for name in fields if name in SourceDeclaration.model_fields] == list(
        SourceDeclaration.model_fields
    )
    filled = re.sub(
        r"(?m)^# ([a-z_]+): ", lambda found: f"{found[1]}: " if found[1] in fields else found[0], text
    )
    (declared,) = parsed(filled)
    assert declared.model_fields_set == set(SourceDeclaration.model_fields)
    assert max(map(len, text.splitlines())) <= 110


def test_what_is_declared_of_the_census_data_is_whole() -> None:
    (item,) = read_file(str(Path(data.__file__).parent / "source.yaml"))
    declared = item.declaration
    assert declared.licence == "CC-BY-4.0"
    assert "10.24432/C5XW20" in (declared.origin or "")
    assert "Becker" in (declared.citation or "")
    assert declared.purposes == ["any"]
    missing = {name for name, value in declared if value is None}
    assert missing == {"version", "consent", "retention"}


# Beside the data


def test_declarations_are_found_beside_the_files_up_to_one_folder_above(tmp_path: Path) -> None:
    base = tmp_path / "above" / "base"
    for folder in (tmp_path, tmp_path / "above", base, base / "train", base / "other"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "source.yaml").write_text(f"name: {folder.name}")
    (base / "train" / "a.csv").write_text("a")
    (base / "train" / "a.csv.source.yaml").write_text("name: a alone")
    (base / "train" / "b.csv.source.yaml").write_text("name: of a file that was not read")
    found = declarations_beside(str(base), [str(base / "train" / "a.csv")])
    assert {item.declaration.name for item in found} == {"above", "base", "train", "a alone"}
    alone = next(item for item in found if item.declaration.name == "a alone")
    assert alone.declaration.covers == ["a.csv"]
    assert alone.where == str(base / "train" / "a.csv.source.yaml")


def test_a_place_that_is_one_file_has_its_declaration_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "schema[1].pbtxt"
    path.write_text("x")
    (tmp_path / "schema[1].pbtxt.source.yaml").write_text("name: schema")
    found = declarations_beside(str(path), [str(path)])
    assert names(match([source("schema[1].pbtxt", place=str(path))], found)) == ["schema"]


def test_a_folder_that_is_not_there_has_no_declarations(tmp_path: Path) -> None:
    assert declarations_beside(str(tmp_path / "gone" / "base"), []) == []


def test_relative_places_are_those_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("a")
    (tmp_path / "data" / "source.yaml").write_text("name: x")
    monkeypatch.chdir(tmp_path)
    found = declarations_beside("data", ["data/a.csv"])
    assert names(match([source("a.csv", place="data")], found)) == ["x"]


def test_declarations_are_found_on_other_file_systems_too() -> None:
    for path, text in {
        "base/train/a.csv": "a",
        "base/source.yaml": "name: base",
        "source.yaml": "name: above",
    }.items():
        fileio.makedirs(f"ram://declared/{path}".rpartition("/")[0])
        with fileio.open(f"ram://declared/{path}", "w") as file:
            file.write(text)
    found = declarations_beside("ram://declared/base", ["ram://declared/base/train/a.csv"])
    assert {item.declaration.name for item in found} == {"base", "above"}
    assert names(match([source("train/a.csv", place="ram://declared/base")], found)) == ["base"]
    assert declarations_beside("ram://gone/base", []) == []
    with pytest.raises(InputError, match="ram://gone/source.yaml: the declaration cannot be read"):
        read_file("ram://gone/source.yaml")


def test_a_declaration_of_one_file_covers_nothing_else() -> None:
    with pytest.raises(InputError, match=r"covers: it speaks of a.csv alone"):
        parse(b"name: x\ncovers: [b.csv]", "/data/a.csv.source.yaml")


# Which speaks of which


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/data/train/a.csv", "/data/train/a.csv", True),
        ("/data", "/data/train/a.csv", True),
        ("/data/", "/data/train/a.csv", True),
        ("/dat", "/data/train/a.csv", False),
        ("/data/*", "/data/train/a.csv", True),
        ("/data/*.csv", "/data/train/a.csv", False),
        ("/data/**/*.csv", "/data/train/a.csv", True),
        ("/data/**/*.csv", "/data/a.csv", True),
        ("/data/tr?in", "/data/train/a.csv", True),
        ("/data/[st]rain/[!b].csv", "/data/train/a.csv", True),
        ("/data/[!t]rain", "/data/train/a.csv", False),
        ("train/*", "/data/train/a.csv", True),
        ("a.csv", "/data/train/a.csv", True),
        ("rain/a.csv", "/data/train/a.csv", False),
        ("./train", "/data/train/a.csv", True),
        ("gs://bucket/*/a.csv", "gs://bucket/train/a.csv", True),
        ("gs://bucket", "gs://bucket/train/a.csv", True),
        ("/data/t*a*n/*.csv", "/data/train/a.csv", True),
        ("/data/[z-a]", "/data/train/a.csv", False),
        ("/data/[z-a]", "/data/[z-a]/a.csv", True),
        ("/data/[a&&b]*", "/data/&/a.csv", True),
    ],
)
def test_patterns_are_those_of_the_shell(pattern: str, path: str, fits: bool) -> None:
    place, _, name = path.rpartition("/")
    found = match([source(name, place=place)], [settings("x", pattern)])
    assert (names(found) == ["x"]) is fits
    assert (("declaration_unused", "x") in told(found)) is not fits


@given(st.text("ab*?/", min_size=1, max_size=8), st.text("ab/", min_size=1, max_size=8))
def test_wildcards_fit_what_the_slow_twin_says(pattern: str, name: str) -> None:
    path = f"/d/e/{posixpath.normpath(name).strip('/') or 'a'}"
    found = match([source(path[3:], place="/d")], [settings("x", f"/d/{pattern}")])
    shell = posixpath.normpath(f"/d/{pattern}")
    ends = [number for number, letter in enumerate(path) if letter == "/" and number] + [len(path)]
    assert (names(found) == ["x"]) is any(fits_slowly(shell, path[:end]) for end in ends)


def fits_slowly(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern.startswith("***"):
        return fits_slowly(pattern[1:], text)
    if pattern.startswith("**/"):
        folders = [number + 1 for number, letter in enumerate(text) if letter == "/" and number]
        return any(fits_slowly(pattern[3:], text[end:]) for end in [0, *folders])
    if pattern.startswith("**"):
        return any(fits_slowly(pattern[2:], text[number:]) for number in range(len(text) + 1))
    if pattern.startswith("*"):
        name = text.partition("/")[0]
        return any(fits_slowly(pattern[1:], text[number:]) for number in range(len(name) + 1))
    fits = bool(text) and (text[0] == pattern[0] or (pattern[0] == "?" and text[0] != "/"))
    return fits and fits_slowly(pattern[1:], text[1:])


@pytest.mark.parametrize("pattern", ["*" * 40 + "b", "*a" * 20 + "b", "**/" * 12 + "b", "**" * 20 + "b"])
def test_a_pattern_of_many_wildcards_does_not_take_for_ever(pattern: str) -> None:
    found = match(
        [source("a" * 60, place="/data/" + "/".join(["a"] * 12))], [settings("x", f"/data/{pattern}")]
    )
    assert names(found) == [None]


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [("train/*", True), (".", True), ("../data/train", True), ("../other", False), ("/data/train", True)],
)
def test_relative_patterns_start_from_the_folder_of_the_file(pattern: str, fits: bool) -> None:
    found = match([source("train/a.csv")], [beside("x", "/data", pattern)])
    assert (names(found) == ["x"]) is fits


def test_without_patterns_a_file_speaks_of_its_folder_and_settings_of_what_is_left() -> None:
    sources = [source("a.csv"), source("b.csv", place="/other", number=2)]
    found = match(sources, [beside("near", "/data"), settings("rest")])
    assert names(found) == ["near", "rest"]
    assert [item.declared_in for item in found.sources] == ["/data/source.yaml", "settings"]
    assert not found.unknowns


def test_the_nearer_and_the_closer_declaration_counts() -> None:
    one = [source("train/a.csv")]
    far, near, named = (
        beside("far", "/data"),
        beside("near", "/data/train"),
        beside("named", "/data", "train/a.csv"),
    )
    assert names(match(one, [settings("settings", "/data/train/a.csv"), far])) == ["far"]
    assert names(match(one, [far, near])) == ["near"]
    assert names(match(one, [named, far])) == ["named"]
    assert names(match(one, [named, near])) == ["near"]
    assert names(
        match(one, [settings("wild", "/data/train/*.csv"), settings("exact", "/data/train/a.csv")])
    ) == ["exact"]
    assert names(match(one, [settings("folder", "/data/train"), settings("base", "/data")])) == ["folder"]


def test_the_order_of_declarations_does_not_matter() -> None:
    one = [source("train/a.csv")]
    given = [beside("far", "/data"), beside("near", "/data/train"), settings("x")]
    assert match(one, given).sources == match(one, given[::-1]).sources


def test_a_query_is_matched_by_its_text() -> None:
    query = SourceEntry(id="source:1", kind="query", place="SELECT *\n  FROM people WHERE [age] > 16")
    exact = settings("exact", "SELECT * FROM people WHERE [age] > 16")
    assert names(match([query], [settings("wild", "*people*"), exact, beside("near", "/data")])) == ["exact"]
    assert names(match([query], [settings("other", "SELECT * FROM cars"), settings("rest")])) == ["rest"]


def test_files_that_are_gone_are_matched_by_what_was_read() -> None:
    gone = source(patterns={"train": "train/*", "eval": "eval/*"})
    assert names(match([gone], [beside("x", "/data")])) == ["x"]
    assert names(match([gone], [settings("x", "/data/train", "/data/eval")])) == ["x"]
    assert names(match([source(place="/gone")], [settings("x", "/gone")])) == ["x"]


def test_files_with_different_declarations_have_all_of_them() -> None:
    found = match(
        [source("train/a.csv", "eval/b.csv")],
        [
            beside("a", "/data/train", licence="CC-BY-NC-4.0", retention="2031-01-01", purposes=["any"]),
            beside("b", "/data/eval", licence="MIT OR ISC", retention="2030-01-01", purposes=["research"]),
        ],
    )
    (declared,) = [item.declaration for item in found.sources]
    assert declared is not None
    assert declared.name == "a + b"
    assert declared.licence == "CC-BY-NC-4.0 AND (MIT OR ISC)"
    assert declared.retention == datetime.date(2030, 1, 1)
    assert declared.purposes == ["research"]
    assert found.sources[0].declared_in == "/data/train/source.yaml; /data/eval/source.yaml"
    assert not found.unknowns


def test_a_file_that_no_declaration_speaks_of_leaves_the_licence_unknown() -> None:
    found = match([source("a.csv", "b.csv")], [settings("x", "/data/a.csv", licence="MIT")])
    assert told(found) == [("partly_declared", "source:1")]
    assert "/data/b.csv" in found.unknowns[0].why
    (declared,) = [item.declaration for item in found.sources]
    assert declared is not None
    assert terms_of(declared.licence).commercial == "unknown"


def test_declarations_that_disagree_with_equal_right_are_told_and_both_hold() -> None:
    found = match([source("a.csv")], [settings("x", licence="CC-BY-NC-4.0"), settings("y", licence="MIT")])
    assert told(found) == [("declarations_disagree", "source:1")]
    (declared,) = [item.declaration for item in found.sources]
    assert declared is not None
    assert terms_of(declared.licence).commercial == "forbidden"


def test_declarations_that_say_the_same_do_not_disagree() -> None:
    found = match([source("a.csv")], [settings("x"), settings("x", "/data/a.csv"), settings("x", "/data")])
    assert names(found) == ["x"]
    assert not found.unknowns


def test_a_pattern_that_fits_nothing_is_told() -> None:
    found = match([source("train/a.csv")], [settings("x", "/data/train", "/data/trian")])
    assert told(found) == [("declaration_unused", "x")]
    assert "'/data/trian' (settings)" in found.unknowns[0].why


def test_a_pattern_that_another_declaration_overrides_is_not_told() -> None:
    found = match([source("a.csv")], [beside("near", "/data"), settings("x", "/data/a.csv")])
    assert names(found) == ["near"]
    assert not found.unknowns


def test_a_declaration_that_is_read_as_data_is_told() -> None:
    found = match([source("a.csv", "source.yaml")], [beside("x", "/data")])
    assert told(found) == [("declaration_as_data", "source:1")]
    found = match([source("a.csv", "source.yaml")], [settings("x", "/data/a.csv")])
    assert told(found) == [("declaration_as_data", "source:1")]


def test_an_undeclared_source_stays_as_it_is() -> None:
    given = [source("a.csv")]
    assert match(given, []) == Matched(given, [])
    assert match(given, [settings("x", "/other")]).sources == given
    assert match([], []) == Matched([], [])


# Several as one

DECLARATIONS = st.builds(
    SourceDeclaration,
    name=st.sampled_from("abc"),
    licence=st.sampled_from([None, "MIT", "CC-BY-NC-4.0", "LicenseRef-x", "BUSL-1.1", "MIT OR CC-BY-ND-3.0"]),
    terms=st.sampled_from(
        [{}, {"commercial": "allowed"}, {"commercial": "forbidden"}, {"derivatives": "allowed"}]
    ),
    purposes=st.none() | st.lists(st.sampled_from(["any", "research", "research/health", "ads"]), max_size=2),
    retention=st.none() | st.dates(datetime.date(2026, 1, 1), datetime.date(2030, 1, 1)),
    personal_data=st.none() | st.lists(st.sampled_from(["age", "sex"]), max_size=2),
)
STRICTNESS = ("allowed", "unknown", "forbidden").index


@example(
    [
        SourceDeclaration(name="a", licence="MIT", terms={"commercial": "allowed"}),
        SourceDeclaration(name="b", licence="BUSL-1.1"),
    ],
    False,
)
@given(st.lists(DECLARATIONS, min_size=1, max_size=4), st.booleans())
def test_several_as_one_are_never_looser_than_any_of_them(
    given: list[SourceDeclaration], partly: bool
) -> None:
    whole = joined(given, partly=partly)
    terms = terms_of(whole.licence, whole.terms)
    for item in given:
        alone = terms_of(item.licence, item.terms)
        for term in ("commercial", "derivatives", "distribution"):
            assert STRICTNESS(getattr(terms, term)) >= STRICTNESS(getattr(alone, term))
        if item.retention:
            assert whole.retention is not None
            assert whole.retention <= item.retention
        for category in item.personal_data or ():
            assert category in (whole.personal_data or ())
        for purpose in (whole.purposes or ()) if item.purposes is not None else ():
            assert any(covers(allowed, purpose) for allowed in item.purposes or ())
    if partly:
        assert terms.commercial != "allowed"


def test_one_alone_stays_as_it_is() -> None:
    declared = SourceDeclaration(name="x", licence="MIT")
    assert joined([declared]) is declared


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([], None),
        ([None, None], None),
        ([["any"], ["research"]], ["research"]),
        ([["research"], ["research/health", "ads"]], ["research/health"]),
        ([["research"], ["ads"]], []),
        ([["any", "research"], None], ["any"]),
        ([["Research "], ["research/Health"]], ["research/health"]),
        ([["research"], ["researchers"]], []),
    ],
)
def test_what_purposes_have_in_common(lists: list[list[str] | None], expected: list[str] | None) -> None:
    assert common(lists) == expected
    assert common(lists[::-1]) == expected


def test_a_declaration_survives_yaml() -> None:
    declared = SourceDeclaration(name="Zoë", purposes=["any"], retention=datetime.date(2030, 1, 1))
    written = yaml.safe_dump(declared.model_dump(mode="json"), allow_unicode=True)
    assert parsed(written) == [declared]

"""Croissant, validated and loaded by mlcroissant, from the census as it is prepared and from odd files."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import verifiers
from records import census_like, odd_records

from tfx_trust.components.provenance.exports import export
from tfx_trust.components.provenance.exports._columns import columns_of
from tfx_trust.components.provenance.exports.croissant import _matches
from tfx_trust.components.provenance.hashing import digest_folder, tree_digest
from tfx_trust.components.provenance.record import Record, SourceEntry
from tfx_trust.pipelines.census.data import COLUMNS, prepare

# Of each dataset: what is wrong with it, or of each record set how many rows and the first of them.
LOAD = """
import json, sys
import mlcroissant
answers = []
for path in sys.argv[2:]:
    try:
        dataset = mlcroissant.Dataset(path)
        sets = {}
        for record_set in dataset.metadata.record_sets if sys.argv[1] == "load" else ():
            rows = list(dataset.records(record_set.uuid))
            first = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in rows[0].items()}
            sets[record_set.uuid] = [len(rows), first]
        answers.append(sets)
    except Exception as error:
        answers.append(f"{type(error).__name__}: {error}"[:2000])
print(json.dumps(answers))
"""

Dataset = dict[str, Any]


def record_of(folder: Path, patterns: dict[str, str] | None = None, **more: Any) -> Record:
    """The census's record with one source: the files below `folder`."""
    files = digest_folder(folder)
    source = SourceEntry(
        id="source:1",
        kind="files",
        place=str(folder),
        patterns=patterns or {},
        files=files,
        tree=tree_digest(files),
        **more,
    )
    return census_like().model_copy(update={"sources": [source]})


def dataset_of(record: Record) -> Dataset:
    (text,) = export(record, "croissant").values()
    return json.loads(text)


def answers(datasets: list[Dataset], folder: Path, how: str = "load") -> list[Any]:
    paths = []
    for number, dataset in enumerate(datasets):
        paths.append(folder / f"croissant-{number}.json")
        paths[-1].write_text(json.dumps(dataset), encoding="utf-8")
    return json.loads(verifiers.script(LOAD, how, *paths, check=True).stdout)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


@pytest.fixture(scope="module")
def census(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The census as the pipeline reads it."""
    folder = prepare(tmp_path_factory.mktemp("census"))
    declaration = census_like().sources[0].declaration
    return dataset_of(record_of(folder, {"train": "train/*", "eval": "eval/*"}, declaration=declaration))


def test_the_programs_take_the_census_and_refuse_it_with_another_digest(
    census: Dataset, tmp_path: Path
) -> None:
    path = write(tmp_path / "croissant.json", json.dumps(census))
    valid = verifiers.run(["mlcroissant", "validate", "--jsonld", path], check=True)
    assert "Done." in valid.stdout + valid.stderr
    load = ["mlcroissant", "load", "--jsonld", path, "--record_set", "train", "--num_records", "5"]
    rows = [line for line in verifiers.run(load, check=True).stdout.splitlines() if line.startswith("{")]
    assert len(rows) == 5
    assert "'train/age': 39, 'train/workclass': b'State-gov', 'train/fnlwgt': 77516" in rows[0]
    changed = {**census, "distribution": [{**file, "sha256": "0" * 64} for file in census["distribution"]]}
    write(path, json.dumps(changed))
    refused = verifiers.run(load)
    assert refused.returncode == 1
    assert "is not identical" in refused.stderr


@pytest.mark.slow
def test_all_people_of_the_census_can_be_loaded_with_their_types(census: Dataset, tmp_path: Path) -> None:
    types = {field["name"]: field["dataType"] for field in census["recordSet"][0]["field"]}
    assert list(types) == list(COLUMNS)
    assert types["age"] == types["over_50k"] == types["fnlwgt"] == "sc:Integer"
    assert types["workclass"] == types["native_country"] == "sc:Text"
    assert [item["@id"] for item in census["recordSet"]] == ["eval", "train"]
    (sets,) = answers([census], tmp_path)
    assert {name: count for name, (count, _) in sets.items()} == {"train": 32_561, "eval": 16_281}


def test_declared_facts_have_their_places(census: Dataset) -> None:
    assert census["conformsTo"][0] == "http://mlcommons.org/croissant/1.0"
    assert census["license"] == "https://spdx.org/licenses/CC-BY-4.0"
    assert census["url"] == "https://doi.org/10.24432/C5XW20"
    assert census["datePublished"] == "1996-05-01"
    assert census["citeAs"].startswith("Becker, B.")
    assert census["publisher"]["name"] == "UCI Machine Learning Repository"
    assert census["rai:dataCollection"].startswith("Extracted from")
    assert census["rai:dataLimitations"] == "Incomes of 1994, of one country."
    assert census["rai:dataUseCases"] == ["research"]
    assert census["rai:personalSensitiveInformation"][:3] == [
        "age",
        "sex",
        "Legal basis: legitimate interests.",
    ]
    assert "2030-12-31" in census["rai:dataReleaseMaintenancePlan"]


BREAKS = {
    "dangling": lambda it: it["recordSet"][0]["field"][0]["source"]["fileObject"].update({"@id": "nowhere"}),
    "no place": lambda it: it["distribution"][0].pop("contentUrl"),
    "no digest": lambda it: it["distribution"][0].pop("sha256"),
    "no type": lambda it: it["recordSet"][0]["field"][0].pop("dataType"),
    "no version of Croissant": lambda it: it.update(conformsTo="http://mlcommons.org/croissant/7.0"),
}


def test_odd_records_are_valid_and_broken_ones_are_not(census: Dataset, tmp_path: Path) -> None:
    texts = [text for record in odd_records() for text in export(record, "croissant").values()]
    odd = [json.loads(text) for text in texts]
    broken = [json.loads(json.dumps(census)) for _ in BREAKS]
    for spoil, dataset in zip(BREAKS.values(), broken, strict=True):
        spoil(dataset)
    said = answers(odd + broken, tmp_path, how="validate")
    assert said[: len(odd)] == [{}] * len(odd)
    for name, answer in zip(BREAKS, said[len(odd) :], strict=True):
        assert isinstance(answer, str), name


def test_odd_files_load_as_they_were_written(tmp_path: Path) -> None:
    header = 'plain,"with space","comma, ""quoted""",Größe,a/b,50%,when,day,yes,rate,none\n'
    row = '7,x y,"a, ""b""",ä,1,2,2026-11-25T12:00:00Z,2026-11-25,True,0.5,\n'
    several = tmp_path / "several"
    write(several / "train day/part 1 of 2.csv", header + row + row)
    write(several / "train day/part 2 of 2.csv", header + row.replace("7,", "?,", 1))
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "people.csv.gz").write_bytes(gzip.compress((header + row).encode()))
    marked = tmp_path / "marked"
    write(marked / "people.csv", "\ufeffid,name\n1,a\n2,\n")
    records = [record_of(several, {"train day": "train day/*"}), record_of(packed), record_of(marked)]
    datasets = [dataset_of(record) for record in records]
    parts, whole, names = answers(datasets, tmp_path)
    assert {name: count for name, (count, _) in parts.items()} == {"train%20day-1": 2, "train%20day-2": 1}
    first = parts["train%20day-1"][1]
    assert first["train%20day-1/with%20space"] == "x y"
    assert first["train%20day-1/comma%2C%20%22quoted%22"] == 'a, "b"'
    assert first["train%20day-1/Gr%C3%B6%C3%9Fe"] == "ä"
    assert parts["train%20day-2"][1]["train%20day-2/plain"] == "?"
    assert whole["records"][1]["records/rate"] == "0.5"
    assert names["records"] == [2, {"records/id": "1", "records/name": "a"}]
    kinds = {field["name"]: field["dataType"] for field in datasets[1]["recordSet"][0]["field"]}
    assert kinds == {
        "plain": "sc:Integer",
        "with space": "sc:Text",
        'comma, "quoted"': "sc:Text",
        "Größe": "sc:Text",
        "a/b": "sc:Integer",
        "50%": "sc:Integer",
        "when": "sc:DateTime",
        "day": "sc:Date",
        "yes": "sc:Boolean",
        "rate": "sc:Float",
        "none": "sc:Text",
    }


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("data.csv", "a,b,a\n1,2,3\n", "names the column 'a' twice"),
        ("data.csv", "a,,b\n1,2,3\n", "has a column without a name"),
        ("data.csv", "", "is empty"),
        ("data_tfrecord-00000-of-00001.gz", "records", "Fields are told of CSV alone"),
        ("data.parquet", "PAR1", "Fields are told of CSV alone"),
    ],
)
def test_where_no_fields_can_be_told_it_says_why(name: str, content: str, why: str, tmp_path: Path) -> None:
    write(tmp_path / name, content)
    dataset = dataset_of(record_of(tmp_path))
    assert "recordSet" not in dataset
    assert why in dataset["description"]
    assert len(dataset["distribution"]) == 1


def test_files_that_changed_or_went_away_have_no_fields(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "a\n1\n")
    record = record_of(tmp_path)
    write(path, "a\n2\n")
    assert "has changed since it was recorded" in dataset_of(record)["description"]
    path.unlink()
    assert "recordSet" not in dataset_of(record)
    assert dataset_of(record)["distribution"][0]["sha256"] == record.sources[0].files[0].sha256


def test_bytes_that_are_no_text_have_no_fields(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"a\n\xff\xfe\n")
    assert "cannot be read as CSV" in dataset_of(record_of(tmp_path))["description"]


def test_a_query_has_neither_files_nor_fields() -> None:
    texts = export(census_like(), "croissant")
    query = json.loads(texts["croissant-people-of-the-register.json"])
    assert "distribution" not in query
    assert "recordSet" not in query
    assert "A query leaves no files behind" in query["description"]
    assert query["license"] == "LicenseRef-contract-17"
    assert query["rai:personalSensitiveInformation"] == ["No personal data."]


def test_a_source_of_which_nothing_is_declared_says_so(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "a\n1\n")
    dataset = dataset_of(record_of(tmp_path))
    assert "license" not in dataset
    assert "Nothing is declared of its origin." in dataset["description"]


def test_a_split_of_very_many_files_is_described_by_its_first_ones(tmp_path: Path) -> None:
    for number in range(102):
        write(tmp_path / f"part-{number:03}.csv", "a\n1\n")
    dataset = dataset_of(record_of(tmp_path))
    assert len(dataset["distribution"]) == 102
    assert len(dataset["recordSet"]) == 100
    assert "fields are told of the first 100 files" in dataset["description"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "+3", ""], "Integer"),
        (["1", "2.5", "NaN"], "Float"),
        (["1e5", ".5", "3."], "Float"),
        (["true", "False"], "Boolean"),
        (["2024-02-29"], "Date"),
        (["2023-02-29"], "Text"),
        (["2024-02-29 12:30", "2024-02-29T12:30:01.5+02:00"], "DateTime"),
        (["2024-02-29T25:00"], "Text"),
        (["1", "?"], "Text"),
        (["", "NA"], "Text"),
        (["1_000"], "Text"),
        (["0x10"], "Text"),
    ],
)
def test_a_column_has_the_narrowest_type_that_takes_all_its_values(
    values: list[str], kind: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", "x,other\n" + "".join(f"{value},y\n" for value in values))
    assert columns_of(str(path))["x"] == kind


def test_short_and_long_rows_are_read_as_far_as_they_have_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b\n1\n\n1,2,3\n")
    assert columns_of(str(path)) == {"a": "Integer", "b": "Integer"}


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        ("train/*", "train/a.csv", True),
        ("train/*", "train/deep/a.csv", False),
        ("*", "train/a.csv", False),
        ("**/a.csv", "train/deep/a.csv", True),
        ("span-?[0-9]/*.csv", "span-17/a.csv", True),
        ("span-?[0-9]/*.csv", "span-1x/a.csv", False),
        ("a+b (1).csv", "a+b (1).csv", True),
    ],
)
def test_patterns_take_what_they_take_in_tfx(pattern: str, path: str, taken: bool) -> None:
    assert _matches(pattern, path) is taken

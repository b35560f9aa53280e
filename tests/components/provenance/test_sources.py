"""Raw inputs: found in what an execution was told, and their files as they lie there."""

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import Builder, Made, input_config

from tfx_trust.components.mlmd import open_store
from tfx_trust.components.provenance.lineage import upstream
from tfx_trust.components.provenance.record import SourceEntry
from tfx_trust.components.provenance.sources import files_of, sources_of

SECRET = "hunter-2-and-3"


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path, files=False)


def read(builder: Builder, kind: str = "CsvExampleGen", **parameters: Any) -> SourceEntry:
    """The only source of what an execution with these parameters made."""
    given: dict[str, Any] = parameters.pop("made", {})
    outputs = {"examples": [("Examples", "", given)]}
    return only(builder, builder.execute(kind, outputs=outputs, parameters=parameters))


def only(builder: Builder, made: Made) -> SourceEntry:
    (numbers,) = made.outputs.values()
    (source,) = sources_of(upstream(open_store(builder.path), numbers))
    assert source.read_by == made.execution
    assert source.made == numbers
    assert source.id == "source:1"
    return source


def names(source: SourceEntry) -> list[str]:
    """Its files, relative to its place."""
    return [os.path.relpath(path, source.place) for path in files_of(source)]


# Files


@pytest.mark.parametrize("config", [None, "", "{}", "not JSON", '{"splits": []}', "[]", '{"splits": [3]}'])
def test_without_a_pattern_all_files_of_the_folder_are_read_and_none_below(
    builder: Builder, config: str | None
) -> None:
    builder.write("data", {"b.csv": b"1", "a.csv": b"2", ".hidden": b"3", "below/c.csv": b"4"})
    more = {} if config is None else {"input_config": config}
    source = read(builder, input_base=f"{builder.folder}/data/", **more)
    assert (source.kind, source.place) == ("files", f"{builder.folder}/data")
    assert source.patterns == {"single_split": "*"}
    assert names(source) == [".hidden", "a.csv", "b.csv"]


def test_the_patterns_of_all_splits_are_read(builder: Builder) -> None:
    builder.write("data", {f"{split}/{n}.csv": b"" for split in ("train", "eval", "other") for n in (1, 2)})
    config = input_config(train="train/*.csv", eval="eval/1.*")
    source = read(builder, "ImportExampleGen", input_base=str(builder.folder / "data"), input_config=config)
    assert source.patterns == {"train": "train/*.csv", "eval": "eval/1.*"}
    assert names(source) == ["eval/1.csv", "train/1.csv", "train/2.csv"]


def test_the_numbers_of_span_and_version_are_put_in(builder: Builder) -> None:
    builder.write("data", {f"s{span:03}/v{version}/x": b"" for span in (1, 7, 12) for version in (1, 2)})
    source = read(
        builder,
        input_base=str(builder.folder / "data"),
        input_config=input_config(all="s{SPAN:3}/v{VERSION}/*"),
        made={"span": 7, "version": 2},
    )
    assert source.patterns == {"all": "s007/v2/*"}
    assert source.span == 7
    assert names(source) == ["s007/v2/x"]


@given(span=st.integers(0, 40_000), version=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_patterns_are_filled_as_tfx_fills_them(span: int, version: int) -> None:
    from tfx.components.example_gen import utils

    from tfx_trust.components.provenance.sources import _filled

    for pattern in (
        "{SPAN}/x",
        "{SPAN:5}/{VERSION}",
        "{YYYY}-{MM}/{DD}/*",
        "d{YYYY}{MM}{DD}v{VERSION:3}",
        "*",
    ):
        wanted = utils.get_pattern_for_span_version(
            pattern, "{SPAN" in pattern, "{YYYY}" in pattern, "{VERSION" in pattern, span, version
        )
        assert _filled(pattern, span, version) == wanted


def test_dates_are_spans_in_days_since_1970(builder: Builder) -> None:
    builder.write("data", {"2024/02/29/x": b"", "2024/03/01/x": b""})
    span = (datetime.date(2024, 2, 29) - datetime.date(1970, 1, 1)).days
    source = read(
        builder,
        input_base=str(builder.folder / "data"),
        input_config=input_config(all="{YYYY}/{MM}/{DD}/*"),
        span=span,
    )
    assert (source.span, names(source)) == (span, ["2024/02/29/x"])


def test_numbers_that_are_not_known_may_be_any(builder: Builder) -> None:
    builder.write("data", {"1/2/x": b"", "3/4/x": b""})
    config = input_config(all="{SPAN}/{VERSION:1}/x")
    source = read(builder, input_base=str(builder.folder / "data"), input_config=config)
    assert source.patterns == {"all": "{SPAN}/{VERSION:1}/x"}
    assert names(source) == ["1/2/x", "3/4/x"]


@pytest.mark.parametrize(
    ("properties", "span"),
    [
        ({}, None),
        ({"span": 0}, None),
        ({"span": 0, "version": 1}, 0),
        ({"span": 5}, 5),
        ({"span": "6"}, 6),
        ({"span": "all"}, None),
    ],
)
def test_span_0_is_no_span_unless_there_is_a_version(
    builder: Builder, properties: dict[str, Any], span: int | None
) -> None:
    assert read(builder, input_base="/data", made=properties).span == span


def test_the_span_is_that_of_the_artifact_before_that_of_the_execution(builder: Builder) -> None:
    assert read(builder, input_base="/data", span=4, made={"span": 3}).span == 3


def test_several_spans_are_several_sources(builder: Builder) -> None:
    made = [
        builder.execute(
            "CsvExampleGen",
            outputs={"examples": [("Examples", "", {"span": span})]},
            parameters={"input_base": "/data", "input_config": input_config(all="{SPAN}/*")},
        )
        for span in (1, 2)
    ]
    trainer = builder.execute(
        "Trainer", inputs={"examples": [one["examples"] for one in made]}, outputs={"model": [("Model",)]}
    )
    sources = sources_of(upstream(open_store(builder.path), [trainer["model"]]))
    told = [(source.id, source.span, source.patterns, source.made) for source in sources]
    assert told == [
        ("source:1", 1, {"all": "1/*"}, [made[0]["examples"]]),
        ("source:2", 2, {"all": "2/*"}, [made[1]["examples"]]),
    ]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*", ["a.csv"]),
        ("?.csv", ["a.csv"]),
        ("*/*", ["x/a.csv", "x/b.txt", "y/a.csv"]),
        ("[xz]/*.csv", ["x/a.csv"]),
        ("./x/a.csv", ["x/a.csv"]),
        ("x", []),
        ("*/*/*", ["y/z/a.csv"]),
        ("", []),
    ],
)
def test_a_star_is_part_of_one_name(builder: Builder, pattern: str, matched: list[str]) -> None:
    builder.write("data", {name: b"" for name in ("a.csv", "x/a.csv", "x/b.txt", "y/a.csv", "y/z/a.csv")})
    source = SourceEntry(id="s", kind="files", place=str(builder.folder / "data"), patterns={"all": pattern})
    assert names(source) == matched


def test_files_are_matched_as_tfx_matches_them(builder: Builder) -> None:
    from tfx.dsl.io import fileio

    builder.write(
        "data", {name: b"" for name in ("a.csv", ".b.csv", "x-1/a.csv", "x-2/a.csv", "x-1/A.CSV", "[1]/a")}
    )
    place = str(builder.folder / "data")
    for pattern in ("*", "*.csv", "x-*/a*", "x-[12]/*", "x-?/*.csv", "*/*"):
        source = SourceEntry(id="s", kind="files", place=place, patterns={"all": pattern})
        matched = {path for path in fileio.glob(f"{place}/{pattern}") if not fileio.isdir(path)}
        assert set(files_of(source)) == matched, pattern


def test_a_file_in_two_splits_is_told_once(builder: Builder) -> None:
    builder.write("data", {"a.csv": b""})
    source = SourceEntry(
        id="s", kind="files", place=str(builder.folder / "data"), patterns={"train": "*", "eval": "a.*"}
    )
    assert names(source) == ["a.csv"]


def test_of_what_is_gone_there_are_no_files(builder: Builder) -> None:
    for source in (
        read(builder, input_base="/nowhere/at/all"),
        read(builder, "Importer", artifact_uri="/nowhere"),
        SourceEntry(id="s", kind="files", place="file:///nowhere", patterns={"all": "*"}),
        SourceEntry(id="s", kind="import", place="file:///nowhere"),
    ):
        assert files_of(source) == []


def test_files_of_other_file_systems_are_found_by_tfx(builder: Builder) -> None:
    builder.write("data", {"a.csv": b"", "below/b.csv": b""})
    place = f"file://{builder.folder}/data"
    source = read(builder, input_base=place)
    assert source.place == place
    assert [os.path.basename(path) for path in files_of(source)] == ["a.csv"]
    source = read(builder, "Importer", artifact_uri=place)
    assert [os.path.basename(path) for path in files_of(source)] == ["a.csv", "b.csv"]
    source = read(builder, "ImportSchemaGen", schema_file=f"{place}/a.csv")
    assert files_of(source) == [f"{place}/a.csv"]


# Queries


def test_a_query_is_told_with_its_splits_and_has_no_files(builder: Builder) -> None:
    source = read(
        builder,
        "BigQueryExampleGen",
        input_config=input_config(
            train="SELECT * FROM a WHERE day < 5", eval="SELECT * FROM a WHERE day = 5"
        ),
        custom_config=json.dumps({"project_config": {"password": SECRET}}),
        made={"span": 19_000},
    )
    assert source.kind == "query"
    assert source.place == "SELECT * FROM a WHERE day < 5; SELECT * FROM a WHERE day = 5"
    assert source.patterns["eval"] == "SELECT * FROM a WHERE day = 5"
    assert source.span == 19_000
    assert files_of(source) == []
    assert SECRET not in source.model_dump_json()


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT * FROM EXTERNAL('mysql://me:{SECRET}@host/db')",
        f"SELECT * FROM t OPTIONS (password = '{SECRET}', x = 1)",
        f'SELECT * FROM t WITH (api_key="{SECRET}")',
    ],
)
def test_secrets_in_a_query_are_masked(builder: Builder, query: str) -> None:
    source = read(builder, "BigQueryExampleGen", input_config=json.dumps({"splits": [{"pattern": query}]}))
    assert source.kind == "query"
    assert source.place.startswith("SELECT * FROM")
    assert SECRET not in source.model_dump_json()


def test_secrets_in_an_address_are_masked(builder: Builder) -> None:
    source = read(builder, input_base=f"https://me:{SECRET}@host/data")
    assert source.place == "https://***@host/data"


# Imports, components of one's own, and what nothing made


def test_what_an_importer_took_in_is_its_folder(builder: Builder) -> None:
    builder.write("model", {"saved_model.pb": b"", "variables/variables.index": b""})
    place = str(builder.folder / "model")
    made = builder.execute(
        "pretrained",
        "Importer",
        outputs={"result": [("Model", place)]},
        parameters={"artifact_uri": place, "reimport": 0},
    )
    source = only(builder, made)
    assert (source.kind, source.place) == ("import", place)
    assert names(source) == ["saved_model.pb", "variables/variables.index"]


def test_the_file_of_a_schema_is_imported(builder: Builder) -> None:
    builder.write("schema", {"schema.pbtxt": b"", "other": b""})
    file = str(builder.folder / "schema" / "schema.pbtxt")
    made = builder.execute(
        "ImportSchemaGen", outputs={"schema": [("Schema",)]}, parameters={"schema_file": file}
    )
    source = only(builder, made)
    assert (source.kind, source.place) == ("import", file)
    assert files_of(source) == [file]


def test_a_component_of_ones_own_with_an_input_base_is_an_example_gen(builder: Builder) -> None:
    source = read(builder, "own.components.Reader", input_base="/data", input_config=input_config(all="x"))
    assert (source.kind, source.place, source.patterns) == ("files", "/data", {"all": "x"})


def test_one_that_reads_artifacts_too_has_its_folder_as_a_source(builder: Builder) -> None:
    earlier = builder.execute(
        "CsvExampleGen", outputs={"examples": [("Examples",)]}, parameters={"input_base": "/a"}
    )
    joined = builder.execute(
        "Joiner",
        inputs=earlier.outputs,
        outputs={"examples": [("Examples",)]},
        parameters={"input_base": "/b"},
    )
    sources = sources_of(upstream(open_store(builder.path), [joined["examples"]]))
    assert [source.place for source in sources] == ["/a", "/b"]


def test_of_other_components_the_places_among_the_parameters_are_told(builder: Builder) -> None:
    source = read(
        builder,
        "own.load",
        csv_path="/data/taxi.csv",
        module_file="/code/load.py",
        output_dir="/results/x",
        rows=3,
        data_kind="taxi",
        path_note="/data\nand more",
    )
    assert (source.kind, source.place) == ("files", "/data/taxi.csv")


def test_a_component_that_says_nothing_of_its_input_is_a_source_itself(builder: Builder) -> None:
    source = read(builder, "own.generate", rows=3)
    assert source.kind == "artifact"
    assert source.place == str(builder.folder / "artifacts/own.generate/examples/1")


def test_examples_that_nothing_made_are_a_source(builder: Builder) -> None:
    number = builder.artifact("Examples", "/elsewhere/examples", {"span": 2})
    trainer = builder.execute("Trainer", inputs={"examples": [number]}, outputs={"model": [("Model",)]})
    (source,) = sources_of(upstream(open_store(builder.path), [trainer["model"]]))
    assert (source.kind, source.place, source.span) == ("artifact", "/elsewhere/examples", 2)
    assert (source.read_by, source.made) == (None, [number])


def test_declarations_are_no_source(builder: Builder) -> None:
    made = builder.execute(
        "SourceDeclarer",
        outputs={"declarations": [("TrustSourceDeclarations",)]},
        parameters={"declaration_files": "/data/source.yaml"},
    )
    assert sources_of(upstream(open_store(builder.path), [made["declarations"]])) == []


def test_what_was_served_from_the_cache_is_no_second_source(builder: Builder) -> None:
    gen = builder.execute(
        "CsvExampleGen", outputs={"examples": [("Examples",)]}, parameters={"input_base": "/a"}
    )
    for _ in range(3):
        builder.again("CsvExampleGen", gen, parameters={"input_base": "/b"})
    (source,) = sources_of(upstream(open_store(builder.path), [gen["examples"]]))
    assert source.place == "/a"


def test_places_of_moved_data_are_where_they_are_now(builder: Builder) -> None:
    builder.write("new", {"a.csv": b""})
    gen = builder.execute(
        "CsvExampleGen", outputs={"examples": [("Examples",)]}, parameters={"input_base": "/old/data"}
    )
    lineage = upstream(open_store(builder.path), [gen["examples"]])
    (source,) = sources_of(lineage, rewrite=[("/old/data", str(builder.folder / "new"))])
    assert names(source) == ["a.csv"]

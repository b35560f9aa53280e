"""SourceDeclarer: declarations as an artifact of the pipeline."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from tfx_trust.components.artifacts import SourceDeclarations
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.mlmd import open_store
from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.declarations import Declared, match, read_declarations, read_file
from tfx_trust.components.provenance.declarer_component import SourceDeclarer
from tfx_trust.components.provenance.record import FileEntry, SourceEntry

LOANS = {"name": "Loans", "covers": ["SELECT * FROM loans"], "licence": "LicenseRef-own"}


def written(declarer: SourceDeclarer, folder: Path) -> Path:
    """Runs its executor; the folder of the output."""
    output = SourceDeclarations()
    output.uri = str(folder / "declarations")
    declarer.executor_spec.executor_class().Do({}, {"declarations": [output]}, declarer.exec_properties)
    assert output.get_int_custom_property("declarations") > 0
    return Path(output.uri)


def source(path: str) -> SourceEntry:
    folder, _, name = path.rpartition("/")
    file = FileEntry(path=name, size=1, sha256="0" * 64)
    return SourceEntry(id="source:1", kind="files", place=folder, files=[file])


def test_declarations_go_through_the_artifact_unchanged(tmp_path: Path) -> None:
    given = [
        SourceDeclaration.of(LOANS),
        SourceDeclaration(name="Zoë", personal_data=[], retention="2030-01-01"),
    ]
    folder = written(SourceDeclarer(declarations=given), tmp_path)
    assert read_declarations(str(folder)) == given
    assert [item.name for item in folder.iterdir()] == ["declarations.json"]
    assert json.loads((folder / "declarations.json").read_text())[1]["name"] == "Zoë"


def test_mappings_are_checked_when_the_pipeline_is_composed() -> None:
    with pytest.raises(UsageError, match="did you mean 'licence'"):
        SourceDeclarer(declarations=[{"name": "x", "licens": "MIT"}])
    with pytest.raises(UsageError, match="unknown licence 'MITT'"):
        SourceDeclarer(declarations=[{"name": "x", "licence": "MITT"}])
    with pytest.raises(UsageError, match="declares nothing: give declarations, files, or both"):
        SourceDeclarer()
    with pytest.raises(UsageError, match="declares nothing"):
        SourceDeclarer(declarations=[], files=[])


def test_files_are_checked_when_the_pipeline_is_composed(tmp_path: Path) -> None:
    path = tmp_path / "source.yaml"
    with pytest.raises(InputError, match="cannot be read"):
        SourceDeclarer(files=[path])
    path.write_text("name: x\nlicence: MITT")
    with pytest.raises(InputError, match=r"source.yaml: .*unknown licence 'MITT'"):
        SourceDeclarer(files=[path])


def test_a_password_gets_into_no_parameter() -> None:
    with pytest.raises(UsageError, match="leave that out") as caught:
        SourceDeclarer(declarations=[{"name": "x", "origin": "mysql://reader:hunter2@db/people"}])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "covers", "path", "fits"),
    [
        ("source.yaml", None, "data [1]/a.csv", True),
        ("source.yaml", None, "other/a.csv", False),
        ("source.yaml", ["train/*"], "data [1]/train/a.csv", True),
        ("source.yaml", ["train/*"], "other/train/a.csv", False),
        ("a.csv.source.yaml", None, "data [1]/a.csv", True),
        ("a.csv.source.yaml", None, "data [1]/b.csv", False),
    ],
)
def test_a_file_speaks_of_the_same_through_the_artifact(
    tmp_path: Path, file: str, covers: list[str] | None, path: str, fits: bool
) -> None:
    (tmp_path / "data [1]").mkdir()
    place = tmp_path / "data [1]" / file
    place.write_text(json.dumps({"name": "x", **({"covers": covers} if covers else {})}))
    one = [source(str(tmp_path / path))]
    direct = match(one, read_file(str(place))).sources
    carried = [
        Declared(item, "artifact")
        for item in read_declarations(str(written(SourceDeclarer(files=[place]), tmp_path)))
    ]
    assert (direct[0].declaration is not None) is fits
    assert (match(one, carried).sources[0].declaration is not None) is fits


def test_a_query_in_a_file_stays_a_query(tmp_path: Path) -> None:
    path = tmp_path / "loans.yaml"
    path.write_text(json.dumps(LOANS))
    (declared,) = read_declarations(str(written(SourceDeclarer(files=[path]), tmp_path)))
    assert declared.covers == LOANS["covers"]


class Place:
    """A pipeline of a declarer alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "source.yaml"

    def run(self, text: str) -> Mapping[str, Any]:
        """What the newest execution was, and what it declared."""
        self.file.write_text(text)
        database = str(self.folder / "metadata.db")
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="declared",
                pipeline_root=str(self.folder / "artifacts"),
                components=[SourceDeclarer(files=[str(self.file)])],
                enable_cache=True,
                metadata_connection_config=metadata.sqlite_metadata_connection_config(database),
            )
        )
        store = open_store(database)
        newest = max(store.executions().values(), key=lambda item: item.id)
        (made,) = [item.artifact for item in store.events_of_executions([newest.id])]
        artifact = store.artifacts([made])[made]
        return {
            "state": newest.state,
            "type": artifact.type,
            "licence": read_declarations(artifact.uri)[0].licence,
        }


def test_an_edited_file_makes_another_artifact_and_the_same_one_does_not(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.run("name: x\nlicence: MIT") == {
        "state": "COMPLETE",
        "type": "TrustSourceDeclarations",
        "licence": "MIT",
    }
    assert place.run("# the same\nname: x\nlicence: mit")["state"] == "CACHED"
    edited = place.run("name: x\nlicence: ISC")
    assert (edited["state"], edited["licence"]) == ("COMPLETE", "ISC")

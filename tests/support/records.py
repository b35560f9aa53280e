"""Records made by hand: one as the census pipeline leaves it, all fields filled; and the smallest one."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx_trust.components.provenance.config import IntendedUse, SourceDeclaration
from tfx_trust.components.provenance.hashing import tree_digest
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    Change,
    CodeEntry,
    Environment,
    ExecutionEntry,
    FileEntry,
    Obligations,
    Port,
    Previous,
    Record,
    Repository,
    SourceEntry,
    Training,
    Unknown,
)

CENSUS_COLUMNS = (
    "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex,"
    "capital_gain,capital_loss,hours_per_week,native_country,over_50k"
)
_PEOPLE = (
    "39,State-gov,77516,Bachelors,13,Never-married,Adm-clerical,Not-in-family,White,Male,2174,0,40,"
    "United-States,0",
    "50,Self-emp-not-inc,83311,Bachelors,13,Married-civ-spouse,Exec-managerial,Husband,White,Male,0,0,13,"
    "United-States,0",
    "52,?,209642,HS-grad,9,Married-civ-spouse,Exec-managerial,Husband,White,Male,0,0,45.5,?,1",
)
SOURCE_FILES = {
    "train/adult.csv": "\n".join((CENSUS_COLUMNS, *_PEOPLE, "")),
    "eval/adult.csv": "\n".join((CENSUS_COLUMNS, *_PEOPLE[:2], "")),
}
ARTIFACT_FILES: dict[int, dict[str, str]] = {
    1: {
        "Split-train/data_tfrecord-00000-of-00001.gz": "records of train",
        "Split-eval/data_tfrecord-00000-of-00001.gz": "records of eval",
    },
    2: {"schema.pbtxt": 'feature { name: "age" type: INT }\n'},
    3: {"Split-train/FeatureStats.pb": "statistics of train", "Split-eval/FeatureStats.pb": "of eval"},
    10: {
        "Split-train/transformed_examples-00000-of-00001.gz": "transformed train",
        "Split-eval/transformed_examples-00000-of-00001.gz": "transformed eval",
    },
    11: {
        "transform_fn/saved_model.pb": "graph",
        "transform_fn/assets/vocabulary of occupations": "Exec-managerial\n",
        "transformed_metadata/schema.pbtxt": "feature {}\n",
    },
    15: {
        "Format-Serving/saved_model.pb": "a model",
        "Format-Serving/variables/variables.index": "an index",
        "Format-Serving/variables/variables.data-00000-of-00001": "weights",
        "Format-Serving/fingerprint.pb": "fingerprint",
    },
    19: {"metrics-00000-of-00001.tfrecord": "metrics"},
}
_CODE_FILES = {"model.py": "def run_fn(fn_args): ...\n", "features.py": "def preprocessing_fn(inputs): ...\n"}
_CSV_GEN = "tfx.components.example_gen.csv_example_gen.component.CsvExampleGen"
_NOON = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.timezone.utc)


def minute(number: int) -> str:
    """A time, so many minutes after noon."""
    return (_NOON + datetime.timedelta(minutes=number)).isoformat(timespec="seconds")


def entries(files: Mapping[str, str]) -> list[FileEntry]:
    """Entries of files with these contents, by path."""
    return [
        FileEntry(path=path, size=len(content.encode()), sha256=hashlib.sha256(content.encode()).hexdigest())
        for path, content in sorted(files.items())
    ]


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Writes them below `folder`."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode())


def census_like(folder: str | Path | None = None) -> Record:
    """A record with every field filled, of a run of the census pipeline, sealed.

    With a `folder`, the raw inputs, artifacts and code are written below it, so that every digest is that
    of a file; without, they are said to lie in ``/srv/census``.
    """
    base = Path("/srv/census") if folder is None else Path(folder)
    data, root, code = base / "data", base / "artifacts", base / "code"
    places = {
        1: ("Examples", root / "CsvExampleGen/examples/1"),
        2: ("Schema", root / "ImportSchemaGen/schema/2"),
        3: ("ExampleStatistics", root / "StatisticsGen/statistics/3"),
        10: ("Examples", root / "Transform/transformed_examples/5"),
        11: ("TransformGraph", root / "Transform/transform_graph/5"),
        15: ("Model", root / "PrivateTrainer/model/6"),
        19: ("ModelEvaluation", root / "Evaluator/evaluation/10"),
    }
    if folder is not None:
        write_files(data, SOURCE_FILES)
        write_files(code, _CODE_FILES)
        for number, (_, place) in places.items():
            write_files(place, ARTIFACT_FILES[number])
    artifacts = [_artifact(number, type_name, place) for number, (type_name, place) in places.items()]
    return Record(
        created=minute(31),
        pipeline="census",
        run="2026-11-25T12:00:00.000000",
        model=15,
        serving="Format-Serving",
        artifacts=artifacts,
        executions=_executions(str(data)),
        sources=[_files_source(data), _query_source()],
        training=Training(execution=6, examples=[10], splits=["train"], evaluation_splits=["eval"]),
        code=[_code("run_fn", "tfx_trust.pipelines.census.model.run_fn", 6, "model.py"), _wheel()],
        repository=Repository(
            commit="0123456789abcdef0123456789abcdef01234567",
            branch="main",
            remote="https://git.example.org/people/census.git",
            dirty=True,
            changed=["pipelines/census/model.py"],
            diff_sha256=hashlib.sha256(b"a diff").hexdigest(),
        ),
        environment=Environment(
            python="3.11.7",
            implementation="CPython",
            platform="Linux-6.1.0-x86_64-with-glibc2.36",
            machine="x86_64",
            processors=2,
            packages={"keras": "3.12.0", "ml-metadata": "1.16.0", "tensorflow": "2.16.2", "tfx": "1.16.0"},
            container="registry.example.org/census@sha256:" + "c" * 64,
            variables={"PYTHONHASHSEED": "0"},
        ),
        schemas={str(places[2][1]): entries(ARTIFACT_FILES[2])[0].sha256},
        seeds={"PrivateTrainer.seed": 17, "Transform.seed": None},
        obligations=Obligations(
            licences=["CC-BY-4.0", "LicenseRef-contract-17"],
            commercial="unknown",
            derivatives="allowed",
            distribution="unknown",
            attribution=["UCI Adult"],
            share_alike=[],
            purposes=["research"],
            retention="2030-12-31",
            personal_data=["age", "sex"],
            legal_bases={"UCI Adult": "legitimate_interests"},
            undeclared=[],
        ),
        use=IntendedUse(purpose="research", commercial=False, distribution=True, licence="Apache-2.0"),
        changes=[
            Change(
                artifact=3,
                path="Split-eval/FeatureStats.pb",
                kind="changed",
                before="b" * 64,
                now=entries(ARTIFACT_FILES[3])[0].sha256,
                seen=minute(3),
                seen_in="snapshot 12",
                found=minute(31),
            )
        ],
        unknowns=[Unknown(what="source_files", subject="source:2", why="A query leaves no files behind.")],
        previous=Previous(
            digest="d" * 64,
            uri=str(root / "ProvenanceTracker/provenance_record/4"),
            artifact=7,
            created=minute(-1440),
        ),
    ).sealed()


def minimal() -> Record:
    """A model of which nothing is known but that it is there, sealed."""
    model = ArtifactEntry(id=1, type="Model", uri="/srv/model", role="model")
    return Record(created=minute(0), model=1, artifacts=[model], executions=[]).sealed()


def changed(record: Record, **fields: Any) -> Record:
    """The same with other fields, checked and sealed anew."""
    content = record.model_dump(mode="json")
    return Record.model_validate_json(json.dumps({**content, **fields})).sealed()


ODD_TEXTS = (
    "two words",
    " a space at either end ",
    "50% of <b> & 'c'",
    'a "quoted" \\ name',
    "Größe/人口/🎈",
    "first line\nsecond\r\nthird\ttab",
    "control \x00\x1b\x7f\x85\ufffe",
    "#fragment?query=1&x=%zz",
    "../up/./here//twice",
    "prefix:name,{json}=[1]",
    "_:b0",
    "x" * 300,
)


def odd_records() -> list[Record]:
    """The census's record with odd texts wherever a text is free, and with parts of it left out."""
    whole = census_like()
    return [
        minimal(),
        changed(whole, executions=[], training=None),
        changed(whole, sources=[], code=[], repository=None, environment=None, previous=None, use=None),
        _without_digests(whole),
        *(_with_text(whole, text) for text in ODD_TEXTS),
    ]


def _without_digests(record: Record) -> Record:
    content = record.model_dump(mode="json")
    for entry in (*content["artifacts"], *content["sources"], *content["code"]):
        entry |= {"files": [], "tree": None}
    for entry in (*content["artifacts"], *content["executions"], *content["sources"]):
        entry |= {name: "" for name in ("created", "observed", "started", "finished", "run") if name in entry}
    return Record.model_validate_json(json.dumps(content)).sealed()


_FIXED = {"id", "kind", "role", "licence", "legal_basis", "schema_version", "created", "observed", "started"}
_FIXED |= {
    "finished",
    "sha256",
    "tree",
    "diff_sha256",
    "digest",
    "issued",
    "retention",
    "covers",
    "before",
    "now",
}
_FIXED |= {"seen", "found", "commercial", "derivatives", "distribution", "terms", "legal_bases", "licences"}


def _with_text(record: Record, text: str) -> Record:
    content = _replaced(record.model_dump(mode="json"), text)
    for entry in (*content["artifacts"], *content["sources"], *content["code"]):
        for number, file in enumerate(entry["files"]):
            file["path"] = f"{text}{number}"
    for entry in content["artifacts"]:
        entry["uri"] = f"/srv/{text}/{entry['id']}"
    return Record.model_validate_json(json.dumps(content)).sealed()


def _replaced(content: Any, text: str) -> Any:
    if isinstance(content, dict):
        return {
            name: value if name in _FIXED else _replaced(value, text) for name, value in content.items()
        } | ({text: text} if "PYTHONHASHSEED" in content or "tfx" in content or "run_fn" in content else {})
    if isinstance(content, list):
        return [_replaced(item, text) for item in content]
    return text if isinstance(content, str) else content


def _artifact(number: int, type_name: str, place: Path) -> ArtifactEntry:
    files = entries(ARTIFACT_FILES[number])
    has_splits = type_name in ("Examples", "ExampleStatistics")
    properties: dict[str, Any] = {"is_external": 0, "tfx_version": "1.16.0"}
    if type_name == "Examples":
        properties |= {"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"}
    return ArtifactEntry(
        id=number,
        type=type_name,
        name=f"{type_name.lower()}-{number}",
        uri=str(place),
        role={"Model": "model", "ModelEvaluation": "related"}.get(type_name, "upstream"),
        state="LIVE",
        created=minute(number),
        properties=properties,
        splits=["train", "eval"] if has_splits else [],
        span=0 if number == 1 else None,
        version=1 if number == 1 else None,
        files=files,
        tree=tree_digest(files),
        observed=minute(30),
    )


def _executions(data: str) -> list[ExecutionEntry]:
    def entry(
        number: int,
        type_name: str,
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        **more: Any,
    ) -> ExecutionEntry:
        return ExecutionEntry(
            id=number,
            type=type_name,
            component=type_name.rpartition(".")[2],
            run="2026-11-25T12:00:00.000000",
            state="COMPLETE",
            started=minute(number),
            finished=minute(number + 1),
            inputs=[Port(name=name, artifact=artifact) for name, artifact in inputs.items()],
            outputs=[Port(name=name, artifact=artifact) for name, artifact in outputs.items()],
            **more,
        )

    patterns = {"splits": [{"name": name, "pattern": f"{name}/*"} for name in ("train", "eval")]}
    return [
        entry(
            1,
            _CSV_GEN,
            {},
            {"examples": 1},
            parameters={"input_base": data, "input_config": json.dumps(patterns)},
            reused_in=["2026-11-25T13:00:00.000000"],
        ),
        entry(
            2,
            "tfx.components.schema_gen.import_schema_gen.component.ImportSchemaGen",
            {},
            {"schema": 2},
            parameters={"schema_file": f"{data}/schema.pbtxt"},
        ),
        entry(
            3,
            "tfx.components.statistics_gen.component.StatisticsGen",
            {"examples": 1},
            {"statistics": 3},
            parameters={"exclude_splits": "[]"},
        ),
        entry(
            5,
            "tfx.components.transform.component.Transform",
            {"examples": 1, "schema": 2},
            {"transformed_examples": 10, "transform_graph": 11},
            parameters={
                "disable_statistics": 0,
                "module_path": "features@/srv/features-0.0-py3-none-any.whl",
            },
        ),
        entry(
            6,
            "tfx_trust.components.privacy.component.PrivateTrainer",
            {"examples": 10, "transform_graph": 11, "schema": 2},
            {"model": 15},
            parameters={
                "run_fn": "tfx_trust.pipelines.census.model.run_fn",
                "train_args": '{"splits": ["train"], "num_steps": 100}',
                "settings": '{"epsilon":3.0}',
                "learning_rate": "0.001",
                "api_token": "***",
            },
        ),
        entry(
            10,
            "tfx.components.evaluator.component.Evaluator",
            {"model": 15, "examples": 1},
            {"evaluation": 19},
            parameters={"eval_config": '{"model_specs": [{"label_key": "over_50k"}]}'},
        ),
    ]


def _files_source(data: Path) -> SourceEntry:
    files = entries(SOURCE_FILES)
    return SourceEntry(
        id="source:1",
        kind="files",
        place=str(data),
        patterns={"train": "train/*", "eval": "eval/*"},
        read_by=1,
        made=[1],
        span=0,
        files=files,
        tree=tree_digest(files),
        observed=minute(30),
        declaration=SourceDeclaration(
            name="UCI Adult",
            covers=["train/*", "eval/*"],
            origin="https://doi.org/10.24432/C5XW20",
            publisher="UCI Machine Learning Repository",
            version="1996-05-01",
            issued=datetime.date(1996, 5, 1),
            citation="Becker, B. and Kohavi, R. (1996). Adult. UCI Machine Learning Repository.",
            licence="CC-BY-4.0",
            collection="Extracted from the 1994 census database of the United States.",
            legal_basis="legitimate_interests",
            consent="Answers to a census are compulsory.",
            purposes=["research"],
            retention=datetime.date(2030, 12, 31),
            personal_data=["age", "sex"],
            limitations="Incomes of 1994, of one country.",
            contact="data-office@example.org",
        ),
        declared_in=str(data / "source.yaml"),
    )


def _query_source() -> SourceEntry:
    return SourceEntry(
        id="source:2",
        kind="query",
        place="SELECT age, sex FROM people WHERE name <> 'O''Brien'",
        read_by=1,
        made=[1],
        declaration=SourceDeclaration(
            name="people of the register",
            licence="LicenseRef-contract-17",
            terms={"derivatives": "allowed"},
            purposes=["research"],
            personal_data=[],
        ),
        declared_in="settings",
    )


def _code(parameter: str, reference: str, execution: int, *names: str) -> CodeEntry:
    files = entries({name: _CODE_FILES[name] for name in names})
    return CodeEntry(
        parameter=parameter, reference=reference, execution=execution, files=files, tree=tree_digest(files)
    )


def _wheel() -> CodeEntry:
    return CodeEntry(
        parameter="module_path", reference="features@/srv/features-0.0-py3-none-any.whl", execution=5
    )

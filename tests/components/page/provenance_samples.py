"""Reports of ProvenanceTracker and PushValidator: what a page must bear."""

from __future__ import annotations

import datetime
import hashlib

from tfx_trust.components.provenance.config import IntendedUse, ProvenanceSettings, SourceDeclaration
from tfx_trust.components.provenance.record import (
    Change,
    Environment,
    Obligations,
    Previous,
    Repository,
    Unknown,
)
from tfx_trust.components.provenance.report import (
    LineageEdge,
    LineageNode,
    ProvenanceReport,
    ProvenanceSection,
    PushReport,
    PushSection,
    Signature,
    SourceSummary,
)
from tfx_trust.components.report import Finding, InputRef, Severity

CREATED = datetime.datetime(2026, 3, 4, 9, 5, tzinfo=datetime.timezone.utc)
ROOT = "/data/risk/runs/census/artifacts"
SERVING = "/data/risk/runs/census/serving/1772615102"


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


# Node, seconds, what it reads, and what it makes: the census pipeline up to its release.
CENSUS = (
    ("CsvExampleGen", 4.1, ("source:1",), ("Examples",)),
    ("SchemaImporter", 0.2, ("source:2",), ("Schema",)),
    ("StatisticsGen", 9.8, ("Examples",), ("ExampleStatistics",)),
    ("LeakageValidator", 3.4, ("Examples", "Schema"), ("TrustLeakageReport",)),
    ("LeakageFilter", 2.2, ("Examples", "TrustLeakageReport"), ("Examples (filtered)",)),
    ("Reweigher", 5.0, ("Examples (filtered)", "Schema"), ("Examples (weighted)",)),
    (
        "Transform",
        31.7,
        ("Examples (weighted)", "Schema"),
        ("TransformGraph", "TransformCache", "Examples (transformed)"),
    ),
    ("Tuner", 64.0, ("Examples (transformed)", "TransformGraph"), ("HyperParameters",)),
    (
        "Trainer",
        88.2,
        ("Examples (transformed)", "TransformGraph", "Schema", "HyperParameters"),
        ("Model", "ModelRun"),
    ),
    ("Evaluator", 24.5, ("Examples (filtered)", "Model"), ("ModelEvaluation", "ModelBlessing")),
    ("FairnessEvaluator", 12.9, ("Examples (filtered)", "Model"), ("TrustFairnessReport",)),
    ("ThresholdTuner", 7.7, ("Examples (filtered)", "Model"), ("Model (tuned)",)),
)
RELATED = {"ModelEvaluation", "ModelBlessing", "TrustFairnessReport", "Model (tuned)", "ModelRun"}
MODELS = {"Model"}


def lineage(spans: int = 1) -> tuple[list[LineageNode], list[LineageEdge]]:
    """The census pipeline; more than one span: as many generators, whose examples are read together."""
    nodes = {
        "source:1": LineageNode(
            id="source:1",
            kind="source",
            label="UCI Adult",
            detail="CC-BY-4.0",
            licence="CC-BY-4.0",
            digest=digest("adult"),
            place="/data/risk/census",
            files=2,
            bytes=5_972_125,
        ),
        "source:2": LineageNode(
            id="source:2",
            kind="source",
            label="census.pbtxt",
            digest=digest("schema"),
            place="/data/risk/schemas/census.pbtxt",
            files=1,
            bytes=4_211,
        ),
    }
    edges: list[LineageEdge] = []
    names: dict[str, str] = {}
    steps = [*CENSUS]
    for span in range(2, spans + 1):
        nodes[f"source:{span + 1}"] = nodes["source:1"].model_copy(
            update={"id": f"source:{span + 1}", "label": f"registry export, span {span}", "licence": None}
        )
        steps.insert(2, (f"SpanGen{span}", 3.0, (f"source:{span + 1}",), (f"Examples (span {span})",)))
    for number, (name, seconds, reads, makes) in enumerate(steps, 1):
        execution = f"execution:{number}"
        nodes[execution] = LineageNode(
            id=execution,
            kind="execution",
            label=name,
            detail=f"{seconds:.0f} s",
            made=f"2026-03-04T08:{number:02d}:00+00:00",
        )
        further = [f"Examples (span {span})" for span in range(2, spans + 1)] if name == "Reweigher" else []
        for read in [*reads, *further]:
            edges.append(LineageEdge(source=names.get(read, read), target=execution, name=read.split()[0]))
        for made in makes:
            names[made] = f"artifact:{len(names) + 1}"
            role = "model" if made in MODELS else "related" if made in RELATED else "upstream"
            nodes[names[made]] = LineageNode(
                id=names[made],
                kind="artifact",
                label=made.split()[0],
                detail=digest(made)[:12],
                digest=digest(made),
                place=f"{ROOT}/{name}/{made.split()[0].lower()}/{number}",
                role=role,
                files=3,
                bytes=1_048_576 * number,
                made=f"2026-03-04T08:{number:02d}:10+00:00",
            )
            edges.append(LineageEdge(source=execution, target=names[made], name=made.split()[0]))
    return list(nodes.values()), edges


def declared(**fields: object) -> SourceDeclaration:
    return SourceDeclaration.model_validate(
        {
            "name": "UCI Adult",
            "origin": "https://archive.ics.uci.edu/dataset/2/adult",
            "publisher": "UCI Machine Learning Repository",
            "citation": "Becker & Kohavi (1996), doi:10.24432/C5XW20",
            "licence": "CC-BY-4.0",
            "collection": "Extracted from the 1994 census of the United States",
            "legal_basis": "not_personal_data",
            "purposes": ["research"],
            "retention": "2027-12-31",
            "personal_data": ["age", "sex", "race", "income"],
            "limitations": "One year, one country; incomes above 99,999 are cut",
            "contact": "data@example.org",
            **fields,
        }
    )


def environment() -> Environment:
    return Environment(
        python="3.11.7",
        implementation="CPython",
        platform="Linux 6.8, glibc 2.36",
        machine="x86_64",
        processors=2,
        packages={f"package-{number:03d}": f"1.{number}.0" for number in range(180)}
        | {"tensorflow": "2.16.2", "tfx": "1.16.0"},
        variables={"PYTHONHASHSEED": "0"},
    )


def section(**fields: object) -> ProvenanceSection:
    nodes, edges = lineage()
    model = next(node for node in nodes if node.role == "model")
    return ProvenanceSection.model_validate(
        {
            "model": f"{ROOT}/Trainer/model/9",
            "digest": model.digest,
            "record": digest("record"),
            "pipeline": "census",
            "run": "2026-03-04T08:01:00.123456",
            "nodes": nodes,
            "edges": edges,
            "sources": [
                SourceSummary(
                    id="source:1",
                    kind="files",
                    place="/data/risk/census",
                    files=2,
                    bytes=5_972_125,
                    digest=digest("adult"),
                    declaration=declared(),
                    declared_in="/data/risk/census/source.yaml",
                ),
                SourceSummary(
                    id="source:2",
                    kind="import",
                    place="/data/risk/schemas/census.pbtxt",
                    files=1,
                    bytes=4_211,
                    digest=digest("schema"),
                    declaration=None,
                    declared_in=None,
                ),
            ],
            "obligations": Obligations(
                licences=["CC-BY-4.0"],
                commercial="allowed",
                derivatives="allowed",
                distribution="allowed",
                attribution=["UCI Adult"],
                purposes=None,
                retention="2027-12-31",
                personal_data=["age", "income", "race", "sex"],
                legal_bases={"UCI Adult": "not_personal_data"},
                undeclared=["source:2"],
            ),
            "changes": [],
            "unknowns": [],
            "signature": Signature(
                key_id=digest("key"),
                algorithm="ECDSA P-256, SHA-256",
                files=["model.sig", "serving.sig", "provenance.dsse.json"],
            ),
            "repository": Repository(
                commit=digest("commit")[:40],
                branch="main",
                remote="https://github.com/example/census",
                dirty=False,
            ),
            "environment": environment(),
            "seeds": {"CsvExampleGen.seed": 0, "Trainer.custom_config.seed": 7},
            "previous": Previous(
                digest=digest("previous"),
                uri=f"{ROOT}/ProvenanceTracker/provenance_record/3",
                artifact=3,
                created="2026-03-03T09:05:00+00:00",
            ),
            "subjects": {},
            **fields,
        }
    )


def inputs() -> dict[str, list[InputRef]]:
    return {"model": [InputRef(uri=f"{ROOT}/Trainer/model/9", type="Model", id=12)]}


def sound() -> ProvenanceReport:
    """Signed, declared but for the schema, nothing changed."""
    settings = ProvenanceSettings(use=IntendedUse(purpose="research/income", commercial=False))
    return ProvenanceReport(
        component="ProvenanceTracker",
        created=CREATED,
        settings=settings.model_dump(mode="json"),
        inputs=inputs(),
        findings=[
            Finding(
                check="declared",
                severity=Severity.WARN,
                subject="census.pbtxt",
                message="Nothing is declared of the source census.pbtxt.",
                remedy="Put a source.yaml beside it.",
            )
        ],
        provenance=section(),
    )


def tampered(text: str = "data_tfrecord-00000-of-00001.gz") -> ProvenanceReport:
    """Examples were changed after they were made, a source is gone, a retention date is over."""
    nodes, edges = lineage()
    states = {"artifact:1": "changed", "source:2": "unknown"}
    gone = {"digest": None, "files": 0, "bytes": 0}
    nodes = [
        node.model_copy(
            update={"state": states.get(node.id, "known"), **(gone if node.id == "source:2" else {})}
        )
        for node in nodes
    ]
    path = f"Split-train/{text}"
    base = section()
    return ProvenanceReport(
        component="ProvenanceTracker",
        created=CREATED,
        inputs=inputs(),
        findings=[
            Finding(
                check="tampering",
                severity=Severity.FAIL,
                subject=path,
                message=f"{path} of Examples 1 was changed after it was made.",
                remedy="Find out who wrote to the pipeline’s root, and run from CsvExampleGen on.",
            ),
            Finding(
                check="retention",
                severity=Severity.FAIL,
                subject="UCI Adult",
                message="The source UCI Adult had to be gone after 31 December 2025.",
                remedy="Train without it.",
            ),
            Finding(
                check="source_files",
                severity=Severity.NOT_RUN,
                subject="census.pbtxt",
                message="The files of census.pbtxt are gone.",
            ),
        ],
        provenance=section(
            nodes=nodes,
            edges=edges,
            sources=[
                base.sources[0].model_copy(
                    update={
                        "declaration": declared(
                            name=text,
                            licence="CC-BY-NC-4.0",
                            retention="2025-12-31",
                            origin=f"javascript:{text}",
                        )
                    }
                ),
                base.sources[1].model_copy(update={"digest": None, "files": 0, "bytes": 0}),
            ],
            changes=[
                Change(
                    artifact=1,
                    path=path,
                    kind="changed",
                    before=digest("before"),
                    now=digest("now"),
                    seen="2026-03-04T08:01:12+00:00",
                    seen_in="snapshot 4",
                    found="2026-03-04T09:05:00+00:00",
                ),
                Change(
                    artifact=1,
                    path="Split-eval/a.gz",
                    kind="renamed",
                    renamed_to="Split-eval/b.gz",
                    before=digest("a"),
                    now=digest("a"),
                    seen="2026-03-04T08:01:12+00:00",
                    seen_in="snapshot 4",
                    found="2026-03-04T09:05:00+00:00",
                ),
                Change(source="source:1", path="adult.test.csv", kind="missing", before=digest("test")),
            ],
            unknowns=[
                Unknown(
                    what="source_files",
                    subject="census.pbtxt",
                    why="There is no file at /data/risk/schemas/census.pbtxt any more.",
                ),
                Unknown(what="repository", subject=text, why="It is in no git repository."),
            ],
            obligations=Obligations(
                licences=["CC-BY-NC-4.0"],
                commercial="forbidden",
                derivatives="allowed",
                attribution=[text],
                share_alike=["CC-BY-SA-4.0"],
                retention="2025-12-31",
                undeclared=["source:2"],
            ),
            signature=None,
            repository=Repository(
                commit=digest("commit")[:40],
                dirty=True,
                changed=["pipelines/census/model.py", text],
                diff_sha256=digest("diff"),
            ),
            environment=None,
            seeds={},
            previous=None,
            subjects={"train": 31_978, "eval": 16_190},
        ),
    )


def bare() -> ProvenanceReport:
    """A model that was imported: nothing is known."""
    model = LineageNode(
        id="artifact:1", kind="artifact", label="Model", role="model", state="unknown", place="gs://models/1"
    )
    return ProvenanceReport(
        component="tfx-trust provenance record",
        created=CREATED,
        findings=[
            Finding(check="model_files", severity=Severity.NOT_RUN, message="The model cannot be read.")
        ],
        provenance=ProvenanceSection(
            model="gs://models/1",
            digest=None,
            record=digest("bare"),
            nodes=[model],
            edges=[],
            sources=[],
            obligations=Obligations(),
            changes=[],
            unknowns=[Unknown(what="model_files", subject="Model 1", why="gs://models/1 cannot be read.")],
            signature=None,
            repository=None,
            environment=None,
            previous=None,
        ),
    )


def pushed(**fields: object) -> PushReport:
    """The copy is the model."""
    return PushReport(
        component="PushValidator",
        created=CREATED,
        push=PushSection.model_validate(
            {
                "destination": SERVING,
                "record": digest("record"),
                "files": 4,
                "carried": [
                    f"assets.extra/provenance/{name}"
                    for name in ("record.json", "model.sig", "provenance.dsse.json", "signing.pub")
                ],
                **fields,
            }
        ),
    )


def altered(path: str = "variables/variables.data-00000-of-00001") -> PushReport:
    """The copy is not the model."""
    report = pushed(
        carried=[],
        changes=[
            Change(artifact=12, path=path, kind="changed", before=digest("before"), now=digest("now")),
            Change(artifact=12, path="assets/extra.txt", kind="added", now=digest("extra")),
        ],
    )
    finding = Finding(check="pushed_copy", severity=Severity.FAIL, subject=path, message=f"{path} differs.")
    return PushReport(component="PushValidator", created=CREATED, findings=[finding], push=report.push)


def held_back() -> PushReport:
    """Nothing was pushed."""
    finding = Finding(check="pushed", severity=Severity.NOT_RUN, message="Nothing was pushed.")
    return PushReport(
        component="PushValidator",
        created=CREATED,
        findings=[finding],
        push=PushSection(destination=None, record=digest("record")),
    )


SAMPLES = {
    "provenance_sound": sound,
    "provenance_tampered": tampered,
    "provenance_bare": bare,
    "push_same": pushed,
    "push_altered": altered,
    "push_none": held_back,
}

"""What is answered to questions about a metadata store, with its JSON form."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.graph import Relation
from tfx_trust.components.report import Model

ANSWER_VERSION = "1.0"

Known = Literal["record", "snapshot", "now", "not recorded"]
"""Where digests are from: a record or a snapshot of the store, the files as they lie there now, nowhere."""


class ModelRef(Model):
    """A model of the store."""

    id: int
    """Of its artifact."""
    uri: str
    """Where it lies."""
    pipeline: str = ""
    """Name of the pipeline that made it."""
    run: str = ""
    """Id of the run that made it."""
    component: str = ""
    """Id of the node that made it."""
    created: str = ""
    """When the store learned of it; ISO 8601, UTC."""
    blessed: bool | None = None
    """What was last said of it; none where nothing was."""


class Copy(Model):
    """A pushed copy of a model."""

    id: int
    """Of the PushedModel's artifact."""
    destination: str
    """Where it was put."""
    version: str = ""
    """As Pusher counts."""
    pushed: str = ""
    """When; ISO 8601, UTC."""
    there: bool | None = None
    """Whether it still is; none where that cannot be seen from here."""
    served: bool | None = None
    """Whether it is the greatest version that lies there, which a server takes; none where that cannot be
    seen."""


class ModelUse(ModelRef):
    """A model that came of something."""

    relation: Relation
    """``trained``: it learned from it; ``model``: a model that did was built on; ``derived``: by a way round,
    such as a schema or a vocabulary that was made of it."""
    route: list[str] = []
    """The closest way, e.g. ``Examples 1``, ``Transform``, ``Examples 10``, ``Trainer``, ``Model 15``."""
    copies: list[Copy] = []
    """Where it was pushed to."""
    newer: ModelRef | None = None
    """The newest model of the same node that is younger and did not come of it."""


class SourceRef(Model):
    """A raw input."""

    kind: str
    """As in a record: ``files``, ``query``, ``import`` or ``artifact``."""
    place: str
    """Folder, query or URI."""
    name: str | None = None
    """What it is declared as."""
    licence: str | None = None
    """What is declared; none where nothing is."""
    span: int | None = None
    """Number of its span, if it has one."""
    read_by: list[int] = []
    """Ids of the executions that read it."""
    made: list[int] = []
    """Ids of the artifacts that it was read into."""


class Origin(Model):
    """What was asked about, as it was found in the store."""

    kind: Literal["file", "sha256", "licence", "span", "source", "artifact", "subject"]
    """How the question was understood."""
    asked: str
    """What was given; of a data subject, nothing of it."""
    digest: str | None = None
    """sha256 of the file that was given."""
    found_by: list[Literal["place", "content"]] = []
    """Of a file: by its place, which may hold other bytes by now than were read; or by its bytes."""
    sources: list[SourceRef] = []
    """Raw inputs that it names, or that hold it."""
    artifacts: list[int] = []
    """Ids of the artifacts that it is in, where the walk began."""


class Subject(Model):
    """Where a data subject is."""

    artifact: int
    """Id of the Examples."""
    split: str
    """Name of the split."""
    examples: int
    """How many are the subject's."""
    record: str
    """Folder of the record whose index says so."""


class Held(Model):
    """An artifact that holds the data, or something made of them."""

    id: int
    """In the store."""
    type: str
    """Its type's name."""
    uri: str
    """Where it lies."""
    there: bool | None = None
    """Whether it still does; none where that cannot be seen from here."""


class Task(Model):
    """One thing to do."""

    what: Literal["withdraw", "replace", "retrain", "delete"]
    """Take a copy away; serve another model; train anew without the source; remove files."""
    message: str
    """In a sentence."""
    models: list[int] = []
    """Ids of the models that it is about."""
    place: str = ""
    """What to take away or remove."""


class SourceData(SourceRef):
    """A raw input of a model, with its bytes."""

    declaration: SourceDeclaration | None = None
    """What is declared of it."""
    files: int | None = None
    """How many; none where it is not known."""
    bytes: int | None = None
    """Of all of them."""
    tree: str | None = None
    """Digest over them."""
    known: Known = "not recorded"
    """Where the digest is from."""
    observed: str = ""
    """When they were read."""


class ExamplesData(Model):
    """Examples that a model came from."""

    id: int
    """Of the artifact."""
    uri: str
    """Where they lie."""
    component: str = ""
    """Id of the node that made them."""
    span: int | None = None
    """Number of the span."""
    version: int | None = None
    """Of the span."""
    splits: list[str] = []
    """All of them."""
    trained_on: list[str] = []
    """Names of the splits that the model learned from; empty where it did not read these Examples itself."""
    looked_at: list[str] = []
    """Names of the splits that its training only looked at."""
    files: int | None = None
    """How many; none where it is not known."""
    bytes: int | None = None
    """Of all of them."""
    tree: str | None = None
    """Digest over them."""
    known: Known = "not recorded"
    """Where the digest is from."""
    observed: str = ""
    """When they were read."""


class Answer(Model):
    """An answer of one store."""

    store: str
    """The store."""
    unknowns: list[str] = []
    """What could not be established, in sentences."""


class DataOf(Answer):
    """What a model was made of."""

    kind: Literal["data_of"] = "data_of"
    """Tells it from other answers."""

    model: ModelRef
    """The model."""
    record: str | None = None
    """Folder of the record that digests and declarations are from."""
    sources: list[SourceData] = []
    """Raw inputs."""
    examples: list[ExamplesData] = []
    """Examples on the way, those that it learned from first."""


class Traced(Answer):
    """What came of something."""

    origin: Origin
    """What was asked about."""
    models: list[ModelUse] = []
    """The newest first."""
    subjects: list[Subject] = []
    """Where the data subject is, if one was asked about."""
    decided: bool = True
    """False where nothing was found, and that may be for want of knowledge."""


class ModelsFrom(Traced):
    """Which models came of something."""

    kind: Literal["models_from"] = "models_from"
    """Tells it from other answers."""


class Impact(Traced):
    """What is touched if a source goes."""

    kind: Literal["impact"] = "impact"
    """Tells it from other answers."""

    held: list[Held] = []
    """What else holds its data, or something made of them: examples, statistics, vocabularies, reports."""
    tasks: list[Task] = []
    """What to do, the most urgent first."""


class Answers(Model):
    """What is written as JSON."""

    schema_version: str = ANSWER_VERSION
    """``major.minor``; a reader refuses another major."""
    question: Literal["data_of", "models_from", "impact", "subject"]
    """What was asked."""
    answers: list[Annotated[DataOf | Impact | ModelsFrom, pydantic.Field(discriminator="kind")]]
    """One a store."""

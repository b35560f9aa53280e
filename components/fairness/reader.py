"""tf.Examples in files as batches with what models say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.examples import (
    BATCH_ROWS,
    INFERRED_FROM,
    LISTS,
    layout_of_files,
    layout_of_schema,
    parsed,
    records,
    serialized_batches,
)
from tfx_trust.components.fairness.batch import Batch
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.decoder import Decoder
from tfx_trust.components.fairness.plan import Kind
from tfx_trust.components.leakage.splits import has_examples
from tfx_trust.components.model import ExampleModel, Predictions
from tfx_trust.components.report import Finding, Severity

_UNSAID = Predictions(None)
_PLAIN = (schema_pb2.BYTES, schema_pb2.INT, schema_pb2.FLOAT)
_UNUSED = (schema_pb2.DEPRECATED, schema_pb2.DISABLED, schema_pb2.PLANNED)
_SEVERAL = "several values in an example"


@dataclass(frozen=True)
class Reader:
    """Reads files, and asks each model once about each batch; it can be pickled.

    Attributes
    ----------
    decoder
        Makes the columns.
    model, baseline
        The model that is judged, and the one that it is compared with, if any.
    """

    decoder: Decoder
    model: ExampleModel
    baseline: ExampleModel | None = None

    def batches(self, path: str, rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """The examples of a file.

        Raises
        ------
        InputError
            If the file is missing or damaged, an example cannot be decoded, or a model cannot answer it.
        """
        for serialized, first in serialized_batches(path, rows):
            columns = self.decoder.decode(serialized, path=path, first=first)
            said = self.model(serialized)
            before = _UNSAID if self.baseline is None else self.baseline(serialized)
            yield Batch(columns, said.scores, said.decisions, before.scores, before.decisions)


def missing_split(files: Sequence[str] | None, settings: FairnessSettings) -> Finding | None:
    """What is wrong with the split that is to be judged, if it is not there or has no examples.

    Parameters
    ----------
    files
        Its files; none if there is no such split.
    settings
        They name it.
    """
    if files and any(has_examples(path) for path in files):
        return None
    name = settings.eval_split
    return Finding(
        check="splits",
        severity=Severity.FAIL,
        subject=name,
        message=f"There is no {name} split." if files is None else f"The {name} split has no examples.",
        remedy="Give ExampleGen an output_config or input_config with such a split, or name another in the "
        "settings (eval_split).",
    )


def kinds_of(
    files: Sequence[str], settings: FairnessSettings, schema: schema_pb2.Schema | None
) -> tuple[dict[str, Kind], dict[str, str]]:
    """Kind by name of the features that can be read: by the schema, or by the first examples of each file.

    If the settings do not name those to search, they are all that have one value an example.

    Returns
    -------
    kinds : dict
        Kind by name.
    left_out : dict
        Reason by name of the features that would be searched and cannot be.

    Raises
    ------
    UsageError
        If the settings name a feature that there is not.
    InputError
        If a named feature has no type, or several, or there are no examples.
    """
    named = _named(settings)
    splits = {settings.eval_split: list(files)}
    if settings.discover is not None:
        layout = layout_of_files(splits, named) if schema is None else layout_of_schema(schema, named)
        return dict(layout.kinds), {}
    if schema is not None:
        left_out = _unfit(schema)
        every = [item.name for item in schema.feature if item.lifecycle_stage not in _UNUSED]
        wanted = [name for name in dict.fromkeys([*named, *every]) if name in named or name not in left_out]
        kinds = dict(layout_of_schema(schema, wanted).kinds)
    else:
        left_out = dict.fromkeys(_of_several(files), _SEVERAL)
        every_kind = layout_of_files(splits).kinds
        kinds = {name: kind for name, kind in every_kind.items() if name in named or name not in left_out}
    return kinds, {name: reason for name, reason in left_out.items() if name not in named}


def _named(settings: FairnessSettings) -> list[str]:
    """The features that the settings name."""
    names = [
        settings.label,
        settings.weight,
        *settings.features,
        *settings.buckets,
        *(settings.discover or ()),
    ]
    return [name for name in dict.fromkeys(names) if name is not None]


def _unfit(schema: schema_pb2.Schema) -> dict[str, str]:
    """Features that cannot be searched, as far as the schema tells, and why."""
    found = {}
    for feature in schema.feature:
        if feature.type not in _PLAIN:
            found[feature.name] = "neither text nor a number"
        elif not _is_single(feature):
            found[feature.name] = _SEVERAL
    return found


def _is_single(feature: schema_pb2.Feature) -> bool:
    """Whether an example has at most one value of a feature; so it is if the schema does not tell."""
    if feature.HasField("value_count"):
        return bool(feature.value_count.max == 1)
    return not feature.HasField("value_counts") and all(dim.size == 1 for dim in feature.shape.dim)


def _of_several(files: Sequence[str]) -> list[str]:
    """Features with several values in one of the first examples of a file."""
    found = set()
    for path in files:
        for number, record in enumerate(islice(records(path), INFERRED_FROM)):
            for name, feature in parsed(record, path, number).features.feature.items():
                which = feature.WhichOneof("kind")
                if which in LISTS and len(getattr(feature, which).value) > 1:
                    found.add(name)
    return sorted(found)

"""Tables of features and a label, looked at for features that give the label away."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfx_trust.components.leakage import tables
from tfx_trust.components.leakage.columns import Layout
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import FeatureLeakage
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.leakage.target import TargetResult, analyse

Columns = Mapping[str, Any]


def samples_of(train: Columns, evaluation: Columns, limit: int = 100_000) -> tuple[Sample, Sample, Layout]:
    sides = [pa.table(dict(columns)) for columns in (train, evaluation)]
    layout = tables.layout_of([("train", sides[0].schema), ("eval", sides[1].schema)], None)
    first, second = (
        Sample.merged([Sample.of(batch, limit) for batch in tables.batches_of(side, layout)])
        for side in sides
    )
    return first, second, layout


def looked_at(train: Columns, evaluation: Columns, **given: Any) -> TargetResult:
    first, second, layout = samples_of(train, evaluation)
    return analyse(first, second, LeakageSettings(**{"label": "y", **given}), layout.kinds)


def split(columns: Columns, train: int, **given: Any) -> TargetResult:
    """The result where the first `train` rows are train, and the others eval."""
    return looked_at(
        {name: values[:train] for name, values in columns.items()},
        {name: values[train:] for name, values in columns.items()},
        **given,
    )


def found(result: TargetResult, name: str) -> FeatureLeakage:
    return next(feature for feature in result.features if feature.name == name)


def noisy(label: np.ndarray, fidelity: float, random: np.random.Generator) -> np.ndarray:
    """The label of two classes, right in this share of the rows."""
    return np.where(random.random(len(label)) < fidelity, label, 1 - label)


def texts(values: Sequence[Any] | np.ndarray) -> list[str]:
    return [f"value {value}" for value in values]

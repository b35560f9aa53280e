"""The fairness of predictions in an Arrow table: no TFX, no TensorFlow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_trust.components.errors import InputError, UsageError, unknown
from tfx_trust.components.fairness.batch import Batch
from tfx_trust.components.fairness.buckets import edges_for, edges_of_column
from tfx_trust.components.fairness.coding import distinct
from tfx_trust.components.fairness.conclude import conclude
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.count import Counts
from tfx_trust.components.fairness.labels import USUAL
from tfx_trust.components.fairness.plan import Kind, Plan
from tfx_trust.components.fairness.report import FairnessReport


def evaluate_fairness(
    table: pa.Table,
    settings: FairnessSettings | Mapping[str, Any],
    *,
    score: str | Sequence[str] | None = None,
    prediction: str | None = None,
    baseline_score: str | Sequence[str] | None = None,
    baseline_prediction: str | None = None,
    train: pa.Table | None = None,
) -> FairnessReport:
    """Measures a model's errors by slice and judges the gaps, from its predictions.

    Parameters
    ----------
    table
        Predictions: a row for each example, with its label and the features to slice by.
    settings
        A :class:`FairnessSettings`, or its fields as a mapping; ``label`` and ``slices`` are needed.
    score
        Column of the probability of the positive label; of a label of several classes, one column for each,
        in the order of ``settings.classes``.
    prediction
        Column of the decision, 0 or 1 or the class; without it scores are compared with the thresholds.
    baseline_score, baseline_prediction
        The same of the baseline model.
    train
        Training examples: the quantiles of their numeric features are the edges of buckets.

    Returns
    -------
    FairnessReport
        Its ``verdict`` and ``findings`` say what was judged, its ``fairness`` section what was measured.

    Raises
    ------
    InputError
        If a label, score, decision or weight is missing or not allowed, or a feature cannot be sliced by.
    UsageError
        If a setting or argument names a column that is not there, or there is neither score nor prediction.

    Examples
    --------
    >>> rows = [{"sex": "fm"[n % 2], "sick": n % 3 == 0, "risk": n % 7 / 7} for n in range(600)]
    >>> settings = {"label": "sick", "slices": [["sex"]], "tolerances": [{"metric": "auc", "bound": 0.2}]}
    >>> report = evaluate_fairness(pa.Table.from_pylist(rows), settings, score="risk")
    >>> [str(report.verdict), report.fairness.slices[1].slice, report.fairness.slices[1].examples]
    ['pass', {'sex': 'f'}, 300]
    """
    settings = FairnessSettings.of(settings)
    reader = TableReader(
        table.schema, settings, score, prediction, baseline_score, baseline_prediction, train=train
    )
    if not table.num_rows:
        raise InputError("the table has no rows; there is nothing to measure")
    counts = Counts(reader.plan)
    whole = table.select(reader.columns).combine_chunks()
    for batch in whole.to_batches():
        counts.add(reader.batch(batch))
    return conclude(counts)


class TableReader:
    """Turns record batches of predictions into batches.

    Parameters
    ----------
    schema
        Of the record batches.
    settings, score, prediction, baseline_score, baseline_prediction, train
        As :func:`evaluate_fairness`.
    edges
        Edges of numeric features, where they are known otherwise.

    Raises
    ------
    InputError, UsageError
        As :func:`evaluate_fairness`.
    """

    def __init__(
        self,
        schema: pa.Schema,
        settings: FairnessSettings,
        score: str | Sequence[str] | None,
        prediction: str | None,
        baseline_score: str | Sequence[str] | None,
        baseline_prediction: str | None,
        *,
        train: pa.Table | None = None,
        edges: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self._scores = _columns(score)
        self._prediction = prediction
        self._baseline = _columns(baseline_score)
        self._baseline_prediction = baseline_prediction
        self._classes = settings.classes
        self._settings = settings
        twice = [name for name, number in Counter(schema.names).items() if number > 1]
        if twice:
            raise InputError(f"there are several columns called {', '.join(map(repr, twice))}; rename them")
        said = [*self._scores, *self._baseline, *(name for name in (prediction, baseline_prediction) if name)]
        if not self._scores and prediction is None:
            raise UsageError("there are no predictions: name the column of the score, or of the prediction")
        for name in said:
            if name not in schema.names:
                raise unknown("column", name, schema.names)
            if name == settings.label:
                raise UsageError(
                    f"column {name!r} is the label; name the column of the model's score or prediction"
                )
        for name in (settings.weight, *(settings.discover or ())):
            if name in said and name not in settings.features:
                raise UsageError(
                    f"column {name!r} is the model's score or decision: no weight, and no feature"
                )
        for role, names in (("score", self._scores), ("baseline score", self._baseline)):
            wanted = 1 if settings.classes is None else len(settings.classes)
            if names and len(names) != wanted:
                raise UsageError(f"{len(names)} {role} columns for {wanted} classes; name one a class")
        kinds = {
            field.name: _kind(field)
            for field in schema
            if field.name not in said or field.name in settings.features
        }
        known = {name: kind for name, kind in kinds.items() if kind is not None}
        for name in (settings.label, settings.weight, *settings.features, *(settings.discover or ())):
            if name in kinds and kinds[name] is None:
                kind = schema.field(name).type
                raise InputError(
                    f"column {name!r} has type {kind}, which cannot be sliced by; give text or numbers"
                )
        self.plan = Plan.of(
            settings,
            known,
            _edges(train, known, settings, edges or {}),
            scored=bool(self._scores),
            decided=prediction is not None,
            baseline=bool(self._baseline) or baseline_prediction is not None,
            unreadable=[name for name, kind in kinds.items() if kind is None],
        )
        self.columns = list(dict.fromkeys([*self.plan.columns, *said]))

    def batch(self, batch: pa.RecordBatch) -> Batch:
        """A record batch as a batch."""
        columns = {name: batch.column(batch.schema.get_field_index(name)) for name in self.columns}
        decisions, words = _decisions(columns, self._prediction, self._settings)
        theirs, their_words = _decisions(columns, self._baseline_prediction, self._settings)
        return Batch(
            columns={name: columns[name] for name in self.plan.columns},
            scores=_matrix(columns, self._scores, self._classes),
            decisions=decisions,
            baseline_scores=_matrix(columns, self._baseline, self._classes),
            baseline_decisions=theirs,
            negative_words=words | their_words,
        )


def _columns(names: str | Sequence[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _kind(field: pa.Field) -> Kind | None:
    """Whether a column is text or a number; none where it cannot be sliced by."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "real"
    plain = pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary
    textual = any(
        is_kind(kind) for is_kind in (*plain, pa.types.is_boolean, pa.types.is_null, pa.types.is_date)
    )
    return "text" if textual else None


def _edges(
    train: pa.Table | None,
    kinds: Mapping[str, Kind],
    settings: FairnessSettings,
    edges: Mapping[str, Sequence[float]],
) -> dict[str, list[float]]:
    """Edges of all numbers that are sliced by or searched: given ones, or by the training examples."""

    def find(name: str, wanted: int | list[float]) -> list[float]:
        if train is None:
            raise InputError(
                f"feature {name!r} is a number without buckets; name their edges (settings: buckets), or "
                "give training examples, whose quantiles they then are"
            )
        if name not in train.column_names:
            if name in settings.features:
                raise unknown("column of the training examples", name, train.column_names)
            raise InputError(f"the training examples have no column {name!r}, whose quantiles were asked for")
        try:
            return edges_of_column(train[name], wanted, name)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(
                f"column {name!r} is {train[name].type} in the training examples and a number in the "
                "predictions; give training examples in which it is a number, or name the edges"
            ) from None

    def wide(name: str) -> bool:
        if train is None or name not in train.column_names:
            return False
        if not (pa.types.is_integer(train[name].type) or pa.types.is_floating(train[name].type)):
            # Told when its quantiles are asked for.
            return True
        return bool(pc.count_distinct(train[name]).as_py() > settings.max_values)

    given = {name: list(of) for name, of in {**edges, **settings.buckets}.items() if not isinstance(of, int)}
    return {**edges_for(settings, kinds, lambda name, of: given.get(name) or find(name, of), wide), **given}


def _matrix(
    columns: Mapping[str, pa.Array], names: Sequence[str], classes: Sequence[str] | None
) -> np.ndarray | None:
    if not names:
        return None
    numbers = [_numbers(columns[name], name) for name in names]
    return numbers[0] if classes is None else np.stack(numbers, axis=1)


def _numbers(array: pa.Array, name: str) -> np.ndarray:
    try:
        # NaN where missing, which is then refused with its place.
        return pc.fill_null(array.cast(pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"column {name!r} is {array.type}; numbers are needed") from None


def _decisions(
    columns: Mapping[str, pa.Array], name: str | None, settings: FairnessSettings
) -> tuple[np.ndarray | None, frozenset[str]]:
    """Decisions as 0 and 1, or as the numbers of classes; NaN where missing and -1 where none of these.

    And the words that were taken for negative ones.
    """
    if name is None:
        return None, frozenset()
    array = columns[name]
    words, places = distinct(array)
    negative: frozenset[str] = frozenset()
    if settings.classes is not None:
        numbers = {word: number for number, word in enumerate(settings.classes)}
    else:
        numbers = _numbers_of(settings.positive)
        if settings.positive is not None:
            negative = frozenset(word for word in words if word is not None and word not in numbers)
            numbers |= dict.fromkeys(negative, 0)
    table = np.array([np.nan if word is None else numbers.get(word, -1) for word in words], float)
    found: np.ndarray = table[places]
    return found, negative


def _numbers_of(positive: str | None) -> dict[str, int]:
    """Decisions as 0 and 1: these themselves, or the values of the label, which may be other numbers.

    It does not depend on which of them occur, since of some examples all may be decided alike.
    """
    if positive is None:
        return dict(USUAL)
    numbers: dict[str, int] = {}
    if positive in USUAL:
        # It may be the 0 that counts as positive.
        numbers = {word: int(number == USUAL[positive]) for word, number in USUAL.items()}
    elif not positive.lstrip("+-").replace(".", "", 1).isdecimal():
        numbers = dict(USUAL)
    return {**numbers, positive: 1}

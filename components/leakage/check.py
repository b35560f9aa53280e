"""The leakage checks in this process: batches in, one report out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.leakage import tables
from tfx_trust.components.leakage.columns import Batch, Kind
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.count import EVAL, TRAIN, Arrivals, Keyed, Match, Tally, arrivals, tally
from tfx_trust.components.leakage.counted import Counted, with_values
from tfx_trust.components.leakage.judge import conclude
from tfx_trust.components.leakage.masking import masked_row
from tfx_trust.components.leakage.plan import GROUP, Labels, Plan, Reduced, columns_wanted, reduce
from tfx_trust.components.leakage.report import LeakageReport, Row
from tfx_trust.components.leakage.sample import Sampler
from tfx_trust.components.leakage.times import Times


def check_leakage(
    train: pa.Table,
    evaluation: pa.Table,
    settings: LeakageSettings | Mapping[str, Any],
    *,
    scores: Sequence[float] | Sequence[str] | np.ndarray | pa.Array | None = None,
) -> LeakageReport:
    """Checks two Arrow tables for leakage.

    Parameters
    ----------
    train, evaluation
        What the model learns from, and what it is judged by.
    settings
        A :class:`LeakageSettings`, or its fields as a mapping; ``label`` is needed.
    scores
        The model's score of each row of `evaluation`: of a binary label the score of its larger value, of
        several classes the predicted class, of a number the predicted number. With it the report tells
        how much of the score was leakage.

    Returns
    -------
    LeakageReport
        Its ``verdict`` and ``findings`` say what was found, its ``leakage`` section what was counted.

    Raises
    ------
    InputError
        If the tables cannot be compared: no rows, no label, different columns or types.
    UsageError
        If a setting names a column that is not there, or `scores` has another length.

    Examples
    --------
    >>> rows = [{"id": n, "age": n % 40, "sick": n % 3 == 0} for n in range(300)]
    >>> train, evaluation = pa.Table.from_pylist(rows[:230]), pa.Table.from_pylist(rows[200:])
    >>> report = check_leakage(train, evaluation, {"label": "sick"})
    >>> str(report.verdict), report.leakage.overlap[0].eval_in_train
    ('fail', 30)
    """
    settings = LeakageSettings.of(settings)
    sides = {settings.train_split: train, settings.eval_split: evaluation}
    for name, table in sides.items():
        if not table.num_rows:
            raise InputError(f"the {name} split has no rows; there is nothing to compare")
    _check_labelled(sides, settings.label)
    layout = tables.layout_of(
        [(name, table.schema) for name, table in sides.items()], columns_wanted(settings)
    )
    plan = Plan.of(settings, layout)
    first, second = (tables.batches_of(table, plan.layout) for table in sides.values())
    if scores is not None:
        label = settings.label
        second = _scored(second, *_readable(scores, evaluation.num_rows, label, plan.layout.kinds[label]))
    counted = count(plan, first, second)
    if settings.time:
        counted = replace(counted, clock=not _plain_number(train.schema.field(settings.time).type))

    def show(matches: Sequence[tuple[str, Match]]) -> list[Row]:
        columns, clear = shown_columns(plan, counted)
        return [
            paired(key, train.slice(match.train, 1), evaluation.slice(match.eval, 1), columns, clear)
            for key, match in matches
        ]

    return conclude(plan, counted, show=show)


def _check_labelled(sides: Mapping[str, pa.Table], label: str) -> None:
    """Tells of a label that one split alone has; one that neither has is a wrong name."""
    without = [name for name, table in sides.items() if label not in table.column_names]
    if len(without) == 1:
        raise InputError(f"the {without[0]} split has no column {label!r}, the label; give labelled examples")


def shown_columns(plan: Plan, counted: Counted) -> tuple[list[str], tuple[str, ...]]:
    """The columns of rows that are shown, and those that need no mask: a label that is a class."""
    label = plan.settings.label
    clear = (label,) if counted.labels.kind != "number" else ()
    return list(dict.fromkeys([*plan.features, label])), clear


def paired(
    key: str, train: pa.Table, evaluation: pa.Table, columns: Sequence[str], clear: Sequence[str]
) -> Row:
    """Two rows, each as a table of one, as the report may show them."""
    here, there = ({name: table[name][0].as_py() for name in columns} for table in (train, evaluation))
    return paired_values(key, here, there, clear)


def paired_values(
    key: str, train: Mapping[str, object], evaluation: Mapping[str, object], clear: Sequence[str]
) -> Row:
    """Two rows as the report may show them: masked, but for the columns in `clear`."""
    columns = dict.fromkeys([*train, *evaluation])
    return Row(
        key=key,
        train=masked_row(train, clear=clear),
        eval=masked_row(evaluation, clear=clear),
        differs=[name for name in columns if train.get(name) != evaluation.get(name)],
    )


def count(plan: Plan, train: Iterable[Batch], evaluation: Iterable[Batch]) -> Counted:
    """Counts all that the report tells, in one pass over the batches of each split.

    Of a row, its keys, label, place and time are kept until the end, and the sample holds some whole.
    """
    settings = plan.settings
    sides = (_Collected(plan, TRAIN), _Collected(plan, EVAL))
    for side, batches, name in zip(sides, (train, evaluation), settings.splits, strict=True):
        for batch in batches:
            side.add(batch)
        if not side.rows:
            raise InputError(f"the {name} split has no examples; there is nothing to compare")
    labels = sides[TRAIN].labels + sides[EVAL].labels
    times = sides[TRAIN].times + sides[EVAL].times
    tallies: dict[str, Tally] = {}
    met: dict[str, Arrivals] = {}
    for key in plan.keys:
        here, there = (side.keyed(key) for side in sides)
        if key.startswith(GROUP):
            met[key.removeprefix(GROUP)] = arrivals(here, there)
        else:
            tallies[key] = tally(here, with_values(there, labels), conflicts=plan.conflicts(key))
    return Counted(
        driver="in_process",
        examples=(sides[TRAIN].rows, sides[EVAL].rows),
        tallies=tallies,
        arrivals=met,
        times=times,
        late=int((sides[TRAIN].moments() >= times.first[EVAL]).sum()),
        labels=labels,
        samples=(sides[TRAIN].sampler.sample(), sides[EVAL].sampler.sample()),
    )


class _Collected:
    """The rows of a split, reduced and kept."""

    def __init__(self, plan: Plan, split: int) -> None:
        self.rows = 0
        self.labels = Labels()
        self.times = Times()
        self.sampler = Sampler(plan.sampled)
        self._plan = plan
        self._split = split
        self._parts: list[Reduced] = []

    def add(self, batch: Batch) -> None:
        """Takes a batch into account."""
        reduced = reduce(batch, self._plan, self._split)
        self.sampler.add(batch)
        self.rows += batch.rows
        self.labels += reduced.labels
        self.times += reduced.times
        self._parts.append(reduced)

    def keyed(self, key: str) -> Keyed:
        """All rows with their key, which is given away: it is not kept any longer."""
        return Keyed.concatenated([part.keyed[key] for part in self._parts])

    def moments(self) -> np.ndarray:
        """The times of all rows; none without a time feature."""
        known = [part.moments for part in self._parts if part.moments is not None]
        return np.concatenate(known) if known else np.zeros(0)


def _plain_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _scored(batches: Iterable[Batch], scores: np.ndarray, predicted: np.ndarray | None) -> Iterator[Batch]:
    begin = 0
    for batch in batches:
        end = begin + batch.rows
        yield replace(
            batch, scores=scores[begin:end], predicted=None if predicted is None else predicted[begin:end]
        )
        begin = end


def _readable(scores: Any, rows: int, label: str, kind: Kind) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores as numbers (NaN where they are texts), and as what the label column would have."""
    array = scores if isinstance(scores, (pa.Array, pa.ChunkedArray)) else pa.array(scores)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if len(array) != rows:
        raise UsageError(f"{len(array):,} scores for {rows:,} eval rows; give one a row, in the same order")
    if array.null_count:
        raise InputError(f"{array.null_count:,} of {rows:,} scores are missing; score every eval row")
    layout = tables.layout_of([("scores", pa.schema([(label, array.type)]))], None)
    textual = layout.kinds[label] == "text"
    batch = tables.batch_of(pa.record_batch([array], names=[label]), layout)
    predicted = batch.terms[0, 0] if textual == (kind == "text") else None
    if textual:
        return np.full(rows, np.nan), predicted
    numbers = batch.numbers[label]
    wrong = int((~np.isfinite(numbers)).sum())
    if wrong:
        raise InputError(
            f"{wrong:,} of {rows:,} scores are NaN or infinite; mend the model or leave them out"
        )
    return numbers, predicted

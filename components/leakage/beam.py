"""The leakage checks on Apache Beam, for examples of any size.

What travels between workers are arrays of keys, a few for each batch of examples, and not examples: a
shard holds all rows of both splits with the same keys, so shards are counted independently and add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows

from tfx_trust.components.beam_io import result_of
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.leakage.columns import Batch
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.count import EVAL, TRAIN, Arrivals, Keyed, Tally, arrivals, tally
from tfx_trust.components.leakage.counted import Counted, with_values
from tfx_trust.components.leakage.judge import conclude
from tfx_trust.components.leakage.plan import GROUP, Labels, Plan, columns_wanted, reduce
from tfx_trust.components.leakage.report import LeakageReport
from tfx_trust.components.leakage.sample import Sample, Sampler
from tfx_trust.components.leakage.times import Times

ROWS_A_SHARD = 500_000
FEWEST_SHARDS = 8
# A worker holds so many rows' keys before it sends them on.
_ROWS_HELD = 1 << 18


@dataclass(frozen=True)
class Seen:
    """What is known of a part of the examples besides their keys; parts add up."""

    examples: tuple[int, int] = (0, 0)
    labels: Labels = field(default_factory=Labels)
    times: Times = field(default_factory=Times)

    def __add__(self, other: Seen) -> Seen:
        examples = (self.examples[0] + other.examples[0], self.examples[1] + other.examples[1])
        return Seen(examples, self.labels + other.labels, self.times + other.times)


class CheckLeakage(beam.PTransform):
    """Checks two PCollections for leakage: the result is a PCollection of one LeakageReport.

    Parameters
    ----------
    settings
        A :class:`LeakageSettings`, or its fields as a mapping. Its splits name the inputs.
    schema
        Of the elements: a ``pyarrow.Schema`` where they are record batches, a
        ``tensorflow_metadata`` Schema where they are serialized tf.Examples.
    shards
        Parts that the keys are counted in; about one for half a million examples.

    Examples
    --------
    >>> splits = {"train": train_batches, "eval": eval_batches}                     # doctest: +SKIP
    >>> splits | CheckLeakage({"label": "sick"}, schema) | beam.Map(print)          # doctest: +SKIP
    """

    def __init__(
        self, settings: LeakageSettings | Mapping[str, Any], schema: Any, *, shards: int = FEWEST_SHARDS
    ) -> None:
        super().__init__()
        self._settings = LeakageSettings.of(settings)
        self._schema = schema
        self._shards = shards

    def expand(self, pcollections: Mapping[str, Any]) -> Any:
        """One report from the two splits."""
        settings = self._settings
        if set(pcollections) != set(settings.splits):
            raise UsageError(
                f"CheckLeakage takes {{{settings.train_split!r}: …, {settings.eval_split!r}: …}}, found "
                f"{sorted(pcollections)}"
            )
        plan, decode = _plan_and_decoder(settings, self._schema)
        both = [
            pcollections[name]
            | f"Decode{name}" >> _Decoded(decode)
            | f"Side{name}" >> beam.Map(_sided, split)
            for split, name in enumerate(settings.splits)
        ]
        batches = both | beam.Flatten()
        return batches | _Count(plan, self._shards) | "Conclude" >> beam.Map(_concluded, plan)


def count_files(
    plan: Plan,
    train: Sequence[str],
    evaluation: Sequence[str],
    *,
    scorer: Callable[[Any], np.ndarray] | None = None,
    examples: int = 0,
    make_pipeline: Callable[[], Any] | None = None,
    folder: str | None = None,
) -> Counted:
    """Counts the tf.Examples of some files on Beam, file by file.

    Parameters
    ----------
    plan, train, evaluation, scorer
        As :func:`~tfx_trust.components.leakage.check.count` and
        :func:`~tfx_trust.components.leakage.decoder.read_batches` take them.
    examples
        About how many there are.
    make_pipeline
        Makes the pipeline; one that runs in this process if not given.
    folder
        Where workers can write and this process can read; a temporary one if not given.

    Raises
    ------
    InputError
        If a file cannot be read whole, or a split is empty.
    """
    files = [
        (split, number, path)
        for split, paths in enumerate((train, evaluation))
        for number, path in enumerate(paths)
    ]
    shards = max(FEWEST_SHARDS, math.ceil(examples / ROWS_A_SHARD))

    def counted(pipeline: Any) -> Any:
        read = pipeline | beam.Create(files) | beam.Reshuffle() | beam.ParDo(_ReadFile(plan, scorer))
        return read | _Count(plan, shards)

    result: Counted = result_of(counted, make_pipeline=make_pipeline, folder=folder)
    return result


def _plan_and_decoder(settings: LeakageSettings, schema: Any) -> tuple[Plan, Any]:
    wanted = columns_wanted(settings)
    if isinstance(schema, pa.Schema):
        from tfx_trust.components.leakage import tables

        plan = Plan.of(settings, tables.layout_of([(name, schema) for name in settings.splits], wanted))
        return plan, _TableDecoder(plan)
    from tfx_trust.components.examples import layout_of_schema
    from tfx_trust.components.leakage.decoder import Decoder

    plan = Plan.of(settings, layout_of_schema(schema, wanted))
    return plan, Decoder(plan.layout)


@dataclass(frozen=True)
class _TableDecoder:
    plan: Plan

    def decode(self, batch: pa.RecordBatch) -> Batch:
        from tfx_trust.components.leakage import tables

        # Rows of a PCollection have no place to be found again at.
        return replace(tables.batch_of(batch, self.plan.layout), places=None)


class _Decoded(beam.PTransform):
    """Batches of columns from record batches, or from serialized examples taken together."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self._decoder = decoder

    def expand(self, elements: Any) -> Any:
        if isinstance(self._decoder, _TableDecoder):
            filled = elements | beam.Filter(lambda batch: batch.num_rows > 0)
            return filled | beam.Map(self._decoder.decode)
        together = elements | beam.BatchElements(min_batch_size=256, max_batch_size=4_096)
        return together | beam.Map(_decoded, self._decoder)


def _decoded(records: list[bytes], decoder: Any) -> Batch:
    import tensorflow as tf

    try:
        batch: Batch = decoder.decode(tf.constant(records))
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"elements are no tf.Examples of the schema: {error.message.splitlines()[0]}"
        ) from None
    return batch


def _sided(batch: Batch, split: int) -> tuple[int, Batch]:
    return split, batch


def _concluded(counted: Counted, plan: Plan) -> LeakageReport:
    return conclude(plan, counted)


class _ReadFile(beam.DoFn):
    """The batches of a file."""

    def __init__(self, plan: Plan, scorer: Callable[[Any], np.ndarray] | None) -> None:
        super().__init__()
        self._plan = plan
        self._scorer = scorer

    def setup(self) -> None:
        from tfx_trust.components.leakage.decoder import Decoder

        self._decoder = Decoder(self._plan.layout)

    def process(self, element: tuple[int, int, str]) -> Iterator[tuple[int, Batch]]:
        from tfx_trust.components.leakage.decoder import read_batches

        split, number, path = element
        scorer = self._scorer if split == EVAL else None
        for batch in read_batches([path], self._decoder, first_file=number, scorer=scorer):
            yield split, batch


class _Count(beam.PTransform):
    """One Counted from batches with the number of their split."""

    def __init__(self, plan: Plan, shards: int) -> None:
        super().__init__()
        self._plan = plan
        self._shards = shards

    def expand(self, batches: Any) -> Any:
        plan = self._plan
        parts = batches | beam.ParDo(_Reduce(plan, self._shards)).with_outputs(
            "seen", "moments", "sample", main="keys"
        )
        seen = parts.seen | "AddSeen" >> beam.CombineGlobally(_sum_seen)
        late = (
            parts.moments
            | beam.Map(_late, seen=pvalue.AsSingleton(seen))
            | "AddLate" >> beam.CombineGlobally(sum)
        )
        tallies = (
            parts.keys
            | beam.GroupByKey()
            | beam.Map(_tallied, plan, seen=pvalue.AsSingleton(seen))
            | "AddTallies" >> beam.CombinePerKey(_sum_tallies)
        )
        samples = parts.sample | "MergeSamples" >> beam.CombinePerKey(_merge_samples)
        return (
            batches.pipeline
            | beam.Create([None])
            | beam.Map(
                _assembled,
                plan,
                seen=pvalue.AsSingleton(seen),
                late=pvalue.AsSingleton(late),
                tallies=pvalue.AsDict(tallies),
                samples=pvalue.AsDict(samples),
            )
        )


class _Reduce(beam.DoFn):
    """Batches to keys by shard, and to what is seen besides; held back until there are enough rows."""

    def __init__(self, plan: Plan, shards: int) -> None:
        super().__init__()
        self._plan = plan
        self._shards = shards

    def start_bundle(self) -> None:
        self._samplers = (Sampler(self._plan.sampled), Sampler(self._plan.sampled))
        self._seen = Seen()
        self._clear()

    def _clear(self) -> None:
        self._held: dict[tuple[str, int], list[Keyed]] = {}
        self._moments: list[np.ndarray] = []
        self._rows = 0

    def process(self, element: tuple[int, Batch]) -> Iterator[Any]:
        split, batch = element
        reduced = reduce(batch, self._plan, split)
        self._samplers[split].add(batch)
        examples = (batch.rows, 0) if split == TRAIN else (0, batch.rows)
        self._seen += Seen(examples, reduced.labels, reduced.times)
        for key, rows in reduced.keyed.items():
            self._held.setdefault((key, split), []).append(rows)
        if split == TRAIN and reduced.moments is not None:
            self._moments.append(reduced.moments)
        self._rows += batch.rows
        if self._rows >= _ROWS_HELD:
            yield from self._sent()

    def finish_bundle(self) -> Iterator[Any]:
        for value in (*self._sent(), *self._rest()):
            if isinstance(value, pvalue.TaggedOutput):
                yield pvalue.TaggedOutput(value.tag, GlobalWindows.windowed_value(value.value))
            else:
                yield GlobalWindows.windowed_value(value)

    def _sent(self) -> list[Any]:
        sent: list[Any] = []
        for (key, split), parts in self._held.items():
            for shard, rows in Keyed.concatenated(parts).shards(self._shards):
                sent.append(((key, shard), (split, rows)))
        sent += [pvalue.TaggedOutput("moments", moments) for moments in self._moments]
        self._clear()
        return sent

    def _rest(self) -> Iterator[Any]:
        yield pvalue.TaggedOutput("seen", self._seen)
        for split, sampler in enumerate(self._samplers):
            if not sampler.empty:
                yield pvalue.TaggedOutput("sample", (split, sampler.sample()))


def _sum_seen(parts: Iterable[Seen]) -> Seen:
    return sum(parts, Seen())


def _merge_samples(samples: Iterable[Sample]) -> Sample:
    merged: Sample | None = None
    # One after the other: all at once would need room for all.
    for sample in samples:
        merged = sample if merged is None else Sample.merged([merged, sample])
    if merged is None:
        raise ValueError("no samples to merge")
    return merged


def _sum_tallies(parts: Iterable[Any]) -> Any:
    total = None
    for part in parts:
        total = part if total is None else total + part
    return total


def _late(moments: np.ndarray, seen: Seen) -> int:
    return int((moments >= seen.times.first[EVAL]).sum())


def _tallied(
    element: tuple[tuple[str, int], Iterable[tuple[int, Keyed]]], plan: Plan, seen: Seen
) -> tuple[str, Tally | Arrivals]:
    (key, _), parts = element
    sides: tuple[list[Keyed], list[Keyed]] = ([], [])
    for split, rows in parts:
        sides[split].append(rows)
    train, evaluation = (
        _joined(side, sides[EVAL if split == TRAIN else TRAIN]) for split, side in enumerate(sides)
    )
    if key.startswith(GROUP):
        return key, arrivals(train, evaluation)
    return key, tally(train, with_values(evaluation, seen.labels), conflicts=plan.conflicts(key))


def _joined(parts: list[Keyed], others: list[Keyed]) -> Keyed:
    """The rows of a side; of one without any, none, with the other side's arrays."""
    return Keyed.concatenated(parts) if parts else others[0].take(np.zeros(0, np.int64))


def _assembled(
    _: None, plan: Plan, seen: Seen, late: int, tallies: Mapping[str, Any], samples: Mapping[int, Sample]
) -> Counted:
    for name, examples in zip(plan.settings.splits, seen.examples, strict=True):
        if not examples:
            raise InputError(f"the {name} split has no examples; there is nothing to compare")
    groups = {key.removeprefix(GROUP): met for key, met in tallies.items() if key.startswith(GROUP)}
    time = plan.settings.time
    return Counted(
        driver="beam",
        examples=seen.examples,
        tallies={key: tallies[key] for key in plan.overlap_keys},
        arrivals={group: groups[group] for group in plan.settings.groups},
        times=seen.times,
        late=late,
        labels=seen.labels,
        samples=(samples[TRAIN], samples[EVAL]),
        clock=time is not None and plan.layout.kinds[time] == "text",
    )

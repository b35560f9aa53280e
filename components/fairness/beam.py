"""The fairness analysis on Apache Beam, for examples of any size.

Workers reduce their examples to counts, so that what travels between them is small; counts add up to the
same whichever worker saw which examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa

from tfx_trust.components.beam_io import result_of
from tfx_trust.components.fairness.batch import Batch
from tfx_trust.components.fairness.conclude import conclude
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.count import Counts
from tfx_trust.components.fairness.evaluate import TableReader
from tfx_trust.components.fairness.plan import Plan
from tfx_trust.components.fairness.report import FairnessReport

if TYPE_CHECKING:
    from tfx_trust.components.fairness.reader import Reader


class CountFairness(beam.CombineFn):
    """Combines batches to counts.

    Parameters
    ----------
    plan
        What is counted.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def create_accumulator(self) -> Counts:
        """Of no example."""
        return Counts(self._plan)

    def add_input(self, counts: Counts, batch: Batch) -> Counts:
        """With a batch more."""
        counts.add(batch)
        return counts

    def merge_accumulators(self, parts: Iterable[Counts]) -> Counts:
        """Of all parts together."""
        total = Counts(self._plan)
        for part in parts:
            total += part
        return total

    def compact(self, counts: Counts) -> Counts:
        """The same, as small as can be."""
        return counts.canonical()

    def extract_output(self, counts: Counts) -> Counts:
        """The counts."""
        return counts


class EvaluateFairness(beam.PTransform):
    """Judges predictions in ``pyarrow.RecordBatch`` elements: a PCollection of one FairnessReport.

    Parameters
    ----------
    settings
        A :class:`FairnessSettings`, or its fields as a mapping.
    schema
        Of the record batches.
    score, prediction, baseline_score, baseline_prediction
        Columns, as :func:`~tfx_trust.components.evaluate_fairness` takes them.
    edges
        Edges of the buckets of numeric features, where the settings do not give them.

    Raises
    ------
    InputError, UsageError
        As :func:`~tfx_trust.components.evaluate_fairness`; what the examples show when they are read.

    Examples
    --------
    >>> settings = {"label": "sick", "slices": [["sex"]]}                           # doctest: +SKIP
    >>> batches | EvaluateFairness(settings, schema, score="risk") | beam.Map(print)  # doctest: +SKIP
    """

    def __init__(
        self,
        settings: FairnessSettings | Mapping[str, Any],
        schema: pa.Schema,
        *,
        score: str | Sequence[str] | None = None,
        prediction: str | None = None,
        baseline_score: str | Sequence[str] | None = None,
        baseline_prediction: str | None = None,
        edges: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self._reader = TableReader(
            schema,
            FairnessSettings.of(settings),
            score,
            prediction,
            baseline_score,
            baseline_prediction,
            edges=edges,
        )

    def expand(self, elements: Any) -> Any:
        """One report from all record batches."""
        batches = (
            elements
            | beam.Filter(lambda batch: batch.num_rows > 0)
            | "ToBatches" >> beam.Map(self._reader.batch)
        )
        counts = batches | beam.CombineGlobally(CountFairness(self._reader.plan))
        return counts | "Conclude" >> beam.Map(_concluded)


def count_files(
    plan: Plan,
    files: Sequence[str],
    reader: Reader,
    *,
    make_pipeline: Callable[[], Any] | None = None,
    folder: str | None = None,
) -> Counts:
    """Counts the examples of some files on Beam, file by file.

    Parameters
    ----------
    plan
        What is counted.
    files
        TFRecord files of tf.Examples.
    reader
        Makes the batches.
    make_pipeline, folder
        As :func:`~tfx_trust.components.beam_io.result_of` takes them.

    Raises
    ------
    InputError
        If a file cannot be read whole, a model cannot answer, or an example is not allowed.
    """

    def counted(pipeline: Any) -> Any:
        batches = pipeline | beam.Create(list(files)) | beam.Reshuffle() | beam.ParDo(_ReadFile(reader))
        return batches | beam.CombineGlobally(CountFairness(plan))

    counts: Counts = result_of(counted, make_pipeline=make_pipeline, folder=folder)
    return counts


class _ReadFile(beam.DoFn):
    """The batches of a file."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    def process(self, element: str) -> Iterator[Batch]:
        yield from self._reader.batches(element)


def _concluded(counts: Counts) -> FairnessReport:
    return conclude(counts, driver="beam")

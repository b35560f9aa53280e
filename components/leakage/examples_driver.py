"""The leakage checks on tf.Examples: files in, one report out."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components import examples as files_io
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.leakage.check import count, paired_values, shown_columns
from tfx_trust.components.leakage.columns import Layout
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.count import Match
from tfx_trust.components.leakage.counted import Counted
from tfx_trust.components.leakage.decoder import Decoder, read_batches
from tfx_trust.components.leakage.judge import conclude
from tfx_trust.components.leakage.plan import Plan, columns_wanted
from tfx_trust.components.leakage.report import LeakageReport, Preprocessing, Row
from tfx_trust.components.report import Finding

Scorer = Callable[[Any], np.ndarray]
"""From a batch of serialized examples, a string tensor of shape ``(rows,)``, to their scores, float64."""

# Of a row, besides its keys: label, place, and what sorting and grouping take for a while.
_BYTES_A_ROW = 64
_BYTES_A_KEY = 32
_ESTIMATED_FROM = 300


def check_examples(
    train: Sequence[str],
    evaluation: Sequence[str],
    settings: LeakageSettings | Mapping[str, Any],
    *,
    schema: schema_pb2.Schema | None = None,
    scores: Sequence[float] | np.ndarray | None = None,
    scorer: Scorer | None = None,
    examples: int | None = None,
    preprocessing: Preprocessing | None = None,
    found: Sequence[Finding] = (),
    make_beam_pipeline: Callable[[], Any] | None = None,
    folder: str | None = None,
) -> LeakageReport:
    """Checks two splits of serialized tf.Examples for leakage.

    Parameters
    ----------
    train, evaluation
        TFRecord files of each split; those that end in ``.gz`` are compressed.
    settings
        A :class:`LeakageSettings`, or its fields as a mapping.
    schema
        Tells the features and their types; inferred from the first examples of each file if not given.
    scores
        The model's score of each eval example, in the order of the files; see
        :func:`~tfx_trust.components.check_leakage`.
    scorer
        Makes the scores instead.
    examples
        Number of examples of both splits if it is known; estimated from the files if not.
    preprocessing, found
        Passed on to the report.
    make_beam_pipeline, folder
        Makes the pipeline of the Beam driver, and a place that its workers and this process share; both of
        this process if not given.

    Raises
    ------
    InputError, UsageError
        As :func:`~tfx_trust.components.check_leakage`, and if a file cannot be read whole.
    """
    settings = LeakageSettings.of(settings)
    sides = {settings.train_split: list(train), settings.eval_split: list(evaluation)}
    layout = layout_for(sides, settings, schema)
    plan = Plan.of(settings, layout)
    if scores is not None:
        if settings.driver == "beam":
            raise UsageError(
                "scores in the order of the files cannot be told apart by Beam; use the in-process driver"
            )
        settings = settings.model_copy(update={"driver": "in_process"})
        plan = Plan.of(settings, layout)
        scorer = _given(np.asarray(scores, float))
    counted = _counted(plan, sides, scorer, examples, make_beam_pipeline, folder)
    if scores is not None and len(scores) != counted.examples[1]:
        raise UsageError(
            f"{len(scores):,} scores for {counted.examples[1]:,} eval examples; give one an example, in order"
        )

    def show(matches: Sequence[tuple[str, Match]]) -> list[Row]:
        return shown_rows(plan, counted, sides, matches)

    return conclude(plan, counted, show=show, preprocessing=preprocessing, found=found)


def layout_for(
    sides: Mapping[str, Sequence[str]], settings: LeakageSettings, schema: schema_pb2.Schema | None
) -> Layout:
    """The columns to be read, by the schema or by the examples themselves."""
    wanted = columns_wanted(settings)
    if schema is not None:
        return files_io.layout_of_schema(schema, wanted)
    return files_io.layout_of_files({name: list(paths) for name, paths in sides.items()}, wanted)


def _counted(
    plan: Plan,
    sides: Mapping[str, Sequence[str]],
    scorer: Scorer | None,
    examples: int | None,
    make_beam_pipeline: Callable[[], Any] | None,
    folder: str | None,
) -> Counted:
    settings = plan.settings
    train, evaluation = sides.values()
    in_process = settings.driver == "in_process"
    rows = 0 if in_process else examples or estimated_examples([*train, *evaluation])
    if settings.driver == "auto":
        needed = needed_mb(plan, rows)
        in_process = needed <= settings.memory_limit_mb
        logging.info(
            "Leakage: about %d examples take %d MB in process; the limit is %d MB, so %s",
            rows,
            needed,
            settings.memory_limit_mb,
            "they are compared there" if in_process else "Beam compares them",
        )
    if not in_process:
        from tfx_trust.components.leakage.beam import count_files

        return count_files(
            plan,
            train,
            evaluation,
            scorer=scorer,
            examples=rows,
            make_pipeline=make_beam_pipeline,
            folder=folder,
        )
    decoder = Decoder(plan.layout)
    counted = count(plan, read_batches(train, decoder), read_batches(evaluation, decoder, scorer=scorer))
    return replace(counted, clock=is_clock(plan))


def is_clock(plan: Plan) -> bool:
    """Whether the time feature holds moments, as text, and not numbers of some unit."""
    return plan.settings.time is not None and plan.layout.kinds[plan.settings.time] == "text"


def needed_mb(plan: Plan, rows: int) -> int:
    """What the in-process driver will need for so many examples, in MB."""
    a_row = _BYTES_A_ROW + _BYTES_A_KEY * len(plan.keys)
    columns = len(plan.layout.kinds)
    sampled = 3 * min(2 * plan.settings.sample, rows) * 16 * columns
    return int((rows * a_row + sampled) / 1e6) + 1


def estimated_examples(files: Sequence[str]) -> int:
    """About how many examples some files hold, from their sizes and the first records."""
    for path in files:
        compression = "GZIP" if path.endswith(".gz") else ""
        try:
            dataset = tf.data.TFRecordDataset(path, compression).take(_ESTIMATED_FROM)
            records = list(dataset.as_numpy_iterator())
        except tf.errors.OpError:
            # What is wrong with the file is told when it is read.
            continue
        if records:
            text = b"".join(records)
            size = len(zlib.compress(text)) if compression else len(text) + 16 * len(records)
            total = sum(tf.io.gfile.stat(file).length for file in files if tf.io.gfile.exists(file))
            return max(len(records), round(total * len(records) / size))
    return 0


def shown_rows(
    plan: Plan, counted: Counted, sides: Mapping[str, Sequence[str]], matches: Sequence[tuple[str, Match]]
) -> list[Row]:
    """The rows at some places, masked."""
    train, evaluation = sides.values()
    columns, clear = shown_columns(plan, counted)
    here = files_io.fetch(train, [match.train for _, match in matches])
    there = files_io.fetch(evaluation, [match.eval for _, match in matches])
    return [
        paired_values(
            key,
            files_io.displayed(here[match.train], columns),
            files_io.displayed(there[match.eval], columns),
            clear,
        )
        for key, match in matches
    ]


def _given(scores: np.ndarray) -> Scorer:
    """A scorer that deals out scores in the order in which the examples are read."""
    wrong = int((~np.isfinite(scores)).sum())
    if wrong:
        raise InputError(
            f"{wrong:,} of {len(scores):,} scores are NaN or infinite; mend the model or leave them out"
        )
    dealt = 0

    def score(serialized: Any) -> np.ndarray:
        nonlocal dealt
        rows = int(serialized.shape[0])
        part = scores[dealt : dealt + rows]
        dealt += rows
        # Too few are told of once the number of examples is known.
        return np.concatenate([part, np.full(rows - len(part), np.nan)])

    return score

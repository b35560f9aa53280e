"""Faults to put into the census pipeline: each is to be blocked by exactly the gate that exists for it.

They are the acceptance test of the gates. A gate that nothing can trip, or that trips on clean
data, is a defect.
"""

from __future__ import annotations

import csv
import datetime
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfx_trust.components.errors import unknown
from tfx_trust.pipelines.census.data import DECLARATION, LABEL, SPLITS

if TYPE_CHECKING:
    from tfx_trust.components.page.run import State
    from tfx_trust.pipelines.runner import Progress

CLEAN = "clean"


@dataclass(frozen=True)
class Scenario:
    """One way in which the pipeline goes wrong.

    Attributes
    ----------
    summary
        What is wrong, in a clause.
    blocked_by
        Name of the one input of the release decision that is to block it; none for a release.
    change_data
        Changes the files in the folder given, if the fault is in the data.
    in_place
        Whether it changes the published data where they lie, rather than a copy in a folder of its own.
    during
        What is done to the files of the run, given its root, by the id of the node after which it is done.
    configure
        Changes the arguments of ``create_pipeline``, and returns them.
    features
        Columns that `change_data` adds, as features of the schema in text format.
    leakage, privacy, audit
        Settings of the leakage checks, the private training and the audit that are to be other than the
        example's, by name.
    run_fn
        Dotted path of the training, if it is to be another, and not private.
    stops_at
        The node that stops the run, if it does not get as far as the release decision.
    reruns
        The node that must not be served from the cache, where that is all there is to be done.
    """

    summary: str
    blocked_by: str | None
    change_data: Callable[[Path], None] | None = None
    in_place: bool = False
    during: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    configure: Callable[[dict[str, Any]], dict[str, Any]] = dict
    features: str = ""
    leakage: Mapping[str, Any] = field(default_factory=dict)
    privacy: Mapping[str, Any] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)
    run_fn: str | None = None
    stops_at: str | None = None
    reruns: str | None = None

    @property
    def has_own_data(self) -> bool:
        """Whether its data lie in a folder of their own: no other scenario meets what is done to them."""
        return not self.in_place and (self.change_data is not None or bool(self.during))


class Meddling:
    """Tells of a run's progress, and meanwhile does to its files what a scenario wants done.

    Parameters
    ----------
    progress
        Whom to tell.
    scenario
        Whose :attr:`Scenario.during` is to be done.
    root
        Folder of the run.
    """

    def __init__(self, progress: Progress, scenario: Scenario, root: Path) -> None:
        self._progress = progress
        self._scenario = scenario
        self._root = root

    def started(self, node: str) -> None:
        """The node with this id begins."""
        self._progress.started(node)

    def ended(self, node: str, state: State, seconds: float) -> None:
        """The node with this id is done, cached, failed, or skipped (``not_run``)."""
        self._progress.ended(node, state, seconds)
        if state in ("done", "cached") and node in self._scenario.during:
            self._scenario.during[node](self._root)


def scenario_named(name: str) -> Scenario:
    """The scenario of this name.

    Raises
    ------
    UsageError
        If there is none; the message names those there are.
    """
    if name not in SCENARIOS:
        raise unknown("scenario", name, SCENARIOS)
    return SCENARIOS[name]


def _untrained(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "custom_config": {**settings.get("custom_config", {}), "learning_rate": 1e-9}}


Row = dict[str, str]


def _read(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _rewrite(folder: Path, split: str, change: Callable[[list[Row]], list[Row]]) -> None:
    """Writes a split anew; its time stays, by which ExampleGen tells whether it was changed."""
    path = folder / split / "adult.csv"
    modified = path.stat().st_mtime
    rows = change(_read(path))
    changed = path.with_suffix(".changed")
    with changed.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.utime(changed, (modified, modified))
    changed.replace(path)


def _add_column(folder: Path, name: str, value: Callable[[str, int, Row], str]) -> None:
    """Adds a column to both splits: its value comes of the split, the row's number and the row."""
    for split in SPLITS:

        def extended(rows: list[Row], split: str = split) -> list[Row]:
            return [{**row, name: value(split, number, row)} for number, row in enumerate(rows)]

        _rewrite(folder, split, extended)


def _unknown_category(folder: Path) -> None:
    """Spells one value of ``workclass`` in another way in the eval split, as a changed source would.

    One that says little of the label: a model that has to do without it is no worse for it, so that only who
    looks at the data can tell.
    """

    def respelled(rows: list[Row]) -> list[Row]:
        spelled = {"Local-gov": "Local gov"}
        return [{**row, "workclass": spelled.get(row["workclass"], row["workclass"])} for row in rows]

    _rewrite(folder, "eval", respelled)


def _copied_rows(folder: Path) -> None:
    """Puts every twentieth row of eval into train too, as a careless merge of files would."""
    copies = _read(folder / "eval" / "adult.csv")[::20]
    _rewrite(folder, "train", lambda rows: [*rows, *copies])


def _spoiled_labels(folder: Path) -> None:
    """Records every other woman in train who earns much as earning little: a biased labelling."""
    earning = 0

    def spoiled(row: Row) -> Row:
        nonlocal earning
        if (row["sex"], row[LABEL]) != ("Female", "1"):
            return row
        earning += 1
        return {**row, LABEL: "0"} if earning % 2 == 0 else row

    _rewrite(folder, "train", lambda rows: [spoiled(row) for row in rows])


def _from_the_outcome(folder: Path) -> None:
    """Adds a column that is filled in once the income is known."""
    bands = {"0": "basic", "1": "higher"}
    _add_column(folder, "tax_band", lambda split, number, row: bands[row[LABEL]])


def _households(folder: Path) -> None:
    """Makes households of three neighbours in a split; the first third of eval's is the last of train's."""
    # Of 10,854 households in train and 5,427 in eval, 1,809 are the same.
    first = {"train": 0, "eval": 9_045}
    _add_column(folder, "household", lambda split, number, row: str(first[split] + number // 3))


def _interviews(folder: Path) -> None:
    """Dates the rows, 200 a day, train before eval; but train's last fortnight is eval's first."""
    first = {"train": datetime.date(1994, 1, 1), "eval": datetime.date(1994, 5, 31)}

    def day(split: str, number: int, row: Row) -> str:
        return (first[split] + datetime.timedelta(days=number // 200)).isoformat()

    _add_column(folder, "interviewed", day)


def _reversed_rows(folder: Path) -> None:
    """Turns the rows of train around: another file of equal size and time, which TFX takes for the same."""
    _rewrite(folder, "train", lambda rows: rows[::-1])


def _forbidding_licence(folder: Path) -> None:
    """Declares that nobody may earn by the data."""
    path = folder / DECLARATION
    declared = path.read_text(encoding="utf-8")
    path.write_text(declared.replace("CC-BY-4.0", "CC-BY-NC-4.0"), encoding="utf-8")


def _rewritten_example(root: Path) -> None:
    """Makes the first person of eval 90 years old, in the file that ExampleGen wrote in this scenario."""
    import tensorflow as tf

    from tfx_trust.components.mlmd import open_store

    store = open_store(root / "metadata.db")
    generated = [
        item.id
        for item in store.executions().values()
        if str(item.properties.get("input_base", "")).endswith("data/tampered") and item.state == "COMPLETE"
    ]
    made = [event.artifact for event in store.events_of_executions(generated) if event.kind == "OUTPUT"]
    for examples in store.artifacts(made).values():
        for path in Path(examples.uri, "Split-eval").glob("*.gz"):
            first, *others = list(tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator())
            example = tf.train.Example.FromString(first)
            example.features.feature["age"].int64_list.value[:] = [90]
            with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
                for record in (example.SerializeToString(deterministic=True), *others):
                    writer.write(record)


def _feature(name: str, kind: str) -> str:
    """A feature that every example has, and that is not there at serving."""
    return f'''
feature {{
  name: "{name}"
  type: {kind}
  presence {{ min_fraction: 1 min_count: 1 }}
  shape {{}}
  not_in_environment: "SERVING"
}}
'''


SCENARIOS = {
    CLEAN: Scenario("nothing: the published data, the default settings", blocked_by=None),
    "untrained": Scenario(
        "the model never learned: its learning rate is next to 0",
        blocked_by="evaluation",
        configure=_untrained,
    ),
    "malformed": Scenario(
        "the eval split spells a category in another way than the schema",
        blocked_by="anomalies",
        change_data=_unknown_category,
    ),
    "unfair": Scenario(
        "half of the women who earn much are labelled as earning little in train",
        blocked_by="fairness",
        change_data=_spoiled_labels,
    ),
    "leaked-rows": Scenario(
        "one eval row in twenty is in train too",
        blocked_by="leakage",
        change_data=_copied_rows,
    ),
    "leaked-target": Scenario(
        "a column that is filled in once the outcome is known",
        blocked_by="leakage",
        change_data=_from_the_outcome,
        features=_feature("tax_band", "BYTES"),
    ),
    "leaked-entity": Scenario(
        "people of one household are in train and in eval",
        blocked_by="leakage",
        change_data=_households,
        features=_feature("household", "INT"),
        leakage={"groups": ["household"]},
    ),
    "late-training": Scenario(
        "train has examples from after the first eval example",
        blocked_by="leakage",
        change_data=_interviews,
        features=_feature("interviewed", "BYTES"),
        leakage={"time": "interviewed"},
    ),
    "overspent": Scenario(
        "what may be spent on these people's privacy was spent before",
        blocked_by="privacy",
        privacy={
            "budget": {
                "epsilon": 20.0,
                "source": "UCI Adult",
                "prior": [{"what": "tables published from the same census", "epsilon": 19.0}],
            }
        },
        stops_at="PrivateTrainer",
    ),
    "memorised": Scenario(
        "an overfitted model, trained without privacy, comes with a claimed guarantee",
        blocked_by="audit",
        run_fn="tfx_trust.pipelines.census.memorised.run_fn",
        audit={"claim": {"epsilon": 3.0, "delta": 1e-5}},
    ),
    "tampered": Scenario(
        "an example of eval is rewritten where it is stored, between Transform and Evaluator",
        blocked_by="provenance",
        during={"Transform": _rewritten_example},
    ),
    "unlicensed": Scenario(
        "the licence of the data forbids what the model is for",
        blocked_by="provenance",
        change_data=_forbidding_licence,
        in_place=True,
    ),
    "swapped-source": Scenario(
        "the train file was replaced by another of equal size and time",
        blocked_by=None,
        change_data=_reversed_rows,
        in_place=True,
        reruns="CsvExampleGen",
    ),
}

"""Faults to put into the census pipeline: each is to be blocked by exactly the gate that exists for it.

They are the acceptance test of the gates. A gate that nothing can trip, or that trips on clean
data, is a defect.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfx_trust.components.errors import unknown

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
        Changes the CSV files in the folder given, if the fault is in the data.
    configure
        Changes the arguments of ``create_pipeline``, and returns them.
    """

    summary: str
    blocked_by: str | None
    change_data: Callable[[Path], None] | None = None
    configure: Callable[[dict[str, Any]], dict[str, Any]] = dict


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


def _unknown_category(folder: Path) -> None:
    """Spells one value of ``sex`` in another way in the eval split, as a changed source would."""
    path = folder / "eval" / "adult.csv"
    modified = path.stat().st_mtime
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    column = header.index("sex")
    for row in rows:
        row[column] = {"Female": "F"}.get(row[column], row[column])
    changed = path.with_suffix(".changed")
    with changed.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    os.utime(changed, (modified, modified))
    changed.replace(path)


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
}

"""What is to be counted: which columns are read, and which sets of features are sliced by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tfx_trust.components.errors import InputError, unknown
from tfx_trust.components.fairness.config import FairnessSettings

Kind = Literal["text", "integer", "real"]
Family = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is counted, from the settings and the columns that there are.

    Attributes
    ----------
    settings
        The settings.
    edges
        Edges of the buckets of numeric features, by name.
    searched
        Features that the slice discovery looks at.
    skipped
        Features that it does not, and why.
    whole
        Whole numbers that are sliced by without buckets: each value is its own.
    scored, decided
        Whether the model gives scores, and whether it gives decisions; at least one of them.
    baseline
        Whether there is a baseline model.
    """

    settings: FairnessSettings
    edges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    searched: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    whole: tuple[str, ...] = ()
    scored: bool = True
    decided: bool = False
    baseline: bool = False

    @classmethod
    def of(
        cls,
        settings: FairnessSettings,
        kinds: Mapping[str, Kind],
        edges: Mapping[str, Sequence[float]] | None = None,
        *,
        scored: bool = True,
        decided: bool = False,
        baseline: bool = False,
        unreadable: Sequence[str] = (),
    ) -> Plan:
        """The plan for examples with these columns.

        Parameters
        ----------
        settings
            The settings.
        kinds
            Kind by name of the columns that can be read; scores and predictions are not among them.
        edges
            Edges of numeric features, besides those that the settings give themselves.
        scored, decided, baseline
            As the attributes.
        unreadable
            Columns whose values are neither texts nor numbers: they are not searched, which is told.

        Raises
        ------
        UsageError
            If the settings name a column that there is not.
        InputError
            If a number that is to be sliced by has no buckets.
        """
        known = {
            **(edges or {}),
            **{name: of for name, of in settings.buckets.items() if isinstance(of, list)},
        }
        for name in (settings.label, settings.weight, *settings.features, *settings.buckets):
            if name is not None and name not in kinds:
                raise unknown("column", name, kinds)
        for name in known:
            if kinds.get(name) == "text":
                raise InputError(
                    f"feature {name!r} is text and has buckets; buckets are for numbers: leave them out"
                )
        for name in settings.features:
            if kinds[name] == "real" and name not in known:
                raise InputError(
                    f"feature {name!r} is a number without buckets; name their edges, or give training "
                    "examples or statistics, whose quantiles they are then"
                )
        taken = {settings.label, settings.weight}
        wanted = (
            [name for name in kinds if name not in taken] if settings.discover is None else settings.discover
        )
        searching = settings.discover is None
        skipped = dict.fromkeys(unreadable, "neither text nor a number") if searching else {}
        for name in wanted:
            if name not in kinds:
                raise unknown("column", name, kinds)
            if kinds[name] == "real" and name not in known:
                skipped[name] = "a number without buckets"
        searched = tuple(sorted(name for name in wanted if name not in skipped))
        return cls(
            settings,
            {name: list(known[name]) for name in sorted(known) if name in {*settings.features, *searched}},
            searched,
            skipped,
            tuple(name for name in settings.features if kinds[name] == "integer" and name not in known),
            scored,
            decided,
            baseline,
        )

    @property
    def columns(self) -> list[str]:
        """Columns to read: label, weight, and the features to slice by and to search."""
        named = [self.settings.label, *([self.settings.weight] if self.settings.weight else [])]
        return list(dict.fromkeys([*named, *self.settings.features, *self.searched]))

    @property
    def coded(self) -> list[str]:
        """Features whose values are numbered."""
        return list(dict.fromkeys([*self.settings.features, *self.searched]))

    @property
    def bases(self) -> list[Family]:
        """The sets of features that are counted: those that no other one holds whole."""
        families = self.settings.families
        return [family for family in families if not any({*family} < {*other} for other in families)]

    def base_of(self, family: Family) -> Family:
        """The counted set of features that holds a set of features."""
        return next(base for base in self.bases if {*family} <= {*base})

    @property
    def classes(self) -> list[str | None]:
        """The classes that are set against the rest; one that is none for a label of two values."""
        return list(self.settings.classes) if self.settings.classes else [None]

    @property
    def thresholds(self) -> list[float]:
        """Thresholds, ascending; none where decisions are given or are those of the highest score."""
        return [] if self.decided or self.settings.classes else sorted(self.settings.thresholds)

    @property
    def levels(self) -> int:
        """In how many ways an example can be decided: between the thresholds, or 0 and 1."""
        return len(self.thresholds) + 1 if self.thresholds else 2

"""From counts to a report: what was found is set against chance, judged, and put into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tfx_trust.components.corrections import holm
from tfx_trust.components.errors import InputError
from tfx_trust.components.leakage import near, target
from tfx_trust.components.leakage.chance import (
    collision_probabilities,
    independent_columns,
    random_split,
)
from tfx_trust.components.leakage.config import (
    FEATURES,
    FEATURES_AND_LABEL,
    FEATURES_EXCLUDED,
    LeakageSettings,
)
from tfx_trust.components.leakage.consequence import consequence
from tfx_trust.components.leakage.count import EVAL, TRAIN, Match, Tally
from tfx_trust.components.leakage.counted import Counted
from tfx_trust.components.leakage.plan import MOST_LABELS, Plan
from tfx_trust.components.leakage.report import (
    Conflict,
    Consequence,
    EntityOverlap,
    LeakageReport,
    LeakageSection,
    Overlap,
    Preprocessing,
    Row,
    TimeOrder,
)
from tfx_trust.components.leakage.times import said
from tfx_trust.components.leakage.words import findings_of
from tfx_trust.components.report import Finding, Verdict

COMPONENT = "LeakageValidator"

Show = Callable[[Sequence[tuple[str, Match]]], list[Row]]


def conclude(
    plan: Plan,
    counted: Counted,
    *,
    show: Show | None = None,
    preprocessing: Preprocessing | None = None,
    found: Sequence[Finding] = (),
) -> LeakageReport:
    """The report of what was counted.

    Parameters
    ----------
    plan, counted
        What was to be counted, and the counts.
    show
        Fetches a few rows that are on both sides, masked; none are shown without it.
    preprocessing
        What is known of the preprocessing.
    found
        Findings from before the count.

    Raises
    ------
    InputError
        If the label is missing throughout a split, or is nothing that could be predicted.
    """
    settings = plan.settings
    _check_labels(counted, settings)
    told = target.analyse(*counted.samples, settings, plan.layout.kinds) if settings.targets else None
    overlap = list(_overlaps(plan, counted))
    section = LeakageSection(
        examples=dict(zip(settings.splits, counted.examples, strict=True)),
        label=counted.labels.kind,
        driver=counted.driver,
        sampled={
            name: sample.examples for name, sample in zip(settings.splits, counted.samples, strict=True)
        },
        overlap=overlap,
        near_duplicates=near.find(*counted.samples, plan.features, settings) if settings.near else None,
        conflicts=[
            Conflict(key=key, scope=scope, **vars(conflict))
            for key, tally in counted.tallies.items()
            for scope, conflict in tally.conflicts.items()
        ],
        features=told.features if told else [],
        pairs=told.pairs if told else [],
        identifiers=told.identifiers if told else [],
        entities=list(_entities(counted, settings)),
        time=_time(counted, settings),
        preprocessing=preprocessing,
        consequence=list(_consequences(counted, settings)),
        rows=_rows(counted, settings, show),
    )
    notes = told.notes if told else []
    return LeakageReport(
        component=COMPONENT,
        findings=[*found, *findings_of(section, settings, counted.labels.missing, notes)],
        settings=settings.model_dump(mode="json"),
        leakage=section,
    )


def _check_labels(counted: Counted, settings: LeakageSettings) -> None:
    label = settings.label
    for name, missing, examples in zip(
        settings.splits, counted.labels.missing, counted.examples, strict=True
    ):
        if missing == examples:
            raise InputError(
                f"the label {label!r} has no value in any of the {examples:,} {name} examples; name another "
                "label, or give labelled examples"
            )
    values = counted.labels.values
    if len(values) < 2:
        raise InputError(
            f"the label {label!r} has the same value in all examples; there is nothing to predict"
        )
    if counted.labels.kind == "classes" and len(values) > MOST_LABELS:
        raise InputError(
            f"the label {label!r} has more than {MOST_LABELS:,} different texts; a class or a number is "
            "needed, name another label"
        )


def _overlaps(plan: Plan, counted: Counted) -> Iterator[Overlap]:
    settings = plan.settings
    examples = counted.examples
    keys = plan.overlap_keys
    chance = {key: random_split(tally.sizes, *examples) for key, tally in counted.tallies.items()}
    p_values = {key: chance[key].p_value(tally.eval_in_train) for key, tally in counted.tallies.items()}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    columns = list(dict.fromkeys(name for names in keys.values() for name in names))
    collisions = collision_probabilities(*counted.samples, columns)
    for key, names in keys.items():
        tally = counted.tallies[key]
        independent = independent_columns(collisions, names, *examples)
        excess = chance[key].excess(tally.eval_in_train, examples[EVAL], settings.level)
        beyond = (tally.eval_in_train - independent) / examples[EVAL]
        yield Overlap(
            key=key,
            columns=list(names),
            keys_in_both=tally.keys_in_both,
            eval_in_train=tally.eval_in_train,
            train_in_eval=tally.train_in_eval,
            distinct=dict(zip(settings.splits, tally.distinct, strict=True)),
            surplus={
                name: tally.examples[split] - tally.distinct[split]
                for split, name in enumerate(settings.splits)
            },
            expected_random_split=chance[key].expected,
            random_split_sd=chance[key].sd,
            expected_independent=independent,
            excess=excess,
            p_value=p_values[key],
            verdict=_overlap_verdict(key, excess.value, adjusted[key], beyond, settings),
        )


def _overlap_verdict(
    key: str, excess: float, p_value: float, beyond: float, settings: LeakageSettings
) -> Verdict:
    """Copies made after the split fail above the bound and warn below it; others are only warned of.

    What goes beyond independent columns alone was copied before the split, or is alike by nature: the
    counts cannot tell, and where columns are left out on purpose the latter is the rule.
    """
    if p_value < settings.significance:
        return Verdict.FAIL if excess > settings.max_excess else Verdict.WARN
    if key in (FEATURES, FEATURES_AND_LABEL) and beyond > settings.max_excess:
        return Verdict.WARN
    return Verdict.PASS


def _entities(counted: Counted, settings: LeakageSettings) -> Iterator[EntityOverlap]:
    for group, met in counted.arrivals.items():
        share = met.eval_in_train / counted.examples[EVAL]
        verdict = Verdict.FAIL if share > settings.entities_fail else Verdict.PASS
        if verdict is Verdict.PASS and any(met.missing):
            verdict = Verdict.NOT_RUN
        yield EntityOverlap(
            group=group,
            entities=dict(zip(settings.splits, met.entities, strict=True)),
            entities_in_both=met.entities_in_both,
            eval_in_train=met.eval_in_train,
            train_in_eval=met.train_in_eval,
            missing=dict(zip(settings.splits, met.missing, strict=True)),
            verdict=verdict,
        )


def _time(counted: Counted, settings: LeakageSettings) -> TimeOrder | None:
    if settings.time is None:
        return None
    times = counted.times
    share = counted.late / counted.examples[TRAIN]
    verdict = Verdict.FAIL if share > settings.late_fail else Verdict.PASS
    if verdict is Verdict.PASS and any(times.missing):
        verdict = Verdict.NOT_RUN

    def by_split(moments: tuple[float, float]) -> dict[str, str]:
        return {
            name: said(moment, clock=counted.clock)
            for name, moment in zip(settings.splits, moments, strict=True)
        }

    return TimeOrder(
        feature=settings.time,
        first=by_split(times.first),
        last=by_split(times.last),
        late_train=counted.late,
        late_in_group={group: met.late for group, met in counted.arrivals.items()},
        missing=dict(zip(settings.splits, times.missing, strict=True)),
        verdict=verdict,
    )


def _consequences(counted: Counted, settings: LeakageSettings) -> Iterator[Consequence]:
    for key, tally in counted.tallies.items():
        if tally.scored is not None:
            told = consequence(key, counted.labels.kind, tally.scored, settings)
            if told is not None:
                yield told


def _rows(counted: Counted, settings: LeakageSettings, show: Show | None) -> list[Row]:
    """A few rows of the first key that has any: the strictest tells most."""
    if show is None or not settings.shown:
        return []
    matches = _matches(counted.tallies)
    return show([(key, match) for key, match in matches][: settings.shown])


def _matches(tallies: Mapping[str, Tally]) -> list[tuple[str, Match]]:
    for key in (FEATURES_AND_LABEL, FEATURES, FEATURES_EXCLUDED, *tallies):
        if key in tallies and tallies[key].matches:
            return [(key, match) for match in tallies[key].matches]
    return []

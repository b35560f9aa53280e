"""What was found, in sentences: the findings of the report, in order of harm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tfx_trust.components.leakage.config import BUILT_IN_KEYS, FEATURES, FEATURES_AND_LABEL, LeakageSettings
from tfx_trust.components.leakage.report import (
    Conflict,
    Consequence,
    LeakageSection,
    Overlap,
    Preprocessing,
)
from tfx_trust.components.report import Estimate, Finding, Severity, Verdict, format_number

_SEVERITIES = {
    Verdict.PASS: Severity.INFO,
    Verdict.WARN: Severity.WARN,
    Verdict.INCONCLUSIVE: Severity.INCONCLUSIVE,
    Verdict.NOT_RUN: Severity.NOT_RUN,
    Verdict.FAIL: Severity.FAIL,
}
_MEANT = {
    FEATURES_AND_LABEL: "in all features and the label",
    FEATURES: "in all features",
    "features-excluded": "in all features but the excluded ones",
}


def findings_of(
    section: LeakageSection, settings: LeakageSettings, missing_labels: tuple[int, int], notes: Sequence[str]
) -> list[Finding]:
    """The findings about what was counted, the most harmful kind first."""
    found = [
        *_entities(section, settings),
        *_time(section, settings),
        *_preprocessing(section.preprocessing, settings),
        *_features(section, settings),
        *_overlap(section, settings),
        *_near(section, settings),
        *_conflicts(section, settings),
        *_surplus(section, settings),
        *_identifiers(section),
        *_labels(missing_labels, settings),
        *(_consequence(item) for item in section.consequence if item.key == FEATURES),
    ]
    return [*found, *(Finding(check="limits", severity=Severity.INFO, message=note) for note in notes)]


def share(part: float, whole: float) -> str:
    """A share in per cent, with two figures; one of almost all or almost none is not rounded to it.

    Examples
    --------
    >>> share(26, 16281), share(0, 5), share(2979, 16281), share(5, 5), share(4999, 5000)
    ('0.16 %', '0 %', '18 %', '100 %', '99.98 %')
    """
    if not part or not whole:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.4g} %" if percent >= 99 else f"{percent:.2g} %"


def number(value: float) -> str:
    """A number of examples that is an expectation.

    Examples
    --------
    >>> number(3155.79), number(25.31), number(0.0041)
    ('3,155.8', '25.3', '0.0')
    """
    return f"{value:,.1f}"


def _entities(section: LeakageSection, settings: LeakageSettings) -> Iterator[Finding]:
    total = section.examples[settings.eval_split]
    for met in section.entities:
        if met.verdict is Verdict.FAIL:
            yield Finding(
                check="entity_overlap",
                severity=Severity.FAIL,
                subject=met.group,
                statistic=Estimate(value=met.eval_in_train / total, count=total),
                threshold=settings.entities_fail,
                message=f"{met.entities_in_both:,} different values of {met.group} are on both sides: "
                f"{met.eval_in_train:,} of {total:,} {settings.eval_split} examples "
                f"({share(met.eval_in_train, total)}) belong to somebody whom the model learned from.",
                remedy=f"Split by {met.group}: give ExampleGen's split_config "
                f"partition_feature_name={met.group!r} (text or whole numbers), or let LeakageFilter take "
                "one side out.",
                evidence={"train_in_eval": met.train_in_eval, "entities": met.entities},
            )
        elif met.verdict is Verdict.PASS:
            yield Finding(
                check="entity_overlap",
                severity=Severity.INFO,
                subject=met.group,
                message=f"No value of {met.group} is on both sides.",
            )
        yield from _unchecked("entity_overlap", met.group, met.missing)


def _unchecked(check: str, name: str, missing: Mapping[str, int]) -> Iterator[Finding]:
    """Examples that lack what a check goes by."""
    if any(missing.values()):
        told = " and ".join(f"{count:,} {split} examples" for split, count in missing.items() if count)
        yield Finding(
            check=check,
            severity=Severity.NOT_RUN,
            subject=name,
            message=f"{told} have no {name}: they were not checked.",
            remedy=f"Fill {name} in, or leave such examples out.",
        )


def _time(section: LeakageSection, settings: LeakageSettings) -> Iterator[Finding]:
    order = section.time
    if order is None:
        return
    total = section.examples[settings.train_split]
    begin = order.first[settings.eval_split]
    if order.verdict is Verdict.FAIL:
        by_group = {name: count for name, count in order.late_in_group.items() if count}
        told = "".join(
            f"; {count:,} after an eval example of the same {name}" for name, count in by_group.items()
        )
        yield Finding(
            check="time_order",
            severity=Severity.FAIL,
            subject=order.feature,
            statistic=Estimate(value=order.late_train / total, count=total),
            threshold=settings.late_fail,
            message=f"{order.late_train:,} of {total:,} {settings.train_split} examples "
            f"({share(order.late_train, total)}) are from {begin} or later, when the {settings.eval_split} "
            f"split begins{told}: the model learned from the future.",
            remedy=f"End the {settings.train_split} split before {begin}.",
            evidence={"first": order.first, "last": order.last},
        )
    elif order.verdict is Verdict.PASS:
        yield Finding(
            check="time_order",
            severity=Severity.INFO,
            subject=order.feature,
            message=f"All {settings.train_split} examples are from before {begin}, when the "
            f"{settings.eval_split} split begins.",
        )
    yield from _unchecked("time_order", order.feature, order.missing)


def _preprocessing(known: Preprocessing | None, settings: LeakageSettings) -> Iterator[Finding]:
    if known is None:
        return
    if known.eval_analyzed:
        yield Finding(
            check="preprocessing",
            severity=Severity.FAIL,
            subject="Transform",
            message=f"The analyzers of Transform saw the split {', '.join(known.eval_analyzed)}: means, "
            "quantiles and vocabularies were learned from what the model is judged by.",
            remedy=f"Give Transform SplitsConfig(analyze=[{settings.train_split!r}], "
            f"transform=[{settings.train_split!r}, {settings.eval_split!r}]).",
            evidence={"analyzed": known.analyzed_splits},
        )
    if known.absent_at_serving:
        yield Finding(
            check="serving_features",
            severity=Severity.FAIL,
            subject=", ".join(known.absent_at_serving),
            message=f"The model needs {', '.join(known.absent_at_serving)}, which the schema does not have "
            "at serving.",
            remedy="Leave it out of the preprocessing_fn; or if it is known at serving, take "
            "not_in_environment out of the schema.",
        )
    if known.verdict is Verdict.NOT_RUN:
        yield Finding(
            check="preprocessing",
            severity=Severity.NOT_RUN,
            subject="Transform",
            message="Which splits the analyzers of Transform saw is not known: its transform_graph does "
            "not come from a node of this pipeline.",
            remedy="Say it by the setting analyzed_splits.",
        )


def _features(section: LeakageSection, settings: LeakageSettings) -> Iterator[Finding]:
    for feature in section.features:
        if feature.verdict not in (Verdict.WARN, Verdict.FAIL):
            continue
        decides = " Each of its values has one label only." if feature.determines else ""
        yield Finding(
            check="target_leakage",
            severity=_SEVERITIES[feature.verdict],
            subject=feature.name,
            statistic=feature.auc_estimate,
            threshold=settings.auc_fail if feature.verdict is Verdict.FAIL else settings.auc_warn,
            message=f"{feature.name} alone tells the label with an AUC of {format_number(feature.auc)} on "
            f"held-out examples, and explains {share(feature.nmi, 1)} of it.{decides}",
            remedy=f"Find out how {feature.name} comes about. If it is filled in after the outcome is "
            "known, or made from it, leave it out of the model; if not, say so by raising the bounds.",
            evidence={"nmi": feature.nmi, "distinct": feature.distinct},
        )
    undecided = [feature.name for feature in section.features if feature.verdict is Verdict.INCONCLUSIVE]
    if undecided:
        yield Finding(
            check="target_leakage",
            severity=Severity.INCONCLUSIVE,
            subject=undecided[0] if len(undecided) == 1 else f"{len(undecided)} features",
            message=f"Too few {settings.eval_split} examples to say whether a feature gives the label away: "
            f"fewer than {settings.min_class} of its rarest value.",
            remedy="Give more eval examples, or lower min_class.",
            evidence={"features": undecided[:20]},
        )
    for pair in section.pairs:
        if pair.verdict is not Verdict.PASS:
            yield Finding(
                check="target_leakage_pairs",
                severity=_SEVERITIES[pair.verdict],
                subject=" and ".join(pair.names),
                statistic=pair.lift,
                threshold=settings.pair_lift,
                message=f"{' and '.join(pair.names)} together tell the label with an AUC of "
                f"{format_number(pair.auc)} on held-out examples, the better of the two alone with "
                f"{format_number(pair.best_single)}.",
                remedy="Find out whether the two together encode the outcome.",
            )


def _overlap(section: LeakageSection, settings: LeakageSettings) -> Iterator[Finding]:
    """One finding for the built-in keys, which count the same rows, and one for each other."""
    built_in = [item for item in section.overlap if item.key in BUILT_IN_KEYS]
    order = list(Verdict)
    if built_in:
        gravest = max(built_in, key=lambda item: (order.index(item.verdict), item.excess.value))
        if gravest.verdict is Verdict.PASS:
            gravest = next((item for item in built_in if item.key == FEATURES), gravest)
        yield _copies(gravest, section, settings, built_in)
    for item in section.overlap:
        if item.key not in BUILT_IN_KEYS:
            yield _copies(item, section, settings, [item])


def _copies(
    item: Overlap, section: LeakageSection, settings: LeakageSettings, counted: Sequence[Overlap]
) -> Finding:
    total = section.examples[settings.eval_split]
    meant = _MEANT.get(item.key, f"in {item.key}")
    expected = f"{number(item.expected_random_split)} ± {number(item.random_split_sd)}"
    message = (
        f"{item.eval_in_train:,} of {total:,} {settings.eval_split} examples "
        f"({share(item.eval_in_train, total)}) equal a {settings.train_split} example {meant}; a random "
        f"split of the same rows gives {expected}."
    )
    remedy = ""
    if item.verdict is Verdict.PASS:
        message += " Nothing speaks for copies made after the split."
    elif item.p_value < settings.significance:
        message += " Rows were copied across after the split."
        remedy = (
            "Find out what copied them (a merged file, an upsampling, a join), or let LeakageFilter drop "
            f"them from the {settings.train_split} split."
        )
    else:
        independent = number(item.expected_independent or 0)
        message += (
            f" Columns that have nothing to do with each other would give {independent} at most: rows were "
            "copied before the split, or examples are alike by nature."
        )
        remedy = (
            "Take repeated rows out before splitting; if people are alike in these columns, name one that "
            "tells them apart."
        )
    return Finding(
        check="duplicates_across_splits",
        severity=_SEVERITIES[item.verdict],
        subject=item.key,
        statistic=item.excess,
        threshold=settings.max_excess,
        message=message,
        remedy=remedy,
        evidence={
            "by_key": [
                {
                    "key": each.key,
                    "eval_in_train": each.eval_in_train,
                    "train_in_eval": each.train_in_eval,
                    "expected_random_split": each.expected_random_split,
                    "expected_independent": each.expected_independent,
                }
                for each in counted
            ]
        },
    )


def _near(section: LeakageSection, settings: LeakageSettings) -> Iterator[Finding]:
    found = section.near_duplicates
    if found is None:
        return
    features = "one feature" if found.differing == 1 else f"at most {found.differing} features"
    message = (
        f"{found.eval_near_train:,} of {found.eval_rows:,} {settings.eval_split} examples "
        f"({share(found.eval_near_train, found.eval_rows)}) differ from a {settings.train_split} example in "
        f"{features}; a random split of the same rows gives {number(found.expected_random_split)}."
    )
    if found.note:
        message += f" {found.note[:1].upper()}{found.note[1:].rstrip('.')}."
    yield Finding(
        check="near_duplicates",
        severity=_SEVERITIES[found.verdict],
        subject=f"up to {features}" if found.differing == 1 else features,
        statistic=found.excess,
        threshold=settings.max_excess,
        message=message,
        remedy="Look for records that were entered or corrected twice, and keep each on one side."
        if found.verdict is Verdict.WARN
        else "",
    )


def _conflicts(section: LeakageSection, settings: LeakageSettings) -> Iterator[Finding]:
    total = sum(section.examples.values())
    item = next((item for item in section.conflicts if (item.key, item.scope) == (FEATURES, "all")), None)
    if item is None or not item.groups:
        return
    part = item.minority / total
    severity = _above(part, settings.conflicts_warn, settings.conflicts_fail)
    yield Finding(
        check="conflicting_labels",
        severity=severity,
        subject=item.key,
        statistic=Estimate(value=part, count=total),
        threshold=settings.conflicts_fail if severity is Severity.FAIL else settings.conflicts_warn,
        message=f"{item.examples:,} examples in {item.groups:,} groups have equal features and different "
        f"labels; {item.minority:,} would have to go for each group to have one.",
        remedy="Look for labels that were corrected or joined wrongly, or for a feature that is missing."
        if severity is not Severity.INFO
        else "",
        evidence={"by_key": [_of(conflict) for conflict in section.conflicts]},
    )


def _of(conflict: Conflict) -> dict[str, object]:
    return conflict.model_dump(mode="json")


def _surplus(section: LeakageSection, settings: LeakageSettings) -> Iterator[Finding]:
    item = next((item for item in section.overlap if item.key == FEATURES_AND_LABEL), None)
    for split, repeated in (item.surplus if item else {}).items():
        total = section.examples[split]
        severity = _above(repeated / total, settings.surplus_warn, settings.surplus_fail)
        if repeated:
            yield Finding(
                check="duplicates_within_split",
                severity=severity,
                subject=split,
                statistic=Estimate(value=repeated / total, count=total),
                threshold=settings.surplus_fail if severity is Severity.FAIL else settings.surplus_warn,
                message=f"{repeated:,} of {total:,} {split} examples ({share(repeated, total)}) repeat "
                "another one, label included.",
                remedy="Keep one of each, unless they are different people; a weight says the same as a "
                "repetition."
                if severity is not Severity.INFO
                else "",
            )


def _above(part: float, warn: float, fail: float) -> Severity:
    if part > fail:
        return Severity.FAIL
    return Severity.WARN if part > warn else Severity.INFO


def _identifiers(section: LeakageSection) -> Iterator[Finding]:
    for item in section.identifiers:
        advice = {
            "group": f"If {item.name} names somebody or something, give it as a group feature; in any case "
            "leave it out of the model and of the comparison of rows (exclude).",
            "remove": f"Leave {item.name} out of the model, and out of the comparison of rows (exclude).",
        }
        yield Finding(
            check="identifier_like",
            severity=Severity.WARN,
            subject=item.name,
            statistic=Estimate(value=item.distinct / item.examples, count=item.examples),
            message=f"{item.name} has {item.distinct:,} different values in {item.examples:,} examples and "
            "tells nothing of the label on held-out ones: it looks like an identifier, and hides copies.",
            remedy=advice[item.suggestion],
        )


def _labels(missing: tuple[int, int], settings: LeakageSettings) -> Iterator[Finding]:
    for split, count in zip(settings.splits, missing, strict=True):
        if count:
            yield Finding(
                check="missing_labels",
                severity=Severity.WARN,
                subject=split,
                statistic=Estimate(value=count),
                message=f"{count:,} {split} examples have no {settings.label}: they are compared by their "
                "features, and left out of what is said of the label.",
                remedy="Leave them out of the splits, or label them.",
            )


def _consequence(item: Consequence) -> Finding:
    metric = item.metric.replace("_", " ").replace("auc", "AUC")
    message = f"The model's {metric} on all eval examples is {format_number(item.all)}"
    if item.without_leaked is None or item.difference is None:
        message += f"; without the {item.leaked:,} that are in train too few are left to tell."
    else:
        message += (
            f", without the {item.leaked:,} that are in train {format_number(item.without_leaked)}: the "
            f"difference is {item.difference}."
        )
    return Finding(
        check="consequence",
        severity=Severity.INFO,
        subject=item.key,
        statistic=item.difference,
        message=message,
    )

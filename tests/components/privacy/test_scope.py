"""What a guarantee covers: leaks, those that are declared public, and what follows."""

from dataclasses import dataclass

import pytest

from tfx_trust.components.privacy.report import Leak, Mechanism
from tfx_trust.components.privacy.scope import (
    analyzer_leaks,
    declared,
    is_public,
    mechanisms_of,
    scope_of,
    uncovered,
    without_match,
)


@dataclass(frozen=True)
class Analyzer:
    name: str
    what: str = "quantiles"
    mechanism: Mechanism | None = None


def leak(name: str, state: str = "uncovered") -> Leak:
    return Leak(name=name, kind="training", what="something", state=state)


NOISED = Mechanism(what="private_mean/age", noise_multiplier=2.0, examples=100)


def states(leaks: list[Leak]) -> dict[str, str]:
    return {item.name: item.state for item in leaks}


def test_each_analyzer_is_public_private_or_uncovered() -> None:
    found = [
        Analyzer("bucketize/age"),
        Analyzer("vocabulary/job"),
        Analyzer("private_mean/age", mechanism=NOISED),
    ]
    assert states(analyzer_leaks(found, ["vocabulary/*"])) == {
        "bucketize/age": "uncovered",
        "vocabulary/job": "public",
        "private_mean/age": "private",
    }
    assert mechanisms_of(found) == [NOISED]


def test_a_private_analyzer_stays_one_although_it_is_declared_public() -> None:
    (found,) = analyzer_leaks([Analyzer("private_mean/age", mechanism=NOISED)], ["*"])
    assert found.state == "private"


def test_leaks_seen_in_training_are_told_once_and_can_be_declared_public() -> None:
    seen = [leak("early_stopping"), leak("class_weight"), leak("early_stopping")]
    assert states(declared(seen, ["class_*"])) == {"early_stopping": "uncovered", "class_weight": "public"}


@pytest.mark.parametrize(
    ("leaks", "known", "guaranteed", "scope"),
    [
        ([], True, True, "pipeline"),
        ([leak("a", "public"), leak("b", "private")], True, True, "pipeline"),
        ([leak("a", "public"), leak("b")], True, True, "training only"),
        ([], False, True, "training only"),
        ([], True, False, "none"),
    ],
)
def test_the_scope(leaks: list[Leak], known: bool, guaranteed: bool, scope: str) -> None:
    assert scope_of(leaks, known=known, guaranteed=guaranteed) == scope


def test_what_is_uncovered_is_neither_public_nor_private() -> None:
    assert [item.name for item in uncovered([leak("a"), leak("b", "public"), leak("c", "private")])] == ["a"]


def test_patterns_have_two_signs_and_brackets_are_letters() -> None:
    assert is_public("vocabulary/[1]", ["vocabulary/[1]"])
    assert not is_public("vocabulary/1", ["vocabulary/[1]"])
    assert is_public("bucketize/age", ["bucketize/a?e"])
    assert not is_public("Bucketize/age", ["bucketize/*"])


def test_a_declaration_that_nothing_answers_to_is_found() -> None:
    assert without_match(["bucketize/*", "vocabulray/*"], [leak("bucketize/age")]) == ["vocabulray/*"]

"""Noise for a target epsilon: reached, never passed, and remembered without being trusted."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from scipy import optimize, stats

from tfx_trust.components import UsageError
from tfx_trust.components.privacy import calibration
from tfx_trust.components.privacy.accounting import default_delta, epsilon_of
from tfx_trust.components.privacy.calibration import TOLERANCE, noise_for, settle
from tfx_trust.components.privacy.config import AccountantName, Adjacency, PrivacySettings
from tfx_trust.components.privacy.report import Mechanism

ADULT = 32_561
DELTA = ADULT**-1.1


def training(steps: int = 2543, batch: int = 256, **further: Any) -> Mechanism:
    given = {"sampling": "poisson", "sampling_probability": batch / ADULT, "examples": ADULT, **further}
    return Mechanism(what="training", noise_multiplier=1.0, steps=steps, **given)


def plain(noise: float = 1.0, **further: Any) -> Mechanism:
    return Mechanism(what="mean", noise_multiplier=noise, **{"examples": ADULT, **further})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, and a process that remembers nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "_known", {})
    return tmp_path / "cache" / "tfx-trust" / "noise"


def forget(monkeypatch: pytest.MonkeyPatch, *, search: bool = True) -> None:
    """As in a new process; one that may not search, if so said."""
    monkeypatch.setattr(calibration, "_known", {})
    if not search:
        monkeypatch.setattr(calibration, "_searched", lambda *_: pytest.fail("searched again"))
        monkeypatch.setattr(calibration, "_closed", lambda *_: None)


# Targets


@pytest.mark.parametrize(
    ("epsilon", "steps", "accountant", "adjacency"),
    [
        (0.05, 2543, "pld", "add_or_remove_one"),
        (1.0, 2543, "pld", "replace_one"),
        (1.0, 30, "pld", "add_or_remove_one"),
        (0.01, 2543, "rdp", "add_or_remove_one"),
        (3.0, 2543, "rdp", "replace_one"),
        (900.0, 2543, "rdp", "add_or_remove_one"),
    ],
)
@pytest.mark.parametrize("others", [(), (plain(200.0), plain(300.0, extra_delta=1e-6))])
def test_a_target_is_reached_and_not_passed(
    epsilon: float,
    steps: int,
    accountant: AccountantName,
    adjacency: Adjacency,
    others: tuple[Mechanism, ...],
) -> None:
    if others and epsilon < 0.1:
        pytest.skip("the others cost as much")
    noise = noise_for(epsilon, DELTA, training(steps), others, accountant=accountant, adjacency=adjacency)
    settled = training(steps).model_copy(update={"noise_multiplier": noise})
    spent = epsilon_of([settled, *others], DELTA, accountant=accountant, adjacency=adjacency)
    assert epsilon * (1 - TOLERANCE) < spent <= epsilon


@pytest.mark.parametrize(("epsilon", "noise"), [(1.0, 1.657), (3.0, 0.871), (8.0, 0.617)])
def test_noise_is_that_of_a_search_by_hand(epsilon: float, noise: float) -> None:
    """Found once by `dp_accounting.calibrate_dp_mechanism` with its PLD accountant."""
    assert noise_for(epsilon, DELTA, training(max_batch=384)) == pytest.approx(noise, rel=2e-3)


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 10.0])
@pytest.mark.parametrize("count", [1, 7])
def test_without_sampling_it_is_the_closed_form(epsilon: float, count: int) -> None:
    def missing(noise: float) -> float:
        """By Balle & Wang (2018), Theorem 8."""
        first = stats.norm.cdf(1 / (2 * noise) - epsilon * noise)
        second = stats.norm.logcdf(-1 / (2 * noise) - epsilon * noise)
        return float(first - math.exp(epsilon + second) - 1e-5)

    least = float(optimize.brentq(missing, 0.05, 100.0, xtol=1e-10)) * math.sqrt(count)
    found = noise_for(epsilon, 1e-5, plain(steps=count))
    assert least <= found <= least * (1 + TOLERANCE)
    # Shuffled: as often as there are passes.
    shuffled = training(steps=count * 127, batch=256, sampling="shuffle", examples=127 * 256)
    shuffled = shuffled.model_copy(update={"sampling_probability": 1 / 127})
    assert noise_for(epsilon, 1e-5, shuffled) == found


def test_others_take_their_part() -> None:
    alone = noise_for(1.0, 1e-5, plain())
    # Of two equal ones, each has half of the precision.
    assert noise_for(1.0, 1e-5, plain(), [plain(alone * math.sqrt(2))]) == pytest.approx(
        alone * math.sqrt(2), rel=3e-3
    )


def test_noise_is_a_number_of_few_digits() -> None:
    noise = noise_for(1.0, 1e-5, training(100), accountant="rdp")
    assert float(f"{noise:.6g}") == noise


# Memory


def test_what_was_found_is_not_searched_for_again(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    found = noise_for(2.0, 1e-5, training(50))
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(calibration, "_searched", lambda *_: pytest.fail("searched again"))
    assert noise_for(2.0, 1e-5, training(50)) == found
    # What it is called, and its noise of now, make no difference.
    assert (
        noise_for(2.0, 1e-5, training(50).model_copy(update={"what": "x", "noise_multiplier": 9.0})) == found
    )
    forget(monkeypatch, search=False)
    assert noise_for(2.0, 1e-5, training(50)) == found


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1, 2]",
        '{"noise_multiplier": 1.0}',
        '{"inputs": {}, "noise_multiplier": 1.0}',
        "null",
        "\udcff",
    ],
)
def test_a_broken_file_is_found_anew_and_mended(
    monkeypatch: pytest.MonkeyPatch, cache: Path, content: str
) -> None:
    found = noise_for(2.0, 1e-5, training(50), accountant="rdp")
    (file,) = cache.iterdir()
    good = file.read_text()
    file.write_bytes(content.encode(errors="surrogateescape"))
    forget(monkeypatch)
    assert noise_for(2.0, 1e-5, training(50), accountant="rdp") == found
    assert file.read_text() == good


@pytest.mark.parametrize("noise", [1e-3, 0.5, 1e5, -1.0, 0.0, "1.0", None, True, math.nan, math.inf])
def test_a_file_with_other_noise_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, cache: Path, noise: Any
) -> None:
    found = noise_for(2.0, 1e-5, training(50), accountant="rdp")
    (file,) = cache.iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "noise_multiplier": noise}))
    forget(monkeypatch)
    assert noise_for(2.0, 1e-5, training(50), accountant="rdp") == found


def test_everything_that_matters_is_part_of_the_key(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(**changed: Any) -> None:
        given: dict[str, Any] = {
            "epsilon": 2.0,
            "delta": 1e-5,
            "mechanism": training(50),
            "others": (),
            "accountant": "rdp",
            "adjacency": "add_or_remove_one",
            **changed,
        }
        noise_for(
            given["epsilon"],
            given["delta"],
            given["mechanism"],
            given["others"],
            accountant=given["accountant"],
            adjacency=given["adjacency"],
        )

    changes: list[dict[str, Any]] = [
        {},
        {"epsilon": 2.001},
        {"delta": 1.1e-5},
        {"mechanism": training(51)},
        {"mechanism": training(50, batch=255)},
        {"mechanism": training(50, max_batch=1000)},
        {"mechanism": training(50, extra_delta=1e-7)},
        {"others": (plain(50.0),)},
        {"others": (plain(50.0), plain(60.0))},
        {"accountant": "pld"},
        {"adjacency": "replace_one"},
    ]
    for change in changes:
        found(**change)
    assert len(list(cache.iterdir())) == len(changes)
    # In another order, it is the same.
    found(others=(plain(60.0), plain(50.0)))
    assert len(list(cache.iterdir())) == len(changes)
    monkeypatch.setattr(calibration.metadata, "version", lambda _: "99.0")
    found()
    assert len(list(cache.iterdir())) == len(changes) + 1


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert noise_for(2.0, 1e-5, training(50), accountant="rdp") > 0


def test_a_write_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(calibration.os, "replace", fail)
    assert noise_for(2.0, 1e-5, training(50), accountant="rdp") > 0
    assert list(cache.iterdir()) == []


def test_without_a_home_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(calibration.Path, "home", homeless)
    # One that is not absolute is none.
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.chdir(tmp_path)
    assert noise_for(2.0, 1e-5, training(50), accountant="rdp") > 0
    assert list(tmp_path.iterdir()) == []


# What cannot be reached


@pytest.mark.parametrize(
    ("epsilon", "mechanism", "others", "accountant", "message"),
    [
        (0.0, plain(), (), "pld", "epsilon = 0: expected above 0 and at most 1000"),
        (-1.0, plain(), (), "pld", "epsilon = -1: expected above 0"),
        (math.nan, plain(), (), "pld", "epsilon = nan: expected above 0"),
        (
            1e6,
            plain(),
            (),
            "pld",
            r"epsilon = 1e\+06: expected above 0 and at most 1000; nothing is private beyond",
        ),
        (1.0, training(0), (), "pld", "training: no steps, so that no noise is needed"),
        (
            0.3,
            training(50),
            (plain(10.0),),
            "pld",
            "epsilon = 0.3 cannot be reached: what is released besides training costs 0.338. already",
        ),
        (
            1.0,
            training(50),
            (plain(10.0, extra_delta=1e-4),),
            "pld",
            r"is used up by what is released besides noise \(0.0001, such as thresholds",
        ),
        (
            1.0,
            training(50, max_batch=260),
            (),
            "rdp",
            "cannot be shown by accountant 'rdp': batches of more than 260 examples are cut, and too often",
        ),
        (1.0, training(50), (), "prv", "unknown accountant 'prv'"),
    ],
)
def test_what_stands_in_the_way_is_named(
    epsilon: float, mechanism: Mechanism, others: Any, accountant: Any, message: str, cache: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        noise_for(epsilon, DELTA, mechanism, others, accountant=accountant)
    assert not cache.exists()


# Settings


def test_settings_with_noise_are_planned_as_they_are() -> None:
    settings = PrivacySettings(noise_multiplier=1.1, epochs=2, batch_size=100)
    assert settle(settings, 10_000) == Mechanism(
        what="training",
        noise_multiplier=1.1,
        sampling="poisson",
        sampling_probability=0.01,
        steps=200,
        examples=10_000,
        max_batch=180,
    )
    # Where all examples fit into a batch, none is cut; nor in a shuffled dataset.
    assert settle(settings, 150).max_batch is None
    shuffled = settle(settings.model_copy(update={"sampling": "shuffle"}), 10_000)
    assert (shuffled.sampling, shuffled.max_batch, shuffled.steps) == ("shuffle", None, 200)


def test_settings_with_a_target_share_it_with_all_that_is_released() -> None:
    settings = PrivacySettings(
        epsilon=1.0,
        steps=50,
        batch_size=100,
        accountant="rdp",
        composed_with=[plain(30.0).model_dump(mode="json")],
    )
    planned = settle(settings, ADULT, [plain(40.0)])
    spent = epsilon_of([planned, plain(30.0), plain(40.0)], default_delta(ADULT), accountant="rdp")
    assert 1 - TOLERANCE < spent <= 1
    assert planned.noise_multiplier > settle(settings, ADULT).noise_multiplier


@pytest.mark.parametrize(
    ("changed", "examples", "message"),
    [
        ({}, 100, "batch_size = 256: above the number of examples, 100; make it at most that"),
        ({"delta": 1e-3}, 1000, "delta = 0.001: expected above 0 and below 1/N = 0.001"),
        ({"batch_size": 1}, 1, "examples = 1: expected at least 2"),
    ],
)
def test_settings_that_do_not_suit_the_data_are_refused(
    changed: dict[str, Any], examples: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        settle(PrivacySettings.of({"epsilon": 1.0, "epochs": 1, **changed}), examples)


def test_an_epoch_of_a_shuffled_dataset_is_not_more_than_a_pass() -> None:
    settings = PrivacySettings(noise_multiplier=1.0, epochs=20, sampling="shuffle")
    assert settings.steps_for(ADULT) == 2543
    assert PrivacySettings(noise_multiplier=1.0, epochs=20).steps_for(ADULT) == 2544

"""``tfx-trust privacy epsilon`` and ``calibrate`` as a user calls them."""

import json
from pathlib import Path
from typing import Any

import dp_accounting
import pytest
from calls import HEAVY, Call, Called, modules_after
from dp_accounting import pld, rdp

from tfx_trust.components import Report
from tfx_trust.components.privacy import calibration

PrivacyCall = Call[Report]

BASIC = ("--batch-size", "256", "--examples", "60000", "--delta", "1e-5")
NEEDED = {
    "epsilon",
    "delta",
    "noise_multiplier",
    "sampling_probability",
    "steps",
    "accountant",
    "sampling",
    "adjacency",
}


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> PrivacyCall:
    """Calls ``tfx-trust privacy`` in this process, in a folder and with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "_known", {})
    return Call("privacy", Report, monkeypatch, capsys, tmp_path)


def numbers(done: Called[Report]) -> dict[str, Any]:
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert isinstance(found, dict)
    assert found.keys() >= NEEDED
    return found


def sampled(noise: float) -> dp_accounting.DpEvent:
    return dp_accounting.PoissonSampledDpEvent(256 / 60_000, dp_accounting.GaussianDpEvent(noise))


# Epsilon


def test_epsilon_is_that_of_dp_accounting(call: PrivacyCall) -> None:
    found = numbers(call("epsilon", "--noise-multiplier", 1.3, *BASIC, "--epochs", 15, "--json", "-"))
    direct = pld.PLDAccountant().compose(sampled(1.3), found["steps"]).get_epsilon(1e-5)
    assert found["epsilon"] == pytest.approx(direct, rel=1e-4)
    assert found["steps"] == 3516
    assert found["sampling_probability"] == 256 / 60_000
    assert (found["delta"], found["noise_multiplier"]) == (1e-5, 1.3)
    assert (found["accountant"], found["sampling"], found["adjacency"]) == (
        "pld",
        "poisson",
        "add_or_remove_one",
    )


def test_the_accountant_is_chosen(call: PrivacyCall) -> None:
    options = ("--noise-multiplier", 1.1, *BASIC, "--steps", 14_062, "--accountant", "rdp", "--json", "-")
    found = numbers(call("epsilon", *options))
    direct = rdp.RdpAccountant().compose(sampled(1.1), 14_062).get_epsilon(1e-5)
    assert found["epsilon"] == pytest.approx(direct, rel=1e-12)
    assert found["accountant"] == "rdp"


def test_a_shuffled_dataset_is_not_amplified(call: PrivacyCall) -> None:
    given = ("--noise-multiplier", 1.0, "--batch-size", 256, "--examples", 32_561, "--epochs", 20)
    found = numbers(call("epsilon", *given, "--sampling", "shuffle", "--json", "-"))
    assert found["epsilon"] == pytest.approx(28.29, abs=0.01)
    assert found["passes"] == 20
    assert found["delta"] == pytest.approx(32_561**-1.1)


def test_adjacency_and_cut_batches_are_accounted_for(call: PrivacyCall) -> None:
    given = ("epsilon", "--noise-multiplier", 2.0, *BASIC, "--steps", 200, "--json", "-")
    plain = numbers(call(*given))
    cut = numbers(call(*given, "--max-batch", 270))
    replaced = numbers(call(*given, "--adjacency", "replace_one"))
    assert "max_batch" not in plain
    assert cut["max_batch"] == 270
    assert cut["epsilon"] > plain["epsilon"]
    assert replaced["epsilon"] > 1.5 * plain["epsilon"]
    assert replaced["adjacency"] == "replace_one"


def test_people_are_told_in_a_few_lines(call: PrivacyCall) -> None:
    done = call("epsilon", "--noise-multiplier", 2.0, *BASIC, "--steps", 200, "--max-batch", 400)
    assert done.status == 0
    assert done.out.splitlines()[1:] == [
        "delta    1e-05",
        "noise    2 times the clip norm",
        "steps    200, each with 256 of 60,000 examples, expected and drawn by themselves, cut off at 400",
        "between  data sets that differ by one example more or less",
        "by       privacy loss distributions (pld)",
    ]
    assert done.out.startswith("epsilon  0.1")
    shuffled = call(
        *("epsilon", "--noise-multiplier", 2.0, *BASIC, "--steps", 300, "--sampling", "shuffle"),
        *("--accountant", "rdp", "--adjacency", "replace_one"),
    )
    assert "steps    300, in 2 passes over 60,000 shuffled examples, 256 at a time; no ampli" in shuffled.out
    assert "one example replaced by another" in shuffled.out
    assert "Rényi divergences (rdp)" in shuffled.out


def test_of_shuffled_batches_of_a_fixed_size_an_example_more_is_a_place_filled(call: PrivacyCall) -> None:
    given = (*BASIC, "--steps", 100, "--sampling", "shuffle")
    done = call("epsilon", "--noise-multiplier", 2.0, *given)
    assert "in 1 pass over" in done.out
    assert "between  data sets that differ by one example being there or its place left blank" in done.out


def test_no_guarantee_is_told_as_such(call: PrivacyCall) -> None:
    given = ("epsilon", "--noise-multiplier", 2.0, *BASIC, "--steps", 200, "--accountant", "rdp")
    done = call(*given, "--max-batch", 256)
    assert "infinite: nothing is guaranteed" in done.out
    assert numbers(call(*given, "--max-batch", 256, "--json", "-"))["epsilon"] is None


def test_numbers_are_written_where_asked(call: PrivacyCall, tmp_path: Path) -> None:
    done = call("epsilon", "--noise-multiplier", 3.0, *BASIC, "--steps", 10, "--json", "a.json")
    assert "numbers  a.json" in done.out
    assert json.loads((tmp_path / "a.json").read_text()).keys() >= NEEDED


# Calibration


def test_calibration_keeps_to_its_target(call: PrivacyCall) -> None:
    given = (*BASIC, "--steps", 300, "--json", "-")
    found = numbers(call("calibrate", "--epsilon", 0.5, *given))
    assert 0.4995 < found["epsilon"] <= 0.5
    assert found["target_epsilon"] == 0.5
    # The other command says the same of it.
    back = numbers(call("epsilon", "--noise-multiplier", found["noise_multiplier"], *given))
    assert back == {name: value for name, value in found.items() if name != "target_epsilon"}
    assert len(list((call.folder / "cache" / "tfx-trust" / "noise").iterdir())) == 1


def test_calibration_of_a_shuffled_dataset(call: PrivacyCall) -> None:
    given = (*BASIC, "--epochs", 4, "--sampling", "shuffle", "--json", "-")
    found = numbers(call("calibrate", "--epsilon", 2, *given))
    assert 1.998 < found["epsilon"] <= 2
    assert found["passes"] == 4


# Bad input


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--noise-multiplier": None}, "Missing option '--noise-multiplier'"),
        ({"--examples": None}, "Missing option '--examples'"),
        ({"--noise-multiplier": "0"}, "noise_multiplier: Input should be greater than 0, found 0"),
        ({"--noise-multiplier": "nan"}, "noise_multiplier: Input should be a finite number, found nan"),
        ({"--noise-multiplier": "much"}, "'much' is not a valid float"),
        ({"--epochs": "3"}, "--epochs, --steps: both are given; give one of the two"),
        ({"--steps": None}, "--epochs, --steps: neither is given; give one of the two"),
        ({"--steps": "0"}, "steps: Input should be greater than or equal to 1, found 0"),
        ({"--batch-size": "2000"}, "--batch-size 2,000 is above --examples 1,000; make it at most that"),
        ({"--delta": "0.001"}, "delta = 0.001: expected above 0 and below 1/N = 0.001"),
        ({"--delta": "0"}, "delta: Input should be greater than 0, found 0"),
        ({"--examples": "1", "--batch-size": "1", "--delta": None}, "examples = 1: expected at least 2"),
        ({"--max-batch": "5"}, "max_batch = 5 is below batch_size = 10"),
        ({"--max-batch": "20", "--sampling": "shuffle"}, "--max-batch is for --sampling poisson"),
        ({"--accountant": "prv"}, "'prv' is not one of 'pld', 'rdp'"),
        ({"--adjacency": "swap"}, "'swap' is not one of 'add_or_remove_one', 'replace_one'"),
        ({"--json": "nowhere/a.json"}, "nowhere/a.json: no such folder to write to"),
    ],
)
def test_bad_input_of_epsilon_is_named(
    call: PrivacyCall, changed: dict[str, str | None], message: str
) -> None:
    given: dict[str, str | None] = {
        "--noise-multiplier": "1",
        "--batch-size": "10",
        "--examples": "1000",
        "--steps": "5",
        "--delta": "1e-5",
        **changed,
    }
    arguments = [text for name, value in given.items() if value is not None for text in (name, value)]
    done = call("epsilon", *arguments)
    assert done.status == 2
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("epsilon", "message"),
    [
        ("0", "epsilon: Input should be greater than 0, found 0"),
        ("-2", "epsilon: Input should be greater than 0, found -2"),
        ("inf", "epsilon: Input should be a finite number, found inf"),
        ("5000", "epsilon = 5000: expected above 0 and at most 1000"),
    ],
)
def test_bad_targets_are_named(call: PrivacyCall, epsilon: str, message: str) -> None:
    done = call("calibrate", "--epsilon", epsilon, *BASIC, "--steps", "5")
    assert done.status == 2
    assert message in done.err


def test_a_target_that_cannot_be_shown_says_what_to_do(call: PrivacyCall) -> None:
    given = ("--epsilon", 1, *BASIC, "--steps", 500, "--accountant", "rdp", "--max-batch", 256)
    done = call("calibrate", *given)
    assert done.status == 2
    assert "raise max_batch, or take accountant 'pld'" in done.err


def test_an_unknown_subcommand_is_named(call: PrivacyCall) -> None:
    done = call("epsilom")
    assert done.status == 2
    assert "No such command 'epsilom'" in done.err


# Quick and quiet


def test_no_tensorflow_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = (*BASIC, "--steps", "20", "--accountant", "rdp", "--json", "-")
    for command in (("epsilon", "--noise-multiplier", "2"), ("calibrate", "--epsilon", "1")):
        loaded = modules_after(tmp_path, "privacy", *command, *options)
        assert "dp_accounting" in loaded
        assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize("command", [(), ("epsilon",), ("calibrate",), ("audit",)])
def test_help_loads_nothing_that_takes_time(tmp_path: Path, command: tuple[str, ...]) -> None:
    loaded = modules_after(tmp_path, "privacy", *command, "--help")
    slow = (*HEAVY, "numpy", "scipy", "dp_accounting", "pyarrow", "altair", "jinja2")
    assert not loaded.intersection(slow)


def test_help_names_every_subcommand(call: PrivacyCall) -> None:
    done = call("--help")
    assert done.status == 0
    for name in ("audit", "calibrate", "epsilon"):
        assert f"\n  {name} " in done.out

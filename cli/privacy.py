"""``tfx-trust privacy``: what private training costs, which noise it takes, and what a model gives away."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tfx_trust.cli import reporting
from tfx_trust.components.errors import UsageError
from tfx_trust.components.privacy.config import ACCOUNTANTS, ADJACENCIES, SAMPLINGS

if TYPE_CHECKING:
    from tfx_trust.components.privacy.config import PrivacySettings
    from tfx_trust.components.privacy.report import Mechanism

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_ELSEWHERE = {"audit": "tfx_trust.cli.privacy_audit"}
_ACCOUNTANTS = {"pld": "privacy loss distributions", "rdp": "Rényi divergences"}
_NEIGHBOURS = {
    "add_or_remove_one": "one example more or less",
    "replace_one": "one example replaced by another",
}


class _Group(click.Group):
    """Imports a subcommand of another module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in _ELSEWHERE:
            command: click.Command = importlib.import_module(_ELSEWHERE[name]).command
            return command
        return super().get_command(ctx, name)


@click.group("privacy", cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Privacy of training: its cost, the noise that it takes, and what a model gives away."""


def _training_options(command: CommandT) -> CommandT:
    """The options of `epsilon` and `calibrate`, after the one in which they differ."""
    options = [
        click.option(
            "--batch-size", type=int, required=True, metavar="B", help="Expected examples of a step."
        ),
        click.option("--examples", type=int, required=True, metavar="N", help="Training examples."),
        click.option("--epochs", type=float, metavar="E", help="Passes over the examples; or give --steps."),
        click.option("--steps", type=int, metavar="T", help="Steps of training; or give --epochs."),
        click.option("--delta", type=float, metavar="D", help="Must be below 1/N; N^-1.1 if not given."),
        click.option(
            "--accountant",
            type=click.Choice(ACCOUNTANTS),
            default=ACCOUNTANTS[0],
            show_default=True,
            help="By privacy loss distributions, tight, or Rényi divergences, an upper bound.",
        ),
        click.option(
            "--sampling",
            type=click.Choice(SAMPLINGS),
            default=SAMPLINGS[0],
            show_default=True,
            help="How batches come about: each example by itself, or cut from a shuffled dataset, for which "
            "no amplification by sampling is claimed.",
        ),
        click.option(
            "--adjacency",
            type=click.Choice(ADJACENCIES),
            default=ADJACENCIES[0],
            show_default=True,
            help="Which data sets count as neighbours.",
        ),
        click.option(
            "--max-batch",
            type=int,
            metavar="M",
            help="Where Poisson batches are cut off; nowhere if not given.",
        ),
        click.option(
            "--json", "json_file", metavar="FILE", help="Write the numbers as JSON; - for standard output."
        ),
    ]
    # As decorators do: the last one is applied first.
    for option in reversed(options):
        command = option(command)
    return command


@command.command("epsilon", short_help="Tell what a training costs.")
@click.option(
    "--noise-multiplier",
    type=float,
    required=True,
    metavar="S",
    help="Standard deviation of the noise, over the clip norm.",
)
@_training_options
def epsilon_command(json_file: str | None, **options: Any) -> None:
    """Tell the epsilon of a training by DP-SGD."""
    reporting.check_writable(json_file)
    planned = _planned(options)
    _finish(_spent(planned, planned.settings.noise_multiplier or 1.0), json_file)


@command.command("calibrate", short_help="Find the noise that keeps to an epsilon.")
@click.option("--epsilon", type=float, required=True, metavar="E", help="Target, which is not passed.")
@_training_options
def calibrate_command(json_file: str | None, **options: Any) -> None:
    """Find the noise by which a training by DP-SGD keeps to an epsilon."""
    from tfx_trust.components.privacy.calibration import noise_for

    reporting.check_writable(json_file)
    planned = _planned(options)
    settings = planned.settings
    assert settings.epsilon is not None
    with reporting.working("looking for the noise"):
        noise = noise_for(
            settings.epsilon,
            planned.delta,
            planned.mechanism,
            accountant=settings.accountant,
            adjacency=settings.adjacency,
        )
    _finish(_spent(planned, noise), json_file)


# The training


@dataclass(frozen=True)
class _Planned:
    settings: PrivacySettings
    examples: int
    delta: float
    mechanism: Mechanism


def _planned(options: dict[str, Any]) -> _Planned:
    from tfx_trust.components.privacy.accounting import check_delta, delta_for
    from tfx_trust.components.privacy.calibration import plan
    from tfx_trust.components.privacy.config import PrivacySettings

    given = {name: value for name, value in options.items() if value is not None}
    if ("epochs" in given) == ("steps" in given):
        found = "both are given" if "epochs" in given else "neither is given"
        raise UsageError(f"--epochs, --steps: {found}; give one of the two")
    settings = PrivacySettings.of(given)
    examples = given["examples"]
    if settings.batch_size > examples:
        raise UsageError(
            f"--batch-size {settings.batch_size:,} is above --examples {examples:,}; make it at most that"
        )
    if settings.max_batch is not None and settings.sampling != "poisson":
        raise UsageError("--max-batch is for --sampling poisson; batches of a shuffled dataset are all equal")
    delta = delta_for(settings, examples)
    check_delta(delta, examples)
    return _Planned(settings, examples, delta, plan(settings, examples, max_batch=settings.max_batch))


def _spent(planned: _Planned, noise: float) -> dict[str, Any]:
    """All numbers, as they are written."""
    from tfx_trust.components.privacy.accounting import epsilon_of, passes
    from tfx_trust.components.privacy.calibration import with_noise

    settings, mechanism = planned.settings, planned.mechanism
    mechanism = with_noise(mechanism, noise)
    with reporting.working("accounting"):
        epsilon = epsilon_of(
            [mechanism], planned.delta, accountant=settings.accountant, adjacency=settings.adjacency
        )
    numbers: dict[str, Any] = {
        # JSON has no infinity.
        "epsilon": epsilon if math.isfinite(epsilon) else None,
        "delta": planned.delta,
        "noise_multiplier": noise,
        "sampling_probability": mechanism.sampling_probability,
        "steps": mechanism.steps,
        "accountant": settings.accountant,
        "sampling": settings.sampling,
        "adjacency": settings.adjacency,
        "batch_size": settings.batch_size,
        "examples": planned.examples,
    }
    if settings.max_batch is not None:
        numbers["max_batch"] = settings.max_batch
    if settings.sampling == "shuffle":
        numbers["passes"] = passes(mechanism)
    if settings.epsilon is not None:
        numbers["target_epsilon"] = settings.epsilon
    return numbers


# What is told


def _finish(numbers: dict[str, Any], json_file: str | None) -> None:
    text = json.dumps(numbers, indent=2)
    if json_file == reporting.STANDARD_OUTPUT:
        click.echo(text)
        return
    _say(numbers)
    if json_file is not None:
        reporting.write_text(json_file, f"{text}\n")
        click.echo(f"numbers  {json_file}")


def _say(numbers: dict[str, Any]) -> None:
    epsilon, steps, batch = numbers["epsilon"], numbers["steps"], numbers["batch_size"]
    told = "infinite: nothing is guaranteed" if epsilon is None else f"{epsilon:.4g}"
    click.echo(f"epsilon  {click.style(told, bold=True)}")
    click.echo(f"delta    {numbers['delta']:.3g}")
    click.echo(f"noise    {numbers['noise_multiplier']:g} times the clip norm")
    if numbers["sampling"] == "poisson":
        cut = f", cut off at {numbers['max_batch']:,}" if "max_batch" in numbers else ""
        drawn = (
            f"each with {batch:,} of {numbers['examples']:,} examples, expected and drawn by themselves{cut}"
        )
    else:
        passes = "1 pass" if numbers["passes"] == 1 else f"{numbers['passes']:,} passes"
        drawn = (
            f"in {passes} over {numbers['examples']:,} shuffled examples, {batch:,} at a "
            "time; no amplification by sampling is claimed"
        )
    click.echo(f"steps    {steps:,}, {drawn}")
    neighbours = _NEIGHBOURS[numbers["adjacency"]]
    if (numbers["sampling"], numbers["adjacency"]) == ("shuffle", "add_or_remove_one"):
        neighbours = "one example being there or its place left blank"
    click.echo(f"between  data sets that differ by {neighbours}")
    click.echo(f"by       {_ACCOUNTANTS[numbers['accountant']]} ({numbers['accountant']})")

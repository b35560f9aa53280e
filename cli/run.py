"""``tfx-trust run``: the census trust pipeline, from data to release decision."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfx_trust.cli.status import ERROR, FAIL, OK, UNDECIDED, status_of
from tfx_trust.components.errors import InputError, TrustError, UsageError
from tfx_trust.pipelines.census.scenarios import CLEAN, scenario_named

if TYPE_CHECKING:
    from rich.console import Console

    from tfx_trust.components.page.run import NodeRun, Run
    from tfx_trust.components.privacy.ledger import BudgetExceeded

LOG_FILE = "run.log"
OVERVIEW_FILE = "index.html"
METADATA_FILE = "metadata.db"
LOCK_FILE = ".lock"
KEY_FILE = Path("keys", "signing.pem")
# As shells tell a process that was ended by Ctrl-C.
INTERRUPTED = 130


@click.command("run", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/census"),
    show_default=True,
    help="Folder for metadata, artifacts, served models, log and overview.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with train/*.csv and eval/*.csv of the census columns, instead of the bundled data.",
)
@click.option(
    "--runner", type=click.Choice(["local", "beam"]), default="local", show_default=True, help="Orchestrator."
)
@click.option(
    "--scenario", default=CLEAN, show_default=True, metavar="NAME", help="Put a fault in and see it blocked."
)
@click.option("--without", multiple=True, metavar="GATE", help="Leave a gate out; may be repeated.")
@click.option(
    "--filter-leaks", is_flag=True, help="Drop from train what also stands in eval (LeakageFilter)."
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key (PEM, ECDSA P-256) to sign the model with; one is made in ROOT/keys if not given.",
)
@click.option(
    "--beam-arg",
    multiple=True,
    metavar="ARG",
    help="Argument for Beam within the components, e.g. --direct_num_workers=2; may be repeated.",
)
@click.option("--no-cache", is_flag=True, help="Run every node anew.")
def command(
    root: Path,
    data: Path | None,
    runner: str,
    scenario: str,
    without: tuple[str, ...],
    filter_leaks: bool,
    key: Path | None,
    beam_arg: tuple[str, ...],
    no_cache: bool,
) -> None:
    """Run the census trust pipeline: data to release decision, model and overview page."""
    from tfx_trust.cli.progress import NodeLines, quiet

    chosen = scenario_named(scenario)
    begin = time.monotonic()
    root = _usable(root).resolve()
    with _alone(root), quiet(root / LOG_FILE) as console:
        try:
            console.print(f"census pipeline, scenario {scenario}, {runner} runner; log in {root / LOG_FILE}")
            with console.status("loading TFX and TensorFlow"):
                from tfx_trust.components.privacy.ledger import BudgetExceeded
                from tfx_trust.pipelines.census.pipeline import census_pipeline
                from tfx_trust.pipelines.census.scenarios import Meddling
                from tfx_trust.pipelines.runner import PipelineFailed, run_pipeline

                pipeline = census_pipeline(
                    str(root),
                    data=str(data.resolve()) if data else None,
                    scenario=scenario,
                    without=without,
                    filter_leaks=filter_leaks,
                    key=str(key.resolve() if key else _own_key(root)),
                    beam_pipeline_args=beam_arg,
                    enable_cache=not no_cache,
                )
            lines = NodeLines(console, width=max(len(node.id) for node in pipeline.components))
            try:
                run = run_pipeline(
                    pipeline,
                    runner=runner,
                    progress=Meddling(lines, chosen, root),
                    overview=root / OVERVIEW_FILE,
                    details={"runner": runner, "scenario": scenario, "log": LOG_FILE},
                )
            except PipelineFailed as failure:
                traceback.print_exception(failure)
                if refusals := [item for item in failure.causes.values() if isinstance(item, BudgetExceeded)]:
                    _show_refusal(console, refusals[0], root)
                    sys.exit(FAIL)
                _show_failure(console, failure.run, root)
                sys.exit(ERROR)
            _show_outcome(console, run, root, time.monotonic() - begin)
        except TrustError:
            raise
        except KeyboardInterrupt:
            console.print("\ninterrupted; run again to go on, nodes that finished come from the cache")
            sys.exit(INTERRUPTED)
        except Exception as error:
            # The stack goes to the log: it is of use to a developer alone.
            traceback.print_exc()
            console.print(f"\n{type(error).__name__}: {error}", style="bold red")
            console.print(f"  the full story is in {root / LOG_FILE}")
            sys.exit(ERROR)
    if run.pushed and not (root / run.pushed).exists():
        sys.exit(ERROR)
    if _changed_copies(run):
        sys.exit(FAIL)
    if run.release:
        sys.exit(status_of(run.release.verdict))
    sys.exit(OK if run.pushed else UNDECIDED)


def _own_key(root: Path) -> Path:
    """The key of this root, made when it is first needed: to show signing, not to be trusted by others."""
    from tfx_trust.components.provenance.keys import generate_key

    path = root / KEY_FILE
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        generate_key(path)
    return path


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Holds the root: two runs at once would write the same log, overview and metadata."""
    with (root / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrustError(
                f"{root}: another run uses this root; wait for it or choose another --root"
            ) from None
        yield


def _usable(root: Path) -> Path:
    """The root, made if need be; not a folder where the overview or the log would replace another's."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{root}: cannot be made ({error.strerror}); choose another --root") from None
    try:
        (root / LOCK_FILE).touch()
    except OSError as error:
        raise UsageError(f"{root}: cannot be written to ({error.strerror}); choose another --root") from None
    if (root / OVERVIEW_FILE).exists() and not (root / METADATA_FILE).exists():
        raise UsageError(f"{root}: has an {OVERVIEW_FILE} but no run; choose another --root, or move it away")
    _check_store(root / METADATA_FILE)
    return root


def _check_store(path: Path) -> None:
    """Refuses a damaged store; opened to write, so that what a killed run left half done is rolled back."""
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as store:
            told = store.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        told = str(error)
    if told != "ok":
        raise InputError(f"{path}: damaged ({told.splitlines()[0]}); move it away, or choose another --root")


def _show_failure(console: Console, run: Run, root: Path) -> None:
    for node in run.failed:
        console.print(f"\n{node.name} failed: {node.error}", style="bold red")
    console.print(f"  the full story is in {root / LOG_FILE}")
    console.print(f"  nothing was pushed; overview: {root / OVERVIEW_FILE}")


def _show_refusal(console: Console, refusal: BudgetExceeded, root: Path) -> None:
    head, *ledger = str(refusal).splitlines()
    console.print(f"\nstopped before training: {head}", style="bold red")
    for line in ledger:
        console.print(line)
    if refusal.page:
        console.print(f"  the ledger as a page: {refusal.page}")
    console.print(f"  nothing was pushed; overview: {root / OVERVIEW_FILE}")


def _show_outcome(console: Console, run: Run, root: Path, seconds: float) -> None:
    from rich.table import Table

    release = run.release
    if release is None:
        console.print(f"\nno release gate in this run, {seconds:.0f} s")
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("weighed", "verdict", "effect", "why"):
            table.add_column(heading)
        for item in release.release.weighed:
            table.add_row(item.name, str(item.verdict), item.weight, item.reason)
        console.print()
        console.print(table)
        for finding in release.findings:
            if finding.check == "waived":
                console.print(f"  {finding.message}")
        word = "released" if release.release.blessed else "not released"
        style = "bold green" if release.release.blessed else "bold red"
        console.print(f"\n{word} ({release.verdict}), {seconds:.0f} s", style=style)
    console.print(f"model     {_pushed(run, root)}")
    for node in _changed_copies(run):
        console.print(
            f"  what lies there is not the model that was released: {root / (node.page or '')}; "
            "--no-cache pushes it again",
            style="bold red",
        )
    console.print(f"overview  {root / OVERVIEW_FILE}")


def _changed_copies(run: Run) -> list[NodeRun]:
    """Nodes that found the pushed copy to be another model than was recorded: after the release decision."""
    return [node for node in run.nodes if node.kind == "PushValidator" and node.verdict == "fail"]


def _pushed(run: Run, root: Path) -> str:
    if run.pushed is None:
        return "not pushed"
    place = root / run.pushed
    # Pusher may have been served from the cache.
    return str(place) if place.exists() else f"{place} is no longer there; --no-cache pushes it again"

"""``tfx-trust provenance`` on a real run of the census pipeline."""

import shutil
from pathlib import Path

import pytest
from calls import Call
from command import CommandRun

from tfx_trust.components.provenance.answers import Answers, DataOf, Impact
from tfx_trust.components.provenance.differences import Diff
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.provenance.report import ProvenanceReport

pytestmark = pytest.mark.slow
ProvenanceCall = Call[ProvenanceReport]


def newest_record(root: Path) -> Path:
    """Folder of the record that ProvenanceTracker made last; what it left for a cached run lies beside."""
    records = (root / "artifacts/ProvenanceTracker/provenance_record").glob("*/record.json")
    return max((path.parent for path in records), key=lambda path: int(path.name))


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> ProvenanceCall:
    return Call("provenance", ProvenanceReport, monkeypatch, capsys, tmp_path)


@pytest.fixture
def moved(first_run: CommandRun, tmp_path: Path) -> tuple[Path, str]:
    """A copy of the run in another place, and how its places are rewritten."""
    root = tmp_path / "moved"
    shutil.copytree(first_run.root, root)
    return root, f"{first_run.root}={root}"


def test_the_record_of_the_command_is_that_of_the_tracker(
    call: ProvenanceCall, first_run: CommandRun
) -> None:
    store = first_run.root / "metadata.db"
    assert call("record", "--metadata", store, "--out", "record").status == 0
    made = Record.load(call.folder / "record")
    folder = newest_record(first_run.root)
    tracked = Record.load(folder)
    assert made.model == tracked.model
    for artifact in made.artifacts:
        assert artifact.tree == tracked.artifact(artifact.id).tree, artifact.uri
    assert [item.tree for item in made.sources] == [item.tree for item in tracked.sources]
    assert call("verify", "record").status == 0
    assert call("verify", folder).status == 0


def test_the_source_is_followed_to_the_copy_that_is_served(
    call: ProvenanceCall, first_run: CommandRun
) -> None:
    store = first_run.root / "metadata.db"
    done = call("query", "--metadata", store, "--impact", "UCI Adult", "--json", "-")
    assert done.status == 0, done.err
    (answer,) = Answers.model_validate_json(done.out).answers
    assert isinstance(answer, Impact)
    (model,) = answer.models
    assert (model.relation, model.blessed, model.copies[0].served) == ("trained", True, True)
    assert model.copies[0].version in first_run.served
    assert answer.unknowns == []
    assert {item.type for item in answer.held} >= {"Examples", "TransformGraph", "PushedModel"}
    assert not {item.type for item in answer.held} & {"TrustSnapshot", "TrustProvenanceRecord"}


def test_a_run_that_was_moved_is_asked_and_verified(call: ProvenanceCall, moved: tuple[Path, str]) -> None:
    root, prefix = moved
    more = ("--rewrite-prefix", prefix)
    done = call("query", "--metadata", root / "metadata.db", "--data-of", "latest", "--json", "-", *more)
    (answer,) = Answers.model_validate_json(done.out).answers
    assert isinstance(answer, DataOf)
    assert answer.record is not None
    assert answer.record.startswith(str(root))
    assert {item.known for item in [*answer.examples, *answer.sources]} == {"record"}
    folder = newest_record(root)
    assert call("verify", folder, *more).status == 0
    (examples,) = (root / "artifacts/CsvExampleGen/examples").iterdir()
    path = next(examples.glob("Split-train/*"))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    tampered = call("verify", folder, *more)
    assert tampered.status == 3
    assert path.name in tampered.out


def test_metrics_are_those_that_the_release_was_decided_by(
    call: ProvenanceCall, first_run: CommandRun, moved: tuple[Path, str]
) -> None:
    store = first_run.root / "metadata.db"
    done = call("diff", "latest", "latest", "--metadata", store, "--json", "-")
    found = Diff.model_validate_json(done.out)
    metrics = {item.name: item.a for item in found.metrics}
    assert metrics.keys() >= {"auc", "binary_accuracy"}
    assert found.same_model
    # Without ReleaseGate's report they are read from the Evaluator's results, if asked.
    root, prefix = moved
    shutil.rmtree(root / "artifacts/ReleaseGate")
    compare = ("diff", "latest", "latest", "--metadata", root / "metadata.db", "--json", "-")
    without = Diff.model_validate_json(call(*compare, "--rewrite-prefix", prefix).out)
    assert without.metrics == []
    assert any("--metrics" in text for text in without.unknowns)
    read = call(*compare, "--rewrite-prefix", prefix, "--metrics")
    assert {item.name: item.a for item in Diff.model_validate_json(read.out).metrics} == metrics

"""``tfx-trust run`` where a training would pass its budget."""

from pathlib import Path

import pytest

from tfx_trust.cli.main import main
from tfx_trust.components import BudgetExceeded, Verdict
from tfx_trust.components.page.run import NodeRun, Run
from tfx_trust.components.privacy.report import Ledger, LedgerEntry
from tfx_trust.components.provenance.keys import generate_key
from tfx_trust.pipelines import runner
from tfx_trust.pipelines.census import pipeline as census


def test_a_used_up_budget_shows_the_ledger_and_exits_with_3(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    here = LedgerEntry(run="", created="", artifact=None, spans=[], epsilon=3.0, delta=0.0, here=True)
    before = here.model_copy(update={"run": "published tables", "here": False, "epsilon": 19.0})
    refusal = BudgetExceeded(
        Ledger(
            source="census", entries=[before, here], total_before=19.0, total=22.0, delta=1e-5, budget=20.0
        )
    )
    refusal.page = "refused/1/report.html"
    node = NodeRun("PrivateTrainer", "PrivateTrainer", "failed", error=str(refusal).splitlines()[0])

    def run_pipeline(*_: object, **__: object) -> None:
        run = Run(pipeline="census", run_id="1", started=None, nodes=(node,), release=None, pushed=None)
        raise runner.PipelineFailed(run, {"PrivateTrainer": refusal})

    monkeypatch.setattr(runner, "run_pipeline", run_pipeline)
    monkeypatch.setattr(census, "_prepared", lambda root, scenario: str(tmp_path))
    monkeypatch.setattr(census, "create_pipeline", lambda **_: type("Empty", (), {"components": [node]}))
    monkeypatch.setattr(NodeRun, "id", "PrivateTrainer", raising=False)
    monkeypatch.setattr("sys.argv", ["tfx-trust", "run", "--root", str(tmp_path / "root")])
    with pytest.raises(SystemExit) as caught:
        main()
    screen = capfd.readouterr().out
    assert caught.value.code == 3
    assert "stopped before training: " in screen
    assert "published tables" in screen
    assert "refused/1/report.html" in screen


def test_a_pushed_copy_that_was_changed_is_told_and_exits_with_3(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    node = NodeRun("PushValidator", "PushValidator", "done", verdict=Verdict.FAIL, page="push/report.html")
    (tmp_path / "root" / "serving").mkdir(parents=True)
    run = Run(
        pipeline="census", run_id="1", started=None, nodes=(node,), release=None, pushed="serving", details={}
    )
    monkeypatch.setattr(runner, "run_pipeline", lambda *_, **__: run)
    monkeypatch.setattr(census, "_prepared", lambda root, scenario: str(tmp_path))
    monkeypatch.setattr(census, "create_pipeline", lambda **_: type("Empty", (), {"components": [node]}))
    monkeypatch.setattr(NodeRun, "id", "PushValidator", raising=False)
    monkeypatch.setattr("sys.argv", ["tfx-trust", "run", "--root", str(tmp_path / "root")])
    with pytest.raises(SystemExit) as caught:
        main()
    screen = capfd.readouterr().out.replace("\n", "")
    assert caught.value.code == 3
    assert "not the model that was released" in screen
    assert "push/report.html" in screen


def test_a_key_of_another_kind_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    public = generate_key(key)
    monkeypatch.setattr(runner, "run_pipeline", lambda *_, **__: pytest.fail("it ran"))
    monkeypatch.setattr(
        "sys.argv", ["tfx-trust", "run", "--root", str(tmp_path / "root"), "--key", str(public)]
    )
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "a public key, where the private key is needed" in capfd.readouterr().err

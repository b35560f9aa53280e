"""Shadow models: what they are trained on, whether rows are matched, and what happens if they fail."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from leaky import write_rows
from memorizing import SPEC, people, save_memory, shift
from tfx.types import standard_artifacts
from transform_graphs import save_transform_graph

from tfx_trust.components.model import ExampleModel
from tfx_trust.components.privacy import shadow
from tfx_trust.components.privacy.audit_reader import Reader, kinds_of
from tfx_trust.components.privacy.config import AuditSettings
from tfx_trust.components.privacy.report import (
    Guarantee,
    Mechanism,
    PrivacyReport,
    PrivacySection,
)
from tfx_trust.components.privacy.sampled import sample_records
from tfx_trust.components.privacy.shadow import (
    ShadowError,
    Training,
    halves,
    private_settings,
    shadow_scores,
)

MEMBERS, OTHERS = range(120), range(120, 200)


def attacked(
    folder: Path, *, run_fn: str, graph: str | None = None, most: int = 1000, **properties: Any
) -> tuple[np.ndarray, np.ndarray]:
    files = (
        [
            write_rows(folder / "train" / f"data-{part}.gz", people(0, len(MEMBERS))[part::3])
            for part in range(3)
        ],
        [write_rows(folder / "eval" / "data.gz", people(len(MEMBERS), len(OTHERS)))],
    )
    settings = AuditSettings(label="label", shadow_models=4)
    model = ExampleModel(save_memory(folder / "model", MEMBERS))
    reader = Reader(model, kinds_of({"train": files[0], "eval": files[1]}, settings, None), settings)
    samples = tuple(sample_records(some, most, 1) for some in files)
    inputs = {}
    if graph is not None:
        inputs["transform_graph"] = [standard_artifacts.TransformGraph()]
        inputs["transform_graph"][0].uri = graph
    custom = {"notes": str(folder / "notes.jsonl"), **properties.pop("custom_config", {})}
    return shadow_scores(
        files,
        samples,
        tuple(reader.outputs(sample.records, "") for sample in samples),
        training=Training(
            {
                "run_fn": f"memorizing.{run_fn}",
                "train_args": "{}",
                "eval_args": "{}",
                "custom_config": json.dumps(custom),
                **properties,
            },
            inputs,
        ),
        reader=reader,
        settings=settings,
        folder=str(folder / "scratch"),
    )


def notes(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "notes.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Done:
    folder: Path
    graph: str
    members: np.ndarray
    others: np.ndarray


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("shadows")
    graph = save_transform_graph(folder / "graph", people(0, 10), SPEC, shift)
    scores = attacked(
        folder,
        run_fn="memorize",
        graph=graph,
        train_args='{"splits": ["training"], "num_steps": 7}',
        custom_config={"width": 3},
    )
    return Done(folder, graph, *scores)


def test_members_are_told_for_certain_by_models_that_remember(done: Done) -> None:
    assert (len(done.members), len(done.others)) == (len(MEMBERS), len(OTHERS))
    # One example in the place of another would be a wrong answer of some shadow model.
    assert done.members.min() > 5
    assert done.others.max() < -5


def test_a_sample_is_found_again_in_the_pool(tmp_path: Path) -> None:
    members, others = attacked(tmp_path, run_fn="memorize", most=70)
    assert (len(members), len(others)) == (70, 70)
    assert members.min() > 5
    assert others.max() < -5


def test_each_trains_on_half_and_evaluates_with_the_rest(done: Done) -> None:
    told = notes(done.folder)
    assert len(told) == 4
    for note in told:
        assert note["train"] + note["eval"] == len(MEMBERS) + len(OTHERS)
        assert 70 < note["train"] < 130
        assert note["both"] == 0
        assert note["custom_config"] == {"notes": str(done.folder / "notes.jsonl"), "width": 3}
        assert note["train_steps"] == 7
        assert note["transform"] == done.graph
    assert sum(note["train"] for note in told) == 2 * (len(MEMBERS) + len(OTHERS))


def test_nothing_is_left_of_the_models(done: Done) -> None:
    assert [path.name for path in (done.folder / "scratch").iterdir()] == ["pool"]


def test_one_that_fails_is_named_but_not_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    logged: list[str] = []
    # Loading TensorFlow's models changes what absl lets through.
    monkeypatch.setattr(shadow.logging, "info", lambda text, *values: logged.append(text % values))
    with pytest.raises(ShadowError) as told:
        attacked(tmp_path, run_fn="fail_at_second")
    assert str(told.value).startswith(
        "shadow model 2 of 4: its training failed (RuntimeError in memorizing.py"
    )
    assert any(text.startswith("Audit: shadow model 1 of 4 is trained on 1") for text in logged)
    captured = capfd.readouterr()
    assert "Jane" not in str(told.value) + str(logged) + captured.out + captured.err


def test_each_example_is_in_half_of_the_models_and_these_are_random() -> None:
    inside = halves(8, 70_000, 1)
    assert (inside.sum(axis=0) == 4).all()
    assert abs(inside.mean(axis=1) - 0.5).max() < 0.01
    together = np.corrcoef(inside.astype(float))
    # Of what is in half of 8 models, two are in the same with a probability of 3 in 7.
    assert abs(together[~np.eye(8, dtype=bool)] + 1 / 7).max() < 0.02
    assert (halves(8, 70_000, 1) == inside).all()
    assert (halves(8, 70_000, 2) != inside).any()
    assert set(halves(5, 100, 1).sum(axis=0)) == {2}


# Private training


def report_of(settings: dict[str, Any], *, noise: float | None = 1.5) -> PrivacyReport:
    mechanisms = [] if noise is None else [Mechanism(what="training", noise_multiplier=noise, examples=1000)]
    guarantee = Guarantee(epsilon=3.0, delta=1e-4, adjacency="add_or_remove_one", accountant="pld")
    return PrivacyReport(
        component="PrivateTrainer",
        settings=settings,
        privacy=PrivacySection(guarantee=guarantee, scope="pipeline", mechanisms=mechanisms),
    )


def test_the_noise_of_a_private_training_is_that_of_the_audited_one() -> None:
    settings = {"epsilon": 3.0, "epochs": 4, "batch_size": 32, "public": ["x"], "label": "label"}
    given = private_settings(report_of(settings), 700, 1000)
    assert (given["epsilon"], given["noise_multiplier"]) == (None, 1.5)
    assert (given["epochs"], given["batch_size"], given["examples"], given["delta"]) == (4, 32, None, None)
    assert "public" not in given


def test_numbers_that_depend_on_how_many_examples_there_are_follow() -> None:
    settings = {"epsilon": 3.0, "epochs": 4, "examples": 900, "delta": 9.9e-4}
    given = private_settings(report_of(settings), 500, 1000)
    assert (given["examples"], given["delta"]) == (450, 9.9e-4)
    assert private_settings(report_of(settings), 1100, 1000)["delta"] is None


def test_without_a_known_noise_the_target_is_kept() -> None:
    given = private_settings(report_of({"epsilon": 3.0, "epochs": 4}, noise=None), 700, 1000)
    assert (given["epsilon"], given["noise_multiplier"]) == (3.0, None)

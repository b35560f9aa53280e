"""The notebooks: as committed they hold no results, and run they show the results that they tell of."""

import html
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
the_pipeline_notebook = pytest.mark.parametrize(
    "executed", [path for path in NOTEBOOKS if path.stem == "pipeline"], ids=["pipeline"], indirect=True
)
the_privacy_notebook = pytest.mark.parametrize(
    "executed", [path for path in NOTEBOOKS if path.stem == "privacy"], ids=["privacy"], indirect=True
)
the_provenance_notebook = pytest.mark.parametrize(
    "executed", [path for path in NOTEBOOKS if path.stem == "provenance"], ids=["provenance"], indirect=True
)


class ThisInterpreter(KernelSpecManager):
    """Knows one kernel, the interpreter of the tests, so that none has to be installed by name."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name=kernel_name,
            language="python",
        )


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """A notebook with its results. If a cell raises, its traceback is the error of each test that asks."""
    notebook = nbformat.read(request.param, nbformat.NO_CONVERT)
    folder = tmp_path_factory.mktemp(request.param.stem)
    manager = AsyncKernelManager(kernel_spec_manager=ThisInterpreter())
    client = NotebookClient(notebook, km=manager, timeout=900)
    return client.execute(cwd=str(folder), env={**os.environ, "TMPDIR": str(folder)})


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def result(notebook: NotebookNode, cell_id: str, form: str) -> str:
    """What the last expression of a cell was shown as."""
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    (output,) = (output for output in cell.outputs if output.output_type == "execute_result")
    return output.data[form]


def printed(notebook: NotebookNode, cell_id: str) -> str:
    """What a cell printed."""
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


def numbers(text: str) -> list[float]:
    """The decimal fractions in a text."""
    return [float(number) for number in re.findall(r"\d+\.\d+(?:e-?\d+)?", text)]


def headline(shown: str) -> str:
    """The headline of a report shown inline: a page within a frame, hence escaped."""
    (heading,) = re.findall(r"<h1>(.*?)</h1>", html.unescape(shown), flags=re.DOTALL)
    return re.sub(r"<svg.*?</svg>|<[^>]*>", "", heading, flags=re.DOTALL).strip()


@every_notebook
def test_a_committed_notebook_is_valid_nbformat_for_any_python_kernel(path: Path) -> None:
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"


@every_notebook
def test_a_committed_notebook_holds_no_results(path: Path) -> None:
    for cell in code_cells(nbformat.read(path, nbformat.NO_CONVERT)):
        assert not cell.outputs, cell.id
        assert cell.execution_count is None, cell.id


@every_notebook
def test_a_committed_notebook_names_no_path_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"/(?:home|root|tmp|usr|var|opt|mnt|srv|work|Users)/\S*|[A-Z]:\\\\\S*", text)


@pytest.mark.slow
def test_a_notebook_runs_to_its_end(executed: NotebookNode) -> None:
    cells = code_cells(executed)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@pytest.mark.slow
def test_a_notebook_shows_results_and_no_log(executed: NotebookNode) -> None:
    outputs = [output for cell in code_cells(executed) for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@pytest.mark.slow
@the_pipeline_notebook
def test_the_reports_of_the_gates_are_shown_inline(executed: NotebookNode) -> None:
    assert headline(result(executed, "gate", "text/html")) == "Pass"
    assert headline(result(executed, "release-gate", "text/html")) == "Released"


@pytest.mark.slow
@the_pipeline_notebook
def test_a_refusal_is_shown_with_who_objects(executed: NotebookNode) -> None:
    refused = result(executed, "veto", "text/html")
    assert headline(refused) == "Not released"
    assert "Blocked by latency." in refused


@pytest.mark.slow
@the_pipeline_notebook
def test_the_released_model_answers_with_a_probability(executed: NotebookNode) -> None:
    probability = float(result(executed, executed.cells[-1].id, "text/plain"))
    assert 0 < probability < 1


@pytest.mark.slow
@the_privacy_notebook
def test_shuffled_batches_cost_many_times_what_poisson_batches_do(executed: NotebookNode) -> None:
    _, *rows = printed(executed, "noise").splitlines()
    cost = {row.split()[0] + row.split()[1]: numbers(row) for row in rows}
    assert len(cost) == 4
    for tight, bound in cost.values():
        assert tight < bound < 1.2 * tight
    assert cost["poisson,add_or_remove_one"][0] == pytest.approx(2.24, abs=0.02)
    assert cost["poisson,replace_one"][0] > cost["poisson,add_or_remove_one"][0]
    for adjacency in ("add_or_remove_one", "replace_one"):
        assert cost[f"shuffle,{adjacency}"][0] > 10 * cost[f"poisson,{adjacency}"][0]
    poisson, shuffled = numbers(printed(executed, "calibrate"))
    assert poisson < 1 < 6 < shuffled


@pytest.mark.slow
@the_privacy_notebook
def test_the_private_model_keeps_its_target_and_most_of_the_quality(executed: NotebookNode) -> None:
    plain, private = numbers(printed(executed, "train"))
    assert 0.87 < plain < 0.92
    assert 0.85 < private < 0.92
    told = printed(executed, "guarantee")
    epsilon, delta, *_ = numbers(told)
    assert 2.99 <= epsilon <= 3.0
    assert 0 < delta < 1 / 8_000
    assert re.search(r"\d+ steps by poisson sampling", told)
    assert told.count("ghost norms") == 3
    refusal = printed(executed, "refused")
    assert "'norm' (BatchNormalization) cannot be trained privately" in refusal
    assert "GroupNormalization" in refusal


@pytest.mark.slow
@the_privacy_notebook
def test_the_claim_of_the_plain_model_is_falsified_and_that_of_the_private_one_is_not(
    executed: NotebookNode,
) -> None:
    assert headline(result(executed, "audit", "text/html")).startswith("Falsified")
    assert headline(result(executed, "audit-private", "text/html")).startswith("Not falsified")
    bounds = re.findall(r"at least (\S+) \(ceiling (\S+)\), claimed is (\S+)", printed(executed, "bounds"))
    (plain, ceiling, claimed), (private, same, epsilon) = [[float(item) for item in row] for row in bounds]
    assert claimed < plain < ceiling == same
    assert private < min(plain, epsilon) < ceiling


@pytest.mark.slow
@the_privacy_notebook
def test_the_likelihood_ratio_attack_finds_more_than_the_loss_does(executed: NotebookNode) -> None:
    found = {row.split()[0]: numbers(row) for row in printed(executed, "lira").splitlines()}
    for stronger, weaker in zip(found["lira"], found["loss"]):
        assert stronger > weaker


@pytest.mark.slow
@the_privacy_notebook
def test_the_same_people_pass_the_budget_and_new_ones_do_not(executed: NotebookNode) -> None:
    told = printed(executed, "budget")
    before, total, thrice = numbers(told.splitlines()[0])
    assert before < 5 < total < thrice
    assert "of a budget of 5" in told
    assert told.count("training 1") == told.count("training 2") == 1
    assert printed(executed, "spans").endswith("of a budget of 5, exceeded: False\n")


@pytest.mark.slow
@the_provenance_notebook
def test_one_flipped_bit_is_named_and_tfx_alone_does_not_notice(executed: NotebookNode) -> None:
    assert printed(executed, "verify").startswith("intact")
    told = printed(executed, "tamper")
    assert "cached: CsvExampleGen, ShareTrainer, Pusher" in told
    assert "Split-train/data_tfrecord-00000-of-00001.gz was changed" in told
    assert told.endswith("[exit status 3]\n")


@pytest.mark.slow
@the_provenance_notebook
def test_a_licence_that_forbids_the_use_fails_and_one_that_allows_it_does_not(
    executed: NotebookNode,
) -> None:
    assert headline(result(executed, "page", "text/html")) == "Warning"
    forbidden, allowed = printed(executed, "declare").split("[exit status 3]")
    assert "must not be used commercially (CC-BY-NC-4.0)" in forbidden
    assert "may be used for research, and the model is for lending" in forbidden
    assert allowed.endswith("[exit status 0]\n")


@pytest.mark.slow
@the_provenance_notebook
def test_in_the_pipeline_changed_bytes_are_made_anew_and_equal_ones_are_not(executed: NotebookNode) -> None:
    first, second = printed(executed, "inside").split("\n\n")
    assert "cached: nothing" in first
    assert "ran:    nothing" in second
    told = printed(executed, "again")
    assert re.search(r"was changed after .+, when it was last seen as it was, and before", told)
    assert told.endswith("cached: nothing\n")


@pytest.mark.slow
@the_provenance_notebook
def test_the_pushed_copy_carries_what_it_can_be_checked_by(executed: NotebookNode) -> None:
    assert headline(result(executed, "pushed", "text/html")) == "Pass"
    told = printed(executed, "copy")
    for name in ("model.sig", "provenance.dsse.json", "record.json", "signing.pub"):
        assert f"assets.extra/provenance/{name}" in told
    assert "intact" in told
    assert "withdraw  Withdraw serving/" in printed(executed, "impact")

"""The README's code, as a user would copy it."""

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [
    path
    for pattern in ("*.md", "docs/*.md", "components/*/*.md", "pipelines/census/data/*.md")
    for path in ROOT.glob(pattern)
]


def block(first_line: str) -> str:
    return next(
        code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if code.startswith(first_line)
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's project that has what the README's example names."""
    package = tmp_path / "my_project"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "features.py").write_text("def preprocessing_fn(inputs): ...\n")
    (package / "model.py").write_text("def run_fn(fn_args): ...\n")
    (package / "gates.py").write_text(block("# my_project/gates.py"))
    (tmp_path / "schema.pbtxt").write_text('feature { name: "defaulted" type: INT }\n')
    for split in ("train", "eval"):
        (tmp_path / "data" / split).mkdir(parents=True)
        (tmp_path / "data" / split / "a.csv").write_text("defaulted\n1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "my_project"]:
        del sys.modules[name]


def test_the_pipeline_of_ones_own_composes_in_about_fifteen_lines(project: Path) -> None:
    code = block("# pipeline.py")
    (project / "pipeline.py").write_text(code)
    pipeline = runpy.run_path(str(project / "pipeline.py"))["pipeline"]
    assert {"SizeGate", "ReleaseGate", "Pusher"} <= {node.id for node in pipeline.components}
    composing = code.partition("pipeline = ")[2].partition("if __name__")[0]
    assert len(composing.splitlines()) <= 15


@pytest.mark.parametrize(("most_mb", "verdict"), [(1.0, "pass"), (0.001, "fail")])
def test_the_gate_of_ones_own_judges(project: Path, most_mb: float, verdict: str) -> None:
    from my_project.gates import SizeGate  # type: ignore[import-not-found]
    from tfx.types import standard_artifacts

    from tfx_trust.components import TrustReport, read_report

    model, report = standard_artifacts.Model(), TrustReport()
    model.uri, report.uri = str(project / "model"), str(project / "report")
    (project / "model").mkdir()
    (project / "model" / "weights").write_bytes(bytes(5000))
    SizeGate.test_call(model=model, size_report=report, most_mb=most_mb)
    assert str(read_report(report).verdict) == verdict


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"

"""``tfx-trust privacy audit`` as a user calls it, on plain files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from calls import HEAVY, Call, modules_after, write_csv

from tfx_trust.components.privacy.report import AuditReport

AuditCall = Call[AuditReport]
Columns = dict[str, list[Any]]

BASIC = ("--loss", "loss", "--member", "member")
CLAIM = ("--epsilon", "2", "--delta", "1e-5")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> AuditCall:
    """Calls ``tfx-trust privacy`` in this process, in a folder of its own."""
    return Call("privacy", AuditReport, monkeypatch, capsys, tmp_path)


def losses(
    less: float = 0.0, *, small: float = 0.0, canary_less: float | None = None, seed: int = 1
) -> Columns:
    """Losses of 900 members and 900 others; those of members are less, and more so in a small town."""
    rng = np.random.default_rng(seed)
    member = np.repeat([1, 0], 900)
    town = np.where(np.arange(1800) % 6 == 0, "small", "big")
    loss = rng.normal(3, 0.5, 1800) - member * np.where(town == "small", less + small, less)
    columns: Columns = {
        "loss": loss.tolist(),
        "member": member.tolist(),
        "town": town.tolist(),
        "age": [20.5 + number % 50 for number in range(1800)],
        "ratio": (rng.normal(0, 1, 1800) + member).tolist(),
        "canary": [None] * 1800,
    }
    if canary_less is not None:
        tosses = rng.random(600) < 0.5
        more = {
            "loss": (rng.normal(3, 0.5, 600) - canary_less * tosses).tolist(),
            "member": [None] * 600,
            "town": ["big"] * 600,
            "age": [40.5] * 600,
            "ratio": [0.0] * 600,
            "canary": tosses.astype(int).tolist(),
        }
        columns = {name: [*values, *more[name]] for name, values in columns.items()}
    return columns


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Losses of a model that remembers its training, as CSV."""
    return write_csv(tmp_path / "leaky.csv", losses(0.6, canary_less=5.0))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The same without canaries."""
    return write_csv(tmp_path / "plain.csv", losses(0.6))


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    """Losses of a model that does not, as CSV."""
    return write_csv(tmp_path / "quiet.csv", losses(canary_less=0.0))


# Verdicts


def test_a_model_that_remembers_fails_and_refutes_its_claim(call: AuditCall, leaky: Path) -> None:
    done = call("audit", leaky, *BASIC, *CLAIM, "--canary-included", "canary", "--json", "-")
    assert done.status == 3
    assert done.err == ""
    section = done.report.audit
    assert section.falsified
    assert (section.members, section.others, section.level) == (900, 900, 0.95)
    assert section.canaries is not None
    assert section.canaries.count == 600
    assert section.canaries.epsilon > 4
    assert section.claim is not None
    assert (section.claim.epsilon, section.claim.delta) == (2.0, 1e-5)
    # Of losses 0.6 apart with a deviation of 0.5 each.
    assert section.attacks[0].auc.value == pytest.approx(0.802, abs=0.025)
    assert {item.check for item in done.report.findings if item.severity == "fail"} == {
        "claim_falsified",
        "membership_inference",
    }
    assert [item.uri for item in done.report.inputs["losses"]] == [str(leaky)]


def test_a_model_that_does_not_is_not_falsified(call: AuditCall, quiet: Path) -> None:
    done = call("audit", quiet, *BASIC, *CLAIM, "--canary-included", "canary")
    assert done.status == 0
    assert "Not falsified: the claimed guarantee (epsilon 2 at delta 1e-05" in done.out
    assert done.out.rstrip().endswith("900 members, 900 others, 600 canaries")
    assert "passed" not in done.out


def test_what_so_few_examples_do_not_settle_is_undecided(call: AuditCall, tmp_path: Path) -> None:
    few = {name: values[850:950] for name, values in losses(1.0).items()}
    done = call("audit", write_csv(tmp_path / "few.csv", few), *BASIC)
    assert done.status == 4
    assert "at least 100 of each are needed" in done.out


def test_a_higher_limit_allows_more(call: AuditCall, plain: Path) -> None:
    done = call("audit", plain, *BASIC, "--max-auc", "0.9", "--level", "0.99", "--json", "-")
    assert done.status == 0
    assert done.report.audit.attacks[0].auc.level == 0.99
    assert done.report.audit.claim is None
    assert done.report.settings["max_auc"] == 0.9
    assert done.report.settings["columns"] == {"loss": "loss"}
    assert "label" not in done.report.settings


def test_a_small_group_that_is_exposed_is_found(call: AuditCall, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "town.csv", losses(small=0.7))
    assert call("audit", path, *BASIC).status == 0
    done = call(
        "audit",
        path,
        *BASIC,
        "--slice",
        "town",
        "--slice",
        "town,age",
        "--bucket",
        "age=45",
        "--json",
        "-",
    )
    assert done.status == 3
    slices = [item.slice for item in done.report.audit.slices if item.verdict == "fail"]
    assert slices == [{"town": "small"}]
    assert {"age": "< 45", "town": "big"} in [item.slice for item in done.report.audit.slices]


# Files


def test_every_format_and_way_to_write_membership_gives_the_same_report(
    call: AuditCall, leaky: Path, tmp_path: Path
) -> None:
    columns = losses(0.6, canary_less=5.0)
    truth = {1: "Yes", 0: "no", None: None}
    worded = {**columns, "member": [truth[item] for item in columns["member"]]}
    write_csv(tmp_path / "worded.csv", worded)
    booleans = {**columns, "member": [None if item is None else item == 1 for item in columns["member"]]}
    parquet.write_table(pa.table(booleans), tmp_path / "a.parquet")
    for number, part in enumerate((slice(0, 700), slice(700, None))):
        folder = tmp_path / "parts"
        folder.mkdir(exist_ok=True)
        write_csv(folder / f"{number}.csv", {name: values[part] for name, values in columns.items()})
    options = (*BASIC, *CLAIM, "--canary-included", "canary", "--slice", "town", "--json", "-")
    expected = call("audit", leaky, *options)
    for other in ("worded.csv", "a.parquet", "parts"):
        done = call("audit", other, *options)
        assert done.err == ""
        assert done.report.audit == expected.report.audit, other


def test_entropy_counts_like_a_loss_and_ratios_the_other_way(
    call: AuditCall, leaky: Path, tmp_path: Path
) -> None:
    columns = losses(0.6)
    path = write_csv(tmp_path / "more.csv", {**columns, "entropy": columns["loss"]})
    done = call("audit", path, *BASIC, "--score", "lira=ratio", "--score", "entropy=entropy", "--json", "-")
    found = {item.name: item.auc.value for item in done.report.audit.attacks}
    assert found["loss"] == found["entropy"]
    assert found["lira"] > 0.7
    # By likelihood ratio where there is one.
    sliced = call("audit", path, *BASIC, "--score", "lira=ratio", "--slice", "town", "--json", "-")
    assert {item.attack for item in sliced.report.audit.slices} == {"lira"}


def test_settings_come_from_a_file_and_options_go_before_them(
    call: AuditCall, plain: Path, tmp_path: Path
) -> None:
    claim = {"epsilon": 1.0, "delta": 1e-6}
    (tmp_path / "s.json").write_text(json.dumps({"claim": claim, "max_auc": 0.95, "rates": [0.05]}))
    done = call("audit", plain, *BASIC, "--settings", "s.json", "--json", "-")
    assert done.report.audit.claim is not None
    assert done.report.audit.claim.model_dump() == claim
    assert [item.false_positive_rate for item in done.report.audit.attacks[0].rates] == [0.05]
    done = call("audit", plain, *BASIC, *CLAIM, "--settings", "s.json", "--json", "-")
    assert done.report.audit.claim is not None
    assert done.report.audit.claim.epsilon == 2.0


def test_report_and_page_are_written_where_asked(call: AuditCall, plain: Path, tmp_path: Path) -> None:
    done = call("audit", plain, *BASIC, "--json", "a.json", "--html", "a.html")
    assert done.status == 3
    assert AuditReport.load(tmp_path / "a.json").component == "PrivacyAuditor"
    assert "gives away who was in its training data" in (tmp_path / "a.html").read_text()
    assert "report  a.json" in done.out


def test_no_tensorflow_is_loaded(quiet: Path, tmp_path: Path) -> None:
    arguments = (
        "privacy",
        "audit",
        str(quiet),
        *BASIC,
        *CLAIM,
        "--canary-included",
        "canary",
        "--slice",
        "town",
    )
    assert not modules_after(tmp_path, *arguments) & set(HEAVY)


# Bad input


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--loss", "los", "--member", "member"), 2, "unknown column of a.csv 'los': known are"),
        ((*BASIC, "--epsilon", "3"), 2, "--epsilon is that of a claimed guarantee: give its --delta too"),
        ((*BASIC, "--delta", "1e-5"), 2, "--delta is that of a claimed guarantee: give its --epsilon too"),
        (
            (*BASIC, ("--epsilon"), ("0"), ("--delta"), ("0")),
            2,
            "Claim: epsilon: Input should be greater than 0, found 0",
        ),
        ((*BASIC, "--max-auc", "0.5"), 2, "max_auc: Input should be greater than 0.5, found 0.5"),
        ((*BASIC, "--slice", "town,"), 2, "--slice 'town,': a name is empty; give F or F,F"),
        ((*BASIC, "--slice", "twon"), 2, "did you mean 'town'?"),
        ((*BASIC, "--slice", "loss"), 2, "column 'loss' is named by --loss and by --slice; it is no feature"),
        (("--loss", "loss", "--member", "loss"), 2, "column 'loss' is named by --member and by --loss"),
        ((*BASIC, "--score", "lira"), 2, "--score 'lira': expected NAME=COLUMN, e.g. lira=likelihood_ratio"),
        (
            (*BASIC, ("--score"), ("lirra=ratio")),
            2,
            "unknown attack of --score 'lirra': known are confidence, entropy",
        ),
        ((*BASIC, "--score", "loss=ratio"), 2, "there is a column for loss already"),
        ((*BASIC, "--bucket", "age=a,b"), 2, "--bucket 'age=a,b': an edge is no number"),
        (("--loss", "town", "--member", "member"), 1, "column 'town' is string; numbers are needed"),
        (("--loss", "loss", "--member", "age"), 1, "column 'age' holds something else than 1 and 0"),
        ((*BASIC, "--canary-included", "canary"), 1, "column 'canary' is empty everywhere"),
    ],
)
def test_wrong_usage_is_answered_with_what_to_do(
    call: AuditCall, tmp_path: Path, options: tuple[str, ...], status: int, message: str
) -> None:
    write_csv(tmp_path / "a.csv", losses())
    done = call("audit", "a.csv", *options)
    assert (done.status, done.out) == (status, "")
    assert message in done.err


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        ("loss", (), "column 'loss' has no number in 2 rows, the first of them example 3; leave these"),
        (
            "member",
            (),
            "column 'member' is empty in 2 rows, the first of them example 3; say of each example",
        ),
    ],
)
def test_missing_values_are_refused(
    call: AuditCall, tmp_path: Path, column: str, options: tuple[str, ...], message: str
) -> None:
    columns = losses()
    columns[column][2] = columns[column][7] = None
    write_csv(tmp_path / "a.csv", columns)
    done = call("audit", "a.csv", *BASIC, *options)
    assert done.status == 1
    assert message in done.err


def test_members_alone_are_not_enough(call: AuditCall, tmp_path: Path) -> None:
    members = {name: values[:900] for name, values in losses().items()}
    done = call("audit", write_csv(tmp_path / "a.csv", members), *BASIC)
    assert done.status == 4
    assert "900 members and 0 other examples" in done.out


def test_tosses_that_no_fair_coin_gives_are_refused(call: AuditCall, tmp_path: Path) -> None:
    columns = losses(canary_less=1.0)
    columns["canary"] = [None if item is None else 1 for item in columns["canary"]]
    done = call("audit", write_csv(tmp_path / "a.csv", columns), *BASIC, "--canary-included", "canary")
    assert done.status == 1
    assert "600 of 600 canaries were trained on: no fair coin gives that" in done.err


def test_other_files_are_refused(call: AuditCall, tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(b"x")
    done = call("audit", "a.tfrecord", *BASIC)
    assert done.status == 2
    assert "losses are read from CSV or Parquet" in done.err
    assert call("audit", "none.csv", *BASIC).status == 1

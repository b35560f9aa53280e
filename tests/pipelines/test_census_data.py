import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tfx_trust.pipelines.census import data

Row = tuple[str, ...]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data.prepare(tmp_path_factory.mktemp("census"))


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, list[Row]]:
    """The CSV files' lines without the header; no value has a comma or quotes."""
    return {
        split: [
            tuple(line.split(",")) for line in (folder / split / "adult.csv").read_text().splitlines()[1:]
        ]
        for split in data.SPLITS
    }


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def column(rows: list[Row], name: str) -> list[str]:
    position = data.COLUMNS.index(name)
    return [row[position] for row in rows]


@pytest.mark.parametrize(
    ("split", "examples", "positives"), [("train", 32_561, 7_841), ("eval", 16_281, 3_846)]
)
def test_every_published_example_is_there(
    rows: dict[str, list[Row]], split: str, examples: int, positives: int
) -> None:
    assert len(rows[split]) == examples
    assert {len(row) for row in rows[split]} == {15}
    assert Counter(column(rows[split], "over_50k")) == {"1": positives, "0": examples - positives}


def test_the_header_names_the_columns(folder: Path) -> None:
    for split in data.SPLITS:
        with (folder / split / "adult.csv").open() as lines:
            assert next(lines) == ",".join(data.COLUMNS) + "\n"


def test_values_have_no_spaces_and_unknown_ones_stay(rows: dict[str, list[Row]]) -> None:
    train = rows["train"]
    assert all(value == value.strip() for row in train for value in row)
    unknown = {name: column(train, name).count("?") for name in data.COLUMNS if "?" in column(train, name)}
    assert unknown == {"workclass": 1_836, "occupation": 1_843, "native_country": 583}


def test_splits_stay_as_published(rows: dict[str, list[Row]]) -> None:
    first = "39,State-gov,77516,Bachelors,13,Never-married,Adm-clerical,Not-in-family,White,Male,2174,0,40"
    assert rows["train"][0] == (*first.split(","), "United-States", "0")
    first = "25,Private,226802,11th,7,Never-married,Machine-op-inspct,Own-child,Black,Male,0,0,40"
    assert rows["eval"][0] == (*first.split(","), "United-States", "0")


@pytest.mark.parametrize(
    ("left_out", "distinct_train", "distinct_eval", "eval_in_train", "train_in_eval"),
    [
        ((), 32_537, 16_276, 23, 25),
        ((data.LABEL,), 32_536, 16_275, 26, 28),
        ((data.WEIGHT,), 29_096, 15_259, 2_586, 3_658),
        ((data.WEIGHT, data.LABEL), 28_492, 15_032, 2_979, 4_311),
    ],
)
def test_known_overlap_of_the_splits(
    rows: dict[str, list[Row]],
    left_out: tuple[str, ...],
    distinct_train: int,
    distinct_eval: int,
    eval_in_train: int,
    train_in_eval: int,
) -> None:
    kept = [position for position, name in enumerate(data.COLUMNS) if name not in left_out]
    train, evaluation = ([tuple(row[i] for i in kept) for row in rows[split]] for split in ("train", "eval"))
    seen, held_out = set(train), set(evaluation)
    assert (len(seen), len(held_out)) == (distinct_train, distinct_eval)
    assert sum(row in seen for row in evaluation) == eval_in_train
    assert sum(row in held_out for row in train) == train_in_eval


def test_preparing_again_touches_nothing(tmp_path: Path) -> None:
    data.prepare(tmp_path)
    changed = tmp_path / "eval" / "adult.csv"
    os.utime(changed, (1, 1))
    before = files(tmp_path)
    data.prepare(tmp_path)
    assert files(tmp_path) == before


def test_two_folders_are_alike_to_the_modification_times(folder: Path, tmp_path: Path) -> None:
    assert files(data.prepare(str(tmp_path / "new" / "one"))) == files(folder)
    assert sorted(files(folder)) == ["eval/adult.csv", "source.yaml", "train/adult.csv"]


def test_a_changed_file_is_written_again(folder: Path, tmp_path: Path) -> None:
    data.prepare(tmp_path)
    with (tmp_path / "train" / "adult.csv").open("a") as file:
        file.write("one line more\n")
    data.prepare(tmp_path)
    assert files(tmp_path) == files(folder)


def test_a_changed_byte_in_a_bundled_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = tmp_path / "bundled"
    shutil.copytree(Path(data.__file__).parent, bundled)
    monkeypatch.setattr(data, "_BUNDLED", bundled)
    content = bytearray((bundled / "adult.test.gz").read_bytes())
    content[1000] ^= 1
    (bundled / "adult.test.gz").write_bytes(content)
    expected = "8a2c1bffa6e7ce5abfa43881ae5e87c4311ebc2b3cd526c9c40a43f19f06f799"
    with pytest.raises(
        ValueError, match=rf"adult\.test\.gz.*expected SHA-256 {expected}, found [0-9a-f]{{64}}"
    ):
        data.prepare(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_bundled_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = tmp_path / "bundled"
    shutil.copytree(Path(data.__file__).parent, bundled)
    monkeypatch.setattr(data, "_BUNDLED", bundled)
    (bundled / "adult.names").unlink()
    with pytest.raises(ValueError, match=r"adult\.names is not the published file: .*, found no such file"):
        data.prepare(tmp_path / "out")

"""The census data, made once for all leakage tests."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from leaky import census_table, example, write_records

SPLITS = ("train", "eval")


@pytest.fixture(scope="session")
def census() -> dict[str, pa.Table]:
    return {split: census_table(split) for split in SPLITS}


@pytest.fixture(scope="session")
def census_records(
    census: dict[str, pa.Table], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """As compressed TFRecords, train in two files."""
    folder = tmp_path_factory.mktemp("records")
    files = {}
    for split, table in census.items():
        records = [example(row) for row in table.to_pylist()]
        cut = len(records) // 2 if split == "train" else 0
        parts = [records[:cut], records[cut:]] if cut else [records]
        files[split] = [
            write_records(
                folder / f"Split-{split}" / f"data_tfrecord-0000{number}-of-0000{len(parts)}.gz", part
            )
            for number, part in enumerate(parts)
        ]
    return files


@pytest.fixture(scope="session")
def census_parquet(census: dict[str, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parquet")
    for split, table in census.items():
        parquet.write_table(table, folder / f"{split}.parquet")
    return {split: folder / f"{split}.parquet" for split in SPLITS}


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20)

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow_data_validation as tfdv

from tfx_trust import schemas
from tfx_trust.pipelines.census import data


@pytest.fixture(scope="module")
def schema() -> Any:
    return tfdv.load_schema_text(schemas.path("census.pbtxt"))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    folder = data.prepare(tmp_path_factory.mktemp("census"))
    return {split: pd.read_csv(folder / split / "adult.csv") for split in data.SPLITS}


def anomalies(frame: pd.DataFrame, schema: Any, environment: str) -> dict[str, str]:
    statistics = tfdv.generate_statistics_from_dataframe(frame)
    found = tfdv.validate_statistics(statistics, schema, environment=environment).anomaly_info
    return {name: info.short_description for name, info in found.items()}


def test_the_schema_has_the_columns_of_the_data(schema: Any) -> None:
    assert tuple(feature.name for feature in schema.feature) == data.COLUMNS


def test_every_feature_is_a_required_scalar(schema: Any) -> None:
    for feature in schema.feature:
        assert feature.presence.min_fraction == 1, feature.name
        assert feature.HasField("shape"), feature.name
        assert not feature.shape.dim, feature.name


@pytest.mark.parametrize("split", data.SPLITS)
def test_both_splits_are_without_an_anomaly(frames: dict[str, pd.DataFrame], schema: Any, split: str) -> None:
    assert anomalies(frames[split], schema, "TRAINING") == {}


@pytest.mark.parametrize("split", data.SPLITS)
def test_the_domains_cover_the_data(frames: dict[str, pd.DataFrame], schema: Any, split: str) -> None:
    strings = {domain.name: set(domain.value) for domain in schema.string_domain}
    for feature in schema.feature:
        values = frames[split][feature.name]
        if feature.domain:
            assert set(values) <= strings[feature.domain], feature.name
        else:
            bounds = feature.int_domain
            assert bounds.min <= values.min(), feature.name
            assert values.max() <= bounds.max or not bounds.max, feature.name


def test_the_string_domains_are_the_published_ones(schema: Any) -> None:
    names = (Path(data.__file__).with_name("adult.names")).read_text()
    published = {
        name.replace("-", "_"): values.split(", ")
        for name, values in re.findall(r"^([a-z-]+): (.*)\.$", names, re.MULTILINE)
        if values != "continuous"
    }
    for domain in schema.string_domain:
        assert [value for value in domain.value if value != "?"] == published.pop(domain.name), domain.name
    assert not published


def test_the_label_is_needed_in_training_and_absent_in_serving(
    frames: dict[str, pd.DataFrame], schema: Any
) -> None:
    unlabelled = frames["eval"].drop(columns=data.LABEL)
    assert anomalies(unlabelled, schema, "SERVING") == {}
    assert anomalies(unlabelled, schema, "TRAINING") == {data.LABEL: "Column dropped"}


def test_an_unknown_category_is_an_anomaly(frames: dict[str, pd.DataFrame], schema: Any) -> None:
    frame = frames["eval"].copy()
    frame.loc[0, "workclass"] = "Volunteer"
    assert anomalies(frame, schema, "TRAINING") == {"workclass": "Unexpected string values"}


def test_a_number_out_of_bounds_is_an_anomaly(frames: dict[str, pd.DataFrame], schema: Any) -> None:
    frame = frames["eval"].copy()
    frame.loc[0, "hours_per_week"] = 169
    assert anomalies(frame, schema, "TRAINING") == {"hours_per_week": "Out-of-range values"}


def test_an_unknown_schema_name_lists_the_names() -> None:
    with pytest.raises(ValueError, match=r"'adult\.pbtxt'.*census\.pbtxt"):
        schemas.path("adult.pbtxt")

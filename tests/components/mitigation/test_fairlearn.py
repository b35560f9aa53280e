"""Thresholds on the census data beside Fairlearn's, which are drawn at random for each decision."""

import numpy as np
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from leaky import census_table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tfx_trust.components import choose_thresholds

PEERS = {
    "demographic_parity": "demographic_parity",
    "equal_opportunity": "true_positive_rate_parity",
    "false_positive_parity": "false_positive_rate_parity",
    "equalized_odds": "equalized_odds",
}


@pytest.fixture(scope="module")
def census() -> dict[str, np.ndarray]:
    table = census_table("train")
    names = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
    numbers = [table[name].to_numpy() for name in names]
    married = np.array([value.startswith("Married") for value in table["marital_status"].to_pylist()], float)
    features = np.column_stack([*numbers, married])
    labels = table["over_50k"].to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels)
    return {
        "features": features,
        "labels": labels,
        "groups": np.array(table["sex"].to_pylist(), object),
        "scores": model.predict_proba(features)[:, 1],
        "model": model,
    }


@pytest.mark.parametrize("constraint", list(PEERS))
def test_one_threshold_a_group_is_no_more_accurate_than_random_ones(
    census: dict[str, np.ndarray], constraint: str
) -> None:
    peer = ThresholdOptimizer(
        estimator=census["model"],
        constraints=PEERS[constraint],
        objective="accuracy_score",
        grid_size=2000,
        prefit=True,
        predict_method="predict_proba",
    )
    peer.fit(census["features"], census["labels"], sensitive_features=census["groups"])
    positive = peer._pmf_predict(census["features"], sensitive_features=census["groups"])[:, 1]
    randomised = float(np.where(census["labels"] == 1, positive, 1 - positive).mean())
    settings = {"constraint": constraint, "max_gap": 0.0005, "points": 2}
    found = choose_thresholds(census["scores"], census["labels"], census["groups"], settings)
    # Random thresholds reach equal rates exactly; what a gap of 0.0005 allows besides is less than that.
    assert found.after.accuracy.value <= randomised + 0.001
    if constraint != "equalized_odds":
        # With one rate to make alike, so do single thresholds, nearly.
        assert found.after.accuracy.value >= randomised - 0.002
        ours = found.decide(census["scores"], census["groups"])
        common = census["scores"] >= 0.5
        women = census["groups"] == "Female"
        # Accuracy is flat near its best, so that the two may take different rates; they go the same way.
        change = ours[women].mean() - common[women].mean() - (ours[~women].mean() - common[~women].mean())
        theirs = (
            positive[women].mean() - positive[~women].mean() - (common[women].mean() - common[~women].mean())
        )
        assert np.sign(change) == np.sign(theirs)

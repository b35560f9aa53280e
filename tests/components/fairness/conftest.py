"""Adult's evaluation split, judged once for all tests of the analysis."""

import pandas as pd
import pytest
from predictions import LABEL, SLICES, THRESHOLD, adult

from tfx_trust.components import FairnessReport, evaluate_fairness

SETTINGS = {"label": LABEL, "slices": SLICES, "thresholds": [THRESHOLD], "discover": []}


@pytest.fixture(scope="session")
def census_frame() -> pd.DataFrame:
    """The split with score and rule."""
    return adult().to_pandas()


@pytest.fixture(scope="session")
def census_report() -> FairnessReport:
    """The score beside the rule as its baseline."""
    return evaluate_fairness(adult(), SETTINGS, score="score", baseline_prediction="rule")


@pytest.fixture(scope="session")
def strict_report() -> FairnessReport:
    """The same where a score equal to the threshold is decided negative."""
    return evaluate_fairness(adult(), {**SETTINGS, "compare": ">"}, score="score")

import pytest

from tfx_trust.pipelines import eval_config


def test_thresholds_lie_inside_the_metric_and_bind_the_whole_alone() -> None:
    config = eval_config("label", at_least={"AUC": 0.9}, may_drop={"AUC": 0.01}, slices=[["sex", "race"]])
    (spec,) = config.metrics_specs
    assert not spec.thresholds
    assert not spec.per_slice_thresholds
    count, auc = spec.metrics
    assert (count.class_name, auc.class_name) == ("ExampleCount", "AUC")
    assert not auc.HasField("threshold")
    (overall,) = auc.per_slice_thresholds
    assert [list(item.feature_keys) for item in overall.slicing_specs] == [[]]
    assert overall.threshold.value_threshold.lower_bound.value == 0.9
    assert overall.threshold.change_threshold.absolute.value == -0.01
    assert [list(item.feature_keys) for item in config.slicing_specs] == [[], ["sex", "race"]]


def test_a_metric_that_may_drop_needs_a_bound() -> None:
    with pytest.raises(ValueError, match="may_drop names AUC, which at_least does not"):
        eval_config("label", at_least={"BinaryAccuracy": 0.8}, may_drop={"AUC": 0.01})

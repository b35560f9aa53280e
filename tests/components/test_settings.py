import pytest

from tfx_trust.components import ReleasePolicy, UsageError


def test_settings_come_from_themselves_a_mapping_json_or_nothing() -> None:
    policy = ReleasePolicy(on_warn="block")
    assert ReleasePolicy.of(policy) is policy
    assert ReleasePolicy.of({"on_warn": "block"}) == policy
    assert ReleasePolicy.of(policy.to_json()) == policy
    assert ReleasePolicy.of(None) == ReleasePolicy()


def test_an_unknown_setting_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(
        UsageError, match="unknown setting of ReleasePolicy 'on_warm'.*did you mean 'on_warn'"
    ):
        ReleasePolicy.of({"on_warm": "block"})


def test_a_forbidden_value_is_shown_with_what_is_allowed() -> None:
    with pytest.raises(UsageError, match="on_warn: Input should be 'allow' or 'block', found 'maybe'"):
        ReleasePolicy.of({"on_warn": "maybe"})


def test_settings_cannot_be_changed_behind_a_components_back() -> None:
    policy = ReleasePolicy()
    with pytest.raises(ValueError, match="frozen"):
        policy.on_warn = "block"  # type: ignore[misc]

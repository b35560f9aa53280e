"""Masked values: recognisable by who has the data, not readable by who has not."""

import datetime
import decimal
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfx_trust.components.leakage.masking import DOT, WIDTH, mask, masked_row


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Private", "P••••••"),
        ("anna@example.org", "a••••••••••••"),
        ("+49 170 1234567", "+••••••••••••"),
        ("NY", "••"),
        ("F", "•"),
        ("", ""),
        ("  ", ""),
        (None, ""),
        (math.nan, ""),
        (b"Private", "P••••••"),
        (b"\xff\xfe\x00\x01", "\ufffd•••"),
        ("\x00abc", "••••"),
        (0, "•"),
        (7, "•"),
        (-7, "•"),
        (True, "•"),
        (45, "4•"),
        (-45, "-4•"),
        (215646, "2•••••"),
        ("215646", "2•••••"),
        (0.1234, "0.1•••"),
        (-0.00012, "-0.0001•"),
        (0.0, "•••"),
        (1e-9, "1e-••"),
        (decimal.Decimal("12.50"), "1•.••"),
        (math.inf, "•••"),
        (datetime.date(1990, 5, 12), "1990-••-••"),
        (datetime.datetime(1990, 5, 12, 8, 30), "1990-••-••"),
        ("1990-05-12T08:30:00Z", "1990-••-••"),
        ("1990-05-12 Jane Doe", "1990-••-••"),
        (["Private", 45, None], "P••••••, 4•, "),
        ([], ""),
    ],
)
def test_known_values_are_masked(value: object, shown: str) -> None:
    assert mask(value) == shown


ANY = (
    st.text(max_size=60)
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=False)
    | st.binary(max_size=60)
    | st.booleans()
    | st.dates()
)


@settings(deadline=None)
@given(ANY | st.lists(ANY, max_size=5))
@example("0." + "0" * 40 + "12")
def test_a_masked_value_is_short(value: object) -> None:
    assert len(mask(value)) <= WIDTH


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@settings(deadline=None)
@given(st.text(max_size=60).filter(lambda text: not _numeric(text) and text[4:5] != "-"))
def test_of_a_text_no_more_than_a_quarter_is_shown(text: str) -> None:
    shown = mask(text).replace(DOT, "")
    assert len(shown) <= len(text) / 4
    assert text.strip().startswith(shown)


@settings(deadline=None)
@given(st.integers(10) | st.integers(max_value=-10))
def test_of_a_whole_number_the_first_digit_and_about_the_length_are_shown(number: int) -> None:
    text = str(number)
    shown = mask(number)
    kept = 2 if number < 0 else 1
    assert shown[:kept] == text[:kept]
    assert set(shown[kept:]) == {DOT}
    assert len(shown) == min(len(text), kept + 12)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_of_a_real_number_at_most_one_digit_is_shown_besides_leading_zeros(number: float) -> None:
    digits = [letter for letter in mask(number) if letter in "123456789"]
    assert len(digits) <= 1


def test_equal_values_look_equal_and_clear_columns_are_shown() -> None:
    values = {"age": 45, "name": "Jane Doe", "label": "no", "missing": None, "long": "x" * 99}
    assert masked_row(values, clear=("label", "long")) == {
        "age": "4•",
        "name": "J•••••••",
        "label": "no",
        "missing": "",
        "long": "x" * (WIDTH - 1) + "…",
    }
    assert masked_row({"label": None, "text": b"yes"}, clear=["label", "text"]) == {
        "label": "",
        "text": "yes",
    }

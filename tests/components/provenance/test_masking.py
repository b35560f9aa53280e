import hashlib
import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_trust.components.provenance.masking import LONGEST, MASK, is_secret, mask_text, masked

SECRET = "Xq7Kv9Zt2Lm4Rw8P"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\nabc=\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "dbPassword",
        "DB_PASSWD",
        "smtp-pass",
        "secret",
        "client_secret",
        "token",
        "accessToken",
        "api_key",
        "apikey",
        "x-api-key",
        "private_key",
        "private_key_id",
        "AWS_SECRET_ACCESS_KEY",
        "aws_access_key_id",
        "accountKey",
        "connection_string",
        "Authorization",
        "credentials",
        "service_account_credentials_json",
        "pwd",
        "dsn",
        "passphrase",
        "github_token",
        "HTTPAuthToken",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)
    assert masked({name: SECRET}) == {name: MASK}


@pytest.mark.parametrize(
    "name",
    [
        "label_key",
        "feature_key",
        "max_tokens",
        "num_tokens",
        "tokenizer",
        "token_length",
        "oov_token",
        "secretary",
        "author",
        "authors",
        "forward_pass",
        "passes",
        "key",
        "keys",
        "monkey",
        "compass",
        "seed",
        "train_args",
        "input_base",
        "cookbook",
        "bypass",
    ],
)
def test_names_of_hyperparameters_are_no_secrets(name: str) -> None:
    assert not is_secret(name)
    assert masked({name: "value"}) == {name: "value"}


@pytest.mark.parametrize(
    "text",
    [
        f"mysql://root:{SECRET}@db.example.org:3306/census",
        f"mysql://root:p@{SECRET}@db.example.org/census",
        f"postgres://root:{SECRET}/x@db.example.org/census",
        f"https://{SECRET}@git.example.org/census.git",
        f"root:{SECRET}@tcp(db.example.org:3306)/census",
        f"--password={SECRET}",
        f"--password {SECRET}",
        f"-password={SECRET}",
        f"--db_password='{SECRET} and more' --runner=x",
        f"--runner=x,--api-key={SECRET},--other=y",
        f"Server=db;Password={SECRET};User=root",
        f"AccountName=x;AccountKey={SECRET}==;EndpointSuffix=core.example.org",
        f"https://store.example.org/a?sig=1&access_token={SECRET}&x=1",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Token {SECRET}",
        f"curl -H 'X-Auth-Token: {SECRET}' https://x.example.org",
        f'password: "{SECRET}" user: "root"',
        f"password: 'it''s {SECRET}'",
        f'\\"password\\": \\"{SECRET}\\"',
        f"{{'password': '{SECRET}', 'user': 'root'}}",
        f"Config(password={SECRET}, user=root)",
        f"Config(user='root', password='{SECRET}')",
        f"password={SECRET[:8]},{SECRET[8:]}",
        f"<password>{SECRET}</password>",
        f"a=b=password={SECRET}",
        f'env="PASSWORD={SECRET}"',
        f"password => {SECRET}",
        f"password := {SECRET}",
        PEM,
        PEM.replace("\n", "\\n"),
        PEM.partition("-----END")[0],
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "ghp_" + SECRET * 3,
        "glpat-" + SECRET * 2,
        "hf_" + SECRET * 3,
        "sk-proj-" + SECRET * 2,
        "xoxb-1234567890-" + SECRET,
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{SECRET}",
        f"https://bucket.s3.amazonaws.com/a.csv?X-Amz-Credential=me&X-Amz-Signature={SECRET}",
        f"https://storage.googleapis.com/b/a.csv?Expires=1&Signature={SECRET}%3D",
        f"https://account.blob.core.windows.net/c/a.csv?sv=2024&sig={SECRET}%3D&se=2026",
        f"https://hooks.slack.com/services/T000/B000/{SECRET}",
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t" + SECRET,
    ],
)
def test_secrets_in_texts_are_masked(text: str) -> None:
    shown = mask_text(text)
    assert MASK in shown
    for part in (SECRET, SECRET[:8], SECRET[8:], "AKIAIOSFODNN7", "AIzaSy"):
        assert part not in shown
    assert mask_text(shown) == shown
    assert all(part not in json.dumps(masked({"value": text})) for part in (SECRET[:8], SECRET[8:]))


@pytest.mark.parametrize(
    "text",
    [
        "/srv/data/train.csv",
        "gs://bucket/a@b/c",
        "http://host.example.org:8080/a@b",
        "registry.example.org/census:1.0@sha256:" + "0" * 64,
        "taxi_utils@/runs/_wheels/tfx_user_code_Trainer-0.0+abc-py3-none-any.whl",
        "SELECT * FROM t WHERE x = 'y' AND time > '12:00:00'",
        "num_steps: 100\nsplits: [train]",
        '{"learning_rate": 1e-09, "max_tokens": 128}',
        "2026-11-25T20:40:00+00:00",
        "tfx_trust.pipelines.census.model.run_fn",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text
    assert masked({"value": text}) == {"value": text}


def test_json_within_text_stays_json() -> None:
    inner = json.dumps({"password": SECRET, "rate": 0.1})
    outer = json.dumps({"custom": inner, "steps": 3})
    shown = json.loads(str(masked({"custom_config": outer})["custom_config"]))
    assert json.loads(shown["custom"]) == {"password": MASK, "rate": 0.1}
    assert shown["steps"] == 3


def test_a_member_that_is_given_twice_is_masked_twice() -> None:
    shown = masked({"config": f'{{"password": "{SECRET}", "password": null}}'})
    assert SECRET not in str(shown)


@pytest.mark.parametrize(
    "value",
    [
        ["--project=x", f"--password={SECRET}"],
        ["--password", SECRET],
        [["password", SECRET]],
        [{"name": "DB_PASSWORD", "value": SECRET}],
        {"metadata": {"mysql": {"password": SECRET, "user": "root"}}},
        {"passwords": [SECRET, {"a": SECRET}]},
        {"pin": {"token": 1234567}},
    ],
)
def test_secrets_in_lists_and_mappings_are_masked(value: Any) -> None:
    for given_as in (value, json.dumps(value)):
        shown = str(masked({"value": given_as}))
        assert SECRET not in shown
        assert "1234567" not in shown
        assert MASK in shown


def test_numbers_bytes_and_objects_get_a_form_that_a_record_can_hold() -> None:
    class Message:
        def __str__(self) -> str:
            return f'user: "root" password: "{SECRET}"'

    assert masked(
        {"a": 0.1, "b": 3, "c": True, "d": None, "e": b"abc", "f": Message(), "g": float("nan"), "h": [0.5]}
    ) == {
        "a": "0.1",
        "b": 3,
        "c": True,
        "d": None,
        "e": f"3 bytes, sha256 {hashlib.sha256(b'abc').hexdigest()}",
        "f": f'user: "root" password: "{MASK}"',
        "g": "nan",
        "h": "[0.5]",
    }


def test_a_truth_value_and_nothing_are_no_secrets() -> None:
    assert masked({"use_token": True, "password": None}) == {"use_token": True, "password": None}


def test_a_long_text_becomes_its_digest_after_masking() -> None:
    text = "x" * LONGEST
    assert masked({"a": text})["a"] == text
    assert masked({"a": text + "x"})["a"] == (
        f"{LONGEST + 1} bytes, sha256 {hashlib.sha256((text + 'x').encode()).hexdigest()}"
    )
    with_secret = f"password={SECRET} {text}"
    assert masked({"a": with_secret})["a"] == masked({"a": f"password={MASK} {text}"})["a"]


def test_json_of_any_depth_is_survived() -> None:
    text = "[" * 100_000 + "]" * 100_000
    assert "too deeply nested" in str(masked({"a": text})["a"])


def test_keys_are_sorted() -> None:
    assert list(masked({"b": 1, "a": 2, "C": 3})) == ["C", "a", "b"]


_plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(string.ascii_lowercase + " _-./", max_size=8),
)
_harmless = st.recursive(
    _plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["steps", "rate", "a b"]), inner, max_size=3),
    ),
    max_leaves=6,
)
_planted = st.sampled_from(
    [
        {"password": SECRET},
        {"api_key": [SECRET, SECRET]},
        f"mysql://root:{SECRET}@db/census",
        f"--token={SECRET}",
        f"run --db-password '{SECRET}'",
        ["--secret", SECRET],
        PEM,
        {"env": [{"name": "API_TOKEN", "value": SECRET}]},
    ]
)


@st.composite
def _hidden(draw: st.DrawFn) -> Any:
    value = draw(_planted)
    for _ in range(draw(st.integers(0, 4))):
        how = draw(st.sampled_from(["list", "mapping", "json", "text"]))
        if how == "list":
            value = [draw(_harmless), value, draw(_harmless)]
        elif how == "mapping":
            value = {"steps": draw(_harmless), "inner": value}
        elif how == "json":
            value = json.dumps(value)
        elif isinstance(value, str):
            value = f"first {value}"
    return value


@settings(max_examples=300, deadline=None)
@given(_hidden(), st.sampled_from(["custom_config", "beam_pipeline_args", "x"]))
def test_a_secret_never_comes_through_however_it_is_nested(value: Any, name: str) -> None:
    shown = masked({name: value, "json": json.dumps({name: value})})
    assert SECRET not in json.dumps(shown)
    assert masked(shown) == shown


@settings(max_examples=200, deadline=None)
@given(_harmless)
def test_json_without_secrets_stays_to_the_letter(value: Any) -> None:
    text = json.dumps({"value": value})
    assert masked({"custom_config": text}) == {"custom_config": text}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_masking_again_changes_nothing(text: str) -> None:
    assert mask_text(mask_text(text)) == mask_text(text)

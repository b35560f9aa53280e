"""Poisson batches of TFRecord files: the same wherever the records are kept, and what is refused."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from leaky import example, write_records, write_rows
from poisson import p_values
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy import storage as storage_module
from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.data import PrivateData, private_data
from tfx_trust.components.privacy.record_files import Parse, Records
from tfx_trust.components.privacy.records import private_records, private_transformed

ROWS = 1_000
SPEC = {
    "id": tf.io.FixedLenFeature([], tf.int64),
    "wide": tf.io.FixedLenFeature([3], tf.float32),
    "text": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.float32),
    "weight": tf.io.FixedLenFeature([], tf.float32),
}
STORAGES: tuple[Literal["memory", "indexed", "streamed"], ...] = ("memory", "indexed", "streamed")
Storage = Literal["auto", "memory", "indexed", "streamed"]


def row(number: int) -> dict[str, Any]:
    return {
        "id": number + 1,
        "wide": [number + 1.5, 2.5, 3.5],
        # Of different lengths, so that offsets matter.
        "text": "x" * (number % 13) + str(number),
        "label": number % 2 + 1.0,
        "weight": 1.0 + number % 3,
    }


ALL = [row(number) for number in range(ROWS)]


def write(folder: Path, rows: Sequence[dict[str, Any]] = ALL, *, files: int = 3, suffix: str = ".gz") -> str:
    """Rows in several files; the pattern of their names."""
    bounds = np.linspace(0, len(rows), files + 1).astype(int)
    for number, (first, last) in enumerate(zip(bounds, bounds[1:])):
        write_rows(folder / f"part-{number}{suffix}", rows[first:last])
    return str(folder / f"part-*{suffix}")


def parse(serialized: tf.Tensor) -> tuple[Any, ...]:
    parsed = tf.io.parse_example(serialized, SPEC)
    label, weight = parsed.pop("label"), parsed.pop("weight")
    return parsed, label, weight


def settings_of(**given: Any) -> PrivacySettings:
    return PrivacySettings.of({"noise_multiplier": 1.0, "steps": 20, "batch_size": 40, "seed": 7, **given})


def as_lists(data: PrivateData) -> list[Any]:
    return [tf.nest.map_structure(lambda tensor: tensor.numpy().tolist(), batch) for batch in data]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("records"))


# Where records are kept


@pytest.mark.parametrize("storage", STORAGES)
def test_batches_are_those_of_the_same_data_in_memory(files: str, storage: Storage) -> None:
    columns = {name: np.array([row[name] for row in ALL]) for name in SPEC}
    features = {"id": columns["id"], "wide": columns["wide"].astype(np.float32), "text": columns["text"]}
    label = columns["label"].astype(np.float32)
    expected = private_data(features, label, settings_of(), columns["weight"])
    found = private_records(files, parse, settings_of(), storage=storage)
    assert (found.storage, found.examples, found.steps) == (storage, ROWS, 20)
    assert found.dataset.element_spec == expected.dataset.element_spec
    assert as_lists(found) == as_lists(expected)
    assert found.drawn == 20


@pytest.mark.parametrize("storage", STORAGES)
def test_files_that_are_not_compressed_give_the_same(files: str, tmp_path: Path, storage: Storage) -> None:
    plain = write(tmp_path, files=2, suffix="")
    found = private_records(plain, parse, settings_of(), storage=storage, compression="")
    assert as_lists(found) == as_lists(private_records(files, parse, settings_of()))


@pytest.mark.parametrize("storage", STORAGES)
def test_batches_pass_the_tests_of_poisson_sampling(tmp_path: Path, storage: Storage) -> None:
    pattern = write(tmp_path, ALL[:200])
    settings = settings_of(steps=300 if storage == "streamed" else 1_000, batch_size=20, max_batch=100)
    data = private_records(pattern, parse, settings, storage=storage)
    batches = [features["id"].numpy()[weights.numpy() > 0] - 1 for features, _, weights in data]
    found = p_values(batches, 200, 0.1)
    assert min(found.values()) > 1e-3, found


@pytest.mark.parametrize("limit", [1, 50_000, 1 << 30])
def test_batches_of_a_stream_do_not_depend_on_how_many_a_pass_gathers(
    files: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = 0
    raw = Records.raw

    def counted(records: Any) -> Any:
        nonlocal passes
        passes += 1
        return raw(records)

    monkeypatch.setattr(storage_module, "STREAM_LIMIT", limit)
    monkeypatch.setattr(Records, "raw", counted)
    found = private_records(files, parse, settings_of(), storage="streamed")
    assert as_lists(found) == as_lists(private_records(files, parse, settings_of(), storage="memory"))
    # One to count and one for the data in memory, besides those of batches: at most an epoch's each.
    assert passes - 2 == (20 if limit == 1 else 3 if limit == 50_000 else 1)
    assert found.drawn == 20


@pytest.mark.parametrize("storage", STORAGES)
def test_empty_batches_are_all_padding(files: str, storage: Storage) -> None:
    data = private_records(files, parse, settings_of(batch_size=1, steps=60), storage=storage)
    rows = [int((weights.numpy() > 0).sum()) for _, _, weights in data]
    assert 0 in rows
    assert max(rows) > 0


@pytest.mark.parametrize("storage", STORAGES)
def test_labels_and_features_may_be_nests_and_weights_left_out(files: str, storage: Storage) -> None:
    def nested(serialized: tf.Tensor) -> tuple[Any, ...]:
        parsed, label, _ = parse(serialized)
        return parsed["wide"], (label, {"twice": 2 * label})

    features, (label, other), weights = next(
        iter(private_records(files, nested, settings_of(), storage=storage))
    )
    assert features.shape == (91, 3)
    assert (other["twice"].numpy() == 2 * label.numpy()).all()
    assert (weights.numpy() == (label.numpy() > 0)).all()


def test_the_files_are_taken_once_each_and_by_name(files: str, tmp_path: Path) -> None:
    folder = Path(files).parent
    names = [str(folder / f"part-{number}.gz") for number in (2, 0, 1)]
    for given in (names, [files, *names], [str(folder / "part-[01].gz"), str(folder / "*2.gz")]):
        data = private_records(given, parse, settings_of(), storage="indexed")
        assert data.examples == ROWS
        assert as_lists(data) == as_lists(private_records(files, parse, settings_of()))


def test_an_empty_file_among_others_is_no_error(files: str, tmp_path: Path) -> None:
    empty = write_records(tmp_path / "part-9.gz", [])
    assert private_records([files, empty], parse, settings_of()).examples == ROWS


def test_little_data_are_held_in_memory(files: str) -> None:
    assert private_records(files, parse, settings_of()).storage == "memory"


def test_more_are_indexed_and_streamed_where_the_disk_has_no_room(
    files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "MEMORY_LIMIT", 20_000)
    expected = as_lists(private_records(files, parse, settings_of(), storage="memory"))
    data = private_records(files, parse, settings_of())
    assert data.storage == "indexed"
    assert as_lists(data) == expected

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage_module, "_copy", full)
    data = private_records(files, parse, settings_of())
    assert data.storage == "streamed"
    assert as_lists(data) == expected
    with pytest.raises(
        InputError, match="no room for the decompressed records; name a folder with more as scra"
    ):
        private_records(files, parse, settings_of(), storage="indexed")


def test_the_temporary_copy_has_no_name(files: str, tmp_path: Path) -> None:
    data = private_records(files, parse, settings_of(), storage="indexed", scratch=str(tmp_path))
    next(iter(data))
    assert os.listdir(tmp_path) == []
    assert os.readlink(f"/proc/self/fd/{data._source._data.fileno()}").startswith(str(tmp_path))


@pytest.mark.parametrize("storage", STORAGES)
def test_a_model_is_fitted(files: str, storage: Storage) -> None:
    def regression(serialized: tf.Tensor) -> tuple[Any, ...]:
        parsed, label, _ = parse(serialized)
        return {"wide": parsed["wide"] / 1_000}, label

    data = private_records(files, regression, settings_of(), storage=storage)
    inputs = {"wide": keras.Input((3,), name="wide")}
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs["wide"]))
    model.compile("sgd", "mse")
    model.fit(data.dataset, steps_per_epoch=5, epochs=4, verbose=0)
    assert data.drawn == int(model.optimizer.iterations.numpy()) == 20


# What Transform wrote


@pytest.fixture(scope="module")
def transform_output(tmp_path_factory: pytest.TempPathFactory) -> tft.TFTransformOutput:
    folder = tmp_path_factory.mktemp("transform")
    schema = schema_utils.schema_from_feature_spec(
        {**SPEC, "loose": tf.io.VarLenFeature(tf.int64), "loose_label": tf.io.VarLenFeature(tf.float32)}
    )
    metadata_io.write_metadata(
        dataset_metadata.DatasetMetadata(schema), str(folder / tft.TFTransformOutput.TRANSFORMED_METADATA_DIR)
    )
    return tft.TFTransformOutput(str(folder))


@pytest.mark.parametrize("storage", STORAGES)
def test_the_dense_features_of_transform_are_taken(
    files: str, transform_output: tft.TFTransformOutput, storage: Storage
) -> None:
    found = private_transformed(
        [files], transform_output, "label", settings_of(), weight="weight", storage=storage
    )
    assert as_lists(found) == as_lists(private_records(files, parse, settings_of()))


def test_without_a_weight_it_is_a_feature_and_each_weighs_one(
    files: str, transform_output: tft.TFTransformOutput
) -> None:
    features, _, weights = next(iter(private_transformed(files, transform_output, "label", settings_of())))
    assert sorted(features) == ["id", "text", "weight", "wide"]
    assert set(weights.numpy()) == {0, 1}


def test_features_that_are_named_are_taken_alone(files: str, transform_output: tft.TFTransformOutput) -> None:
    data = private_transformed(files, transform_output, "label", settings_of(), features=["wide"])
    assert list(next(iter(data))[0]) == ["wide"]


def test_a_label_that_is_not_dense_is_taken_as_one_value_an_example(
    tmp_path: Path, transform_output: tft.TFTransformOutput
) -> None:
    rows = [{**row, "loose_label": row["label"]} for row in ALL]
    data = private_transformed(write(tmp_path, rows), transform_output, "loose_label", settings_of())
    features, labels, _ = next(iter(data))
    assert (features["label"].numpy() == labels.numpy()).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label": "lable"}, "unknown transformed feature 'lable'"),
        ({"label": "lable"}, "did you mean 'label'?"),
        ({"weight": "wieght"}, "did you mean 'weight'?"),
        ({"features": ["wide", "txt"]}, "unknown transformed feature 'txt'"),
        ({"features": ["wide", "label"]}, "features: 'label' is the label; leave it out"),
        (
            {"features": ["wide", "weight"], "weight": "weight"},
            "features: 'weight' is the weight; leave it out",
        ),
        (
            {"features": ["loose"]},
            "feature 'loose' is not dense (VarLenFeature); make it so in preprocessing_fn",
        ),
        ({"features": []}, "no dense feature besides the label; make some in preprocessing_fn"),
        (
            {"label": "loose_label"},
            "part-0.gz: record 0 (counted from 0) cannot be parsed (Feature: loose_label",
        ),
        ({"weight": "wide"}, "weights: parse makes 999 rows of 333 records of"),
    ],
)
def test_features_that_are_not_there_are_refused(
    files: str, transform_output: tft.TFTransformOutput, given: dict[str, Any], message: str
) -> None:
    with pytest.raises((InputError, UsageError)) as caught:
        private_transformed(files, transform_output, **{"label": "label", "settings": settings_of(), **given})
    assert message in str(caught.value)


# Bad files


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def of_record(content: bytes, number: int) -> int:
    """Where a record of a plain file begins."""
    place = 0
    for _ in range(number):
        place += int.from_bytes(content[place : place + 8], "little") + 16
    return place


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    ("compression", "damage", "message"),
    [
        ("", lambda of: of[: of_record(of, 700) + 20], "record 700 (counted from 0) is cut short or damaged"),
        (
            "",
            lambda of: flipped(of, of_record(of, 37) + 15),
            "record 37 (counted from 0) is cut short or dam",
        ),
        ("", lambda of: flipped(of, of_record(of, 613)), "record 613 (counted from 0) is cut short or damag"),
        ("GZIP", lambda of: of[: len(of) // 2], "(counted from 0) is cut short or damaged"),
        ("GZIP", lambda of: of[:-1], "damaged or cut short after about 1,000 records"),
        ("GZIP", lambda of: b"", "it has no bytes"),
    ],
)
def test_a_damaged_record_is_named_with_its_file(
    tmp_path: Path,
    storage: Storage,
    compression: Literal["GZIP", ""],
    damage: Callable[[bytes], bytes],
    message: str,
) -> None:
    path = Path(write_rows(tmp_path / f"part{'.gz' if compression else ''}", ALL))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError) as caught:
        private_records(str(path), parse, settings_of(), storage=storage, compression=compression)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("compressed", [True, False])
def test_a_wrong_compression_is_hinted_at(tmp_path: Path, compressed: bool) -> None:
    path = write_rows(tmp_path / f"part{'.gz' if compressed else ''}", ALL)
    with pytest.raises(InputError, match="record 0 .* say so by compression"):
        private_records(path, parse, settings_of(), compression="" if compressed else "GZIP")


def test_no_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="files: none are given"):
        private_records([], parse, settings_of())
    for pattern in (str(tmp_path / "*.gz"), str(tmp_path / "nothing.gz"), str(tmp_path)):
        with pytest.raises(InputError) as caught:
            private_records(pattern, parse, settings_of())
        assert str(caught.value).startswith(f"{pattern}: no files; the training data should be there")


@pytest.mark.parametrize("storage", STORAGES)
def test_an_empty_split_is_refused(tmp_path: Path, storage: Storage) -> None:
    empty = [write_records(tmp_path / f"{name}.gz", []) for name in "ab"]
    with pytest.raises(InputError, match=r"a\.gz and 1 more: no records; the training data should"):
        private_records(empty, parse, settings_of(), storage=storage)


def with_row(folder: Path, number: int, record: bytes | dict[str, Any]) -> str:
    """A file in which one record is another."""
    records = [example(row) for row in ALL]
    records[number] = record if isinstance(record, bytes) else example(record)
    return write_records(folder / "part.gz", records)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"label": None},
            "cannot be parsed (Feature: label (data type: float) is required but could not be found)",
        ),
        ({"label": "secret"}, "cannot be parsed (Key: label, Index: "),
        ({"wide": [1.0]}, "cannot be parsed (Key: wide, Index: "),
        ({"label": float("nan")}, "labels is missing (NaN) or infinite; leave those examples out"),
        ({"weight": -2.0}, "weights is negative or not finite; correct them"),
        ({"weight": float("inf")}, "weights is negative or not finite; correct them"),
    ],
)
def test_a_bad_example_is_named_with_its_file_and_number(
    tmp_path: Path, storage: Storage, change: dict[str, Any], message: str
) -> None:
    path = with_row(tmp_path, 777, {**ALL[777], **change})
    with pytest.raises(InputError) as caught:
        private_records(path, parse, settings_of(), storage=storage)
    assert str(caught.value).startswith(f"{path}: record 777 (counted from 0)")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("record", [b"\xff\xffsecret", b"secret", b"\x0a\xffsecret"])
def test_what_is_no_example_is_named_without_showing_it(tmp_path: Path, record: bytes) -> None:
    path = with_row(tmp_path, 600, record)
    with pytest.raises(InputError) as caught:
        private_records(path, parse, settings_of())
    assert str(caught.value) == (
        f"{path}: record 600 (counted from 0) cannot be parsed (it is no such record as parse expects); "
        "correct it, or leave it out"
    )


def test_files_that_grow_while_a_model_trains_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = write(tmp_path)
    data = private_records(pattern, parse, settings_of(), storage="streamed")
    write_rows(tmp_path / "part-0.gz", ALL[:10])
    with pytest.raises(tf.errors.OpError, match="the files hold 677 records now, and held 1,000 before"):
        next(iter(data))


# Bad arguments


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"batch_size": 1_001}, InputError, "batch_size = 1,001, but the data have 1,000 examples"),
        ({"examples": 999}, InputError, "examples = 999 in the settings, but the data have 1,000"),
        ({"delta": 0.001}, UsageError, "delta = 0.001: expected above 0 and below 1/N = 0.001"),
        ({"sampling": "shuffle"}, UsageError, "sampling = 'shuffle'"),
    ],
)
@pytest.mark.parametrize("storage", STORAGES)
def test_settings_that_do_not_fit_the_data_are_refused(
    files: str, storage: Storage, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        private_records(files, parse, settings_of(**given), storage=storage)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"storage": "disk"}, "unknown storage 'disk': known are auto, indexed, memory, streamed"),
        ({"compression": "ZLIB"}, "compression = 'ZLIB'; 'GZIP', or '' for none"),
        ({"scratch": "/nowhere"}, "/nowhere: no such folder; make it, or leave scratch out"),
    ],
)
def test_bad_arguments_are_refused(files: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, UsageError)) as caught:
        private_records(files, parse, settings_of(), **given)
    assert str(caught.value) == message


def columns_of(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    columns: dict[str, tf.Tensor] = tf.io.parse_example(serialized, SPEC)
    return columns


def numbers_of_letters(serialized: tf.Tensor) -> tuple[Any, ...]:
    columns = columns_of(serialized)
    return tf.strings.unicode_decode(columns["text"], "UTF-8").to_tensor(), columns["label"]


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (columns_of, "parse: returns no tuple of (features, labels) or (features, labels, weights)"),
        (lambda x: (columns_of(x)["wide"],), "parse: returns no tuple of (features, labels) or"),
        (lambda x: ({}, columns_of(x)["label"]), "features: parse returns none; let it return a tensor"),
        (
            lambda x: ({"t": tf.strings.split(columns_of(x)["text"])}, columns_of(x)["label"]),
            "features['t']: parse makes RaggedTensor of it; a dense tensor is needed",
        ),
        (
            lambda x: (tf.io.parse_example(x, {"id": tf.io.VarLenFeature(tf.int64)})["id"], x),
            "features: parse makes SparseTensor of it; a dense tensor is needed",
        ),
        (
            lambda x: (columns_of(x)["wide"], tf.reduce_sum(columns_of(x)["label"])),
            "labels: parse makes a single value of it; a row for each record is needed",
        ),
        (
            lambda x: (columns_of(x)["wide"], tf.reshape(columns_of(x)["wide"], [-1])),
            "labels: parse makes 999 rows of 333 records of",
        ),
        (
            numbers_of_letters,
            "features: parse makes rows of it whose shape is not fixed ((None, None)); give it one",
        ),
        (
            lambda x: (
                columns_of(x)["wide"] - tf.reduce_mean(columns_of(x)["wide"], 0),
                columns_of(x)["label"],
            ),
            "features: what parse makes of a record depends on the records beside it, which",
        ),
        (
            lambda x: (columns_of(x)["text"][::-1], columns_of(x)["label"]),
            "features: what parse makes of a record depends on the records beside it, which",
        ),
        (
            lambda x: (
                tf.stack(tf.unstack(tf.ensure_shape(columns_of(x)["wide"], [334, 3]))),
                columns_of(x)["label"],
            ),
            "parse: fails where it is given no record, which happens when a batch is empty; let it return",
        ),
    ],
)
def test_what_parse_may_not_return_is_refused(files: str, tmp_path: Path, parse: Parse, message: str) -> None:
    with pytest.raises(InputError) as caught:
        private_records(files, parse, settings_of())
    assert message in str(caught.value)


def test_a_random_augmentation_is_allowed(files: str) -> None:
    def augmented(serialized: tf.Tensor) -> tuple[Any, ...]:
        columns = columns_of(serialized)
        return columns["wide"] + tf.random.normal(tf.shape(columns["wide"])), columns["label"]

    for storage in STORAGES:
        assert private_records(files, augmented, settings_of(), storage=storage).examples == ROWS

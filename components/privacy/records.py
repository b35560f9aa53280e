"""Poisson batches of the records of TFRecord files, and of the examples that Transform wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import tensorflow as tf
from absl import logging

from tfx_trust.components.errors import InputError, UsageError, unknown
from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.data import PrivateData
from tfx_trust.components.privacy.record_files import Parse, Records
from tfx_trust.components.privacy.storage import Storage, source_of

if TYPE_CHECKING:
    import tensorflow_transform as tft

_STORAGES = get_args(Storage)
_COMPRESSIONS = ("GZIP", "")


def private_records(
    files: str | Sequence[str],
    parse: Parse,
    settings: PrivacySettings | Mapping[str, Any],
    *,
    storage: Storage = "auto",
    compression: Literal["GZIP", ""] = "GZIP",
    scratch: str | None = None,
) -> PrivateData:
    """Poisson batches of the records of TFRecord files.

    All records are read and parsed once, to count and to check them. Equal draws give equal batches, wherever
    the records are kept; the files are taken in the order of their names.

    Parameters
    ----------
    files
        Paths or patterns. A file that several of them mean counts once.
    parse
        Turns serialized records, a string tensor of shape ``(rows,)``, into ``(features, labels)`` or
        ``(features, labels, weights)``: dense tensors, or dicts or tuples of them, with a row for each
        record, which must depend on that record alone. It runs in a graph, and is given no record now and
        then.
    settings
        Of the training.
    storage
        ``memory``: parsed, in memory. ``indexed``: decompressed into a temporary file, from which the records
        of a batch are read; memory does not grow with N. ``streamed``: no copy of the data at all; each pass
        over the files gathers the records of as many batches as fit into 256 MiB, of an epoch at most.
        ``auto``: in memory where the parsed examples take no more than 1 GiB, else indexed, or streamed where
        the disk has no room.
    compression
        Of the files.
    scratch
        Folder of the temporary file, which has no name there and is gone when the process ends; the system's
        folder for temporary files if not given.

    Raises
    ------
    InputError
        If there are no files or no records, a record is damaged or cannot be parsed, a label is missing or
        not finite, a weight is negative or not finite, `parse` returns something else than it should, there
        are fewer examples than `batch_size`, or not as many as `settings.examples` says. What is wrong with a
        record is told with its file and number.
    UsageError
        If an argument or a setting is not allowed, such as a delta of 1/N or more.

    Examples
    --------
    >>> def parse(serialized):
    ...     spec = {"x": tf.io.FixedLenFeature([8], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}
    ...     columns = tf.io.parse_example(serialized, spec)
    ...     return columns["x"], columns["y"]
    >>> data = private_records("train/*.gz", parse, settings)                        # doctest: +SKIP
    >>> model.fit(data.dataset)                                                      # doctest: +SKIP
    """
    settings = PrivacySettings.of(settings)
    if storage not in _STORAGES:
        raise unknown("storage", storage, _STORAGES)
    if compression not in _COMPRESSIONS:
        raise UsageError(f"compression = {compression!r}; 'GZIP', or '' for none")
    if scratch is not None and not os.path.isdir(scratch):
        raise InputError(f"{scratch}: no such folder; make it, or leave scratch out")
    records = Records(_paths(files), parse, compressed=compression == "GZIP")
    data = PrivateData(source_of(records, storage, scratch), settings)
    logging.info("%r", data)
    return data


def private_transformed(
    files: str | Sequence[str],
    transform_output: tft.TFTransformOutput,
    label: str,
    settings: PrivacySettings | Mapping[str, Any],
    *,
    weight: str | None = None,
    storage: Storage = "auto",
    features: Sequence[str] | None = None,
) -> PrivateData:
    """Poisson batches of the examples that Transform wrote, for a ``run_fn``.

    Parameters
    ----------
    files
        ``fn_args.train_files``: GZIP TFRecords of tf.Examples.
    transform_output
        Tells what the examples consist of.
    label
        Feature with the label, one value an example or more, as Transform's schema has it.
    settings
        Of the training: ``fn_args.custom_config["privacy"]``.
    weight
        Feature with the weight, one number an example; each weighs 1 if not given.
    storage
        See `private_records`.
    features
        Those that the model takes; all others that are dense if not given.

    Returns
    -------
    PrivateData
        Its features are a dict of tensors by name, of shape ``(rows, ...)``.

    Raises
    ------
    InputError, UsageError
        As `private_records`; and if a feature does not exist, or is not dense.

    Examples
    --------
    >>> def run_fn(fn_args):
    ...     transformed = tft.TFTransformOutput(fn_args.transform_output)
    ...     settings = fn_args.custom_config["privacy"]
    ...     data = private_transformed(fn_args.train_files, transformed, "over_50k", settings)
    ...     model = build_model()
    ...     model.compile(optimizer="adam", loss="binary_crossentropy")
    ...     make_private(model, settings, data)
    ...     model.fit(data.dataset)
    ...     model.export(fn_args.serving_model_dir)
    """
    spec = _spec(transform_output.transformed_feature_spec(), label, weight, features)

    def parse(serialized: tf.Tensor) -> tuple[Any, ...]:
        columns = tf.io.parse_example(serialized, spec)
        labels = columns.pop(label)
        if weight is None:
            return columns, labels
        return columns, labels, tf.reshape(columns.pop(weight), [-1])

    return private_records(files, parse, settings, storage=storage)


def _spec(
    whole: Mapping[str, Any], label: str, weight: str | None, features: Sequence[str] | None
) -> dict[str, Any]:
    """How the features that are wanted are parsed."""
    asked = [label, *([] if weight is None else [weight])]
    for name in (*asked, *(features or ())):
        if name not in whole:
            raise unknown("transformed feature", name, whole)
    for name in asked:
        if name in (features or ()):
            raise UsageError(
                f"features: {name!r} is the {'label' if name == label else 'weight'}; leave it out"
            )
    dense = [name for name, kind in whole.items() if isinstance(kind, tf.io.FixedLenFeature)]
    for name in features or ():
        if name not in dense:
            raise InputError(
                f"feature {name!r} is not dense ({type(whole[name]).__name__}); make it so in "
                "preprocessing_fn, e.g. by tf.sparse.to_dense, or leave it out of features"
            )
    chosen = [name for name in dense if name not in asked] if features is None else list(features)
    if not chosen:
        raise InputError("no dense feature besides the label; make some in preprocessing_fn")
    left_out = sorted(set(whole) - set(dense) - set(asked))
    if features is None and left_out:
        logging.info("private_transformed: not dense, so left out: %s", ", ".join(left_out))
    spec = {name: whole[name] for name in chosen}
    for name in asked:
        # One value an example is dense, whatever the schema could not promise.
        spec[name] = whole[name] if name in dense else tf.io.FixedLenFeature([], whole[name].dtype)
    return spec


def _paths(files: str | Sequence[str]) -> list[str]:
    """The files that are meant, each once, sorted."""
    patterns = [files] if isinstance(files, str | os.PathLike) else list(files)
    if not patterns:
        raise InputError("files: none are given; give paths or patterns of TFRecord files")
    found: set[str] = set()
    for pattern in map(os.fspath, patterns):
        matching = [pattern] if tf.io.gfile.exists(pattern) else tf.io.gfile.glob(pattern)
        paths = [path for path in matching if not tf.io.gfile.isdir(path)]
        if not paths:
            raise InputError(
                f"{pattern}: no files; the training data should be there: check the path, or make them anew"
            )
        found.update(paths)
    return sorted(found)

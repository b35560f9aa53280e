"""``run_fn``s for the tests of private training, as small as can be. TFX imports them by name.

The examples have a feature ``a`` and a label ``label``, both whole numbers.
"""

import glob
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.private_model import make_private
from tfx_trust.components.privacy.records import private_records

RUN_FN = "private_runs.run_fn"


def run_fn(fn_args: Any) -> None:
    """Trains privately, unless ``custom_config["fault"]`` says otherwise."""
    custom = fn_args.custom_config
    fault = custom.get("fault")
    settings = PrivacySettings.of({**custom["privacy"], **custom.get("instead", {})})
    if fault == "crash":
        raise RuntimeError("the disk is full")
    model = small_model(custom.get("learning_rate", 0.1))
    files = [*fn_args.train_files, *(fn_args.eval_files if fault == "more" else [])]
    data = private_records(files, _parsed, settings)
    if fault != "plain":
        make_private(model, settings, data)
    if fault == "twice":
        before = private_records(files, _parsed, settings)
        make_private(small_model(), settings, before).fit(before, verbose=0)
    if fault == "plain":
        model.fit(_in_memory(fn_args.train_files), verbose=0)
    elif fault != "idle":
        model.fit(data, verbose=0)
    if fault == "changed":
        kernel = model.trainable_variables[0]
        kernel.assign(kernel + 0.5)
    if fault == "other":
        model = small_model()
    if fault == "stowaway":
        model = _with_more(model)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", model, [tf.TensorSpec([None, 1], tf.float32)])
    archive.write_out(fn_args.serving_model_dir, verbose=False)
    tf.io.gfile.makedirs(fn_args.model_run_dir)
    with tf.io.gfile.GFile(f"{fn_args.model_run_dir}/done.txt", "w") as file:
        file.write("done\n")


def small_model(learning_rate: float = 0.1) -> keras.Model:
    """Two layers, compiled."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.SGD(learning_rate), "binary_crossentropy", jit_compile=False)
    return model


def _with_more(model: keras.Model) -> keras.Model:
    """The same with a correction that was learnt of the data by other means."""
    correction = keras.layers.Dense(1, name="correction")
    more = keras.Model(model.inputs, model.outputs[0] + correction(model.inputs[0]))
    correction.kernel.assign([[0.123]])
    return more


def _parsed(serialized: Any) -> tuple[Any, Any]:
    spec = {name: tf.io.FixedLenFeature([], tf.int64) for name in ("a", "label")}
    parsed = tf.io.parse_example(serialized, spec)
    return tf.cast(parsed["a"], tf.float32)[:, None] / 100.0, tf.cast(parsed["label"], tf.float32)


def _in_memory(patterns: Any) -> tf.data.Dataset:
    files = [path for pattern in patterns for path in glob.glob(pattern)]
    return tf.data.TFRecordDataset(files, "GZIP").batch(20).map(_parsed)

"""`fit` of a private model: as many steps as are planned, of the batches they are planned for."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy import leaks
from tfx_trust.components.privacy.data import PrivateData
from tfx_trust.components.privacy.private_training import PrivateTraining


def private_fit(training: PrivateTraining, fit: Callable[..., Any]) -> Callable[..., Any]:
    """The model's own ``fit``, which also takes a `PrivateData`, and is watched."""
    signature = inspect.signature(fit)

    @functools.wraps(fit)
    def fitted(*args: Any, **kwargs: Any) -> Any:
        training.follow_model()
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        watch = Watch(training)
        _note_leaks(training, arguments)
        if training.data is not None:
            _plan_private(training, arguments, watch)
        else:
            _plan_shuffled(training, arguments, watch)
        arguments["callbacks"] = _with(watch, arguments.get("callbacks"))
        with training.progress.complaining():
            return fit(*bound.args, **bound.kwargs)

    return fitted


class Watch(keras.callbacks.Callback):
    """Sees what ``fit`` does, and stops it where the plan ends."""

    def __init__(self, training: PrivateTraining) -> None:
        super().__init__()
        self._training = training
        self._made = 0
        self._rows = 0
        self.stops = False
        """Whether training ends without a word when all steps are made."""
        self.passes = False
        """Whether each epoch is a pass over the examples."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Raises if no step is left, which a step that XLA compiled would not."""
        if (
            self._made >= self._training.progress.planned_steps
            and self._training.progress.steps >= self._training.progress.planned_steps
        ):
            raise self._training.progress.no_more()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts without asking TensorFlow each time."""
        self._made += self.model.steps_per_execution
        if self.stops and self._made >= self._training.progress.planned_steps:
            self.model.stop_training = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts from what was really made."""
        self._made = self._training.progress.steps
        self._rows = self._training.progress.rows

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keeps the weights, and holds N against what was trained on."""
        training = self._training
        training.seen.keep(training.progress.steps)
        rows = training.progress.rows - self._rows
        if self.passes and not self.model.stop_training and not _fits(rows, training):
            raise InputError(_disagreement(training, f"an epoch had {rows:,}"))


def _note_leaks(training: PrivateTraining, arguments: dict[str, Any]) -> None:
    callbacks = arguments.get("callbacks") or []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    split = arguments.get("validation_split") and arguments.get("validation_data") is None
    for leak in leaks.of_fit(
        callbacks if isinstance(callbacks, list | tuple) else [callbacks],
        class_weight=arguments.get("class_weight") is not None,
        validation_split=bool(split),
    ):
        training.note(leak)


def _with(watch: Watch, callbacks: Any) -> Any:
    """The callbacks, and before them the watch, so that it sees the weights before they change them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        watch.set_model(watch._training.model)
        callbacks.callbacks.insert(0, watch)
        return callbacks
    if callbacks is None:
        return [watch]
    return [watch, *(callbacks if isinstance(callbacks, list | tuple) else [callbacks])]


def _epochs(arguments: dict[str, Any]) -> int:
    return max(1, arguments["epochs"] - arguments["initial_epoch"])


def _expect(training: PrivateTraining, wanted: int) -> None:
    left = training.progress.planned_steps - training.progress.steps
    if not left:
        raise training.progress.no_more()
    if wanted > left:
        raise UsageError(
            f"fit would make {wanted:,} steps, but {left:,} are left of the "
            f"{training.progress.planned_steps:,} that the noise was calibrated for; set epochs or "
            "steps_per_epoch lower, or plan more in the settings"
        )


# Batches that are drawn


def _plan_private(training: PrivateTraining, arguments: dict[str, Any], watch: Watch) -> None:
    data, x = training.data, arguments["x"]
    assert data is not None
    if isinstance(x, PrivateData) and x is not data:
        raise UsageError("fit got other private data than make_private; pass the same to both")
    if x is data or x is data.dataset:
        _plan_drawn(training, arguments, watch)
    elif _rows_of(x) is not None:
        raise UsageError(
            "fit got arrays, which it would shuffle, but the settings say that batches are drawn by Poisson "
            "sampling; pass the private data that make_private got, or set sampling = 'shuffle'"
        )
    elif arguments["steps_per_epoch"] is not None:
        _expect(training, arguments["steps_per_epoch"] * _epochs(arguments))


def _plan_drawn(training: PrivateTraining, arguments: dict[str, Any], watch: Watch) -> None:
    data = training.data
    assert data is not None
    for name in ("y", "sample_weight", "batch_size"):
        if arguments[name] is not None:
            raise UsageError(f"fit: {name} is given, but the private data have their own; leave it out")
    epochs = _epochs(arguments)
    left = training.progress.planned_steps - training.progress.steps
    if arguments["steps_per_epoch"] is None:
        _expect(training, 1)
        arguments["steps_per_epoch"] = math.ceil(left / epochs)
        watch.stops = True
    _expect(training, left if watch.stops else arguments["steps_per_epoch"] * epochs)
    dataset = data.dataset.take(left)
    if arguments["class_weight"] is not None:
        dataset = dataset.map(functools.partial(_weighed, arguments["class_weight"]))
        arguments["class_weight"] = None
    arguments["x"] = dataset


def _weighed(
    class_weight: dict[int, float], x: Any, y: Any, sample_weight: tf.Tensor
) -> tuple[Any, Any, tf.Tensor]:
    """A batch with weights of its classes, 1 for those that have none."""
    if keras.tree.is_nested(y):
        raise UsageError(
            "fit: class_weight is given, but the model has several outputs; weigh the examples instead"
        )
    if len(y.shape) > 1 and y.shape[-1] != 1:
        classes = tf.argmax(y, axis=-1)
    else:
        classes = tf.cast(tf.round(tf.reshape(y, [-1])), tf.int64)
    table = [float(class_weight.get(place, 1.0)) for place in range(max(class_weight) + 1)]
    known = tf.gather(table, tf.clip_by_value(classes, 0, len(table) - 1))
    inside = (classes >= 0) & (classes < len(table))
    return x, y, sample_weight * tf.where(inside, known, 1.0)


# Shuffled batches


def _plan_shuffled(training: PrivateTraining, arguments: dict[str, Any], watch: Watch) -> None:
    size, x = training.settings.batch_size, arguments["x"]
    if isinstance(x, PrivateData):
        raise UsageError(
            "fit got data that are drawn by Poisson sampling, but the settings say sampling = 'shuffle'; "
            "leave that out and pass the data to make_private"
        )
    rows = _rows_of(x)
    if rows is not None:
        given = arguments["batch_size"]
        if given is not None and given != size:
            raise UsageError(
                f"fit: batch_size = {given:,}, but {size:,} in the privacy settings; leave it out"
            )
        arguments["batch_size"] = size
        if arguments["validation_split"] and arguments["validation_data"] is None:
            rows = math.floor(rows * (1 - arguments["validation_split"]))
        if rows != training.examples:
            raise InputError(_disagreement(training, f"fit got {rows:,}"))
        per_epoch: int | None = math.ceil(rows / size)
        training.in_passes = arguments["steps_per_epoch"] is None
    else:
        per_epoch = _batches_of(x, training, arguments["steps_per_epoch"] is None)
        watch.passes = arguments["steps_per_epoch"] is None
    if arguments["steps_per_epoch"] is not None:
        per_epoch = arguments["steps_per_epoch"]
    _expect(training, 1 if per_epoch is None else per_epoch * _epochs(arguments))


def _rows_of(x: Any) -> int | None:
    """Rows of arrays; none for what gives batches."""
    leaves = [leaf for leaf in keras.tree.flatten(x) if leaf is not None]
    if not leaves or not all(len(getattr(leaf, "shape", ())) for leaf in leaves):
        return None
    return int(leaves[0].shape[0])


def _batches_of(x: Any, training: PrivateTraining, whole: bool) -> int | None:
    """Batches of a dataset; none where it does not tell."""
    if not isinstance(x, tf.data.Dataset):
        return None
    size = training.settings.batch_size
    for spec in tf.nest.flatten(x.element_spec):
        rows = spec.shape[0] if spec.shape.rank else None
        if rows is not None and rows != size:
            raise UsageError(
                f"the dataset has batches of {rows:,}, but batch_size = {size:,} in the privacy settings; "
                "make them equal"
            )
    count = int(x.cardinality())
    if count < 0:
        return None
    if whole and not (count - 1) * size < training.examples <= (count + 1) * size - 1:
        raise InputError(
            _disagreement(training, f"the dataset has {count:,} batches, of batch_size = {size:,}")
        )
    return count


def _fits(rows: int, training: PrivateTraining) -> bool:
    # What does not fill a batch may be left out.
    return training.examples - training.settings.batch_size < rows <= training.examples


def _disagreement(training: PrivateTraining, found: str) -> str:
    return (
        f"make_private was told of {training.examples:,} examples, but {found}; epsilon depends on their "
        "number, so give the right one"
    )

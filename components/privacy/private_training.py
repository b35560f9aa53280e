"""A model's private training: its step, and what is known of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy import leaks
from tfx_trust.components.privacy.adaptive import ClipNorm
from tfx_trust.components.privacy.clipping import Clipped, Engine
from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.data import PrivateData
from tfx_trust.components.privacy.microbatches import clipped_by_slices
from tfx_trust.components.privacy.noise import ALIGNMENT, GaussianNoise, in_xla
from tfx_trust.components.privacy.padding import Batch, leaving_out
from tfx_trust.components.privacy.progress import Progress
from tfx_trust.components.privacy.recording import SeenWeights, digest
from tfx_trust.components.privacy.report import Leak, Mechanism, Training


class PrivateTraining:
    """What `make_private` adds to a model.

    Parameters
    ----------
    model
        Built and compiled.
    settings
        Of the training.
    data
        Draws the batches; none for a shuffled dataset.
    examples
        N.
    """

    def __init__(
        self, model: keras.Model, settings: PrivacySettings, data: PrivateData | None, examples: int
    ) -> None:
        self.model = model
        self.settings = settings
        self.data = data
        self.examples = examples
        self.engine = Engine(model)
        self.progress = Progress(settings, data, examples)
        self.clip = ClipNorm(settings, self.progress.plan.noise_multiplier)
        self.noise = GaussianNoise(settings.seed)
        self.seen = SeenWeights(model)
        self.in_passes = False
        """Whether shuffled batches are known to hold each example once a pass."""
        self._compiled_loss = model._compile_loss
        self._own_loop = False
        self._optimizers: list[keras.optimizers.Optimizer] = []
        self._leaks: dict[str, Leak] = {}
        self._others = {
            digest(variable.numpy()) for variable in model.non_trainable_variables if _is_float(variable)
        }
        self._use_optimizer()
        for leak in leaks.of_model(model, self.engine.rules):
            self.note(leak)

    # The step

    def train_step(self, data: Any) -> Any:
        """In the place of `keras.Model.train_step`."""
        self._expect_same_model()
        batch = self._batch(data)
        gradients, clipped = self._gradients(batch)
        regularization = self.engine.regularization_loss()
        # Not before the step is found to be one of those that are planned.
        with tf.control_dependencies(gradients):
            self.model.optimizer.apply(gradients, self.engine.variables)
        return self._logs(batch, clipped, regularization)

    def gradients(self, x: Any, y: Any, sample_weight: Any) -> list[tf.Tensor]:
        """Noised mean gradients, for a loop of one's own."""
        self._own_loop = True
        self._expect_same_model()
        return self._gradients(self._batch((x, y, sample_weight)))[0]

    @contextlib.contextmanager
    def watched_step(self) -> Iterator[None]:
        """A step outside of ``fit`` is made while it is open; the weights that it ends with are seen."""
        self.follow_model()
        self.progress.expect_step()
        with self.progress.complaining():
            yield
        self.seen.see(self.progress.steps)

    def _batch(self, data: Any) -> Batch:
        batch = Batch.of(data, padded=self.data is not None)
        if self.data is not None and batch.sample_weight is None:
            raise UsageError(
                "a batch without weights: they tell examples from padding; pass on all three of "
                "(features, labels, weights) that the private data give"
            )
        return batch

    def _gradients(self, batch: Batch) -> tuple[list[tf.Tensor], Clipped]:
        with tf.control_dependencies(self.progress.count(batch)):
            norm = self.clip.now()
            clipped = self._clipped(batch, norm)
            noised = self._noised(clipped, batch, norm)
        regularization = self.engine.regularization_gradients()
        return [
            gradient if more is None else gradient + more
            for gradient, more in zip(noised, regularization, strict=True)
        ], clipped

    def _clipped(self, batch: Batch, norm: float | tf.Tensor) -> Clipped:
        if self.settings.microbatch is not None:
            return clipped_by_slices(self.engine, batch, norm, self.settings.microbatch)
        return self.engine.step(batch.x, batch.y, batch.sample_weight, norm)

    def _noised(self, clipped: Clipped, batch: Batch, norm: float | tf.Tensor) -> list[tf.Tensor]:
        """Mean over the expected batch of clipped gradients and noise."""
        share = 1 / self.settings.batch_size
        spread = self.clip.noise_multiplier * norm * share
        # In one draw. Each variable's part starts where it need not be copied.
        sizes = [math.prod(total.shape) for total in clipped.sums]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + -(-size // ALIGNMENT) * ALIGNMENT)
        if self.clip.adaptive:
            noise = self.noise.tensor(starts[-1] + 1)
            self.clip.follow(clipped.norms, batch.weighed(clipped.norms), noise[-1])
        else:
            noise = self.noise.tensor(starts[-1], spread)
        parts = [
            tf.reshape(noise[start : start + size], total.shape)
            for start, size, total in zip(starts, sizes, clipped.sums, strict=False)
        ]
        if self.clip.adaptive:
            parts = [part * spread for part in parts]
        return [total * share + part for total, part in zip(clipped.sums, parts, strict=True)]

    def _logs(self, batch: Batch, clipped: Clipped, regularization: tf.Tensor) -> Any:
        """Metrics over the examples of the batch, as Keras has them."""
        model = self.model
        weight = tf.cast(batch.rows, tf.float32)
        model._loss_tracker.update_state(batch.mean(clipped.losses) + regularization, sample_weight=weight)
        for metric, part in zip(model._compile_loss.metrics, clipped.parts, strict=False):
            metric.update_state(batch.mean(part), sample_weight=weight)
        if not batch.padded:
            return model.compute_metrics(batch.x, batch.y, clipped.y_pred, batch.sample_weight)
        if in_xla():
            with leaving_out(self._metrics(batch, clipped), batch.real(clipped.losses)):
                return model.compute_metrics(batch.x, batch.y, clipped.y_pred, batch.sample_weight)
        real = batch.first(batch.rows)
        y_pred = keras.tree.map_structure(lambda leaf: leaf[: batch.rows], clipped.y_pred)
        return model.compute_metrics(real.x, real.y, y_pred, real.sample_weight)

    def _metrics(self, batch: Batch, clipped: Clipped) -> list[Any]:
        compiled = self.model._compile_metrics
        if compiled is None:
            return []
        if not compiled.built:
            compiled.build(batch.y, clipped.y_pred)
        return list(compiled.metrics)

    # A model that changes

    def follow_model(self) -> None:
        """Takes note of another compilation; to be called before a step is traced."""
        if self.model._compile_loss is not self._compiled_loss:
            self.engine = Engine(self.model)
            self._compiled_loss = self.model._compile_loss
        self._use_optimizer()

    def _expect_same_model(self) -> None:
        if (
            self.model._compile_loss is not self._compiled_loss
            or self.model.optimizer not in self._optimizers
        ):
            with tf.init_scope():
                self.follow_model()

    def _use_optimizer(self) -> None:
        if not any(self.model.optimizer is known for known in self._optimizers):
            self._optimizers.append(self.model.optimizer)
            if not self.model.optimizer.built:
                # A graph could not, where what it does must wait for a check.
                self.model.optimizer.build(self.model.trainable_variables)

    # What is known

    def note(self, leak: Leak) -> None:
        """Keeps a leak that was seen, once."""
        self._leaks.setdefault(leak.name, leak)

    def leaks(self) -> list[Leak]:
        """Those that were seen."""
        return list(self._leaks.values())

    def weights(self) -> list[set[str]]:
        """Digests of the values that the trainable variables were seen to have."""
        return self.seen.digests(self.progress.steps)

    def other_weights(self) -> set[str]:
        """Digests of the variables that are not trained, as they were before training."""
        return self._others

    @property
    def sampled(self) -> bool:
        """Whether all batches can have been drawn by Poisson sampling."""
        return self.data is not None and self.progress.steps <= self.data.drawn

    def mechanism(self) -> Mechanism:
        """What was released so far."""
        done = self.progress.mechanism()
        if self.data is None or self.sampled:
            return done
        # Whatever was fed: an example may have been in all of it.
        return done.model_copy(update={"sampling": "none", "sampling_probability": None, "max_batch": None})

    def training(self) -> Training:
        """What was seen."""
        return Training(
            model=f"{self.model.name} ({type(self.model).__name__})",
            examples=self.examples,
            batch_size=self.settings.batch_size,
            max_batch=None if self.data is None else self.progress.batch_limit,
            sampling="poisson" if self.sampled else "shuffle",
            steps=self.progress.steps,
            planned_steps=self.progress.planned_steps,
            optimizer=type(self.model.optimizer).__name__,
            optimizer_steps=self.optimizer_steps(),
            l2_clip=self.clip.value(),
            adaptive=self.clip.adaptive,
            noise_source=self.noise.source,
            layers=self.engine.rules,
            unchecked=[*self.engine.unchecked, *self._unchecked()],
        )

    def optimizer_steps(self) -> int | None:
        """Updates of all optimizers that the model had; none where another one applied the gradients."""
        # `iterations` counts less often where gradients are accumulated.
        made = sum(
            int(getattr(optimizer, "_iterations", optimizer.iterations)) for optimizer in self._optimizers
        )
        return None if self._own_loop and not made else made

    def _unchecked(self) -> Iterator[str]:
        steps = self.progress.steps
        if not steps:
            return
        if self.data is not None and not self.sampled:
            yield (
                f"{steps:,} private steps were made, but {self.data.drawn:,} batches were drawn: other "
                "batches were fed, or the same ones again. No amplification by sampling is claimed, and "
                "each example is taken to have been in all of them."
            )
        if self.data is None and not self.in_passes:
            yield (
                "Batches came from a dataset or a loop that cannot be looked into: whether each example was "
                "in one batch of a pass alone is not known."
            )
        if steps > self.seen.steps:
            yield (
                "The last steps were made in a loop that cannot be looked into: whether the gradients were "
                "applied as they are, and nothing else changed the weights, is not known."
            )

    def guaranteed(self) -> bool:
        """Whether what was seen of training leaves a guarantee."""
        made = self.optimizer_steps()
        return self.noise.seed is None and (made is None or made == self.progress.steps)


def _is_float(variable: keras.Variable) -> bool:
    return keras.backend.is_float_dtype(variable.dtype)


def check_untrained(model: keras.Model) -> None:
    """Raises if an optimizer has updated the model already."""
    made = int(getattr(model.optimizer, "_iterations", model.optimizer.iterations))
    if made:
        raise InputError(
            f"model {model.name!r}: its optimizer has made {made:,} updates already, which were not private; "
            "make it private before training. If it was trained on public data alone, compile it again first"
        )

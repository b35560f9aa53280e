"""A SavedModel as a function of serialized tf.Examples: how every component asks a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.examples import reason

USUAL_SCORES = ("probabilities", "scores", "predictions", "outputs", "output_0", "logistic")
"""Names that an output with the score has if no other is given, the likeliest first."""
_DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Predictions:
    """What a model says of some examples.

    Attributes
    ----------
    scores
        float64 of shape ``(rows,)``, or ``(rows, classes)`` of more than two classes; of two columns the
        second. None where the model only decides.
    decisions
        int64 of shape ``(rows,)``; none where no output is named for them.
    """

    scores: np.ndarray | None
    decisions: np.ndarray | None = None


class ExampleModel:
    """Asks a SavedModel by its signature that takes serialized tf.Examples.

    It can be pickled: a worker of Beam loads the model anew.

    Parameters
    ----------
    folder
        Of the SavedModel.
    signature
        Which signature; ``serving_default``, or the only one that takes serialized examples, if not given.
    score_output
        Which of its outputs is the score: the first of `USUAL_SCORES` that there is, or the only output, if
        not given.
    decision_output
        Which is the decision, a whole number an example. If it is named and no score is, a model may have
        none.

    Raises
    ------
    InputError
        If there is no such model, signature or output, or it is not told which of several it is.

    Examples
    --------
    >>> model = ExampleModel("serving_model")                                       # doctest: +SKIP
    >>> model(tf.constant([example.SerializeToString()])).scores                    # doctest: +SKIP
    array([0.25])
    """

    def __init__(
        self,
        folder: str,
        *,
        signature: str | None = None,
        score_output: str | None = None,
        decision_output: str | None = None,
    ) -> None:
        self.folder = folder
        self._given = (signature, score_output, decision_output)
        self._load()

    def _load(self) -> None:
        signature, score, decision = self._given
        if not tf.saved_model.contains_saved_model(self.folder):
            raise InputError(
                f"{self.folder}: no SavedModel there; export the model, e.g. by keras.Model.export"
            )
        # Kept, for the signature does not hold on to its variables.
        self._model = tf.saved_model.load(self.folder)
        self.signature = self._signature_named(signature)
        self._function = self._model.signatures[self.signature]
        (self._argument,) = self._function.structured_input_signature[1]
        outputs = list(self._function.structured_outputs)
        self.decision_output = None if decision is None else self._output_named(decision, outputs)
        others = [name for name in outputs if name != decision]
        self.score_output = self._usual_score(others) if score is None else self._output_named(score, outputs)

    def _signature_named(self, wanted: str | None) -> str:
        signatures = self._model.signatures
        usable = [name for name in signatures if _takes_examples(signatures[name])]
        if wanted is not None and wanted not in signatures:
            raise InputError(f"{self.folder}: no signature {wanted!r}; it has {_listed(signatures)}")
        if wanted is not None and wanted not in usable:
            raise InputError(
                f"{self.folder}: signature {wanted!r} takes no batch of serialized tf.Examples; those that "
                f"do: {_listed(usable)}"
            )
        if not usable:
            raise InputError(
                f"{self.folder}: none of its signatures ({_listed(signatures)}) takes a batch of serialized "
                "tf.Examples; export the model with one that does"
            )
        if wanted is not None or len(usable) == 1:
            return wanted or usable[0]
        if _DEFAULT_SIGNATURE not in usable:
            raise InputError(
                f"{self.folder}: several signatures take serialized tf.Examples ({_listed(usable)}); say "
                f"which, or name one {_DEFAULT_SIGNATURE!r}"
            )
        return _DEFAULT_SIGNATURE

    def _output_named(self, wanted: str, outputs: list[str]) -> str:
        if wanted not in outputs:
            raise InputError(
                f"{self.folder}: signature {self.signature!r} has no output {wanted!r}; it has "
                f"{_listed(outputs)}"
            )
        return wanted

    def _usual_score(self, outputs: list[str]) -> str | None:
        usual = [name for name in USUAL_SCORES if name in outputs]
        if usual or (len(outputs) == 1 and self.decision_output is None):
            return (usual or outputs)[0]
        if self.decision_output is not None:
            return None
        raise InputError(
            f"{self.folder}: signature {self.signature!r} has several outputs ({_listed(outputs)}); say "
            f"which is the score, or name it {USUAL_SCORES[1]!r}"
        )

    @property
    def scored(self) -> bool:
        """Whether it gives scores."""
        return self.score_output is not None

    @property
    def decided(self) -> bool:
        """Whether it gives decisions."""
        return self.decision_output is not None

    def __call__(self, serialized: Any) -> Predictions:
        """What it says of some examples.

        Parameters
        ----------
        serialized
            String tensor of shape ``(rows,)``.

        Raises
        ------
        InputError
            If the model cannot answer them, or an answer has an unexpected shape or type.
        """
        try:
            answer = self._function(**{self._argument: serialized})
        except tf.errors.OpError as error:
            raise InputError(
                f"{self.folder}: signature {self.signature!r} cannot answer the examples ({reason(error)}); "
                "they must have the features that it was exported with"
            ) from None
        rows = int(serialized.shape[0])
        scores = None if self.score_output is None else self._scores(answer[self.score_output].numpy(), rows)
        if self.decision_output is None:
            return Predictions(scores)
        return Predictions(scores, self._decisions(answer[self.decision_output].numpy(), rows))

    def _scores(self, output: np.ndarray, rows: int) -> np.ndarray:
        shaped = output.ndim in (1, 2) and output.shape[0] == rows and 0 not in output.shape[1:]
        if not shaped or output.dtype.kind not in "fiu":
            raise self._unexpected(self.score_output, output, rows, "a number, or one a class,")
        scores = output.astype(np.float64)
        if scores.ndim == 1 or scores.shape[1] > 2:
            return scores
        return scores[:, -1]

    def _decisions(self, output: np.ndarray, rows: int) -> np.ndarray:
        whole = output.dtype.kind in "biu" or (output.dtype.kind == "f" and bool((output % 1 == 0).all()))
        if not whole or output.shape not in ((rows,), (rows, 1)):
            raise self._unexpected(self.decision_output, output, rows, "a whole number")
        return output.reshape(rows).astype(np.int64)

    def _unexpected(self, name: str | None, output: np.ndarray, rows: int, needed: str) -> InputError:
        return InputError(
            f"{self.folder}: output {name!r} has type {output.dtype} and shape {output.shape} for {rows} "
            f"examples; {needed} is needed for each"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "given": self._given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder = state["folder"]
        self._given = state["given"]
        self._load()


def _takes_examples(function: Any) -> bool:
    inputs = list(function.structured_input_signature[1].values())
    return len(inputs) == 1 and inputs[0].dtype == tf.string and inputs[0].shape.rank in (1, None)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"

"""Labels and weights of the examples that are mitigated, each checked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness.coding import MISSING_CODE, Coder
from tfx_trust.components.fairness.labels import weights_of as _weights_of

_USUAL = {"0": 0, "1": 1, "false": 0, "true": 1}
_SHOWN = 5


class LabelCodes:
    """Numbers the labels of batch after batch.

    Parameters
    ----------
    name
        The label's feature.
    most
        Most values.
    """

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self._coder = Coder(name, None, most)

    @property
    def values(self) -> list[str]:
        """The labels, by number from 0 on, as they were met."""
        return self._coder.values

    def of(self, array: pa.Array) -> np.ndarray:
        """Numbers of some labels, int64 of shape ``(rows,)``.

        Raises
        ------
        InputError
            If one is missing, or there are too many values.
        """
        codes = self._coder.codes(array)
        if self._coder.overflown:
            raise InputError(
                f"label {self.name!r} has more than {self._coder.most:,} values; it must be one of two, or "
                "of several classes"
            )
        missing = int((codes == MISSING_CODE).sum())
        if missing:
            raise InputError(
                f"label {self.name!r} is missing in {missing:,} of {len(codes):,} examples; label them, or "
                "leave them out"
            )
        return codes - 1

    def binary(self, numbers: np.ndarray, positive: str | None) -> np.ndarray:
        """Labels as 0 and 1, int64, from their numbers.

        Raises
        ------
        InputError
            If there are not two values, or it is not told which is positive.
        """
        values = self.values
        shown = ", ".join(repr(value) for value in sorted(values)[:_SHOWN])
        more = ", …" if len(values) > _SHOWN else ""
        if len(values) != 2:
            raise InputError(
                f"label {self.name!r} has {len(values)} values ({shown}{more}); thresholds are for a label "
                "of two"
            )
        if positive is None and not all(value in _USUAL for value in values):
            raise InputError(
                f"label {self.name!r} is one of {shown}; 0 and 1 are understood: say which value is positive "
                "(settings: positive)"
            )
        if positive is not None and positive not in values:
            raise InputError(f"label {self.name!r} is one of {shown}, never the positive value {positive!r}")
        table = [_USUAL[value] if positive is None else int(value == positive) for value in values]
        return np.array(table, np.int64)[numbers]


def binary_labels(array: pa.Array, name: str, positive: str | None) -> np.ndarray:
    """Labels as 0 and 1, int64 of shape ``(rows,)``; as :class:`LabelCodes`."""
    codes = LabelCodes(name, most=_SHOWN)
    return codes.binary(codes.of(array), positive)


def weights_of(array: pa.Array, name: str) -> np.ndarray:
    """Weights, float64 of shape ``(rows,)``, as the fairness gate reads them."""
    return _weights_of(pc.cast(array, pa.float64(), safe=False), name, 0)

"""Per-example clipping: the sum of clipped gradients of a batch, without a gradient for each example."""

from __future__ import annotations

from tfx_trust.components.privacy.clipping.engine import Clipped, Engine

__all__ = ["Clipped", "Engine"]

"""Pipelines made of the components: the standard one with the gates slotted in, and its example.

Names are loaded on first use, since TFX takes seconds to import.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Filter": "steps",
    "Gate": "steps",
    "ModelStep": "steps",
    "Nodes": "steps",
    "PushStep": "steps",
    "create_pipeline": "trust",
    "eval_config": "evaluation",
    "PipelineFailed": "runner",
    "Progress": "runner",
    "run_pipeline": "runner",
}

__all__ = [
    "Filter",
    "Gate",
    "ModelStep",
    "Nodes",
    "PipelineFailed",
    "Progress",
    "PushStep",
    "create_pipeline",
    "eval_config",
    "run_pipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

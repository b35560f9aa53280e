"""What a pipeline runs on: Python, the machine, every package, and what decides about repeatability."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re

from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.record import Environment

VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "JAX_ENABLE_X64",
    "KERAS_BACKEND",
    "LANG",
    "LC_ALL",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "PYTHONHASHSEED",
    "SOURCE_DATE_EPOCH",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_USE_LEGACY_KERAS",
    "TF_XLA_FLAGS",
    "TZ",
    "XLA_FLAGS",
)
"""Environment variables that are recorded where they are set: those that change what is computed."""


def environment_of(container: str | None = None) -> Environment:
    """What this process runs on.

    Parameters
    ----------
    container
        Name and digest of the container image, which a process in it cannot find out.
    """
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=platform.platform(),
        machine=platform.machine(),
        processors=_processors(),
        packages=_packages(),
        container=None if container is None else mask_text(container),
        variables={name: mask_text(os.environ[name]) for name in VARIABLES if name in os.environ},
    )


def _packages() -> dict[str, str]:
    """Version by canonical name; of a package that lies on the path twice, that which is imported."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        told = distribution.metadata
        # What an interrupted installation leaves behind has neither.
        if "Name" in told and "Version" in told:
            found.setdefault(re.sub(r"[-_.]+", "-", told["Name"]).lower(), told["Version"])
    return dict(sorted(found.items()))


def _processors() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

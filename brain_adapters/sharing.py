"""Doctor's check of frameworks side by side: who would take all of a GPU's memory from the others."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path

from .findings import OK, WARN, Finding

__all__ = ["check_sharing", "examine_sharing"]

_FRAMEWORKS = ("torch", "tensorflow", "jax", "onnxruntime")
_DRIVER = Path("/proc/driver/nvidia")


def check_sharing() -> list[Finding]:
    """Look at the installed frameworks and the environment of this process."""
    installed = [name for name in _FRAMEWORKS if find_spec(name) is not None]
    return examine_sharing(installed, os.environ, has_gpu=_DRIVER.exists())


def examine_sharing(installed: Collection[str], environment: Mapping[str, str], *, has_gpu: bool) -> list[Finding]:
    """Say which framework leaves no GPU memory to the others, and what to set before it is imported.

    Parameters
    ----------
    installed : collection of str
        Import names of frameworks.
    environment : mapping of str to str
        Environment variables.
    has_gpu : bool
        Whether there is an NVIDIA GPU.

    Examples
    --------
    >>> [finding.status for finding in examine_sharing(["torch", "jax"], {}, has_gpu=True)]
    ['warn']
    >>> [finding.status for finding in examine_sharing(["jax"], {}, has_gpu=True)]
    ['ok']
    """
    if not has_gpu:
        return [Finding("side by side", OK, "no NVIDIA GPU, so none whose memory one framework could take")]
    if len(installed) < 2:
        return [Finding("side by side", OK, "one framework, which may take all of the GPU's memory")]
    findings = []
    is_limited = any(name in environment for name in ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"))
    preallocates = environment.get("XLA_PYTHON_CLIENT_PREALLOCATE", "true").lower() not in ("false", "0")
    if "jax" in installed and preallocates and not is_limited:
        findings.append(
            Finding(
                "side by side",
                WARN,
                "jax takes 75 % of a GPU's memory at its first operation, and the others find none",
                "Before Python starts: export XLA_PYTHON_CLIENT_PREALLOCATE=false",
            )
        )
    if "tensorflow" in installed and environment.get("TF_FORCE_GPU_ALLOW_GROWTH", "false").lower() not in ("true", "1"):
        findings.append(
            Finding(
                "side by side",
                WARN,
                "TensorFlow takes all of a GPU's memory at its first operation, and the others find none",
                "Before Python starts: export TF_FORCE_GPU_ALLOW_GROWTH=true",
            )
        )
    return findings or [Finding("side by side", OK, "each framework takes of the GPU's memory what it needs")]

"""Doctor's check of frameworks side by side: who would take all of a GPU's memory from the others."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from .findings import OK, WARN, Finding

__all__ = ["check_sharing", "examine_sharing", "gpu_builds"]

_JAX_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
_DRIVER = Path("/proc/driver/nvidia")


def check_sharing() -> list[Finding]:
    """Look at the installed frameworks and the environment of this process."""
    return examine_sharing(gpu_builds(), os.environ, has_gpu=_DRIVER.exists())


def gpu_builds() -> list[str]:
    """Return the import names of the installed frameworks whose build can use an NVIDIA GPU; imports none of them."""
    can = {
        "torch": not (_version("torch") or "").endswith("+cpu"),
        "tensorflow": _version("tensorflow") is not None or _version("tensorflow-cpu") is None,
        "jax": any(find_spec(plugin) is not None for plugin in _JAX_PLUGINS),
        "onnxruntime": _version("onnxruntime-gpu") is not None,
    }
    return [name for name, is_built in can.items() if is_built and find_spec(name) is not None]


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def examine_sharing(installed: Collection[str], environment: Mapping[str, str], *, has_gpu: bool) -> list[Finding]:
    """Say which framework leaves no GPU memory to the others, and what to set before it is imported.

    Parameters
    ----------
    installed : collection of str
        Import names of frameworks whose build can use a GPU.
    environment : mapping of str to str
        Environment variables.
    has_gpu : bool
        Whether there is an NVIDIA GPU.

    Examples
    --------
    >>> [finding.status for finding in examine_sharing(["torch", "jax"], {}, has_gpu=True)]
    ['warn']
    >>> [finding.status for finding in examine_sharing(["torch", "jax"], {"JAX_PLATFORMS": "cpu"}, has_gpu=True)]
    ['ok']
    """
    if not has_gpu:
        return [Finding("side by side", OK, "no NVIDIA GPU, so none whose memory one framework could take")]
    if environment.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return [Finding("side by side", OK, "CUDA_VISIBLE_DEVICES hides the GPU from every framework")]
    using = [name for name in installed if name != "jax" or _is_jax_on_gpu(environment)]
    if len(using) < 2:
        who = f"only {using[0]} uses the GPU, and may take all of its memory" if using else "no framework uses the GPU"
        return [Finding("side by side", OK, who)]
    findings = []
    if "jax" in using and _is_jax_greedy(environment):
        findings.append(
            Finding(
                "side by side",
                WARN,
                "jax takes 75 % of a GPU's memory at its first operation, and the others find none",
                "Before Python starts: export XLA_PYTHON_CLIENT_PREALLOCATE=false",
            )
        )
    if "tensorflow" in using and environment.get("TF_FORCE_GPU_ALLOW_GROWTH", "false").lower() not in ("true", "1"):
        findings.append(
            Finding(
                "side by side",
                WARN,
                "TensorFlow takes all of a GPU's memory at its first operation, and the others find none",
                "Before Python starts: export TF_FORCE_GPU_ALLOW_GROWTH=true",
            )
        )
    return findings or [Finding("side by side", OK, "each framework takes of the GPU's memory what it needs")]


def _is_jax_on_gpu(environment: Mapping[str, str]) -> bool:
    platforms = environment.get("JAX_PLATFORMS", "")
    return not platforms or any(name in platforms.split(",") for name in ("cuda", "gpu"))


def _is_jax_greedy(environment: Mapping[str, str]) -> bool:
    """Tell whether JAX takes memory in advance; ``platform`` allocates and frees each array by itself."""
    is_limited = any(name in environment for name in ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"))
    is_single = environment.get("XLA_PYTHON_CLIENT_ALLOCATOR", "default").lower() == "platform"
    preallocates = environment.get("XLA_PYTHON_CLIENT_PREALLOCATE", "true").lower() not in ("false", "0")
    return preallocates and not is_limited and not is_single

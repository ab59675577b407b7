"""What of a machine decides the last bits of a result: the kind of processor, and settings in the environment."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

__all__ = ["cpu_class", "device_class", "environment_settings"]

# The widest instructions come first: kernels are chosen by them, and sum in another order.
_LEVELS = (("amx_tile", "amx"), ("avx512f", "avx512"), ("avx2", "avx2"), ("avx", "avx"), ("sve", "sve"))
_VENDORS = {"GenuineIntel": "intel", "AuthenticAMD": "amd"}
_SETTINGS = (
    *("NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "ATEN_CPU_CAPABILITY"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS"),
    *("TF_CUDNN_DETERMINISTIC", "TF_XLA_FLAGS", "XLA_FLAGS", "LIBTPU_INIT_ARGS"),
)


def device_class(kind: str = "cpu", *, detail: str = "") -> str:
    """Return the class of a device, the same on all machines that give the same bits, and never a machine's name.

    Parameters
    ----------
    kind : str
        ``'cpu'``, ``'cuda'`` and so on.
    detail : str
        What of the device decides its results, such as ``'sm90'``; of a CPU it is found out.

    Examples
    --------
    >>> device_class("cuda", detail="sm90")
    'cuda-sm90'
    """
    detail = detail or (cpu_class() if kind == "cpu" else "")
    return f"{kind}-{detail}" if detail else kind


@functools.cache
def cpu_class(table: Path = Path("/proc/cpuinfo")) -> str:
    """Return the widest vector instructions and the maker of the processor; libraries choose kernels by both.

    Parameters
    ----------
    table : path
        What Linux says of its processors; elsewhere the architecture has to do.
    """
    try:
        lines = [line.partition(":") for line in table.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return platform.machine().lower()
    found = {name.strip().lower(): value.strip() for name, _, value in reversed(lines)}
    flags = set((found.get("flags") or found.get("features") or "").split())
    level = next((level for flag, level in _LEVELS if flag in flags), platform.machine().lower())
    vendor = _VENDORS.get(found.get("vendor_id", ""))
    return f"{level}-{vendor}" if vendor else level


def environment_settings() -> dict[str, str]:
    """Return the environment variables that are set here and change how libraries compute."""
    return {name: os.environ[name] for name in _SETTINGS if name in os.environ}

"""Settings, versions and device of a framework that was imported by somebody else; see `Adapter.numerics`.

The module comes as an argument: Keras runs on each of the three, and nothing is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .libraries import full_version_of
from .machines import device_class

__all__ = ["jax_numerics", "tensorflow_numerics", "torch_numerics"]

_TORCH = {
    "backends.cuda.matmul": (
        *("allow_tf32", "fp32_precision", "allow_fp16_accumulation"),
        *("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction"),
    ),
    "backends.cudnn": ("enabled", "deterministic", "benchmark", "allow_tf32", "fp32_precision"),
    "backends.mkldnn": ("enabled", "deterministic", "allow_tf32", "fp32_precision"),
    "backends": ("fp32_precision",),
    "backends.cuda": ("flash_sdp_enabled", "mem_efficient_sdp_enabled", "math_sdp_enabled", "cudnn_sdp_enabled"),
    "": ("get_default_dtype", "are_deterministic_algorithms_enabled"),
}
_JAX = (
    *("jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_default_prng_impl"),
    *("jax_threefry_partitionable", "jax_disable_jit", "jax_default_dtype_bits", "jax_xla_backend"),
)


def torch_numerics(torch: Any, device: Any) -> dict[str, Any]:
    """Return what decides the bits of PyTorch's results.

    Parameters
    ----------
    torch : module
        PyTorch.
    device : torch.device
        Where it runs.
    """
    found: dict[str, Any] = {"class": device_class(device.type)}
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        found = {"class": device_class("cuda", detail=f"sm{major}{minor}"), "cuda": str(torch.version.cuda)}
        found["cudnn"] = torch.backends.cudnn.version()
    elif device.type == "cpu":
        found["kernels"] = torch.backends.cpu.get_cpu_capability()
    return {"settings": dict(_torch_settings(torch)), "versions": _versions("torch"), "device": found}


def _torch_settings(torch: Any) -> Iterator[tuple[str, Any]]:
    for place, names in _TORCH.items():
        module = torch
        for part in place.split(".") if place else ():
            module = getattr(module, part, None)
        for name in names:
            try:
                value = getattr(module, name)
            except (AttributeError, RuntimeError):  # of another version, or set by the newer of two ways only
                continue
            yield f"{place}.{name}".strip("."), _as_data(value() if callable(value) else value)


def tensorflow_numerics(tensorflow: Any, device: str | None) -> dict[str, Any]:
    """Return what decides the bits of TensorFlow's results.

    Parameters
    ----------
    tensorflow : module
        TensorFlow.
    device : str, optional
        ``'CPU:0'``, ``'GPU:1'``; None is the first GPU where there is one.
    """
    config = tensorflow.config
    kind, _, number = (device or "GPU:0").upper().partition(":")
    accelerators = config.list_physical_devices(kind) if kind != "CPU" else []
    found: dict[str, Any] = {"class": device_class()}
    if len(accelerators) > int(number or 0):
        details = config.experimental.get_device_details(accelerators[int(number or 0)])
        capability = "".join(str(part) for part in details.get("compute_capability", ()))
        found = {"class": device_class("cuda", detail=f"sm{capability}" if capability else "")}
        build = tensorflow.sysconfig.get_build_info()
        found |= {name: str(build.get(f"{name}_version")) for name in ("cuda", "cudnn")}
    settings = {
        "tensor_float_32": config.experimental.tensor_float_32_execution_enabled(),
        "jit": _as_data(config.optimizer.get_jit()),
        "optimizer": _as_data(sorted(config.optimizer.get_experimental_options().items())),
    }
    return {"settings": settings, "versions": _versions("tensorflow"), "device": found}


def jax_numerics(jax: Any, device: Any) -> dict[str, Any]:
    """Return what decides the bits of JAX's results.

    Parameters
    ----------
    jax : module
        JAX.
    device : jax.Device
        Where it runs.
    """
    settings = {name: _as_data(getattr(jax.config, name)) for name in _JAX if hasattr(jax.config, name)}
    kind = {"gpu": "cuda"}.get(device.platform, device.platform)
    if kind == "cpu":
        found = {"class": device_class()}
    else:
        capability = str(getattr(device, "compute_capability", "")).replace(".", "")
        detail = f"sm{capability}" if kind == "cuda" and capability else str(device.device_kind)
        found = {"class": device_class(kind, detail=detail), "driver": str(device.client.platform_version)}
    return {"settings": settings, "versions": _versions("jax", "jaxlib"), "device": found}


def _versions(*names: str) -> dict[str, str]:
    return {name: full_version_of(name) for name in names}


def _as_data(value: Any) -> Any:
    return value if type(value) in (bool, int, str, type(None)) else str(value)

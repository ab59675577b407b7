"""What a PyTorch model's values depend on beside its weights, and how exactly they are computed here.

A model is described as it stands, module by module, and not by the code that built it. Training mode does not count:
runs always evaluate. Nor does what random layers are seeded with: every run seeds PyTorch's own generators.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as registry

from ...fingerprints import (
    Describer,
    NotFingerprintable,
    class_reference,
    digest_of,
    replaced_in,
    torch_numerics,
)
from .state import EXCLUSIVE

__all__ = ["numerics_of", "structure_of"]

_OURS = __name__.partition(".frameworks.")[0]
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
# where a Hugging Face model was loaded from, and by what; that a model was compiled, which runs do without
_ORIGINS = frozenset({"_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "_is_torch_compile"})
_TORCHSCRIPT = "it is TorchScript, whose code is out of reach"
_MODULE = "Replace it by the torch.nn.Module that it was made from."


def structure_of(model: nn.Module, forward_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return modules with their classes, settings and hooks, in order; see `adapters.contract.Adapter.structure`.

    Parameters
    ----------
    model : torch.nn.Module
        Looked at and left as it is.
    forward_kwargs : mapping
        What its forward is called with beside the images.

    Raises
    ------
    NotFingerprintable
        If a module holds something that cannot be told by its content, or is TorchScript.
    """
    with EXCLUSIVE:  # the hooks of runs in other threads come and go
        return _Modules(model).described(forward_kwargs)


class _Modules:
    """The modules of one model."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._describe = Describer(_describe_special)
        self._names: dict[int, str] = {}
        self._kept_by_torch = frozenset(vars(nn.Module()))
        for name, module in model.named_modules():
            self._names[id(module)] = name
            self._describe.known_as(module, _called(name))

    def described(self, forward_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        modules = [
            [name, self._module(module, name) if self._names[id(module)] == name else {"is": self._names[id(module)]}]
            for name, module in self._model.named_modules(remove_duplicate=False)
        ]
        tensors = (*self._model.named_parameters(), *self._model.named_buffers())
        return {
            "modules": modules,
            "tensors": {name: [str(tensor.dtype), list(tensor.shape)] for name, tensor in tensors},
            "arguments": {
                name: self._describe(value, f"argument {name!r} in forward_kwargs")
                for name, value in sorted(forward_kwargs.items())
            },
            "global hooks": self._hooks(
                {"before": registry._global_forward_pre_hooks, "after": registry._global_forward_hooks}, "every module"
            ),
            "replaced": {
                name: self._describe(function, f"torch.nn.functional.{name}")
                for name, function in sorted(replaced_in(vars(nn.functional)).items())
            },
        }

    def _module(self, module: nn.Module, name: str) -> dict[str, Any]:
        where = _called(name)
        if isinstance(module, torch.jit.ScriptModule):
            raise NotFingerprintable.because(module, where, _TORCHSCRIPT, advice=_MODULE)
        found = {
            "class": class_reference(type(module), self._describe, where),
            "shown": _shown_by(module),
            "attributes": {
                key: self._describe(value, f"attribute {key!r} of {where}")
                for key, value in sorted(vars(module).items())
                if key not in self._kept_by_torch and key not in _ORIGINS
            },
            "hooks": self._hooks({"before": module._forward_pre_hooks, "after": module._forward_hooks}, where),
            "no parameters": sorted(key for key, value in module._parameters.items() if value is None),
        }
        return {key: item for key, item in found.items() if item}

    def _hooks(self, hooks: Mapping[str, Mapping[int, Callable[..., Any]]], where: str) -> list[Any]:
        """Describe forward hooks in the order in which they run; those of a run of this package pass values on."""
        return [
            [kind, self._describe(hook, f"a hook of {where}")]
            for kind, registered in hooks.items()
            for hook in registered.values()
            if not str(getattr(hook, "__module__", "")).startswith(f"{_OURS}.")
        ]


def _shown_by(module: nn.Module) -> str:
    try:
        return _ADDRESS.sub("", module.extra_repr())
    except Exception:  # of a user's class, and only for people to read: attributes follow anyway
        return ""


def _called(name: str) -> str:
    return f"layer {name!r}" if name else "the model"


def _describe_special(value: Any, describer: Describer, where: str) -> Any:
    """Describe what is PyTorch's or Hugging Face's own; see `adapters.fingerprints.Special`."""
    if isinstance(value, torch.Tensor):
        return _describe_tensor(value, where)
    if isinstance(value, torch.Generator):
        if value is torch.default_generator:
            return {"random": "seeded"}
        raise NotFingerprintable.because(value, where, "what it draws depends on its state, which a run does not set")
    if isinstance(value, torch.fx.Graph):
        return {"graph": digest_of(_ADDRESS.sub("", value.python_code("self").src).encode())}
    if any(base.__name__.lower() == "pretrainedconfig" for base in type(value).__mro__):
        return describer.once(value, lambda: _describe_configuration(value, describer, where))
    return NotImplemented


def _describe_tensor(tensor: torch.Tensor, where: str) -> dict[str, Any]:
    try:
        dense = tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
        values = dense.int_repr() if dense.is_quantized else dense
        raw = values.resolve_conj().resolve_neg().cpu().contiguous().flatten().view(torch.uint8).numpy()
        scale = repr((dense.q_scale(), dense.q_zero_point())) if dense.is_quantized else ""
    except (RuntimeError, TypeError, NotImplementedError) as error:  # on the meta device, say
        raise NotFingerprintable.because(tensor, where, f"its values cannot be read ({error})") from error
    return {"array": [f"{tensor.dtype} {scale}".strip(), list(tensor.shape), digest_of(raw)]}


def _describe_configuration(value: Any, describer: Describer, where: str) -> dict[str, Any]:
    return {
        "configuration": class_reference(type(value), describer, where),
        "settings": {
            name: describer(item, f"setting {name!r} of {where}")
            for name, item in sorted(vars(value).items())
            if name not in _ORIGINS
        },
    }


def numerics_of(model: nn.Module, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Return dtypes, flags, versions and the class of the device; see `adapters.contract.Adapter.numerics`.

    Parameters
    ----------
    model : torch.nn.Module
        The layout of its tensors in memory decides which kernels run.
    device : torch.device
        Where it runs.
    dtype : torch.dtype
        Of its input.
    """
    found = torch_numerics(torch, device)
    return {**found, "settings": {**found["settings"], "input": str(dtype), "memory": _layouts_of(model)}}


def _layouts_of(model: nn.Module) -> list[str]:
    """Return in which orders the kernels of the model lie in memory."""
    kernels = [tensor for tensor in model.parameters() if tensor.dim() == 4 and not tensor.is_contiguous()]
    is_last = (kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    return sorted({"channels last" if each else "other" for each in is_last})

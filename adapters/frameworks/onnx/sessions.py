"""ONNX Runtime's side: where it runs, the sessions it makes of a graph, and batches of any length through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from ...errors import DeviceError, UnsupportedModelError, listing

__all__ = ["Provider", "Reading", "choose_providers", "start_session"]

Provider = str | tuple[str, dict[str, str]]
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def choose_providers(device: str | None, given: Any = None) -> list[Provider]:
    """Return the execution providers for a device, the one that was asked for first.

    Parameters
    ----------
    device : str, optional
        ``'CUDAExecutionProvider'``, short ``'cuda'``, ``'cuda:1'``; None takes CUDA where there is a build for it.
    given : onnxruntime.InferenceSession, optional
        The user's session, whose providers are the default.

    Raises
    ------
    DeviceError
        If this build of ONNX Runtime has no such provider.
    """
    available = onnxruntime.get_available_providers()
    if device is None and given is not None:
        options = given.get_provider_options()
        return [(name, options.get(name, {})) for name in given.get_providers()]
    if device is None:
        return [name for name in (_CUDA, _CPU) if name in available]
    name, _, number = device.partition(":")
    wanted = (name.lower(), f"{name.lower()}executionprovider")
    chosen = next((each for each in available if each.lower() in wanted), None)
    if chosen is None or not (number.isdigit() or number == ""):
        raise DeviceError(
            f"device={device!r} was asked for, but onnxruntime {onnxruntime.__version__} has no such execution "
            f"provider here; it has: {listing(available)}. Leave device out to run on what there is, or install the "
            f"build for your hardware, for example onnxruntime-gpu."
        )
    if chosen == _CPU:
        return [_CPU]
    return [(chosen, {"device_id": number}) if number else chosen, _CPU]


def start_session(
    model: onnx.ModelProto,
    providers: Sequence[Provider],
    *,
    name: str,
    folder: Path | None = None,
    given: Any = None,
    is_required: bool = False,
) -> Any:
    """Return a session of a model.

    Parameters
    ----------
    model : onnx.ModelProto
        What it runs.
    providers : sequence of Provider
        Where, the one to be preferred first.
    name : str
        Of the model, for messages.
    folder : Path, optional
        Where the files of the weights are, if they are not in the model.
    given : onnxruntime.InferenceSession, optional
        The user's session: its class and options make the new one, and with them come operators of its own.
    is_required : bool
        Whether the first provider must start; ONNX Runtime itself goes on to the next.

    Raises
    ------
    UnsupportedModelError
        If ONNX Runtime cannot load the model.
    DeviceError
        If a required provider does not start.
    """
    make = onnxruntime.InferenceSession if given is None else type(given)
    options = _options(folder) if given is None else given.get_session_options()
    try:
        session = make(model.SerializeToString(), sess_options=options, providers=list(providers))
    except Exception as error:
        opsets = listing([f"{each.domain or 'ai.onnx'} {each.version}" for each in model.opset_import])
        raise UnsupportedModelError(
            f"onnxruntime {onnxruntime.__version__} cannot load {name} (IR version {model.ir_version}, opsets "
            f"{opsets}): {str(error).strip()}. Expected versions and operators that it has. Update it, convert the "
            f"model with onnx.version_converter, or pass an InferenceSession whose options register the operators."
        ) from error
    first = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if is_required and first not in session.get_providers():
        raise DeviceError(
            f"ONNX Runtime could not start {first} for {name} and would run on {listing(session.get_providers())}. "
            f"Check the driver of the device, or pass device='cpu'."
        )
    return session


def _options(folder: Path | None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors come as exceptions
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoding needs the cores in between
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return options


class Reading:
    """Reads tensors of a graph, one after the other for graphs that are made for a fixed number of images.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Its first outputs are the tensors.
    tensors : sequence of str
        Their names.
    n_fixed : int, optional
        Number of images that the graph takes at a time; shorter batches are filled up with their last image.
    is_random : bool
        Whether the graph draws random numbers; each session draws the same, from its start.
    channel_axes : mapping of str to int, optional
        Of tensors of four axes, where it may be another one than the second, as which it comes out.
    """

    def __init__(
        self,
        session: Any,
        tensors: Sequence[str],
        *,
        n_fixed: int | None,
        is_random: bool,
        channel_axes: Mapping[str, int] | None = None,
    ) -> None:
        self.is_random = is_random
        self._arrays: dict[str, Any] = {}
        self._axes = channel_axes or {}
        outputs = session.get_outputs()[: len(tensors)]
        self.types: dict[str, str] = {name: each.type for name, each in zip(tensors, outputs, strict=True)}
        self._session, self._n_fixed = session, n_fixed
        self._input, self._outputs = session.get_inputs()[0].name, [each.name for each in outputs]

    def narrowed_to(self, tensors: Sequence[str]) -> Reading:
        """Return what reads some of the tensors with the same session."""
        narrowed = copy(self)
        names = dict(zip(self.types, self._outputs, strict=True))
        narrowed.types, narrowed._outputs = ({t: self.types[t] for t in tensors}, [names[t] for t in tensors])
        return narrowed

    def given(self, arrays: Mapping[str, np.ndarray]) -> Reading:
        """Return the same with values for further inputs of the graph, which are brought to the device once."""
        fed = copy(self)
        fed._arrays = {name: _on_device(array, self._session) for name, array in arrays.items()}
        return fed

    def __call__(self, batch: np.ndarray) -> dict[str, Any]:
        """Return the value of each tensor for a batch of shape (n_images, ...), float32."""
        batch, size = np.ascontiguousarray(batch, np.float32), self._n_fixed or len(batch)
        parts = [self._run(_filled_up(batch[start : start + size], size)) for start in range(0, len(batch), size)]
        joined = (_joined([part[number] for part in parts], size, len(batch)) for number in range(len(self._outputs)))
        values = zip(self.types, joined, strict=True)
        return {name: _channels_first(value, self._axes.get(name, 1)) for name, value in values}

    def _run(self, batch: np.ndarray) -> list[Any]:
        if not self._arrays:
            values: list[Any] = self._session.run(self._outputs, {self._input: batch})
            return values
        given = {self._input: onnxruntime.OrtValue.ortvalue_from_numpy(batch), **self._arrays}
        return [value.numpy() for value in self._session.run_with_ort_values(self._outputs, given)]

    def mixed(self, images: np.ndarray) -> set[str]:
        """Return tensors whose first axis is as long as a fixed batch, but is not it: one image changes other rows.

        Parameters
        ----------
        images : array of shape (n_images, ...), float32
            At least two, all different.
        """
        if self._n_fixed in (None, 1) or self.is_random:
            return set()
        same = np.repeat(images[:1], self._n_fixed, axis=0)
        one_changed = np.concatenate([same[:-1], images[1:2]])
        runs = [self._session.run(self._outputs, {self._input: each}) for each in (same, one_changed)]
        pairs = zip(self.types, *runs, strict=True)
        return {name for name, *pair in pairs if pair[0].shape[:1] == (self._n_fixed,) and _differ(*pair)}


def _on_device(array: np.ndarray, session: Any) -> Any:
    """Bring an array to where a session runs."""
    first = session.get_providers()[0]
    number = int(session.get_provider_options().get(first, {}).get("device_id", 0))
    return onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda" if first == _CUDA else "cpu", number)


def _differ(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether values differ, but for the last row, by more than kernels round."""
    before, after = before[:-1], after[:-1]
    rounding = 1e-5 * float(np.max(np.abs(before), initial=0))
    return not np.allclose(before, after, rtol=1e-3, atol=rounding, equal_nan=True)


def _filled_up(images: np.ndarray, size: int) -> np.ndarray:
    n_missing = size - len(images)
    return np.concatenate([images, np.repeat(images[-1:], n_missing, axis=0)]) if n_missing else images


def _channels_first(value: Any, axis: int) -> Any:
    return np.moveaxis(value, axis, 1) if axis > 1 and value.ndim == 4 else value


def _joined(values: list[Any], size: int, n_images: int) -> Any:
    """Put the rows of several passes together and leave out those that only filled up; the rest is as it came."""
    has_rows = values[0].shape[:1] == (size,)
    if not has_rows or (len(values) == 1 and size == n_images):
        return values[0]
    return np.concatenate(values)[:n_images]

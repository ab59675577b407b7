"""The ONNX adapter: models are graphs in files, layers are their nodes, and ONNX Runtime runs them.

A tensor is read by making it an output of the graph, and the graph is cut to what the requested tensors need.
"""

from __future__ import annotations

import functools
import os
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx import numpy_helper

from ...contract import Adapter, Forward, InputSpec, Parameter, is_instance_of
from ...errors import UnsupportedModelError, listing
from ...layers import LayerRequest, Layers
from ...outputs import pick
from ...reducing import LayerReduction, Reducing
from .fingerprint import numerics_of, structure_of
from .graph import cut_to, digest_of, files_of, image_input, seed_random_nodes, set_to_inference, tensors_in
from .layout import channel_axes
from .listing import Listing, is_floating_array, list_nodes
from .reducing import append_reductions, given_arrays
from .sessions import Reading, choose_providers, start_session

__all__ = ["OnnxAdapter"]

_MAX_KEPT = 4  # listings, and sessions
_HALVES = ("tensor(float16)", "tensor(bfloat16)")


class OnnxAdapter(Adapter):
    """Reads ONNX models through ONNX Runtime.

    A layer is a node of the graph, under its name, or under its output tensor's where the nodes have no names of their
    own; the tensor's name finds every node. What the graph itself calls ``logits`` is the final output, else what it
    returns first. Channels come before rows and columns, also where the graph has them last. Dropout and batch
    normalisation infer, even where the graph was exported for training. To look into local functions, first apply
    ``onnx.inliner.inline_local_functions``.

    Parameters
    ----------
    model : str, Path, bytes, onnx.ModelProto or onnxruntime.InferenceSession
        A ``.onnx`` file, its content, the parsed model, or a session, whose class and options (operators of other
        packages) then make ours, too. Left as found. A file, also one with weights beside it, or a ``ModelProto`` that
        was changed since is read anew.
    device : str, optional
        An execution provider: ``'CUDAExecutionProvider'``, short ``'cuda'``, ``'cuda:1'``, ``'cpu'``. None takes CUDA
        where this build of ONNX Runtime has it, and a session's own providers.

    Raises
    ------
    UnsupportedModelError
        If the model cannot be read, or does not take exactly one array of images.
    DeviceError
        If the execution provider does not exist here.
    """

    framework: ClassVar[str] = "onnx"

    def __init__(self, model: Any, *, device: str | None = None) -> None:
        super().__init__(model, device=device)
        self._session = model if is_instance_of(model, "onnxruntime", "InferenceSession") else None
        self._source = _source_of(model)
        self._providers = choose_providers(device, self._session)
        graph = self._load()
        self._name = self._source.stem if isinstance(self._source, Path) else graph.graph.name or "onnx_model"
        if (files := files_of(graph)) and self._session is None and not isinstance(self._source, Path):
            raise UnsupportedModelError(
                f"{self._name} keeps weights in other files ({listing(files)}), which nobody finds without its path; "
                f"expected a model with its weights. Pass the path of the .onnx file, or what onnx.load(path) gives."
            )
        self._image = image_input(graph, self._name)
        self._listed: OrderedDict[Hashable, Listing] = OrderedDict()
        self._files: tuple[Hashable, tuple[Path, ...]] = (None, ())
        self._readings: OrderedDict[Hashable, tuple[Reading, dict[str, str]]] = OrderedDict()

    @classmethod
    def accepts(cls, model: object) -> bool:
        """Tell whether this is a ``.onnx`` file, the content of one, a ``ModelProto`` or an ``InferenceSession``."""
        if isinstance(model, (str, os.PathLike)):
            return str(model).endswith(".onnx")
        if isinstance(model, bytes):
            return model[:1] == b"\x08"  # the first field of a ModelProto
        is_session = is_instance_of(model, "onnxruntime", "InferenceSession")
        return is_session or is_instance_of(model, "onnx", "ModelProto")

    @property
    def identifier(self) -> str:
        """Name of the file, else of the graph."""
        return self._name

    @property
    def input(self) -> InputSpec:
        """What the graph says of its input; channels come last only where its shape leaves no other reading."""
        dims = [dim.dim_value or None for dim in self._image.type.tensor_type.shape.dim]
        if len(dims) != 4:
            return InputSpec()
        axis = -1 if dims[3] in (1, 3) and dims[1] not in (1, 3) else 1
        height, width = dims[2:] if axis == 1 else dims[1:3]
        size = (height, width) if height is not None and width is not None else None
        return InputSpec(size=size, n_channels=dims[axis] or 3, channel_axis=axis)

    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        """List the nodes that the outputs of the graph need, in its order, from two passes that read them all."""
        return self._list(tuple(image_shape), self._stamp()).layers

    @contextmanager
    def open(
        self,
        requests: Sequence[LayerRequest],
        image_shape: tuple[int, ...],
        reductions: Mapping[str, LayerReduction] | None = None,
    ) -> Iterator[Forward]:
        """Give the forward pass of a graph that is cut to the requests; see `adapters.contract.Adapter.open`."""
        stamp, reducing = self._stamp(), Reducing(reductions, self.math)
        found = self._list(tuple(image_shape), stamp)
        tensors = {request.requested: found.tensor_of(request) for request in requests}
        reading, outputs = self._reading(tensors, found, stamp, reducing)
        later = tensors.keys() - outputs.keys()

        def forward(batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
            values = reading(batch)
            picked = {
                name: pick(values[tensor], (), layer=name, n_images=len(batch), is_floating_array=is_floating_array)
                for name, tensor in {**tensors, **outputs}.items()
            }
            return {name: reducing(name, value) if name in later else value for name, value in picked.items()}

        yield forward

    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Give the values as they are: the session brought them to the host, half precision as float32."""
        return dict(activations)

    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield initializers and constants, as arrays of their raw bytes."""
        for name, tensor in tensors_in(self._load(with_weights=True)):
            yield name, np.frombuffer(numpy_helper.to_array(tensor).tobytes(), np.uint8)

    def parameters(self) -> Iterator[Parameter]:
        """Yield initializers and constants of floating dtype; a file does not say that any is trained."""
        for _, tensor in tensors_in(self._load(with_weights=True)):
            array = numpy_helper.to_array(tensor)
            if is_floating_array(array):
                yield Parameter(array.shape, array.nbytes, is_trained=False)

    def structure(self, image_shape: tuple[int, ...]) -> Mapping[str, Any]:
        """Return the nodes of the graph; see `adapters.contract.Adapter.structure`."""
        return structure_of(self._load(), self._name)

    def numerics(self) -> Mapping[str, Any]:
        """Return options, versions and device; see `adapters.contract.Adapter.numerics`."""
        return numerics_of(self._providers, self._session)

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that must be there to run the model."""
        return ("onnx", "onnxruntime")

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Recognise what ONNX Runtime's allocators and CUDA say."""
        words = ("Failed to allocate memory", "bad_alloc", "out of memory", "ALLOC_FAILED")
        return type(error).__module__.startswith("onnxruntime") and any(word in str(error) for word in words)

    def _list(self, image_shape: tuple[int, ...], stamp: Hashable) -> Listing:
        key = (image_shape, stamp)
        found = self._listed.get(key)
        if found is None:
            model = self._load()
            read = functools.partial(self._read, model)
            found = list_nodes(model, self._image.name, image_shape, read, self._name, self.is_out_of_memory)
        _keep(self._listed, key, found)
        return found

    def _reading(
        self, tensors: Mapping[str, str], found: Listing, stamp: Hashable, reducing: Reducing
    ) -> tuple[Reading, dict[str, str]]:
        """Return what reads some tensors, and the outputs that are reduced in the graph, both by requested text.

        It is made once, but for each run anew where the graph draws random numbers.
        """
        key = (tuple(tensors.items()), reducing.key, stamp)
        made = self._readings.get(key)
        if made is None:
            model = self._load()
            cut = self._cut(model, list(dict.fromkeys(tensors.values())), found.types)
            outputs, names = append_reductions(
                cut, tensors, ranks=found.ranks, types=found.types, axes=self._channel_axes(model), reducing=reducing
            )
            made = self._start(model, cut, names), outputs
        if not made[0].is_random:
            _keep(self._readings, key, made)
        return made[0].given(given_arrays(reducing, made[1])), made[1]

    def _read(self, model: onnx.ModelProto, tensors: Sequence[str], types: Mapping[str, str]) -> Reading:
        return self._start(model, self._cut(model, tensors, types), tensors)

    def _cut(self, model: onnx.ModelProto, tensors: Sequence[str], types: Mapping[str, str]) -> onnx.ModelProto:
        halves = [tensor for tensor in tensors if types.get(tensor) in _HALVES]
        cut = cut_to(model, self._image, tensors, halves=halves)
        set_to_inference(cut)
        return cut

    def _start(self, model: onnx.ModelProto, cut: onnx.ModelProto, tensors: Sequence[str]) -> Reading:
        is_random = seed_random_nodes(cut)
        folder = self._source.resolve().parent if isinstance(self._source, Path) else None
        session = start_session(
            cut,
            self._providers,
            name=self._name,
            folder=folder,
            given=self._session,
            is_required=self.device is not None,
        )
        dims = self._image.type.tensor_type.shape.dim
        return Reading(
            session,
            tensors,
            n_fixed=dims[0].dim_value or None if dims else None,
            is_random=is_random,
            channel_axes=self._channel_axes(model),
        )

    def _channel_axes(self, model: onnx.ModelProto) -> dict[str, int]:
        return channel_axes(model, self._image.name, 3) if self.input.channel_axis == -1 else {}

    def _load(self, *, with_weights: bool = False) -> onnx.ModelProto:
        """Read the model; weights in files beside it stay there where a session finds them by itself."""
        source = self._source
        if isinstance(source, onnx.ModelProto):
            return source
        try:
            if isinstance(source, bytes):
                model = onnx.load_from_string(source)
            else:
                model = onnx.load(source, load_external_data=with_weights or self._session is not None)
        except Exception as error:  # of the file system, of protobuf, or of files that hold the weights
            raise UnsupportedModelError(
                f"{_name_of(source)} could not be read as an ONNX model: {type(error).__name__}: {error}. Expected a "
                f"complete .onnx file, beside it the files of its weights if it has any. Check the path, or export it "
                f"again."
            ) from error
        if not model.graph.node:
            raise UnsupportedModelError(
                f"{_name_of(source)} holds no graph; expected an ONNX model. An empty file looks like this: download "
                f"or export it again."
            )
        return model

    def _stamp(self) -> Hashable:
        """Return what changes when the model does, or one of the files that hold its weights."""
        source = self._source
        if isinstance(source, bytes):
            return hash(source)  # Python keeps it with them
        if isinstance(source, onnx.ModelProto) or not source.exists():
            return digest_of(self._load())
        own = _state_of(source)
        if self._files[0] != own:
            self._files = (own, tuple(source.parent / name for name in files_of(self._load())))
        return own, *(_state_of(path) for path in self._files[1])


def _keep(kept: OrderedDict[Hashable, Any], key: Hashable, value: Any) -> None:
    """Put a value last, and let go of those that were not asked for the longest."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _MAX_KEPT:
        kept.popitem(last=False)


def _state_of(path: Path) -> tuple[str, int, int]:
    """Return what changes when a file is written; a file that is not there has a state, too."""
    if not path.exists():
        return path.name, -1, -1
    status = path.stat()
    return path.name, status.st_mtime_ns, status.st_size


def _source_of(model: Any) -> Path | bytes | onnx.ModelProto:
    """Return what a graph can be read from; a session keeps only the path or bytes that it was made from."""
    if is_instance_of(model, "onnxruntime", "InferenceSession"):
        path, content = (getattr(model, name, None) for name in ("_model_path", "_model_bytes"))
        if path is None and content is None:
            raise UnsupportedModelError(
                f"{type(model).__name__} does not say which file it was made from, and a session cannot give its graph "
                f"back. Pass the .onnx file or the onnx.ModelProto itself."
            )
        model = content if path is None else path
    return Path(model) if isinstance(model, (str, os.PathLike)) else model


def _name_of(source: Path | bytes) -> str:
    return f"A model of {len(source):,} bytes" if isinstance(source, bytes) else repr(str(source))

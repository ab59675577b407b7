"""The frameworks, as a table of strings: nothing is imported until a model of the framework is there."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FRAMEWORKS", "Framework"]


@dataclass(frozen=True)
class Framework:
    """Where to find the adapter of a framework.

    Parameters
    ----------
    name : str
        As users write it in ``wrap(model, framework=...)``.
    roots : tuple of str
        Modules of which at least one is imported whenever a model of this framework exists.
    module : str
        Module of the adapter, relative to this package.
    adapter : str
        Name of the class.
    files : tuple of str
        How the names of files or folders end that hold a model; of a folder, the name of a file in it.
    reads_bytes : bool
        Whether the content of such a file will do.
    """

    name: str
    roots: tuple[str, ...]
    module: str
    adapter: str
    files: tuple[str, ...] = ()
    reads_bytes: bool = False


# Order matters: the first adapter that accepts a model gets it. A Keras layer on the torch backend is a torch module.
FRAMEWORKS: tuple[Framework, ...] = (
    Framework("keras", ("keras",), ".keras", "KerasAdapter", files=(".keras", ".h5")),
    Framework("pytorch", ("torch",), ".pytorch", "PyTorchAdapter"),
    Framework("tensorflow", ("tensorflow",), ".tensorflow", "TensorFlowAdapter", files=("saved_model.pb", ".pb")),
    Framework("jax", ("jax",), ".jax", "JaxAdapter"),
    Framework("onnx", ("onnx", "onnxruntime"), ".onnx", "OnnxAdapter", files=(".onnx",), reads_bytes=True),
)

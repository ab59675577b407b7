"""Which kind of TensorFlow model an object is; nothing is imported to find out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, MethodType

from ...contract import is_instance_of
from .network import Network

__all__ = ["KINDS", "Kind", "is_function", "kind_of"]

_TYPES = "tensorflow.python.types.core"  # tensorflow.types.experimental is only another name, and not in sys.modules


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Parameters
    ----------
    name : str
        For messages.
    matches : callable
        Tells whether an object is of this kind, by `sys.modules`.
    module, network : str
        Where its `Network` is.
    """

    name: str
    matches: Callable[[object], bool]
    module: str
    network: str

    def network_of(self, model: object, device: str | None) -> Network:
        """Return what reads the model."""
        network: Network = getattr(importlib.import_module(self.module, __package__), self.network)(model, device)
        return network


def _is_a(model: object, *places: tuple[str, str]) -> bool:
    return any(is_instance_of(model, module, name) for module, name in places)


def _is_keras(model: object) -> bool:
    return _is_a(model, ("tf_keras.layers", "Layer"))


def _is_module(model: object) -> bool:
    return _is_a(model, ("tensorflow", "Module"))


def _is_session(model: object) -> bool:
    return type(model).__name__ == "TF1Model" and type(model).__module__ == f"{__package__}.tf1"


def _is_concrete(model: object) -> bool:
    return _is_a(model, (_TYPES, "ConcreteFunction"))


def _is_compiled(model: object) -> bool:
    return _is_a(model, (_TYPES, "PolymorphicFunction"))


def _is_graph(model: object) -> bool:
    if isinstance(model, (str, Path)):
        return Path(model).suffix == ".pb" and Path(model).is_file() and Path(model).name != "saved_model.pb"
    return _is_a(model, ("tensorflow", "Graph"), ("tensorflow.core.framework.graph_pb2", "GraphDef"))


def _is_saved(model: object) -> bool:
    if isinstance(model, (str, Path)):
        path = Path(model)
        return (path / "saved_model.pb").is_file() or (path.name == "saved_model.pb" and path.is_file())
    return (
        hasattr(model, "signatures")
        and not _is_module(model)
        and any(base.__module__ == "tensorflow.python.trackable.autotrackable" for base in type(model).__mro__)
    )


def is_function(model: object) -> bool:
    """Tell whether this is a plain function, which could be anybody's: it is read where TensorFlow is asked for."""
    return isinstance(model, (FunctionType, MethodType)) or type(model).__name__ == "partial"


# Order matters: the more particular kinds come first.
KINDS: tuple[Kind, ...] = (
    Kind("tf_keras", _is_keras, ".legacy_keras", "LegacyKerasNetwork"),
    Kind("TF1Model(session, inputs, endpoints)", _is_session, ".sessions", "SessionNetwork"),
    Kind("SavedModel (folder or loaded)", _is_saved, ".saved", "SavedNetwork"),
    Kind("frozen graph (.pb file, GraphDef or tf.Graph)", _is_graph, ".frozen", "FrozenGraphNetwork"),
    Kind("concrete function", _is_concrete, ".frozen", "ConcreteNetwork"),
    Kind("tf.Module", _is_module, ".modules", "ModuleNetwork"),
    Kind("tf.function", _is_compiled, ".functions", "FunctionNetwork"),
)
_FUNCTION = Kind("function of images", is_function, ".functions", "FunctionNetwork")


def kind_of(model: object, *, or_function: bool = False) -> Kind | None:
    """Return the kind of a model, or None.

    Parameters
    ----------
    model : object
        Anything.
    or_function : bool
        Whether a plain function counts.
    """
    kinds = (*KINDS, _FUNCTION) if or_function else KINDS
    return next((kind for kind in kinds if kind.matches(model)), None)

"""What a Keras model's values depend on beside its weights, and how exactly they are computed here.

A model is described as it stands, layer by layer, and not by its configuration, which leaves out what a class of the
user's own does and what was changed since. What only training and saving use does not count, nor do the seeds of random
layers: every run sets those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from ...fingerprints import Describer, class_reference
from .changes import kept_by_keras
from .engine import Engine
from .walking import walk

__all__ = ["numerics_of", "structure_of"]

_ONLY_TRAINED = (keras.initializers.Initializer, keras.regularizers.Regularizer, keras.constraints.Constraint)
# what Keras writes into every layer, and what it computes from the rest when a layer is built
_KEPT = frozenset({
    *("name", "build", "quantize", "built", "call_signature_parameters", "supports_jit"),
    *("is_awq_calibrated", "is_gptq_calibrated"),  # written when weights are loaded
})  # fmt: skip
_TRAINED_NAMES = ("_initializer", "_regularizer", "_constraint")
_CHECKPOINTS = "_self_"
_OURS = "keras"


def structure_of(model: Any) -> dict[str, Any]:
    """Return layers with their classes and settings, and how graphs connect them; see `Adapter.structure`.

    Parameters
    ----------
    model : keras.Layer
        Looked at and left as it is.

    Raises
    ------
    NotFingerprintable
        If a layer holds something that cannot be told by its content.
    """
    return _Layers(model).described()


class _Layers:
    """The layers of one model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._describe = Describer(self._describe_special)
        self._kept = kept_by_keras() | _KEPT
        self._named = {"": model, **{name: place.operation for name, place in walk(model).items()}}
        self._weights = {id(variable): number for number, variable in enumerate(model.weights)}
        self._seeds = {id(variable) for variable in model.variables} - set(self._weights)
        self._tensors: dict[int, str] = {}
        self._names: dict[int, str] = {}
        for name, operation in self._named.items():
            if self._names.setdefault(id(operation), name) == name:
                self._describe.known_as(operation, _called(name))

    def described(self) -> dict[str, Any]:
        layers: list[list[Any]] = []
        for name, operation in self._named.items():
            first = self._names[id(operation)]
            layers.append([name, self._operation(operation, _called(name)) if first == name else {"is": first}])
        return {
            "backend": keras.config.backend(),
            "layers": layers,
            "tensors": {
                f"{number}/{variable.name}": [str(variable.dtype), list(variable.shape)]
                for number, variable in enumerate(self._model.weights)
            },
        }

    def _operation(self, operation: Any, where: str) -> dict[str, Any]:
        policy = getattr(operation, "dtype_policy", None)
        found = {
            "class": class_reference(type(operation), self._describe, where),
            "attributes": {
                name: self._describe(value, f"attribute {name!r} of {where}")
                for name, value in sorted(_attributes_of(operation))
                if name not in self._kept
            },
            "dtype": None if policy is None else policy.name,
            "graph": self._graph(operation, where) if hasattr(operation, "_nodes_by_depth") else None,
        }
        return {name: item for name, item in found.items() if item}

    def _graph(self, model: Any, where: str) -> dict[str, Any]:
        """Describe how the layers of a functional model are called: which with which values of which others."""
        depths = sorted(model._nodes_by_depth, reverse=True)
        nodes = [node for depth in depths for node in model._nodes_by_depth[depth]]
        for number, node in enumerate(nodes):
            self._tensors.update({id(tensor): f"{number}:{each}" for each, tensor in enumerate(node.outputs)})
        calls = [
            [
                self._describe(node.operation, where),
                self._describe(node.arguments.args, f"an argument in {where}"),
                self._describe(dict(sorted(node.arguments.kwargs.items())), f"an argument in {where}"),
            ]
            for node in nodes
        ]
        ends = (model._inputs_struct, model._outputs_struct)
        return {"calls": calls, "ends": self._describe(ends, f"the ends of {where}")}

    def _describe_special(self, value: Any, describer: Describer, where: str) -> Any:
        """Describe what is Keras's own; see `adapters.fingerprints.Special`."""
        if isinstance(value, keras.KerasTensor):
            return {"tensor": [self._tensors.get(id(value), "outside"), list(value.shape), str(value.dtype)]}
        if isinstance(value, keras.Variable):
            return self._variable(value, describer, where)
        if isinstance(value, keras.random.SeedGenerator):
            return {"generator": describer(value.state, where)}
        if isinstance(value, keras.Operation):  # one that does not count as part of the model
            return describer.once(value, lambda: self._operation(value, where))
        if isinstance(value, keras.DTypePolicy):
            return {"dtype": value.name}
        if type(value).__module__.partition(".")[0] in (_OURS, "tensorflow") and type(value).__name__ in _WRAPPERS:
            return describer(_WRAPPERS[type(value).__name__](value), where)
        if type(value).__name__ == "DynamicBackend":
            return {"backend": keras.config.backend()}
        return NotImplemented

    def _variable(self, variable: Any, describer: Describer, where: str) -> Any:
        if id(variable) in self._weights:
            return {"weight": self._weights[id(variable)]}
        return {"random": "seeded"} if id(variable) in self._seeds else describer(variable.value, where)


# what Keras and TensorFlow make of containers that are put into a layer, to see what is in them
_WRAPPERS: dict[str, Any] = {
    **{"TrackedList": list, "TrackedDict": dict, "TrackedOrderedDict": dict, "TrackedSet": set},
    **{"ListWrapper": list, "_DictWrapper": dict, "_TupleWrapper": tuple},
}


def _called(name: str) -> str:
    return f"layer {name!r}" if name else "the model"


def _attributes_of(operation: Any) -> Iterator[tuple[str, Any]]:
    """Yield attributes but those of training; and not the seed of Keras's own layers, which draw from a generator."""
    is_own = type(operation).__module__.partition(".")[0] == _OURS
    for name, value in vars(operation).items():
        is_unused = is_own and (name == "seed" or name.endswith(_TRAINED_NAMES))
        if not (is_unused or name.startswith(_CHECKPOINTS) or isinstance(value, _ONLY_TRAINED)):
            yield name, value


def numerics_of(engine: Engine) -> Mapping[str, Any]:
    """Return dtypes, flags, versions and the class of the device; see `adapters.contract.Adapter.numerics`.

    Parameters
    ----------
    engine : Engine
        Of the backend.
    """
    found = engine.numerics()
    settings = {
        "backend": keras.config.backend(),
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "image data format": keras.config.image_data_format(),
    }
    return {
        **found,
        "settings": {**found["settings"], **settings},
        "versions": {**found["versions"], "keras": str(keras.__version__)},
    }

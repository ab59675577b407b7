"""What adapters use of frameworks beyond their public interface is there: an upgrade fails here, once and clearly.

A name without a promise is used only where there is no public way. All are in the table, with what shows them.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FRAMEWORKS = Path(__file__).parents[2] / "adapters" / "frameworks"
UNPROMISED = re.compile(r"(\w+\.)+(python|src|core|extend|experimental|interpreters|_\w+)(\.\w+)*")


def names(module: str, *attributes: str) -> Callable[[], bool]:
    """Return what tells whether a module is there and has these names."""
    return lambda: all(hasattr(importlib.import_module(module), each) for each in attributes)


def module_of(name: str) -> Any:
    return importlib.import_module(name)


def keras_model(name: str = "keras") -> Any:
    keras = module_of(name)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    model.compile(loss="mse")
    return model


def tf_context() -> Any:
    context = module_of("tensorflow.python.eager.context").context()
    context.ensure_initialized()
    return context


def makes_compiled_functions() -> bool:
    types = module_of("tensorflow.python.types.core")
    function = module_of("tensorflow").function(lambda: 1)
    concrete = function.get_concrete_function()
    return isinstance(function, types.PolymorphicFunction) and isinstance(concrete, types.ConcreteFunction)


def seeds_its_context() -> bool:
    context = tf_context()
    before = {name: vars(context)[name] for name in ("_seed", "_rng") if name in vars(context)}
    module_of("tensorflow").random.set_seed(1)
    found = {"_seed", "_rng"} <= vars(context).keys() and hasattr(context._rng, "getstate")
    for name in ("_seed", "_rng"):
        vars(context).pop(name, None)
    vars(context).update(before)
    return found


def keeps_its_source() -> bool:
    onnxruntime, helper = module_of("onnxruntime"), module_of("onnx.helper")
    value = [helper.make_tensor_value_info(name, 1, [1]) for name in ("image", "output")]
    graph = helper.make_graph([helper.make_node("Neg", ["image"], ["output"])], "small", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session._model_bytes == content and session._model_path is None


def compiled_torch_module() -> Any:
    torch = module_of("torch")
    return torch.compile(torch.nn.Linear(1, 1))


# (adapter, name as in its source) -> tells whether the framework still has it
PRIVATE: dict[tuple[str, str], Callable[[], bool]] = {
    ("tensorflow", "tensorflow.python.autograph.core.ag_ctx"): names(
        "tensorflow.python.autograph.core.ag_ctx", "ControlStatusCtx", "Status"
    ),
    ("tensorflow", "tensorflow.python.framework.convert_to_constants"): names(
        "tensorflow.python.framework.convert_to_constants", "convert_variables_to_constants_v2"
    ),
    ("tensorflow", "tensorflow.python.types.core"): makes_compiled_functions,
    ("tensorflow", "tensorflow.core.framework.graph_pb2"): lambda: (
        module_of("tensorflow").compat.v1.GraphDef.__module__ == "tensorflow.core.framework.graph_pb2"
    ),
    ("tensorflow", "tensorflow.python.trackable.autotrackable"): lambda: any(
        base.__module__ == "tensorflow.python.trackable.autotrackable"
        for base in module_of("tensorflow").__internal__.tracking.AutoTrackable.__mro__
    ),
    ("tensorflow", "tensorflow.python.eager"): names("tensorflow.python.eager.context", "context"),
    ("tensorflow", "_seed"): seeds_its_context,
    ("tensorflow", "_rng"): seeds_its_context,
    ("tensorflow", "_TF_MODULE_IGNORED_PROPERTIES"): lambda: hasattr(
        module_of("tensorflow").Module, "_TF_MODULE_IGNORED_PROPERTIES"
    ),
    ("tensorflow", "_self_"): lambda: any(name.startswith("_self_") for name in vars(keras_model("tf_keras"))),
    ("tensorflow", "_obj_"): lambda: any(name.startswith("_obj_") for name in vars(keras_model("tf_keras"))),
    ("tensorflow", "_flatten_layers"): lambda: len(list(keras_model("tf_keras")._flatten_layers())) > 1,
    ("tensorflow", "_is_graph_network"): lambda: keras_model("tf_keras")._is_graph_network,
    ("keras", "_functional"): lambda: hasattr(keras_model(), "_functional"),
    ("keras", "_layers"): lambda: len(keras_model()._layers) > 0,
    ("keras", "_nodes_by_depth"): lambda: len(keras_model()._functional._nodes_by_depth) > 1,
    ("keras", "_inputs_struct"): lambda: hasattr(keras_model()._functional, "_inputs_struct"),
    ("keras", "_outputs_struct"): lambda: hasattr(keras_model()._functional, "_outputs_struct"),
    ("keras", "_remat_mode"): lambda: "_remat_mode" in vars(keras_model().layers[-1]),
    ("keras", "_modules"): lambda: "0" in module_of("torch").nn.Sequential(module_of("torch").nn.ReLU())._modules,
    ("keras", "_version"): lambda: module_of("torch").zeros(1)._version == 0,
    ("jax", "jax.extend.core"): names("jax.extend.core", "Literal", "Primitive"),
    ("jax", "jax.interpreters"): names("jax.interpreters", "ad", "batching", "mlir"),
    ("jax", "jax.experimental.xla_metadata"): names("jax.experimental.xla_metadata", "set_xla_metadata"),
    ("jax", "_original_fn"): lambda: hasattr(module_of("haiku").transform(lambda x: x).apply, "_original_fn"),
    ("jax", "_JitWrapper"): lambda: (
        type(module_of("equinox").filter_jit(lambda x: x)).__name__ == "_JitWrapper"
        and hasattr(module_of("equinox").filter_jit(lambda x: x), "__wrapped__")
    ),
    ("onnx", "_model_path"): keeps_its_source,
    ("onnx", "_model_bytes"): keeps_its_source,
    ("pytorch", "_orig_mod"): lambda: hasattr(compiled_torch_module(), "_orig_mod"),
    ("pytorch", "_parameters"): lambda: "weight" in module_of("torch").nn.Linear(1, 1)._parameters,
    ("pytorch", "_buffers"): lambda: "running_mean" in module_of("torch").nn.BatchNorm1d(1)._buffers,
    ("pytorch", "_forward_hooks"): lambda: module_of("torch").nn.Linear(1, 1)._forward_hooks == {},
    ("pytorch", "_forward_pre_hooks"): lambda: module_of("torch").nn.Linear(1, 1)._forward_pre_hooks == {},
    ("pytorch", "_global_forward_hooks"): names("torch.nn.modules.module", "_global_forward_hooks"),
    ("pytorch", "_global_forward_pre_hooks"): names("torch.nn.modules.module", "_global_forward_pre_hooks"),
    ("pytorch", "_version"): lambda: module_of("torch").zeros(1)._version == 0,
    ("pytorch", "_get_default_mps_generator"): lambda: hasattr(module_of("torch").mps, "_get_default_mps_generator"),
    ("pytorch", "_compiled_call_impl"): lambda: hasattr(module_of("torch").nn.Linear(1, 1), "_compiled_call_impl"),
}
# Names that are passed over, or removed, where they are found; where they are not, values are the same.
HARMLESS = {
    *(("tensorflow", name) for name in ("_tf_", "_output_shapes", "_Arg")),
    *(("keras", name) for name in ("_self_", "_obj_type", "_compile_config", "_compiled_trainable_state")),
    *(("keras", name) for name in ("_eval_epoch_iterator", "_jax_state", "_jax_state_synced")),
    *(("tensorflow", name) for name in ("_class", "_construction_context", "_input_shapes")),
    *(("keras", name) for name in ("_constraint", "_initializer", "_regularizer", "_DictWrapper", "_TupleWrapper")),
    *(("pytorch", name) for name in ("_name_or_path", "_commit_hash", "_is_torch_compile")),
    ("jax", "_fields"),  # of a namedtuple, as Python documents
}


@pytest.mark.parametrize(("adapter", "name"), PRIVATE)
def test_private_name_is_there(adapter: str, name: str):
    try:
        is_there = PRIVATE[adapter, name]()
    except (ImportError, AttributeError):
        is_there = False
    assert is_there, (
        f"{name} is not as it was in the installed version of its framework, and adapters/frameworks/{adapter} needs "
        f"it. Find what took its place, or bound the version in setup.py."
    )


def used_in(source: str, own: set[str]) -> Iterator[str]:
    """Yield names without a promise in a module: imported, as attributes, in strings; not those of our classes."""
    for node in ast.walk(ast.parse(source)):
        found = []
        if isinstance(node, ast.Attribute):
            found = [node.attr]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = [node.value]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [node.module or ""]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        for name in found:
            if UNPROMISED.fullmatch(name) or (re.fullmatch(r"_[a-zA-Z]\w*", name) and name not in own):
                yield name


def own_names(source: str) -> Iterator[str]:
    """Yield what a module defines: functions, classes, globals, and attributes of self."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            yield node.attr


def used_by_adapters() -> dict[str, set[str]]:
    used = {}
    for adapter in (folder.name for folder in FRAMEWORKS.iterdir() if (folder / "__init__.py").exists()):
        sources = [path.read_text("utf-8") for path in sorted((FRAMEWORKS / adapter).rglob("*.py"))]
        own = {name for source in sources for name in own_names(source)}
        used[adapter] = {name for source in sources for name in used_in(source, own)}
    return used


def test_every_private_name_is_in_the_table():
    used = {(adapter, name) for adapter, found in used_by_adapters().items() for name in found}
    assert used - set(PRIVATE) - HARMLESS == set(), "say in PRIVATE what shows that the framework has it"


def test_no_entry_outlives_its_use():
    sources = {
        adapter: "".join(path.read_text("utf-8") for path in (FRAMEWORKS / adapter).rglob("*.py"))
        for adapter in used_by_adapters()
    }
    assert [(adapter, name) for adapter, name in PRIVATE if name not in sources[adapter]] == []


def test_private_names_are_found():
    source = (
        "import torch._dynamo\nfrom jax._src.core import Jaxpr\nfrom tensorflow.python.eager import context\n"
        "from ._own import x\nimport torch.nn\nclass Own:\n    def f(self, model):\n        self._mine = model._other\n"
        "        return getattr(model, '_also'), self._mine, model._mine, model.__dict__, 'a _b c', '_'\n"
    )
    assert set(used_in(source, set(own_names(source)))) == {
        *("torch._dynamo", "jax._src.core", "tensorflow.python.eager", "_other", "_also"),
    }

"""What of an ONNX model must miss and what must hit; the lists are data, to be read and printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from adapters.fingerprints import NotFingerprintable, key_of, model_recipe
from adapters.frameworks.onnx import OnnxAdapter

from ...fingerprints.studies import Change, Study, write_images
from .graphs import SHAPE, model_of, residual_network


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(network(), OnnxAdapter, write_images(tmp_path), tmp_path, image_shape=SHAPE)


def network() -> onnx.ModelProto:
    """Return the residual network with exact weights and a dropout, as an export for training has it."""
    model = residual_network()
    for number, tensor in enumerate(model.graph.initializer):
        count = int(np.prod(tensor.dims))
        values = (np.arange(count, dtype=np.float32) / 64 + number + 1).reshape(tensor.dims)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    model.graph.node[-1].input[0] = "dropped"
    model.graph.node.insert(len(model.graph.node) - 1, helper.make_node("Dropout", ["t8"], ["dropped"], name="drop"))
    return model


def node(study: Study, name: str) -> onnx.NodeProto:
    return next(each for each in study.model.graph.node if each.name == name)


def weight(study: Study, name: str) -> onnx.TensorProto:
    return next(each for each in study.model.graph.initializer if each.name == name)


def with_values(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(study: Study) -> None:
        tensor = weight(study, name)
        tensor.CopyFrom(numpy_helper.from_array(make(numpy_helper.to_array(tensor).copy()), name))

    return change


def ulp(values: np.ndarray) -> np.ndarray:
    values.flat[0] = np.nextafter(values.flat[0], np.float32(np.inf))
    return values


def with_attribute(name: str, key: str, value: Any) -> Change:
    def change(study: Study) -> None:
        found = node(study, name)
        kept = [each for each in found.attribute if each.name != key]
        del found.attribute[:]
        found.attribute.extend([*kept, helper.make_attribute(key, value)])

    return change


def session(study: Study, options: Any = None) -> Any:
    content = study.model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


MISSES: dict[str, Change] = {
    "1 ulp of a weight": with_values("k1", ulp),
    "a running mean": with_values("mean", ulp),
    "the dtype of a weight that nothing else fixes": with_values("dense", lambda values: values.astype(np.float64)),
    "the shape of a weight": with_values("dense", lambda values: values.reshape(5, 4)),
    "pads": with_attribute("stem", "pads", [0] * 4),
    "strides": with_attribute("pool", "strides", [1, 1]),
    "epsilon": with_attribute("block/norm", "epsilon", 1e-2),
    "a transposition": with_attribute("head", "transB", 1),
    "an operator": lambda study: setattr(node(study, "stem/relu"), "op_type", "Tanh"),
    "an input of a node": lambda study: node(study, "block/add").input.__setitem__(1, "t4"),
    "the name of a node": lambda study: setattr(node(study, "stem"), "name", "other"),
    "the output": lambda study: setattr(study.model.graph.output[0], "name", "t8"),
    "the version of the operators": lambda study: setattr(study.model.opset_import[0], "version", 17),
    "the size of images": lambda study: study.model.graph.input[0].type.tensor_type.shape.dim.__getitem__(2).Clear(),
}


def save(study: Study) -> None:
    onnx.save(study.model, study.folder / "model.onnx")
    study.model = study.folder / "model.onnx"


def save_beside(study: Study) -> None:
    path = study.folder / "other.onnx"
    onnx.save(study.model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    study.model = str(path)


def other_order(study: Study) -> None:
    initializers = list(study.model.graph.initializer)[::-1]
    del study.model.graph.initializer[:]
    study.model.graph.initializer.extend(initializers)


def annotate(study: Study) -> None:
    study.model.doc_string = study.model.graph.doc_string = node(study, "stem").doc_string = "a note"
    study.model.producer_name, study.model.producer_version = "somebody", "1"
    study.model.metadata_props.add(key="written", value="today")
    study.model.graph.value_info.append(helper.make_tensor_value_info("t1", 1, ["n", 4, 8, 9]))


def as_in_training(study: Study) -> None:
    """Have a normalisation return running statistics, as exports for training do; runs infer."""
    node(study, "block/norm").output.extend(["new_mean", "new_variance"])
    node(study, "block/norm").attribute.append(helper.make_attribute("training_mode", 1))


HITS: dict[str, Change] = {
    "exported for training": as_in_training,
    "built again": lambda study: setattr(study, "model", network()),
    "a file": save,
    "a file with its weights beside it": save_beside,
    "bytes": lambda study: setattr(study, "model", study.model.SerializeToString()),
    "the order of weights": other_order,
    "notes": annotate,
    "the seed of a dropout, which infers": with_attribute("drop", "seed", 7),
    "raw or typed values": lambda study: weight(study, "b1").CopyFrom(
        helper.make_tensor("b1", 1, [4], numpy_helper.to_array(weight(study, "b1")).tolist())
    ),
}


@pytest.mark.parametrize("name", MISSES)
def test_must_miss(study: Study, name: str):
    before = study.key()
    MISSES[name](study)
    assert study.key() != before


@pytest.mark.parametrize("name", HITS)
def test_must_hit(study: Study, name: str):
    before = study.key()
    HITS[name](study)
    assert study.key() == before


def test_a_session_is_what_it_was_made_from(study: Study):
    before = study.recipe()["model"]
    study.model = session(study)
    assert study.recipe()["model"] == before


def test_options_of_a_session(study: Study):
    keys = {study.key()}
    content = study.model
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        study.model = content
        study.model = session(study, options)
        keys.add(study.key())
    assert len(keys) == 3


def test_a_file_that_was_written_again_is_read_again(study: Study):
    save_beside(study)
    adapter = OnnxAdapter(study.model)
    before = key_of(model_recipe(adapter, SHAPE))
    content = bytearray((study.folder / "weights.bin").read_bytes())
    content[0] ^= 1
    (study.folder / "weights.bin").write_bytes(content)
    assert key_of(model_recipe(adapter, SHAPE)) != before


def test_operators_of_other_packages_are_named():
    made = helper.make_node("Magic", ["image"], ["output"], name="magic", domain="elsewhere")
    with pytest.raises(
        NotFingerprintable, match=r"Node 'magic' of small is a .*elsewhere\.Magic is in another package"
    ):
        model_recipe(OnnxAdapter(model_of([made])), SHAPE)


def test_golden_recipe():
    """What does not depend on the version of ONNX is fixed: raise SEMANTICS when one of these has to change."""
    recipe = model_recipe(OnnxAdapter(network()), SHAPE)
    assert recipe["weights"] == {"n": 9, "digest": "a978f64dbe73bd7784f018a3d5200be551075f10c10e6cbee14a726165c737de"}
    structure = recipe["structure"]
    assert structure["nodes"] == "973d167f98571cdd1a432ad10505b2d09fb9de8bed6792f769dce48573e37e5d"
    assert structure["opsets"] == [["", 18], ["elsewhere", 1]]
    assert structure["operations"]["Conv"] == 2

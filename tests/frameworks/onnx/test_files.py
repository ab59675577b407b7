"""Models come as files, bytes, parsed models and sessions, and a changed one is read anew."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import adapters
from adapters.errors import UnsupportedModelError

from .graphs import SHAPE, draw, model_of, residual_network

CPU = ["CPUExecutionProvider"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save(residual_network(), tmp_path / "residual.onnx")
    return tmp_path / "residual.onnx"


def test_every_form_of_a_model_gives_the_same(read, batch, path: Path):
    images, content = batch(3, *SHAPE), path.read_bytes()
    expected = read(residual_network(), images, ["block/add", "head"]).values
    sessions = [onnxruntime.InferenceSession(each, providers=CPU) for each in (str(path), content)]
    for model in (str(path), path, content, *sessions):
        np.testing.assert_array_equal(read(model, images, ["block/add", "head"]).values, expected)


def test_identifier_is_the_files_or_the_graphs(path: Path):
    assert adapters.wrap(path).identifier == "residual"
    assert adapters.wrap(onnxruntime.InferenceSession(path, providers=CPU)).identifier == "residual"
    assert adapters.wrap(path.read_bytes()).identifier == "small"
    nameless = residual_network()
    nameless.graph.name = ""
    assert adapters.wrap(nameless).identifier == "onnx_model"


def test_a_path_is_enough(path: Path):
    """In a process in which nobody imported onnx."""
    import subprocess
    import sys

    code = f"import adapters; print(adapters.wrap({str(path)!r}, preprocessing=adapters.raw(8)).adapter.framework)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "onnx\n", done.stderr


def test_weights_in_files_beside_the_model(read, batch, tmp_path: Path):
    path, images = tmp_path / "with_files.onnx", batch(2, *SHAPE)
    onnx.save(residual_network(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size > 500
    expected = read(residual_network(), images, ["block/conv", "head"]).values
    for model in (path, onnxruntime.InferenceSession(path, providers=CPU)):
        np.testing.assert_array_equal(read(model, images, ["block/conv", "head"]).values, expected)
    inside = dict(adapters.wrap(residual_network()).adapter.weights())
    outside = dict(adapters.wrap(path).adapter.weights())
    assert inside.keys() == outside.keys() == {each.name for each in residual_network().graph.initializer}
    assert all(inside[name].tobytes() == outside[name].tobytes() for name in inside)
    assert inside["k1"].tobytes() == draw(4, 3, 3, 3).tobytes()
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(UnsupportedModelError, match=r"cannot load with_files.*weights.bin"):
        read(path, images)


def test_a_changed_model_is_read_anew(batch, path: Path):
    images, model = batch(2, *SHAPE), residual_network()
    bias = next(each for each in model.graph.initializer if each.name == "bias")
    extractors = [adapters.wrap(each, preprocessing=adapters.already_preprocessed()) for each in (model, path)]
    before = [extractor(images, ["head"]).values for extractor in extractors]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, "bias"))
    onnx.save(model, path)
    os.utime(path, ns=(1, 1))
    for extractor, old in zip(extractors, before, strict=True):
        np.testing.assert_allclose(extractor(images, ["head"]).values, old + 1, rtol=1e-5)


def test_weights_in_files_that_nobody_can_find(tmp_path: Path):
    path = tmp_path / "with_files.onnx"
    onnx.save(residual_network(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    for model in (path.read_bytes(), onnx.load(path, load_external_data=False)):
        with pytest.raises(
            UnsupportedModelError, match=r"small keeps weights in other files \(weights.bin\).*the path"
        ):
            adapters.wrap(model)
    assert adapters.wrap(onnx.load(path)).identifier == "small"


def test_changed_files_of_weights_are_read_anew(batch, tmp_path: Path):
    """The model's own file stays as it is; values double with the weights of a layer that has no offset."""
    path, images = tmp_path / "small.onnx", batch(2, *SHAPE)
    nodes = [
        helper.make_node("Conv", ["image", "k"], ["t"], name="conv"),
        helper.make_node("Constant", [], ["shift"], value=numpy_helper.from_array(draw(6, 7, seed=1), "x")),
        helper.make_node("Add", ["t", "shift"], ["output"], name="add"),
    ]
    model = model_of(nodes, weights={"k": draw(4, 3, 3, 3)})
    onnx.save(
        model,
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=False,
        size_threshold=0,
        convert_attribute=True,
    )
    files = [each for each in tmp_path.iterdir() if each != path]
    assert len(files) == 2, "a file for the kernel, a file for the constant"
    extractor = adapters.wrap(path, preprocessing=adapters.already_preprocessed())
    layers = ["conv", "add"]
    before = extractor(images, layers).values
    assert np.abs(before).max() > 0.1
    for number, weights in enumerate(files):
        (2 * np.fromfile(weights, np.float32)).tofile(weights)
        os.utime(weights, ns=(1, 1 + number))
        fresh = adapters.wrap(path, preprocessing=adapters.already_preprocessed())
        found = extractor(images, layers).values
        np.testing.assert_array_equal(found, fresh(images, layers).values)
    np.testing.assert_allclose(found, 2 * before, rtol=1e-5)


def test_listings_of_former_sizes_and_contents_are_let_go(path: Path):
    """Somebody who reads images of many sizes, or writes the file again and again, keeps a few listings only."""
    node = helper.make_node("Neg", ["image"], ["output"], name="neg")
    adapter = adapters.wrap(model_of([node], image=("n", 3, "rows", "columns"))).adapter
    adapter.layers((3, 4, 4))
    first = weakref.ref(adapter.layers((3, 4, 4)))
    assert first() is adapter.layers((3, 4, 4)), "listed once"
    for size in range(5, 15):
        adapter.layers((3, size, size))
    gc.collect()
    assert first() is None


def test_weights_are_also_those_in_constants_and_branches():
    constant = helper.make_node("Constant", [], ["shift"], value=numpy_helper.from_array(np.float32([2, 3]), "x"))
    inner = helper.make_node("Constant", [], ["inner"], value_floats=[1.0])
    body = helper.make_graph([inner], "body", [], [onnx.ValueInfoProto(name="inner")])
    body.initializer.append(numpy_helper.from_array(np.float32([7]), "deep"))
    choose = helper.make_node("If", ["is_on"], ["chosen"], then_branch=body, else_branch=body)
    model = model_of(
        [constant, choose, helper.make_node("Neg", ["image"], ["output"])], weights={"is_on": np.array(True)}
    )
    weights = {name: bytes(value) for name, value in adapters.wrap(model).adapter.weights()}
    assert weights["is_on"] == b"\x01"
    assert weights["shift/value/0"] == np.float32([2, 3]).tobytes()
    assert weights["deep"] == np.float32([7]).tobytes()


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (None, ("broken.onnx' is no file",)),
        (b"not a model at all", ("could not be read", "complete .onnx file", "export it again")),
        (b"", ("holds no graph", "download or export it again")),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, content: bytes | None, fragments: tuple[str, ...]):
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnsupportedModelError) as caught:
        adapters.wrap(path)
    assert all(fragment in str(caught.value) for fragment in ("broken.onnx", *fragments)), caught.value


def test_cut_off_bytes_are_refused(path: Path):
    with pytest.raises(UnsupportedModelError, match=r"A model of 100 bytes could not be read"):
        adapters.wrap(path.read_bytes()[:100])


def test_a_file_that_vanished_is_named(path: Path):
    extractor = adapters.wrap(path, preprocessing=adapters.raw(8))
    path.unlink()
    with pytest.raises(UnsupportedModelError, match=r"residual.onnx' could not be read.*FileNotFoundError"):
        _ = extractor.layers


def test_session_that_does_not_say_where_it_is_from(path: Path):
    session = onnxruntime.InferenceSession(path, providers=CPU)
    session._model_path = session._model_bytes = None
    with pytest.raises(UnsupportedModelError, match=r"cannot give its graph back\. Pass the \.onnx file"):
        adapters.wrap(session)

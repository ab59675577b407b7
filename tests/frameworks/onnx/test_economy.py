"""What a run costs: one session per requests, only the nodes that they need, and batches as the graph takes them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import adapters
from adapters.errors import ActivationShapeError
from adapters.layers import resolve

from .graphs import SHAPE, draw, model_of, residual_network

node = helper.make_node


@pytest.fixture
def watched() -> tuple[Callable[[onnx.ModelProto], Any], list[Any]]:
    """Return what makes a session of a model, and the list of sessions that the adapter makes of its class."""
    made: list[Any] = []

    class WatchedSession(onnxruntime.InferenceSession):
        def __init__(self, content: bytes, **options: Any) -> None:
            super().__init__(content, **options)
            self.lengths: list[int] = []
            made.append(self)

        def run(self, names: Any, feeds: Any, options: Any = None) -> Any:
            self.lengths += [len(value) for value in feeds.values()]
            return super().run(names, feeds, options)

    def start(model: onnx.ModelProto, **options: Any) -> Any:
        session = WatchedSession(model.SerializeToString(), providers=["CPUExecutionProvider"], **options)
        made.clear()
        return session

    return start, made


def test_one_session_per_requests(watched: Any, batch, read):
    start, made = watched
    extractor = adapters.wrap(start(residual_network()), preprocessing=adapters.already_preprocessed(), batch_size=2)
    for seed in range(3):
        extractor(batch(5, *SHAPE, seed=seed), ["stem", "head"])
    assert [session.lengths for session in made] == [[2, 3], [2, 2, 1] * 3], "one to list, one to read"
    extractor(batch(5, *SHAPE), ["stem"])
    assert len(made) == 3


def test_only_needed_nodes_and_weights_are_in_a_session(watched: Any, batch, read):
    start, made = watched
    for layer, n_nodes, weights in (("stem", 1, {"k1", "b1"}), ("block/conv", 3, {"k1", "b1", "k2"})):
        made.clear()
        read(start(residual_network()), batch(2, *SHAPE), [layer])
        cut = onnx.load_from_string(made[-1]._model_bytes)
        assert len(cut.graph.node) == n_nodes
        assert {each.name for each in cut.graph.initializer} == weights


def test_nodes_after_the_last_layer_do_not_run(tmp_path: Path, watched: Any, batch, read):
    """ONNX Runtime's own profile says which nodes ran."""
    start, made = watched
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    read(start(residual_network(), sess_options=options), batch(4, *SHAPE), ["block/norm"], batch_size=2)
    events = json.loads(Path(made[-1].end_profiling()).read_text())
    ran = Counter(each["args"]["op_name"] for each in events if each["name"].endswith("_kernel_time"))
    # the convolutions have taken in what follows each of them
    assert {name for name in ran if not name.startswith("Reorder")} <= {
        "Conv",
        "FusedConv",
        "Relu",
        "BatchNormalization",
    }
    assert ran["Conv"] + ran["FusedConv"] == 4, "two convolutions in each of two batches"


def test_first_of_many_convolutions_costs_a_fraction(record_property: Callable[[str, object], None]):
    nodes, weights, n_blocks = [], {}, 12
    for number in range(n_blocks):
        source, weights[f"k{number}"] = f"t{number}" if number else "image", draw(16, 16 if number else 3, 3, 3)
        nodes.append(node("Conv", [source, f"k{number}"], [f"t{number + 1}"], name=f"conv{number}", pads=[1] * 4))
    model = model_of(nodes, [f"t{n_blocks}"], weights=weights, image=("n", 3, 32, 32))
    adapter, images = adapters.wrap(model).adapter, np.zeros((16, 3, 32, 32), np.float32)
    seconds = {}
    for layer in ("conv0", "logits"):
        with adapter.open(resolve(layer, adapter.layers((3, 32, 32))), (3, 32, 32)) as forward:
            times = []
            for _ in range(5):
                start = time.perf_counter()
                forward(images)
                times.append(time.perf_counter() - start)
        seconds[layer] = min(times)
    ratio = seconds["conv0"] / seconds["logits"]
    record_property(
        "measured", f"onnx: the first of {n_blocks} convolutions costs {ratio:.0%} of the full forward pass"
    )
    assert ratio < 0.5


@pytest.mark.parametrize("n_fixed", [1, 4])
def test_graph_for_a_fixed_number_of_images(n_fixed: int, watched: Any, batch, read):
    start, made = watched
    images, names = batch(7, *SHAPE), ["block/add", "head"]
    session = start(residual_network(image=(n_fixed, *SHAPE)))
    found = read(session, images, names, batch_size=6).values
    np.testing.assert_allclose(found, read(residual_network(), images, names).values, rtol=1e-5, atol=1e-6)
    assert set(made[-1].lengths) == {n_fixed}
    assert len(made[-1].lengths) == {1: 6 + 1, 4: 2 + 1}[n_fixed]


def test_axis_as_long_as_a_fixed_batch_is_not_taken_for_it(read, batch):
    """Three channels first in a graph for three images: cut to two images, it would give two channels."""
    nodes = [
        node("Neg", ["image"], ["t"], name="negate"),
        node("Transpose", ["t"], ["turned"], name="turned", perm=[1, 0, 2, 3]),
        node("Transpose", ["turned"], ["back"], name="back", perm=[1, 0, 2, 3]),
        node("Flatten", ["back"], ["output"], name="flat"),
    ]
    model, images = model_of(nodes, image=(3, *SHAPE)), batch(4, *SHAPE)
    layers = adapters.wrap(model).adapter.layers(SHAPE)
    assert list(layers) == ["negate", "back", "flat"]
    with pytest.raises(
        ActivationShapeError, match=r"'turned'.*as long as the batch of this graph, but is not the batch"
    ):
        read(model, images, ["turned"])
    np.testing.assert_array_equal(read(model, images, ["logits"]).values, -images.reshape(4, -1))
    model.graph.output[0].name = "turned"
    with pytest.raises(ActivationShapeError, match=r"'logits'.*is not the batch"):
        read(model, images)


def test_random_numbers_are_the_same_in_every_run_and_cut(batch, read):
    nodes = [
        node("RandomNormalLike", ["image"], ["draw"]),
        node("Add", ["image", "draw"], ["noisy"], name="noise"),
        node("RandomUniformLike", ["noisy"], ["other"], seed=3.0),
        node("Add", ["noisy", "other"], ["output"], name="more"),
    ]
    model, images = model_of(nodes), batch(4, *SHAPE)
    content = model.SerializeToString()
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=2)
    first = extractor(images, ["noise"]).values
    np.testing.assert_array_equal(extractor(images, ["noise"]).values, first)
    np.testing.assert_array_equal(extractor(images, ["noise", "more"]).values[:, : first.shape[1]], first)
    draws = first - images.reshape(4, -1)
    assert abs(float(draws.std()) - 1) < 0.1
    assert not np.allclose(draws[:2], draws[2:]), "each batch draws anew"
    assert model.SerializeToString() == content

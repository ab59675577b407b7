"""What of a TensorFlow model must miss and what must hit; the lists are data, to be read and printed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import adapters
from adapters.fingerprints import NotFingerprintable, key_of, model_recipe, preprocessing_recipe
from adapters.frameworks.tensorflow import TensorFlowAdapter, TF1Model
from adapters.frameworks.tensorflow.paths import FilePaths

from ...fingerprints.studies import Change, Study, write_images

SHAPE = (8, 8, 3)
SCALE = 2.0


def squash(values: Any) -> Any:
    return tf.tanh(values)


class Block(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(np.linspace(-1, 1, 108, dtype=np.float32).reshape(3, 3, 3, 4))
        self.table = np.arange(4, dtype=np.float32)
        self.function = lambda values: values * 1.5
        self.stride, self.branches = 1, [tf.constant(1.0), {"bias": tf.constant(0.5)}]

    def __call__(self, images: Any) -> Any:
        values = tf.nn.conv2d(images, self.kernel, self.stride, "SAME") * self.table + self.branches[1]["bias"]
        values = tf.cond(tf.reduce_sum(values) > 0, lambda: values * 1.0, lambda: values * 2.0)
        return squash(self.function(values)) * SCALE


class Activation(tf.Module):
    """Has no weights, whose names would change with its own."""

    def __call__(self, values: Any) -> Any:
        return tf.nn.softplus(values)


class Net(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = {"one": Block(), "two": Block()}
        self.acts = {"act": Activation()}
        self.head = tf.Variable(np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2))

    def __call__(self, images: Any, training: bool = True) -> Any:
        values = sum(tf.reduce_mean(block(images), (1, 2)) for block in self.blocks.values())
        values = tf.nn.dropout(values, 0.5) if training else values
        for act in self.acts.values():
            values = act(values)
        return values @ self.head


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(Net(), TensorFlowAdapter, write_images(tmp_path), tmp_path, image_shape=SHAPE)


def block_of(study: Study) -> Block:
    block: Block = study.model.blocks["one"]
    return block


def attribute(name: str, value: Any) -> Change:
    return lambda study: setattr(block_of(study), name, value)


def ulp(variable: Any) -> None:
    values = variable.numpy()
    values.flat[0] = np.nextafter(values.flat[0], np.float32(np.inf))
    variable.assign(values)


def rename(study: Study) -> None:
    """Leave the graph and all weights as they are, and give a layer another name."""
    study.model.acts = {"other": study.model.acts["act"]}


def branched(values: Any) -> Any:
    return tf.cond(values[0, 0, 0, 0] > 0, lambda: values, lambda: tf.abs(values))


MISSES: dict[str, Change] = {
    "1 ulp of a variable": lambda study: ulp(block_of(study).kernel),
    "an array that is a plain attribute": lambda study: block_of(study).table.__setitem__(0, 1.0),
    "a tensor in a dict in a list": lambda study: block_of(study).branches[1].update(bias=tf.constant(0.25)),
    "a stride": attribute("stride", 2),
    "a lambda": attribute("function", lambda values: values * 1.25),
    "a global constant": lambda study: Block.__call__.__globals__.update(SCALE=3.0),
    "a function that is called": lambda study: Block.__call__.__globals__.update(squash=tf.sigmoid),
    "a branch of the graph": attribute("function", branched),
    "the class's call": lambda study: setattr(Block, "__call__", lambda self, images: images[..., :1] * self.table),
    "the name of a layer": rename,
    "the size of images": lambda study: setattr(study, "image_shape", (9, 8, 3)),
    "TF32": lambda study: tf.config.experimental.enable_tensor_float_32_execution(False),
    "XLA": lambda study: tf.config.optimizer.set_jit("autoclustering"),
}

HITS: dict[str, Change] = {
    "built again": lambda study: setattr(study, "model", Net()),
    "used before": lambda study: study.model(np.zeros((1, *SHAPE), np.float32)),
    "the state of the random generator": lambda study: tf.random.set_seed(5),
    "an attribute that nothing uses": lambda study: setattr(study.model, "note", 1),
    "equal values in another variable": attribute("kernel", Block().kernel),
    "a function of other modules before it": lambda study: [tf.function(lambda x: x)(tf.ones(2)) for _ in range(3)],
}


@pytest.fixture
def as_found(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("SCALE", "squash"):
        monkeypatch.setitem(Block.__call__.__globals__, name, Block.__call__.__globals__[name])
    monkeypatch.setattr(Block, "__call__", Block.__call__)
    jit = tf.config.optimizer.get_jit()
    yield
    tf.config.experimental.enable_tensor_float_32_execution(True)
    tf.config.optimizer.set_jit(jit or False)


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("name", MISSES)
def test_must_miss(study: Study, name: str):
    before = study.key()
    MISSES[name](study)
    assert study.key() != before


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("name", HITS)
def test_must_hit(study: Study, name: str):
    before = study.key()
    HITS[name](study)
    assert study.key() == before


def key(model: Any, shape: tuple[int, ...] = SHAPE) -> str:
    return key_of(model_recipe(TensorFlowAdapter(model), shape))


KEPT: list[Any] = []  # functions do not keep their variables themselves


def function(scale: float) -> Any:
    kernel = tf.Variable(np.ones((3, 3, 3, 2), np.float32))
    KEPT.append(kernel)
    return tf.function(lambda images: tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME")) * scale)


def concrete(scale: float) -> Any:
    return function(scale).get_concrete_function(tf.TensorSpec((None, *SHAPE)))


def frozen(scale: float) -> Any:
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, (None, *SHAPE), name="images")
        values = tf.nn.conv2d(images, tf.constant(np.ones((3, 3, 3, 50), np.float32)), 1, "SAME") * scale
        order = np.roll(np.arange(3000) % 50, int(scale))  # whole numbers, and many: kept beside the graph
        tf.gather(tf.reduce_mean(values, (1, 2)), tf.constant(order), axis=1, name="out")
    return graph.as_graph_def()


def session(scale: float) -> Any:
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, (None, *SHAPE), name="images")
        kernel = tf.compat.v1.get_variable("kernel", initializer=tf.ones((3, 3, 3, 2)) * scale)
        tf.reduce_mean(tf.nn.conv2d(images, kernel, 1, "SAME"), (1, 2), name="out")
        opened = tf.compat.v1.Session(graph=graph)
        opened.run(tf.compat.v1.global_variables_initializer())
    return TF1Model(opened, "images:0", {"out": "out:0"})


def legacy_keras(scale: float) -> Any:
    layers = tf_keras.layers
    images = tf_keras.Input(SHAPE, name="images")
    values = layers.Dropout(0.5, name="drop")(layers.Conv2D(2, 3, kernel_initializer="ones", name="conv")(images))
    return tf_keras.Model(images, layers.Lambda(lambda values: values * scale, name="scaled")(values), name="net")


KINDS: dict[str, Callable[[float], Any]] = {
    "tf.function": function,
    "concrete function": concrete,
    "frozen graph": frozen,
    "session": session,
    "tf_keras": legacy_keras,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_model(name: str):
    models = [KINDS[name](scale) for scale in (1.0, 2.0, 1.0)]
    keys = [key(model) for model in models]
    assert keys[0] == keys[2] != keys[1]


def test_saved_models(tmp_path: Path):
    for name, scale in (("one", 1.0), ("two", 2.0)):
        module = Net()
        module.blocks["one"].branches[1]["bias"] = tf.constant(scale)
        call = tf.function(functools.partial(module, training=False), input_signature=[tf.TensorSpec((None, *SHAPE))])
        tf.saved_model.save(module, str(tmp_path / name), signatures=call)
    (tmp_path / "one").rename(tmp_path / "moved")
    keys = [key(str(tmp_path / name)) for name in ("moved", "two", "moved")]
    assert keys[0] == keys[2] != keys[1]


def test_paths_that_a_graph_reads_itself():
    """Their temporary folders are nobody's business: what files hold is in the stimuli."""
    assert preprocessing_recipe(FilePaths()) == preprocessing_recipe(FilePaths())
    assert preprocessing_recipe(FilePaths())["kind"] == "file_paths()"


def looks_at_values(images: Any) -> Any:
    return images * float(tf.reduce_sum(images).numpy())


class Eager(tf.Module):
    def __call__(self, images: Any) -> Any:
        return looks_at_values(images)


def with_table() -> Any:
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1], [2.0]), 0.0)
    return lambda images: images * table.lookup(tf.constant(1))


def with_python() -> Any:
    return lambda images: tf.ensure_shape(tf.numpy_function(lambda x: 2 * x, [images], tf.float32), (None, *SHAPE))


@pytest.mark.parametrize(
    ("make", "fragments"),
    [
        (Eager, ["The model is a", "Eager", "looks at values", "tf.cond"]),
        (with_table, ["Captured tensor", "resource and no variable", "tf.cond"]),
        (with_python, ["Operation 'PyFunc", "calls a Python function", "tf.cond"]),
    ],
)
def test_what_cannot_be_told_is_named(make: Callable[[], Any], fragments: list[str]):
    with pytest.raises(NotFingerprintable) as caught:
        key(make())
    assert all(fragment in str(caught.value) for fragment in fragments), caught.value


@pytest.mark.usefixtures("as_found")
def test_what_runs_is_what_was_described(study: Study):
    extractor = adapters.wrap(study.model, preprocessing=adapters.already_preprocessed())
    images = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    before, keys = extractor(images, ["blocks.one"]).values, [key_of(model_recipe(extractor.adapter, SHAPE))]
    assert np.isfinite(before).all()
    Block.__call__.__globals__["SCALE"] = 4.0
    keys.append(key_of(model_recipe(extractor.adapter, SHAPE)))
    has_changed = not np.allclose(extractor(images, ["blocks.one"]).values, before)
    assert has_changed == (keys[0] != keys[1])


def test_golden_recipe():
    """What does not depend on the version of TensorFlow is fixed: raise SEMANTICS when one of these has to change."""
    recipe = model_recipe(TensorFlowAdapter(session(1.0)), SHAPE)
    assert recipe["structure"]["graph"]["operations"].items() >= {"Conv2D": 1, "Mean": 1, "Placeholder": 1}.items()
    assert recipe["structure"]["captured"] == []
    assert recipe["weights"] == {"n": 1, "digest": WEIGHTS_DIGEST}


WEIGHTS_DIGEST = "62ba7186a27ee08bbd3f9581ab014020e6712e43a0d8470d6f6f2b006fdec181"

"""What of a Keras model must miss and what must hit; the lists are data, to be read and printed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import adapters
from adapters.fingerprints import NotFingerprintable, key_of, model_recipe
from adapters.frameworks.keras import KerasAdapter
from adapters.layers import LayerRequest

from ...fingerprints.studies import Change, Study, write_images

SCALE = 2.0


def squash(values: Any) -> Any:
    return keras.ops.tanh(values)


class Scaled(layers.Layer):
    """A layer of the user's own, without a configuration."""

    def __init__(self, inner: Any, table: np.ndarray, **options: Any) -> None:
        super().__init__(**options)
        self.inner, self.table, self.parts = inner, table, [1.0, {"power": 1}]
        self.function = lambda values: values * 1.5

    def call(self, values: Any) -> Any:
        return squash(self.function(self.inner(values))) * SCALE * self.table.sum() + self.parts[0]


def build(seed: int = 0) -> Any:
    images = keras.Input((8, 8, 3), name="images")
    values = layers.Conv2D(4, 3, activation="relu", name="conv")(images)
    values = layers.BatchNormalization(name="norm")(values)
    one, other = layers.MaxPooling2D(2, name="one")(values), layers.AveragePooling2D(2, name="other")(values)
    values = layers.Subtract(name="minus")([one, other])
    values = layers.Dropout(0.5, seed=seed or None, name="drop")(values)
    values = Scaled(layers.Dense(3, name="dense"), np.arange(3.0), name="scaled")(values)
    values = layers.Lambda(lambda values: values + 1, name="lambda")(layers.Flatten(name="flat")(values))
    model = keras.Model(images, layers.Dense(2, name="head")(values), name="net")
    for number, variable in enumerate(model.weights):
        count = int(np.prod(variable.shape))
        variable.assign(np.linspace(0.01, 0.1 + number / 9, count, dtype=np.float32).reshape(variable.shape))
    return model


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(build(), KerasAdapter, write_images(tmp_path), tmp_path, image_shape=(8, 8, 3))


def layer(study: Study, name: str) -> Any:
    return study.model.get_layer(name)


def attribute(name: str, key: str, value: Any) -> Change:
    return lambda study: setattr(layer(study, name), key, value)


def change_weight(study: Study) -> None:
    kernel = layer(study, "conv").kernel
    values = np.array(keras.ops.convert_to_numpy(kernel))
    values.flat[0] = np.nextafter(values.flat[0], np.float32(np.inf))
    kernel.assign(values)


def change_statistics(study: Study) -> None:
    layer(study, "norm").moving_mean.assign(np.full(4, 0.5))


def other_operands(study: Study) -> None:
    """Connect the same layers otherwise: one minus other becomes other minus one."""
    images = study.model.input
    values = layer(study, "norm")(layer(study, "conv")(images))
    values = layer(study, "minus")([layer(study, "other")(values), layer(study, "one")(values)])
    for name in ("drop", "scaled", "flat", "lambda", "head"):
        values = layer(study, name)(values)
    study.model = keras.Model(images, values, name="net")


def called_as_in_training(study: Study) -> None:
    images = keras.Input((8, 8, 3), name="images")
    values = layer(study, "norm")(layer(study, "conv")(images))
    values = layer(study, "minus")([layer(study, "one")(values), layer(study, "other")(values)])
    values = layer(study, "scaled")(layer(study, "drop")(values, training=True))
    for name in ("flat", "lambda", "head"):
        values = layer(study, name)(values)
    study.model = keras.Model(images, values, name="net")


def same_connections(study: Study) -> None:
    images = study.model.input
    values = layer(study, "norm")(layer(study, "conv")(images))
    values = layer(study, "minus")([layer(study, "one")(values), layer(study, "other")(values)])
    for name in ("drop", "scaled", "flat", "lambda", "head"):
        values = layer(study, name)(values)
    study.model = keras.Model(images, values, name="net")


MISSES: dict[str, Change] = {
    "1 ulp of a weight": change_weight,
    "a running mean": change_statistics,
    "an array that is a plain attribute": lambda study: layer(study, "scaled").table.__setitem__(0, 1.0),
    "an item of a list": lambda study: layer(study, "scaled").parts.__setitem__(0, 2.0),
    "an item of a dict in a list": lambda study: layer(study, "scaled").parts[1].update({"power": 2}),
    "a lambda that is an attribute": attribute("scaled", "function", lambda values: values * 1.25),
    "a Lambda's function": attribute("lambda", "function", lambda values: values - 1),
    "an activation of Keras": attribute("conv", "activation", keras.activations.tanh),
    "an activation of the user's": attribute("conv", "activation", squash),
    "strides": attribute("conv", "strides", (2, 2)),
    "padding": attribute("conv", "padding", "same"),
    "epsilon": attribute("norm", "epsilon", 1e-2),
    "rate of a dropout": attribute("drop", "rate", 0.4),
    "size of a pool": attribute("one", "pool_size", (1, 1)),
    "forward of one layer": lambda study: setattr(layer(study, "head"), "call", lambda values: values * 2),
    "which layer comes first": other_operands,
    "an argument of a call": called_as_in_training,
    "a global constant of a layer": lambda study: Scaled.call.__globals__.update(SCALE=3.0),
    "a function that a layer calls": lambda study: Scaled.call.__globals__.update(squash=keras.ops.sigmoid),
    "forward of the class": lambda study: setattr(Scaled, "call", lambda self, values: self.inner(values)),
    "forward of a class of Keras": lambda study: setattr(layers.Flatten, "call", lambda self, values: -values),
    "layer": lambda study: setattr(study, "request", LayerRequest("head", "head")),
    "epsilon of all": lambda study: keras.config.set_epsilon(1e-3),
    "floats of all": lambda study: keras.config.set_floatx("float64"),
}


def save(study: Study) -> None:
    study.model.save_weights(study.folder / "saved.weights.h5")
    study.model = build()
    study.model.load_weights(study.folder / "saved.weights.h5")


def part_of_it(study: Study) -> None:
    """Another model of the same layers changes how often these were called, and nothing else."""
    keras.Model(study.model.input, layer(study, "minus")([layer(study, "one").output] * 2))


HITS: dict[str, Change] = {
    "built again": lambda study: setattr(study, "model", build()),
    "weights saved and loaded": save,
    "compiled for training": lambda study: study.model.compile("adam", "mse"),
    "predicted": lambda study: study.model.predict(np.zeros((1, 8, 8, 3)), verbose=0),
    "frozen": lambda study: setattr(study.model, "trainable", False),
    "the seed of a dropout": lambda study: setattr(study, "model", build(seed=7)),
    "the state of the random generator": lambda study: keras.utils.set_random_seed(5),
    "another model of its layers": part_of_it,
    "an initializer": attribute("head", "kernel_initializer", keras.initializers.Zeros()),
    "a regularizer": attribute("head", "kernel_regularizer", keras.regularizers.L2(0.5)),
    "the same connections": same_connections,
}


@pytest.fixture
def as_found(monkeypatch: pytest.MonkeyPatch) -> Any:
    for owner in (Scaled, layers.Flatten):
        monkeypatch.setattr(owner, "call", owner.call)
    for name in ("SCALE", "squash"):
        monkeypatch.setitem(Scaled.call.__globals__, name, Scaled.call.__globals__[name])
    epsilon, floatx = keras.config.epsilon(), keras.config.floatx()
    yield
    keras.config.set_epsilon(epsilon)
    keras.config.set_floatx(floatx)


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


@pytest.mark.usefixtures("as_found")
def test_what_runs_is_what_was_described(study: Study):
    """Compiled passes know nothing of a global that was changed since: the key must not be that of the new one."""
    extractor = adapters.wrap(study.model, preprocessing=adapters.already_preprocessed())
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    before = extractor(images, ["scaled"]).values
    assert np.isfinite(before).all()
    key = key_of(model_recipe(extractor.adapter, (8, 8, 3)))
    Scaled.call.__globals__["SCALE"] = 4.0
    assert key_of(model_recipe(extractor.adapter, (8, 8, 3))) != key
    np.testing.assert_allclose(extractor(images, ["scaled"]).values - 1, 2 * (before - 1), rtol=1e-5, atol=1e-6)


def test_subclassed_and_sequential(study: Study):
    def made(power: int) -> Any:
        class Own(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.body = keras.Sequential([layers.Conv2D(2, 3, name="c"), layers.ReLU(name="r")], name="body")
                self.power = power

            def call(self, images: Any) -> Any:
                return self.body(images) ** self.power

        keras.utils.set_random_seed(0)
        model = Own()
        model.build((None, 8, 8, 3))
        return model

    keys = []
    for power in (1, 2, 1):
        study.model = made(power)
        keys.append(study.key())
    assert keys[0] == keys[2] != keys[1]


def test_what_cannot_be_told_is_named(study: Study):
    layer(study, "scaled").held = threading.Thread()
    with pytest.raises(NotFingerprintable, match=r"Attribute 'held' of layer 'scaled' is a threading.Thread"):
        study.key()


def test_golden_recipe():
    """What does not depend on the version of Keras is fixed: raise SEMANTICS when one of these has to change."""
    keras.utils.clear_session()
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(1, 3, name="conv"), layers.ReLU(name="act")])
    for variable in model.weights:
        variable.assign(np.ones(variable.shape))
    recipe = model_recipe(KerasAdapter(model), (4, 4, 1))
    found = dict(recipe["structure"]["layers"])
    assert recipe["weights"] == {"n": 2, "digest": WEIGHTS_DIGEST}
    assert list(found) == ["", "conv", "act"]
    expected = {"strides": [1, 1], "filters": 1, "_kernel": {"weight": 0}, "bias": {"weight": 1}, "padding": "valid"}
    assert expected.items() <= found["conv"]["attributes"].items()
    assert found["act"]["attributes"]["negative_slope"] == 0.0


WEIGHTS_DIGEST = "b27b0e1dd4fe805dade1dab93558cac925f0e1e1ad9eea81dc5ca68c619b0509"


@pytest.mark.parametrize("option", ["settings", "versions", "device"])
def test_numerics_say_what_runs(study: Study, option: str):
    found = study.recipe()["numerics"]
    checks: dict[str, Callable[[], bool]] = {
        "settings": lambda: found["settings"]["backend"] == keras.config.backend(),
        "versions": lambda: found["versions"]["keras"] == keras.__version__,
        "device": lambda: found["device"]["class"].startswith("cpu-"),
    }
    assert checks[option]()

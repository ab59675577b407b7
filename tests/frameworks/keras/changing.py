"""A model that somebody changed between two runs is read as it is now; expected values are the model's own."""

import gc
import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import adapters
from adapters.turns import turn_of

IMAGES = np.random.default_rng(0).standard_normal((3, 8, 10, 3)).astype(np.float32)


def wrapped(model: Any) -> Any:
    return adapters.wrap(model, preprocessing=adapters.already_preprocessed())


def assert_as_called(extractor: Any, model: Any, images: np.ndarray = IMAGES) -> None:
    output = model(images, training=False)
    expected = np.moveaxis(ops.convert_to_numpy(output.detach() if hasattr(output, "detach") else output), -1, 1)
    found = extractor(list(images), ["logits"], progress=False).values
    np.testing.assert_allclose(found, expected.reshape(len(images), -1), rtol=1e-4, atol=1e-5)


class Config:
    """Settings as an object."""

    def __init__(self) -> None:
        self.shifts = [0.0, 1.0]


class Settings(keras.Model):
    """Computes with everything that a model can hold beside weights and layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layers.Conv2D(4, 3, padding="same")
        self.factor, self._factor = 1.0, 1.0
        self.array = np.ones(4, np.float32)
        self.options = {"deep": {"factor": 1.0}}
        self.config = Config()

    def call(self, images: Any) -> Any:
        factor = self.factor * self._factor * self.options["deep"]["factor"] + self.config.shifts[1]
        return self.conv(images) * factor * ops.convert_to_tensor(self.array)


def _in_place(model: Settings) -> None:
    model.array[1] = 5


CHANGES: dict[str, Callable[[Settings], object]] = {
    "number": lambda model: setattr(model, "factor", 2.0),
    "private": lambda model: setattr(model, "_factor", 3.0),
    "array": lambda model: setattr(model, "array", np.arange(4, dtype=np.float32)),
    "in place": _in_place,
    "dict": lambda model: model.options["deep"].update({"factor": 4.0}),
    "object": lambda model: model.config.shifts.append(model.config.shifts.pop() + 1),
    "tuple": lambda model: setattr(model.conv, "dilation_rate", (2, 2)),
}


@pytest.fixture(scope="module")
def settings() -> tuple[Settings, Any]:
    model = Settings()
    model(IMAGES)
    return model, wrapped(model)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_attributes(change: str, settings: tuple[Settings, Any]):
    model, extractor = settings
    assert_as_called(extractor, model)
    before = extractor(list(IMAGES), ["logits"], progress=False).values
    CHANGES[change](model)
    assert_as_called(extractor, model)
    assert not np.allclose(extractor(list(IMAGES), ["logits"], progress=False).values, before)


def test_shapes_of_a_changed_layer():
    model = keras.Sequential([keras.Input((8, 10, 3)), layers.Conv2D(2, 3, padding="same", name="conv")])
    extractor = wrapped(model)
    assert_as_called(extractor, model)
    model.get_layer("conv").strides = (2, 2)
    found = extractor(list(IMAGES), ["conv"], progress=False)
    assert found.shape == (3, 2 * 4 * 5)


def test_statistics_adapted_again():
    norm = layers.Normalization(axis=-1)
    norm.adapt(IMAGES)
    model = keras.Sequential([keras.Input((8, 10, 3)), norm])
    extractor = wrapped(model)
    for factor in (1, 3):
        norm.adapt(factor * IMAGES + 5)
        assert_as_called(extractor, model)


def test_functions_that_take_the_place_of_others():
    """An object that is gone gives its id to the next."""
    layer = layers.Activation("relu", name="act")
    model = keras.Sequential([keras.Input((8, 10, 3)), layer])
    extractor = wrapped(model)
    for factor in range(1, 6):
        layer.activation = lambda maps, factor=factor: factor * maps
        assert_as_called(extractor, model)
        layer.activation = None
        gc.collect()


def test_what_a_pass_leaves_behind_is_no_change():
    times: list[int] = []

    class Counting(layers.Layer):
        def call(self, maps: Any) -> Any:
            self.n_calls = getattr(self, "n_calls", 0) + 1
            times.append(1)
            return 2 * maps

    model = keras.Sequential([keras.Input((8, 10, 3)), Counting()])
    extractor = wrapped(model)
    extractor(list(IMAGES), ["logits"], progress=False)
    times.clear()
    extractor(list(IMAGES), ["logits"], progress=False)
    assert len(times) == {"torch": 1, "tensorflow": 0, "jax": 0}[keras.config.backend()]


def test_training_in_between():
    model = keras.Sequential([keras.Input((8, 10, 3)), layers.BatchNormalization(), layers.Conv2D(2, 3)])
    extractor = wrapped(model)
    assert_as_called(extractor, model)
    model.compile("sgd", "mse")
    model.fit(IMAGES, np.ones((3, 6, 8, 2), np.float32), verbose=0)
    assert_as_called(extractor, model)


@pytest.mark.parametrize("mode", ["full", "activations"])
def test_values_that_would_be_thrown_away(mode: str):
    """Under this scope Keras computes values again for gradients, from where they cannot be taken out."""
    with keras.RematScope(mode=mode):
        model = keras.Sequential(
            [
                keras.Input((8, 10, 3)),
                layers.Conv2D(4, 3, activation="relu", name="conv"),
                layers.Conv2D(2, 3, name="last"),
            ]
        )
    modes = [layer._remat_mode for layer in model.layers]
    extractor = wrapped(model)
    assert_as_called(extractor, model)
    conv = model.get_layer("conv")(IMAGES)
    expected = np.moveaxis(ops.convert_to_numpy(conv.detach() if hasattr(conv, "detach") else conv), -1, 1)
    found = extractor(list(IMAGES), ["conv"], progress=False).values
    np.testing.assert_allclose(found, expected.reshape(3, -1), rtol=1e-4, atol=1e-6)
    assert [layer._remat_mode for layer in model.layers] == modes
    assert modes[0].mode == mode


def test_other_threads_may_build_their_models_meanwhile():
    built: list[object] = []

    class Slow(keras.Model):
        """Has a layer without weights, and calls while it runs what another thread would do."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.unused = layers.Conv2D(2, 3), layers.Dense(2)

        def call(self, images: Any) -> Any:
            thread = threading.Thread(target=build)
            thread.start()
            thread.join()
            return self.conv(images)

    def build() -> None:
        layer = layers.Dense(2)
        try:
            layer.build((None, 4))
        except BaseException as error:
            built.append(error)
        else:
            built.append(len(layer.weights))

    model = Slow()
    model.conv.build((None, 8, 10, 3))
    model.built = True
    assert wrapped(model)(list(IMAGES), ["conv"], progress=False).shape == (3, 2 * 6 * 8)
    assert set(built) == {2}


def test_keras_on_torch_and_torch_take_turns():
    adapter = wrapped(keras.Sequential([keras.Input((8, 10, 3)), layers.Flatten(name="flat")])).adapter
    layers_found = adapter.layers((8, 10, 3))
    taken: list[bool] = []

    def try_it() -> None:
        lock = turn_of(keras.config.backend())
        taken.append(lock.acquire(blocking=False))
        if taken[-1]:
            lock.release()

    with adapter.open(adapters.layers.resolve(["flat"], layers_found), (8, 10, 3)):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    try_it()
    assert taken == [False, True]

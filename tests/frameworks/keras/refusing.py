"""What cannot be read is refused with a reason, and what Keras is is recognised."""

import keras
import numpy as np
import pytest
from keras import layers

import adapters
from adapters.dispatch import find_adapter
from adapters.errors import (
    AdapterWarning,
    DeviceError,
    LayerNeverRanError,
    LayerNotFoundError,
    ModelForwardError,
    UnsupportedModelError,
)


def small() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="conv"), layers.Flatten(name="flat")])


def test_keras_is_asked_before_the_framework_below_it():
    assert find_adapter(small()).framework == "keras"
    assert find_adapter(layers.Dense(2)).framework == "keras"


def test_two_inputs_are_refused():
    first, second = keras.Input((8, 8, 3), name="image"), keras.Input((4,), name="words")
    model = keras.Model([first, second], layers.Concatenate()([layers.Flatten()(first), second]))
    with pytest.raises(UnsupportedModelError, match=r"takes 2 inputs \(image, words\)"):
        adapters.wrap(model)


def test_two_arguments_are_refused():
    class Two(keras.Model):
        def call(self, image: object, words: object, training: bool = False) -> object:
            return image

    with pytest.raises(UnsupportedModelError, match=r"takes 2 inputs \(image, words\)"):
        adapters.wrap(Two())


def test_model_without_weights_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"has no weights yet.*model\.build"):
        adapters.wrap(keras.Sequential([layers.Dense(3)]))


def test_unknown_device_is_refused():
    with pytest.raises(DeviceError, match="device='gpu:7' was asked for"):
        adapters.wrap(small(), device="gpu:7")


def test_wrong_size_is_an_error_of_the_model():
    extractor = adapters.wrap(small(), preprocessing=adapters.already_preprocessed())
    with pytest.raises(ModelForwardError, match="If it expects another size"):
        extractor([np.zeros((8, 8, 1), np.float32)], ["conv"])


def test_unknown_layer_is_suggested():
    extractor = adapters.wrap(small(), preprocessing=adapters.already_preprocessed())
    with pytest.raises(LayerNotFoundError, match="Did you mean 'conv'"):
        extractor([np.zeros((8, 8, 3), np.float32)], ["convs"])


def test_layer_that_never_runs_is_named():
    class Unused(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = layers.Flatten(), layers.Dense(2)

        def build(self, shape: object) -> None:
            self.unused.build((None, 4))

        def call(self, images: object) -> object:
            return self.used(images)

    model = Unused()
    model(np.zeros((1, 8, 8, 3), np.float32))
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    with pytest.raises(LayerNeverRanError, match="'unused'"):
        extractor([np.zeros((8, 8, 3), np.float32)], ["unused"])


def test_input_is_what_the_model_says():
    first = adapters.wrap(small()).adapter.input
    assert (first.size, first.n_channels, first.channel_axis) == ((8, 8), 3, -1)
    grey = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 3)])
    assert (adapters.wrap(grey).adapter.input.size, adapters.wrap(grey).adapter.input.n_channels) == (None, 1)


def test_other_models_do_not_say_their_preprocessing():
    with pytest.warns(AdapterWarning, match="No preprocessing travels"):
        assert adapters.wrap(small()).preprocessing.size == (8, 8)

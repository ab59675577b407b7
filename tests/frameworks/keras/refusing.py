"""What cannot be read is refused with a reason, and what Keras is is recognised."""

from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops

import adapters
from adapters.dispatch import find_adapter
from adapters.errors import (
    ActivationShapeError,
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


class Subclassed(keras.Model):
    """Made of two layers, and of any third."""

    def __init__(self, part: object = None) -> None:
        super().__init__()
        self.conv, self.attention, self.part = layers.Conv2D(4, 3), layers.MultiHeadAttention(1, 2), part

    def call(self, images: object) -> object:
        maps = ops.mean(self.conv(images), axis=1)
        maps = self.attention(maps, maps)
        return maps if self.part is None else self.part(maps)


@pytest.mark.parametrize("model", [keras.Sequential([layers.Dense(3)]), Subclassed()])
def test_model_without_weights_is_refused(model: keras.Model):
    with pytest.raises(UnsupportedModelError, match=r"has no weights yet.*Call it on one batch first, as in model\("):
        adapters.wrap(model)


@pytest.mark.parametrize("n_built", [0, 1])
def test_no_weights_are_made_up_for_layers_without(n_built: int):
    """Keras calls a subclassed model built after ``model.build``, though its layers are not."""
    model, add_weight = Subclassed(), layers.Layer.add_weight
    model.build((None, 8, 8, 3))
    if n_built:
        model.conv.build((None, 8, 8, 3))
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    with pytest.raises(UnsupportedModelError, match=r"Layer '.*' of Subclassed has no weights yet.*on one batch first"):
        extractor([np.zeros((8, 8, 3), np.float32)], ["conv"])
    assert len(model.weights) == 2 * n_built
    assert layers.Layer.add_weight is add_weight
    model(np.zeros((1, 8, 8, 3), np.float32))
    assert extractor([np.zeros((8, 8, 3), np.float32)], ["attention"], progress=False).shape == (1, 6 * 4)


def test_unknown_devices_are_refused():
    for device in ("gpu:7", "cuda:7", "CUDA:7", "toaster", "cpu:x", "cpu:-1", "cpu:"):
        with pytest.raises(DeviceError, match=rf"device='{device}' was asked for.*Leave device out"):
            adapters.wrap(small(), device=device)


def test_wrong_size_is_an_error_of_the_model():
    extractor = adapters.wrap(small(), preprocessing=adapters.already_preprocessed())
    for shape, said in (((8, 8, 1), "to have value 3"), ((3, 8, 8), r"received input with shape \(2, 3, 8, 8\)")):
        with pytest.raises(ModelForwardError, match=f"{said}.*If it expects another size") as caught:
            extractor([np.zeros(shape, np.float32)], ["conv"])
        assert "\n" not in str(caught.value)  # Keras adds a page about the arguments
        assert "\x1b" not in str(caught.value)


if keras.config.backend() == "torch":

    def test_torch_module_inside_is_a_layer():
        model, image = Subclassed(torch.nn.Linear(4, 2)), np.ones((8, 8, 3), np.float32)
        expected = model(image[None]).detach().numpy().reshape(1, -1)
        extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
        np.testing.assert_allclose(extractor([image], ["part"], progress=False).values, expected, rtol=1e-5, atol=1e-6)
else:

    def test_module_of_another_framework_inside():
        model = Subclassed()
        model(np.zeros((1, 8, 8, 3), np.float32))
        model.part = torch.nn.Linear(4, 2)
        with pytest.raises(UnsupportedModelError, match=r"holds a torch module \(Linear\) in 'part'.*by itself"):
            adapters.wrap(model)


def test_models_of_two_frameworks_in_a_list():
    with pytest.raises(UnsupportedModelError, match="holds Sequential, Linear; one model was expected"):
        adapters.wrap([small(), torch.nn.Linear(2, 2)])


def test_layers_in_a_loop_are_named_with_the_reason():
    image = keras.Input((8, 6, 3))
    steps = layers.TimeDistributed(layers.Dense(4, name="inner"), name="steps")(image)
    outputs = layers.LSTM(3, name="lstm")(layers.Reshape((8, 24))(steps))
    extractor = adapters.wrap(keras.Model(image, outputs), preprocessing=adapters.already_preprocessed())
    images = [np.zeros((8, 6, 3), np.float32)]
    assert extractor(images, ["steps", "lstm"], progress=False).shape == (1, 8 * 6 * 4 + 3)
    for name, loop in (("steps/inner", "TimeDistributed"), ("lstm/cell", "LSTM"), ("lstm/cell:0", "LSTM")):
        with pytest.raises(ActivationShapeError, match=f"cannot be read: {loop} runs it once per step.*around it"):
            extractor(images, [name])


if keras.config.backend() == "tensorflow":  # Keras 2 has no other

    def test_legacy_keras_is_not_taken_for_keras():
        import tf_keras

        assert find_adapter(small()).accepts(tf_keras.Sequential([tf_keras.layers.Dense(2)])) is False


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_model_as_a_file(ending: str, tmp_path: Path):
    model, images = small(), [np.ones((8, 8, 3), np.float32)]
    path = tmp_path / f"my_model{ending}"
    model.save(path)
    first, second = (adapters.wrap(each, preprocessing=adapters.already_preprocessed()) for each in (model, path))
    np.testing.assert_array_equal(*(each(images, ["conv"], progress=False).values for each in (first, second)))
    assert second.identifier == "my_model"
    assert adapters.wrap(str(path), preprocessing=adapters.already_preprocessed()).adapter.framework == "keras"


def test_file_that_is_no_model(tmp_path: Path):
    path = tmp_path / "model.keras"
    with pytest.raises(UnsupportedModelError, match="is no file or folder here"):
        adapters.wrap(path)
    path.write_bytes(b"not a model")
    with pytest.raises(
        UnsupportedModelError, match=r"model\.keras could not be loaded as a Keras model.*custom_objects"
    ):
        adapters.wrap(path)


def test_code_in_a_file_does_not_run(tmp_path: Path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((8, 8, 3)), layers.Lambda(lambda maps: 2 * maps)]).save(path)
    with pytest.raises(UnsupportedModelError, match=r"could not be loaded.*without Python lambdas"):
        adapters.wrap(path)


def test_unknown_layer_is_suggested():
    extractor = adapters.wrap(small(), preprocessing=adapters.already_preprocessed())
    with pytest.raises(LayerNotFoundError, match="Did you mean 'conv'"):
        extractor([np.zeros((8, 8, 3), np.float32)], ["convs"])
    nested = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.Sequential([layers.Conv2D(2, 3, name="conv")], name="stem")]
    )
    extractor = adapters.wrap(nested, preprocessing=adapters.already_preprocessed())
    with pytest.raises(
        LayerNotFoundError, match=r"no layer 'stem\.conv'\. Did you mean 'stem/conv'"
    ):  # PyTorch's style
        extractor([np.zeros((8, 8, 3), np.float32)], ["stem.conv"])


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

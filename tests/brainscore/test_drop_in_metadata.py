"""Brain-Score's generator of metadata describes models of every framework, as it describes those of PyTorch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import yaml
from brainscore_core.plugin_management.generate_model_metadata import ModelMetadataGenerator
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment
from brainscore_vision.plugin_management.vision_domain_plugin import VisionDomainPlugin

import adapters
from adapters.errors import UnsupportedModelError

from .networks import NETWORKS, SIZE, pytorch

N_PARAMETERS = 6 * 27 + 6 + 6 * 1000 + 1000
N_LAYERS = {"pytorch": 4, "keras": 5, "onnx": 6}  # the model and its layers; those of plain functions have no name
N_TRAINED_ARRAYS = {"equinox": 3, "onnx": 0}  # of more than one axis: equinox's bias of a convolution has three


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the generator look for the model at Hugging Face as on a machine without network."""

    def head(*_: Any, **__: Any) -> None:
        raise requests.ConnectionError("no network in tests")

    monkeypatch.setattr(requests, "head", head)


def metadata_of(model: Any, folder: Path) -> dict[str, Any]:
    """Run Brain-Score's generator on a commitment and read back what it wrote."""
    commitment = ModelCommitment("small", model, ["conv"], region_layer_map={"IT": "conv"})
    generator = ModelMetadataGenerator(str(folder), VisionDomainPlugin())
    path = generator.create_yaml(generator.domain_plugin.extract_model_for_analysis(commitment), "small", str(folder))
    assert path is not None
    return yaml.safe_load(Path(path).read_text("utf-8"))["models"]["small"]


@pytest.mark.parametrize("framework", NETWORKS)
def test_metadata(framework, tmp_path):
    extractor = adapters.wrap(NETWORKS[framework]().model, preprocessing=adapters.imagenet(SIZE))
    found = metadata_of(extractor, tmp_path)
    assert found["architecture"] == "DCNN"
    assert found["total_parameter_count"] == N_PARAMETERS
    assert found["trainable_parameter_count"] == (0 if framework == "onnx" else N_PARAMETERS)
    assert found["model_size_mb"] == round(4 * N_PARAMETERS / 1e6, 2)
    assert found["total_layers"] == N_LAYERS.get(framework, 3)
    assert found["trainable_layers"] == N_TRAINED_ARRAYS.get(framework, 2)


def test_same_metadata_as_of_the_wrapper(tmp_path):
    network = pytorch()
    folders = [tmp_path / "ours", tmp_path / "theirs", tmp_path / "bridge"]
    for folder in folders:
        folder.mkdir()
    extractor = adapters.wrap(network.model, preprocessing=adapters.imagenet(SIZE))
    models = extractor, PytorchWrapper(network.model, lambda paths: paths), adapters.as_activations_helper(extractor)
    ours, theirs, bridge = (metadata_of(model, folder) for model, folder in zip(models, folders, strict=True))
    assert {**ours, "brainscore_link": None} == {**theirs, "brainscore_link": None}
    assert {**bridge, "brainscore_link": None} == {**theirs, "brainscore_link": None}


def test_attention_is_a_transformer(tmp_path):
    """Keras tells its kind of layer, and Brain-Score reads it; frozen weights and statistics are not trained."""
    import keras

    layers = keras.layers
    images = layers.Input((SIZE, SIZE, 3))
    tokens = layers.Reshape((9, 8))(layers.BatchNormalization()(layers.Conv2D(8, 8, strides=8)(images)))
    model = keras.Model(images, layers.Dense(2)(layers.MultiHeadAttention(2, 4)(tokens, tokens)))
    model.layers[-1].trainable = False
    found = metadata_of(adapters.wrap(model, preprocessing=adapters.imagenet(SIZE)), tmp_path)
    assert found["architecture"] == "DCNN, Transformer"
    assert found["total_parameter_count"] == model.count_params()
    assert found["trainable_parameter_count"] == sum(np.prod(each.shape) for each in model.trainable_weights)
    assert found["total_parameter_count"] - found["trainable_parameter_count"] == 2 * 8 + 8 * 2 + 2


def test_statistics_of_jax_models_are_not_trained():
    import jax
    from flax import linen, nnx

    module = linen.BatchNorm(use_running_average=True)
    pair = module, module.init(jax.random.key(0), np.zeros((1, 4, 4, 3)))

    class Norm(nnx.Module):
        def __init__(self) -> None:
            self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))

        def __call__(self, images: Any) -> Any:
            return self.norm(images)

    for model in (pair, Norm()):
        described = adapters.wrap(model, preprocessing=adapters.raw(4))._model
        assert [each.requires_grad for each in described.parameters()].count(True) == 2
        assert sum(each.numel() for each in described.parameters()) == 12


def test_everything_else_is_the_models_own():
    network = NETWORKS["tensorflow"]()
    described = adapters.wrap(network.model, preprocessing=adapters.imagenet(SIZE))._model
    assert described.conv is network.model.conv
    assert repr(described) == "DescribedModel('Small', tensorflow)"
    assert not hasattr(described, "nothing")
    assert copy.copy(described).conv is network.model.conv


def test_an_adapter_that_does_not_tell():
    class Silent(type(adapters.wrap(NETWORKS["onnx"]().model).adapter)):
        parameters = adapters.Adapter.parameters

    described = adapters.wrap(Silent(NETWORKS["onnx"]().model), preprocessing=adapters.imagenet(SIZE))._model
    with pytest.raises(UnsupportedModelError) as caught:
        list(described.parameters())
    for fragment in ("Silent does not tell the parameters of", "can be scored without", "method parameters()"):
        assert fragment in str(caught.value)

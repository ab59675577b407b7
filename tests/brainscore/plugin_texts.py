"""The text of small plugins of many kinds: plain, with values of their own, and broken in different ways."""

NET = """
import functools
import torch
from torch import nn
from brainscore_vision import model_registry
from brainscore_vision.model_helpers.activations.pytorch import (
    PytorchWrapper, disable_activation_caching, load_preprocess_images)
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, 2), nn.Linear(4 * 7 * 7, 5)

    def forward(self, images, scale=1.0):
        return self.head(scale * self.conv(images).relu().flatten(1))


def net(kind=PytorchWrapper, **options):
    torch.manual_seed(3)
    prepare = functools.partial(load_preprocess_images, image_size=16, normalize_mean=(.5, .5, .5))
    return kind(identifier='tiny-net', model=Net(), preprocessing=prepare, batch_size=4, **options)


def committed(identifier, activations_model):
    return ModelCommitment(
        identifier, activations_model, layers=['conv', 'head'], behavioral_readout_layer='head', visual_degrees=7)

"""
OWN = """
from ..plain import net, committed, model_registry, PytorchWrapper
from brainscore_vision.model_helpers.activations.core import ActivationsExtractorHelper


class Own(PytorchWrapper):
    def get_activations(self, images, layer_names):
        return {name: 2 * values for name, values in super().get_activations(images, layer_names).items()}


class Halved(PytorchWrapper):
    def register_hook(self, layer, layer_name, target_dict):
        def hook(_layer, _input, output):
            target_dict[layer_name] = output.numpy() / 2

        return layer.register_forward_hook(hook)


class HalvingHelper(ActivationsExtractorHelper):
    def _get_activations_batched(self, *args, **kwargs):
        return {layer: values / 2 for layer, values in super()._get_activations_batched(*args, **kwargs).items()}


class OtherHelper(PytorchWrapper):
    def _build_extractor(self, *args, **kwargs):
        return HalvingHelper(*args, **kwargs)


def hooked():
    wrapper = net()
    wrapper.register_batch_activations_hook(lambda batch: batch)
    return wrapper


model_registry['own_activations'] = lambda: committed('own_activations', net(Own))
model_registry['halved'] = lambda: committed('halved', net(Halved))
model_registry['own_helper'] = lambda: committed('own_helper', net(OtherHelper))
model_registry['hooked'] = lambda: committed('hooked', hooked())
"""
PLUGINS = {
    "plain": {
        "__init__.py": NET
        + "model_registry['tiny-net'] = lambda: committed('tiny-net', net())\n"
        + 'model_registry["scaled"] = lambda: committed("scaled", net(forward_kwargs={"scale": 3.0}))\n'
        + "model_registry['uncached'] = lambda: committed('uncached', disable_activation_caching(net()))\n"
        + "# model_registry['withdrawn'] = lambda: committed('withdrawn', net())\n",
        "model.py": "def get_bibtex(identifier):\n    return '@misc{tiny}'\n",
    },
    "own": {"__init__.py": OWN},
    "_private": {"__init__.py": "model_registry['private'] = None\n"},
    "broken": {
        "__init__.py": "import a_package_that_is_nowhere\nmodel_registry['broken'] = lambda: 1\n",
        "requirements.txt": "a-package-that-is-nowhere==1.0\n",
    },
    "broken_setup": {
        "__init__.py": "raise OSError('no such host')\nmodel_registry['broken_setup'] = lambda: 1\n",
        "setup.py": "",
    },
    "broken_alone": {"__init__.py": "import a_package_that_is_nowhere\nmodel_registry['broken_alone'] = 1\n"},
    "conditional": {
        "__init__.py": "from brainscore_vision import model_registry\n"
        "if False:\n    model_registry['conditional'] = 1\n"
    },
    "unreachable": {
        "__init__.py": "from brainscore_vision import model_registry\n"
        "def fail():\n    raise ConnectionError('no such host')\n"
        "model_registry['unreachable'] = lambda: fail()\n"
    },
}

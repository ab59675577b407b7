"""Small models of three frameworks, registered as a user would; workers import this file again."""

import os
import signal
import time
from pathlib import Path

import numpy as np

import adapters
from registry import register_model

SIZE = 24


class _Slow:
    """Takes its time, so that there is a middle of the run; otherwise plain."""

    def __call__(self, image):
        time.sleep(0.02)
        return np.asarray(image.resize((SIZE, SIZE)), np.float32).transpose(2, 0, 1) / 255


class _SlowLast(_Slow):
    """The same, with channels last."""

    def __call__(self, image):
        return super().__call__(image).transpose(1, 2, 0)


@register_model(preprocessing=adapters.imagenet(SIZE), batch_size=4)
def engine_torch():
    """Return a convolutional network in PyTorch."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3, stride=2), torch.nn.Flatten()
    )


@register_model(preprocessing=adapters.already_preprocessed(), batch_size=4)
def engine_arrays():
    """Return a network that takes arrays as they are."""
    return engine_torch()


@register_model(preprocessing=adapters.imagenet(SIZE), batch_size=4)
def engine_keras():
    """Return the like in Keras."""
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.layers.Input((SIZE, SIZE, 3)),
            keras.layers.Conv2D(8, 3, padding="same", name="first"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Conv2D(4, 3, strides=2, name="second"),
        ]
    )


@register_model(preprocessing=adapters.imagenet(SIZE), batch_size=4)
def engine_flax():
    """Return the like in flax."""
    import flax.linen as nn
    import jax

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Conv(4, (3, 3), strides=2)(nn.relu(nn.Conv(8, (3, 3))(x)))

    net = Net()
    return net.bind(net.init(jax.random.key(0), np.zeros((1, SIZE, SIZE, 3), np.float32)))


@register_model(preprocessing=adapters.imagenet(SIZE), batch_size=4)
def engine_drawn():
    """Return a model whose weights are others each time."""
    import torch

    torch.seed()
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))


@register_model(preprocessing=adapters.imagenet(SIZE), batch_size=4)
def engine_broken():
    """Return a model that only the first process can make."""
    import torch

    if os.environ.get("ENGINE_TEST_PARENT") != str(os.getpid()):
        raise RuntimeError("no licence on this machine")
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))


@register_model(preprocessing=_Slow(), batch_size=4)
def slow_torch():
    """Return a network that is read slowly."""
    return engine_torch()


@register_model(preprocessing=_SlowLast(), batch_size=4)
def slow_keras():
    """Return a network that is read slowly."""
    return engine_keras()


@register_model(preprocessing=_SlowLast(), batch_size=4)
def slow_flax():
    """Return a network that is read slowly."""
    return engine_flax()


class _Mined:
    """Ends its process at an image that is all white, in workers only."""

    def __call__(self, image):
        pixels = np.asarray(image, np.float32).transpose(2, 0, 1)[:, :SIZE, :SIZE] / 255
        if pixels.min() > 0.99 and "local_worker" in Path("/proc/self/cmdline").read_text():
            os.kill(os.getpid(), signal.SIGKILL)
        return pixels


@register_model(preprocessing=_Mined(), batch_size=4)
def engine_mined():
    """Return a model that does not survive one of the images."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))


def wrapped():
    """Return an extractor, as somebody who registers nothing would."""
    return adapters.wrap(engine_torch(), preprocessing=adapters.imagenet(SIZE), batch_size=4)


def half(values):
    """Take every other value: a reduction that workers import."""
    return values[:, :1]

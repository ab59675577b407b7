"""Models in a wrapper: compiled and data-parallel ones are read, TorchScript is refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import adapters
from adapters.errors import AdapterError, UnsupportedModelError

NAMES = ["0", "2", "4"]


def compiled(model):
    return torch.compile(model, backend="eager")


def compiled_in_place(model):
    model.compile(backend="eager")
    return model


def compiled_and_used(model):
    model = compiled(model)
    with torch.no_grad():
        model(torch.zeros(2, 3, 8, 8))
    return model


def compiled_in_place_and_used(model):
    model.compile(backend="eager")
    with torch.no_grad():
        model(torch.zeros(2, 3, 8, 8))
    return model


def compiled_in_parallel(model):
    return nn.DataParallel(compiled(model))


@pytest.mark.parametrize(
    "wrapper",
    [nn.DataParallel, compiled, compiled_in_place, compiled_and_used, compiled_in_place_and_used, compiled_in_parallel],
    ids=lambda wrapper: wrapper.__name__,
)
@pytest.mark.parametrize("layers", [NAMES, ["0"]], ids=str)
def test_wrappers_are_looked_through(read, hand_hooked, convnet, batch, wrapper, layers):
    images = batch(3, 3, 8, 8)
    expected = hand_hooked(convnet, images, NAMES)
    model = wrapper(convnet)
    assembly = read(model, images, layers)
    for name in layers:
        np.testing.assert_array_equal(assembly.sel(layer=name).values, expected[name])
    assert set(assembly["model"].values) == {"Sequential"}
    with torch.no_grad():  # and the user's model still runs compiled
        np.testing.assert_allclose(model(torch.from_numpy(images)).numpy(), expected["4"], rtol=1e-5, atol=1e-6)


def test_compiled_parts_are_read(read, hand_hooked, convnet, batch):
    images = batch(3, 3, 8, 8)
    expected = hand_hooked(convnet, images, ["0", "2"])
    outer = nn.Sequential(compiled_and_used(convnet), nn.Softmax(dim=1))
    layers = [
        name for name in adapters.wrap(outer, preprocessing=adapters.raw(8)).layers if name.endswith((".0", ".2"))
    ]
    assembly = read(outer, images, layers)
    assert len(layers) == 2
    for layer, name in zip(layers, ["0", "2"], strict=True):
        np.testing.assert_array_equal(assembly.sel(layer=layer).values, expected[name])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["scripted", "traced", "frozen", "parallel"])
def test_torchscript_is_refused(convnet, kind):
    convnet.eval()
    model = torch.jit.trace(convnet, torch.zeros(1, 3, 8, 8)) if kind == "traced" else torch.jit.script(convnet)
    model = torch.jit.freeze(model) if kind == "frozen" else model
    model = nn.DataParallel(model) if kind == "parallel" else model
    with pytest.raises(UnsupportedModelError, match="TorchScript") as caught:
        adapters.wrap(model)
    assert "torch.nn.Module that it was scripted or traced from" in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["scripted", "traced"])
def test_torchscript_inside_a_module_is_not_offered(read, convnet, batch, kind):
    convnet.eval()
    part = torch.jit.trace(convnet, torch.zeros(2, 3, 8, 8)) if kind == "traced" else torch.jit.script(convnet)
    model, images = nn.Sequential(nn.Identity(), part, nn.Softmax(dim=1)), batch(3, 3, 8, 8)
    extractor = adapters.wrap(model, preprocessing=adapters.raw(8))
    assert list(extractor.layers) == ["0", "2"]
    with torch.no_grad():
        expected = model(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(read(model, images, ["2"]).values, expected, rtol=1e-5)
    for name in ("1", "1.0"):
        with pytest.raises(AdapterError, match="TorchScript"):
            read(model, images, [name])


class TakesText(nn.Module):
    main_input_name = "input_ids"


def test_model_that_takes_no_images_is_refused():
    with pytest.raises(UnsupportedModelError) as caught:
        adapters.wrap(TakesText())
    for fragment in ("TakesText", "'input_ids'", "vision"):
        assert fragment in str(caught.value)


def test_wrapping_does_not_run_or_change_the_model(counting):
    adapters.wrap(counting, preprocessing=adapters.raw(8))
    assert counting.n_images == []


def test_lazy_modules_are_refused_before_they_are_initialised(read, batch):
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))  # a run would give it weights: the model would be changed
    with pytest.raises(AdapterError, match="LazyLinear"):
        read(model, batch(2, 3, 4, 4))
    assert isinstance(model[1], nn.LazyLinear)

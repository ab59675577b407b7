"""What modules return: tensors, tuples, dicts, records, other dtypes and layouts; calls of one module, each its own."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from transformers.utils import ModelOutput

from adapters.errors import ActivationShapeError

Pair = namedtuple("Pair", ["first", "second"])


@dataclass
class Record:
    ids: torch.Tensor
    values: torch.Tensor
    state: tuple


@dataclass
class Output(ModelOutput):
    last_hidden_state: torch.Tensor | None = None
    pooler_output: torch.Tensor | None = None


class Returns(nn.Module):
    """Has one child that makes a structure of (x, 2 x, 3 x), x of shape (n_images, 4)."""

    def __init__(self, make):
        super().__init__()
        self.linear = nn.Linear(12, 4)
        self.child = Making(make)

    def forward(self, images):
        values = self.linear(images.flatten(1))
        self.child(values)
        return values


class Making(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, values):
        return self.make(values, 2 * values, 3 * values)


IDS = torch.arange(8)
STRUCTURES = {
    "tuple": (lambda x, y, z: (x, y, z), {"child": 1, "child:1": 2, "child:-1": 3}),
    "list": (lambda x, y, z: [x, [y, z]], {"child": 1, "child:1": 2, "child:1.1": 3}),
    "integers-first": (lambda x, y, z: (IDS[: len(x)], None, y), {"child": 2, "child:2": 2}),
    "scalar-first": (lambda x, y, z: (x.mean(), z), {"child": 3, "child:1": 3}),
    "dict": (lambda x, y, z: {"a": x, "b": {"c": y}}, {"child": 1, "child:b.c": 2, "child:b": 2}),
    "namedtuple": (lambda x, y, z: Pair(x, (y, z)), {"child": 1, "child:second.1": 3, "child:0": 1}),
    "dataclass": (lambda x, y, z: Record(IDS, y, (x, z)), {"child": 2, "child:state.1": 3, "child:values": 2}),
    "ModelOutput": (lambda x, y, z: Output(x, z), {"child": 1, "child:pooler_output": 3, "child:1": 3}),
}


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("batch_size", [2, 3, 64])
def test_structured_outputs(read, batch, structure, batch_size):
    make, expected = STRUCTURES[structure]
    model, images = Returns(make), batch(5, 3, 2, 2)
    base = read(model, images, ["linear"], batch_size=batch_size).values
    assembly = read(model, images, list(expected), batch_size=batch_size)
    assert list(dict.fromkeys(assembly["layer"].values)) == list(expected)
    for layer, factor in expected.items():
        np.testing.assert_allclose(assembly.sel(layer=layer).values, factor * base, rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "fragments"),
    [
        ("child:c", ["no part 'child:c'", "a dict with keys a, b"]),
        ("child:b.d", ["no part 'child:b.d'"]),
        ("child:pooler", ["no part 'child:pooler'"]),
        ("child:a.0", ["no part 'child:a.0'", "Tensor"]),
    ],
)
def test_parts_that_are_not_there(read, batch, layer, fragments):
    model = Returns(STRUCTURES["dict"][0])
    with pytest.raises(ActivationShapeError) as caught:
        read(model, batch(2, 3, 2, 2), [layer])
    for fragment in fragments:
        assert fragment in str(caught.value)


class Table(nn.Module):
    """Returns a table of its own before the values; with four images the table looks like a batch."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(4, 12))

    def forward(self, images):
        return self.table, images.flatten(1)


@pytest.mark.parametrize("batch_size", [3, 4, 8])
def test_the_same_part_is_read_whatever_the_batch_size(read, batch, batch_size):
    model, images = nn.Sequential(Table()), batch(8, 3, 2, 2)
    np.testing.assert_array_equal(read(model, images, ["0"], batch_size=batch_size).values, images.reshape(8, -1))


@pytest.mark.parametrize(
    ("make", "fragments"),
    [
        (lambda x, y, z: IDS[: len(x)], ["no floating-point array"]),
        (lambda x, y, z: None, ["a NoneType"]),
        (lambda x, y, z: x.t().contiguous()[:3], ["(3, 2)", "first axis must be the batch"]),
    ],
    ids=["integers", "nothing", "batch-second"],
)
def test_outputs_that_are_no_activations_are_not_offered(read, batch, make, fragments):
    model, images = Returns(make), batch(3, 3, 2, 2)
    assert list(read(model, images, "*")["layer"].values[:1]) == ["linear"]
    with pytest.raises(ActivationShapeError) as caught:
        read(model, images, ["child"])
    for fragment in ["'child'", *fragments]:
        assert fragment in str(caught.value)


def test_model_whose_output_is_nothing_of_the_kind(read, batch):
    with pytest.raises(ActivationShapeError, match="first axis must be the batch"):
        read(Making(lambda x, y, z: x.mean((0, 2, 3))[:1]), batch(3, 3, 2, 2))


class Repeats(nn.Module):
    """Calls one module three times, each time on another shape."""

    def __init__(self):
        super().__init__()
        self.pool, self.same = nn.AvgPool2d(2), nn.Identity()

    def forward(self, images):
        first = self.pool(images)
        second = self.pool(first)
        self.same(first)
        return self.same(self.pool(second)) if second.shape[-1] > 1 else self.same(second)


def test_module_called_several_times(read, batch):
    images = batch(3, 2, 8, 8)
    pooled = [torch.from_numpy(images)]
    for _ in range(3):
        pooled.append(nn.functional.avg_pool2d(pooled[-1], 2))
    expected = [values.flatten(1).numpy() for values in pooled[1:]]
    assembly = read(Repeats(), images, ["pool@0", "pool", "pool@1", "pool@2", "same@0", "same"])
    for layer, values in zip(
        ["pool@0", "pool", "pool@1", "pool@2", "same@0", "same"],
        [expected[0], expected[2], expected[1], expected[2], expected[0], expected[2]],
        strict=True,
    ):
        np.testing.assert_array_equal(assembly.sel(layer=layer).values, values)


def test_all_calls_of_a_module(read, batch):
    images = batch(3, 2, 8, 8)
    assembly = read(Repeats(), images, ["pool"], calls="all")
    assert list(dict.fromkeys(assembly["layer"].values)) == ["pool@0", "pool@1", "pool@2"]
    np.testing.assert_array_equal(assembly["time_step"].values, np.repeat([0, 1, 2], [32, 8, 2]))
    single = read(Repeats(), images, ["pool@1"])
    np.testing.assert_array_equal(assembly.sel(layer="pool@1").values, single.values)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_dtypes_come_out_as_float32(read, batch, convnet, dtype):
    model, images = convnet.to(dtype).eval(), batch(4, 3, 8, 8)
    with torch.no_grad():
        conv = model[0](torch.from_numpy(images).to(dtype)).float().flatten(1).numpy()
        logits = model(torch.from_numpy(images).to(dtype)).float().numpy()
    assembly = read(model, images, ["0", "logits"])
    assert assembly.dtype == np.float32
    np.testing.assert_array_equal(assembly.sel(layer="0").values, conv)
    np.testing.assert_array_equal(assembly.sel(layer="logits").values, logits)
    assert next(model.parameters()).dtype == dtype


def test_models_without_parameters(read, batch):
    images = batch(3, 2, 4, 4)
    model = nn.Sequential(nn.AvgPool2d(2), nn.ReLU(), nn.Flatten())
    expected = np.maximum(images.reshape(3, 2, 2, 2, 2, 2).mean((3, 5)), 0).reshape(3, -1)
    np.testing.assert_allclose(read(model, images).values, expected, atol=1e-6)


@pytest.mark.parametrize("names", [["0"], ["0", "1", "2"]], ids=str)
def test_channels_last_memory_does_not_change_the_order(read, hand_hooked, convnet, batch, names):
    images = batch(4, 3, 8, 8)
    expected = hand_hooked(convnet, images, names)
    convnet.to(memory_format=torch.channels_last)
    assembly = read(convnet, images, names)
    for name in names:
        np.testing.assert_allclose(assembly.sel(layer=name).values, expected[name], rtol=1e-5, atol=1e-6)


class Views(nn.Module):
    """Returns tensors that are not contiguous, or expanded, or scalars per image."""

    def __init__(self):
        super().__init__()
        for name in ("transposed", "expanded", "strided", "scalar"):
            self.add_module(name, nn.Identity())

    def forward(self, images):
        self.transposed(images.permute(0, 3, 1, 2))
        self.expanded(images[:, :1].expand(-1, 3, -1, -1))
        self.strided(images[:, :, ::2, 1:])
        return self.scalar(images.sum((1, 2, 3)))


@pytest.mark.parametrize("n_images", [1, 3])
def test_strides_do_not_change_values(read, batch, n_images):
    images = batch(n_images, 2, 4, 5)
    assembly = read(Views(), images, "*")
    for name, expected in {
        "transposed": images.transpose(0, 3, 1, 2),
        "expanded": np.repeat(images[:, :1], 3, axis=1),
        "strided": images[:, :, ::2, 1:],
    }.items():
        np.testing.assert_array_equal(assembly.sel(layer=name).values, expected.reshape(n_images, -1))
    np.testing.assert_allclose(assembly.sel(layer="scalar").values[:, 0], images.sum((1, 2, 3)), rtol=1e-5)


class Counts(nn.Module):
    """Ends in whole numbers, as a detector or an argmax does."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return self.conv(images).flatten(1).argmax(dim=1)


def test_a_model_whose_output_cannot_be_read_can_be_read_elsewhere(read, hand_hooked, batch):
    model, images = Counts(), batch(3, 3, 8, 8)
    np.testing.assert_array_equal(read(model, images, ["conv"]).values, hand_hooked(model, images, ["conv"])["conv"])
    with pytest.raises(ActivationShapeError, match=r"'logits'.*no floating-point array"):
        read(model, images, ["logits"])

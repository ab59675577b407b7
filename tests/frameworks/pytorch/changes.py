"""What of a PyTorch model must miss, and what must hit: name -> what is changed, to be read and printed."""

from __future__ import annotations

import copy
import functools
import io
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from adapters.fingerprints import key_of, model_recipe

from ...fingerprints.studies import Change, Study, load_file

__all__ = ["HITS", "MISSES", "NET", "attribute", "block_of", "of_model", "ulp"]

NET = Path(__file__).with_name("small_net.py")


def block_of(study: Study) -> Any:
    return study.model.blocks[0]


def ulp(tensor: torch.Tensor) -> None:
    with torch.no_grad():
        flat = tensor.view(-1)
        flat[0] = torch.nextafter(flat[0], torch.tensor(torch.inf))


def attribute(path: str, value: Any) -> Change:
    """Set an attribute of the block."""

    def change(study: Study) -> None:
        *parents, name = path.split(".")
        setattr(functools.reduce(getattr, parents, block_of(study)), name, value(study) if callable(value) else value)

    return change


def of_model(path: str, value: Any) -> Change:
    def change(study: Study) -> None:
        *parents, name = path.split(".")
        setattr(functools.reduce(getattr, parents, study.model), name, value)

    return change


def replace_forward(study: Study) -> None:
    block = block_of(study)
    block.forward = types.MethodType(lambda self, values: self.conv(values), block)


def replace_class_forward(study: Study) -> None:
    original = study.code.Net.forward
    study.code.Net.forward = lambda self, images: original(self, images) + 1


def swap_blocks(study: Study) -> None:
    study.model.blocks = nn.Sequential(*reversed(study.model.blocks))


def same_values_other_name(study: Study) -> None:
    study.model.top = study.model._modules.pop("head")


def change_closure(study: Study) -> None:
    block_of(study).gain.__closure__[0].cell_contents = 1.25


def set_flag(owner: Any, name: str, value: Any) -> Change:
    return lambda study: setattr(owner, name, value)


# name -> what is changed; every one changes values, or could
MISSES: dict[str, Change] = {
    "1 ulp of a weight": lambda study: ulp(study.model.conv.weight),
    "1 ulp of a running mean": lambda study: ulp(block_of(study).norm.running_mean),
    "a non-persistent buffer": lambda study: ulp(block_of(study).mask),
    "a tensor that is a plain attribute": lambda study: ulp(block_of(study).table),
    "a tensor in a list": lambda study: ulp(block_of(study).parts[1]),
    "a tensor in a list of an object": lambda study: ulp(block_of(study).settings.weights[0]),
    "a tensor in a dict in a list of an object": lambda study: ulp(block_of(study).settings.weights[1]["bias"]),
    "a number in an object": lambda study: setattr(block_of(study).settings, "power", 2),
    "dtype of the model": lambda study: study.model.double(),
    "dtype of a plain attribute": lambda study: setattr(block_of(study), "table", block_of(study).table.double()),
    "a sign of zero": lambda study: block_of(study).norm.running_mean.neg_(),
    "a hook": lambda study: block_of(study).register_forward_hook(lambda module, given, output: output * 2),
    "a pre-hook": lambda study: study.model.head.register_forward_pre_hook(lambda module, given: (given[0] * 2,)),
    "a parametrization": lambda study: nn.utils.parametrizations.weight_norm(study.model.head),
    "dropout's probability": of_model("drop.p", 0.4),
    "epsilon of a batch normalisation": attribute("norm.eps", 1e-4),
    "statistics of the batch": attribute("norm.track_running_stats", False),
    "stride": attribute("conv.stride", (2, 2)),
    "padding": attribute("conv.padding", (0, 0)),
    "padding mode": attribute("conv.padding_mode", "zeros"),
    "dilation": attribute("conv.dilation", (2, 2)),
    "groups": attribute("conv.groups", 2),
    "approximation of an activation": of_model("act.approximate", "tanh"),
    "an activation": of_model("act", nn.ReLU()),
    "output size of a pool": of_model("pool.output_size", 1),
    "in place or not": lambda study: setattr(study.model.blocks[1], "inplace", False),
    "no bias": lambda study: study.model.head.register_parameter("bias", None),
    "a lambda": attribute("activation", lambda study: lambda values: values.abs()),
    "a closure's value": change_closure,
    "a default argument": lambda study: setattr(block_of(study).gain, "__defaults__", (0.5,)),
    "a global constant of forward": lambda study: setattr(study.code, "SCALE", 3.0),
    "an item of a global that a function uses": lambda study: study.code.TABLE.update(high=2.0),
    "a function that forward calls": lambda study: setattr(study.code, "squash", lambda values: values),
    "an attribute of the class": lambda study: setattr(study.code.Block, "level", 2.0),
    "forward of one module": replace_forward,
    "forward of the class": replace_class_forward,
    "forward of a class of PyTorch": lambda study: setattr(nn.GELU, "forward", lambda self, values: values),
    "a function of PyTorch": lambda study: setattr(nn.functional, "relu", lambda values, inplace=False: -values),
    "a function that only PyTorch calls": lambda study: setattr(
        nn.functional, "gelu", lambda values, approximate: -values
    ),
    "another class with the same attributes": lambda study: setattr(study.model.act, "__class__", nn.Identity),
    "the order of modules": swap_blocks,
    "the name of a layer": same_values_other_name,
    "a module more": lambda study: study.model.blocks.append(nn.Identity()),
    "arguments of forward": lambda study: study.options.update(forward_kwargs={"gain": 2.0}),
    "TF32 of matrix products": set_flag(torch.backends.cuda.matmul, "allow_tf32", True),
    "TF32 of convolutions": set_flag(torch.backends.cudnn, "allow_tf32", False),
    "deterministic algorithms": lambda study: torch.use_deterministic_algorithms(True),
    "benchmarked algorithms": set_flag(torch.backends.cudnn, "benchmark", True),
    "oneDNN": lambda study: torch.backends.mkldnn.set_flags(_enabled=False),
    "precision of matrix products": lambda study: torch.set_float32_matmul_precision("medium"),
    "default dtype": lambda study: torch.set_default_dtype(torch.float64),
    "memory format": lambda study: study.model.to(memory_format=torch.channels_last),
}


def reload(study: Study) -> None:
    buffer = io.BytesIO()
    state = study.model.state_dict()
    torch.save(state, buffer)
    buffer.seek(0)
    study.model.load_state_dict(torch.load(buffer, weights_only=True))


def whole_file(study: Study) -> None:
    block_of(study).activation = block_of(study).gain = None  # neither can be pickled
    before = study.key()
    buffer = io.BytesIO()
    torch.save(study.model, buffer)
    buffer.seek(0)
    study.model = torch.load(buffer, weights_only=False)
    assert study.key() == before


def other_order_of_attributes(study: Study) -> None:
    block = block_of(study)
    for name in reversed(sorted(vars(block))):
        vars(block)[name] = vars(block).pop(name)


def hooked_and_unhooked(study: Study) -> None:
    handle = study.model.register_forward_hook(lambda module, given, output: output * 2)
    handle.remove()


def after_a_run(study: Study) -> None:
    adapter = study.adapter(study.model)
    images = np.zeros((2, 3, 8, 8), np.float32)
    with adapter.open([study.request], (3, 8, 8)) as forward:
        forward(images)
        key = key_of(model_recipe(adapter, (3, 8, 8)))  # with our own hooks in place
    assert key == key_of(model_recipe(adapter, (3, 8, 8)))


def fill(tensor: torch.Tensor) -> None:
    tensor.requires_grad_(not tensor.requires_grad)


HITS: dict[str, Change] = {
    "training mode, as runs always evaluate": lambda study: study.model.train(not study.model.training),
    "training mode of one module": lambda study: study.model.drop.train(False),
    "a deep copy": lambda study: setattr(study, "model", copy.deepcopy(study.model)),
    "weights saved and loaded": reload,
    "gradients on or off": lambda study: fill(study.model.conv.weight),
    "gradients computed": lambda study: study.model.eval()(torch.zeros(1, 3, 8, 8)).sum().backward(),
    "the state of the random generator": lambda study: torch.manual_seed(3),
    "the order of attributes": other_order_of_attributes,
    "a hook that was removed": hooked_and_unhooked,
    "a run": after_a_run,
    "a hook of gradients": lambda study: study.model.register_full_backward_hook(lambda *given: None),
    "data parallel": lambda study: setattr(study, "model", nn.DataParallel(study.model)),
    "compiled": lambda study: setattr(study, "model", torch.compile(study.model)),
    "grad mode": lambda study: torch.set_grad_enabled(False),
    "number of threads": lambda study: torch.set_num_threads(torch.get_num_threads() + 1),
    "weights in other memory": lambda study: setattr(
        study.model.head, "weight", nn.Parameter(study.model.head.weight.detach().t().contiguous().t())
    ),
    "built again": lambda study: setattr(study, "model", load_file(NET, "elsewhere").build()),
    "a saved model": whole_file,
}

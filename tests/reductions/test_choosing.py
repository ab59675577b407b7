"""What ``reduce=`` may be, for which layers, and what is said about everything else."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import adapters
from adapters.errors import AdapterError, MissingFrameworkError, ReductionError
from adapters.layers import LayerRequest
from adapters.reductions import as_reductions, reduced_shapes

SHAPES = {"conv": (4, 5, 6), "tokens": (7, 8), "head": (10,), "blocks.0@1": (7, 8), "blocks.1:0": (7, 8)}
REQUESTS = [LayerRequest(name, name.partition("@")[0].partition(":")[0]) for name in SHAPES]


def chosen(reduce: Any, layers: tuple[str, ...] = tuple(SHAPES), **options: Any) -> dict[str, Any]:
    requests = [request for request in REQUESTS if request.requested in layers]
    return as_reductions(reduce, requests, SHAPES, n_presentations=10, **options)


def names(reduce: Any) -> dict[str, str]:
    return {layer: reduction.name for layer, reduction in chosen(reduce).items()}


def test_nothing_is_reduced_unless_asked():
    assert chosen(None) == {}
    assert chosen({"conv": None, "tokens": None}) == {}


def test_one_reduction_is_for_all_layers():
    assert names("mean") == dict.fromkeys(SHAPES, "mean")


def test_a_mapping_takes_names_requests_and_globs():
    found = names({"conv": "max", "blocks.*": "mean", "blocks.0": "max", "blocks.0@1": "cls", "tokens": None})
    assert found == {"conv": "max", "blocks.0@1": "cls", "blocks.1:0": "mean"}
    assert names({"blocks.1": "tokens"}) == {"blocks.1:0": "tokens"}, "the name of the layer, of which a part is read"
    assert names({"*": "mean", "head": None}) == dict.fromkeys(set(SHAPES) - {"head"}, "mean")


@pytest.mark.parametrize(
    ("reduce", "layer", "expected"),
    [
        *(("mean", "conv", (4,)), ("max", "tokens", (8,)), ("mean", "head", (10,))),
        *(("cls", "tokens", (8,)), ("tokens", "tokens", (6, 8))),
        (adapters.Einops("c h w -> h (w c)", "mean"), "conv", (5, 24)),
        (adapters.Einops("(a b) e -> a", "sum", b=7), "tokens", (1,)),
        (lambda values: values[:, 0, 1:], "conv", (4, 6)),
        (adapters.SparseRandomProjection(9), "conv", (9,)),
        (adapters.PCA(9, stimuli=["image.png"]), "conv", (9,)),
        (adapters.PCA(10, stimuli=["image.png"]), "head", (10,)),
    ],
)
def test_shapes_are_known_before_a_run(reduce: Any, layer: str, expected: tuple[int, ...]):
    found = reduced_shapes(chosen(reduce, (layer,)), SHAPES)
    assert found == {**SHAPES, layer: expected}


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4, 5)], ids=len)
def test_ranks_without_space_or_tokens(shape: tuple[int, ...]):
    """A vector stays; of more than three axes the first names the features: channels come before time and space."""
    reductions = as_reductions("mean", [LayerRequest("x", "x")], {"x": shape}, n_presentations=1)
    assert reduced_shapes(reductions, {"x": shape}) == {"x": shape[:1]}
    values = np.random.default_rng(0).standard_normal((6, *shape)).astype(np.float32)
    reduced = reductions["x"](values, adapters.device_math.HostMath(), {})
    np.testing.assert_allclose(reduced, values.reshape(*values.shape[:2], -1).mean(2) if shape else values, rtol=1e-5)


@pytest.mark.parametrize(
    ("reduce", "fragments"),
    [
        ("men", ["reduce='men' is no reduction", "Did you mean 'mean'?", "PCA(...)"]),
        ("channel row column -> channel", ["Write Einops('channel row column -> channel')."]),
        ({"conv": "average"}, ["reduce['conv']='average'"]),
        ({"con": "mean"}, ["layer 'con'", "not among the 5 that are read", "Did you mean 'conv'?", "globs"]),
        (adapters.PCA, ["PCA is a class", "Pass PCA(...)"]),
        (dict, ["dict is a class", "Pass one of these"]),
        (5, ["reduce=5 is int", "expected None, 'mean'"]),
        (["mean"], ["is list; expected"]),
        ("cls", ["reduce='cls' was asked of layer 'conv'", "(4, 5, 6) per image", "(token, embedding)", "'mean'"]),
        ({"head": "tokens"}, ["layer 'head'", "shape (10,)", "leave it as it is"]),
        (adapters.Einops("b c h w -> b c"), ["does not fit layer 'conv'", "(4, 5, 6)", "without the batch"]),
        (lambda values: values.mean(), ["<lambda> returned shape ()", "layer 'conv'", "first axis is the images"]),
        (lambda values: [1, 2], ["returned list", "expected an array"]),
        (lambda values: values[0], ["returned shape (4, 5, 6)", "for 2 images"]),
        (lambda values: values.nothing, ["raised AttributeError for layer 'conv'", "(2, 4, 5, 6)"]),
        (adapters.PCA(3), ["PCA(3) is not fitted", ".fit(extractor, images, layers)", "PCA(3, stimuli=images)"]),
    ],
)
def test_what_cannot_be_used_is_refused(reduce: Any, fragments: list[str]):
    with pytest.raises(ReductionError) as caught:
        chosen(reduce)
    assert isinstance(caught.value, (AdapterError, ValueError))
    assert [fragment for fragment in fragments if fragment not in str(caught.value)] == []


def test_the_only_token_is_the_class_token():
    with pytest.raises(ReductionError, match=r"'tokens' was asked of layer 'x'.*no token but the first"):
        as_reductions("tokens", [LayerRequest("x", "x")], {"x": (1, 8)}, n_presentations=1)


@pytest.mark.parametrize(
    ("arguments", "sizes", "fragment"),
    [
        (("c h w",), {}, "is no pattern"),
        ((lambda: 0,), {}, "is no pattern"),
        (("c h w -> c", "average"), {}, "expected one of 'mean', 'max', 'min', 'sum', 'prod'"),
        (("c h w -> c", "means"), {}, "Did you mean 'mean'?"),
        (("c (h a) w -> c h", "mean"), {"a": 0.5}, "a=0.5"),
    ],
)
def test_patterns_are_checked_when_they_are_written(arguments: tuple[Any, ...], sizes: dict[str, Any], fragment: str):
    with pytest.raises(ReductionError) as caught:
        adapters.Einops(*arguments, **sizes)
    assert fragment in str(caught.value)


def test_patterns_are_data():
    one = adapters.Einops("c  (h a) w -> c h", "max", a=2)
    assert one == adapters.Einops("c  (h a) w -> c h", "max", a=2)
    assert hash(one) == hash(adapters.Einops("c  (h a) w -> c h", "max", a=2))
    assert one != adapters.Einops("c  (h a) w -> c h", "max", a=3)
    assert one.to_dict() == adapters.Einops("c (h a) w -> c h", "max", a=2).to_dict()
    assert one.to_dict() == {
        **{"reduction": "einops", "pattern": "c (h a) w -> c h"},
        **{"operation": "max", "sizes": {"a": 2}},
    }


def test_without_einops_the_others_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "einops", None)
    assert names("mean") == dict.fromkeys(SHAPES, "mean")
    with pytest.raises(MissingFrameworkError, match=r"pip install 'brain-adapters\[store\]'"):
        chosen(adapters.Einops("c h w -> c"), ("conv",))


class TwoArguments:
    """As adapters were written before there were reductions."""

    def open(self, requests: Any, image_shape: Any) -> None:
        raise NotImplementedError


def test_an_adapter_that_cannot_reduce_says_so():
    assert chosen(None, adapter=TwoArguments()) == {}
    with pytest.raises(ReductionError, match=r"TwoArguments cannot reduce values.*docs/extending\.md"):
        chosen("mean", adapter=TwoArguments())

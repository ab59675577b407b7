"""What of a JAX model must miss and what must hit, in flax linen, flax nnx, equinox, haiku and plain functions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import adapters
from adapters.fingerprints import NotFingerprintable, key_of, model_recipe
from adapters.frameworks.jax import JaxAdapter

from ...fingerprints.studies import Change, Study, write_images

LAST, FIRST = (8, 8, 3), (3, 8, 8)
HELD = SimpleNamespace(scale=2.0, table=jnp.arange(4.0))


def squash(values: Any) -> Any:
    return jnp.tanh(values)


def weights(*shape: int) -> Any:
    return jnp.asarray((np.arange(np.prod(shape), dtype=np.float32) / 64 - 1).reshape(shape))


class Activation(linen.Module):
    """Has no weights, whose names would change with its own."""

    def __call__(self, values: Any) -> Any:
        return jnp.abs(values)


class LinenNet(linen.Module):
    features: int = 4
    strides: int = 1
    activation: Callable[[Any], Any] = linen.relu
    layer_name: str = "conv"
    act_name: str = "act"
    axis_name: str = ""

    @linen.compact
    def __call__(self, images: Any, train: bool = True) -> Any:
        values = linen.Conv(self.features, (3, 3), strides=self.strides, name=self.layer_name)(images)
        values = linen.BatchNorm(use_running_average=not train, name="norm")(values)
        values = linen.Dropout(0.5, deterministic=not train)(self.activation(values))
        return Activation(name=self.act_name)(squash(values)) * HELD.scale + HELD.table


class NnxNet(nnx.Module):
    def __init__(self, seed: int = 0) -> None:
        rngs = nnx.Rngs(seed)
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.conv.kernel.value = weights(3, 3, 3, 4)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.power, self.activation = 1, nnx.relu

    def __call__(self, images: Any) -> Any:
        return squash(self.drop(self.norm(self.conv(self.activation(images))))) ** self.power * HELD.scale


class EqxNet(eqx.Module):
    conv: Any
    table: Any
    power: int = eqx.field(static=True)
    activation: Any = eqx.field(static=True)

    def __init__(self, power: int = 1, activation: Any = jax.nn.relu) -> None:
        conv = eqx.nn.Conv2d(3, 4, 3, key=jax.random.key(0))
        self.conv = eqx.tree_at(lambda layer: layer.weight, conv, weights(4, 3, 3, 3))
        self.table, self.power, self.activation = np.arange(4.0).reshape(4, 1, 1), power, activation

    def __call__(self, image: Any) -> Any:
        return squash(self.activation(self.conv(image)) * self.table) ** self.power * HELD.scale


def linen_model(**options: Any) -> Any:
    module = LinenNet(**options)
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.ones((1, *LAST)), train=False))
    return module, jax.tree_util.tree_map(lambda leaf: weights(*leaf.shape) + 2, variables)


def haiku_model(scale: float) -> Any:
    made = hk.without_apply_rng(hk.transform(lambda images: hk.Conv2D(2, 3, name="conv")(images) * scale))
    return made, {"conv": {"w": weights(3, 3, 3, 2), "b": weights(2)}}


def function_model(scale: float) -> Any:
    return (lambda params, images: jnp.tanh(images @ params["w"]) * scale), {"w": weights(3, 2)}


def study_of(model: Any, shape: tuple[int, ...], folder: Path) -> Study:
    return Study(model, JaxAdapter, write_images(folder), folder, image_shape=shape)


MAKERS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "linen": (linen_model, LAST),
    "nnx": (NnxNet, LAST),
    "equinox": (EqxNet, FIRST),
}


def ulp(array: Any) -> Any:
    values = np.array(array)
    values.flat[0] = np.nextafter(values.flat[0], np.float32(np.inf))
    return jnp.asarray(values)


def with_linen(**options: Any) -> Change:
    return lambda study: setattr(study, "model", linen_model(**options))


def linen_weight(study: Study) -> None:
    module, variables = study.model
    changed = {**variables["params"], "conv": {**variables["params"]["conv"]}}
    changed["conv"]["kernel"] = ulp(changed["conv"]["kernel"])
    study.model = module, {**variables, "params": changed}


def linen_statistics(study: Study) -> None:
    module, variables = study.model
    study.model = module, {**variables, "batch_stats": jax.tree_util.tree_map(ulp, variables["batch_stats"])}


def use(name: str, value: Any) -> Change:
    """Change a global that the model uses, or a part of one."""
    if name.startswith("HELD."):
        return lambda study: setattr(HELD, name.partition(".")[2], value)
    return lambda study: globals().update({name: value})


def nnx_attribute(name: str, value: Any) -> Change:
    return lambda study: setattr(study.model, name, value)


def nnx_weight(study: Study) -> None:
    study.model.conv.kernel.value = ulp(study.model.conv.kernel.value)


def eqx_at(where: Callable[[Any], Any], make: Callable[[Any], Any]) -> Change:
    return lambda study: setattr(study, "model", eqx.tree_at(where, study.model, replace_fn=make))


def of_jax(name: str, value: Any) -> Change:
    return lambda study: jax.config.update(name, value)


MISSES: dict[tuple[str, str], Change] = {
    ("linen", "1 ulp of a weight"): linen_weight,
    ("linen", "running statistics"): linen_statistics,
    ("linen", "strides"): with_linen(strides=2),
    ("linen", "an activation"): with_linen(activation=linen.gelu),
    ("linen", "a lambda"): with_linen(activation=lambda values: values * 2),
    ("linen", "the name of a layer"): with_linen(layer_name="other"),
    ("linen", "the name of a layer without weights"): with_linen(act_name="other"),
    ("linen", "a global constant"): use("HELD.scale", 3.0),
    ("linen", "a global array"): use("HELD.table", jnp.arange(4.0) + 1e-6),
    ("linen", "a function that is called"): use("squash", jax.nn.sigmoid),
    ("linen", "the size of images"): lambda study: setattr(study, "image_shape", (9, 8, 3)),
    ("linen", "precision of products"): of_jax("jax_default_matmul_precision", "bfloat16"),
    ("nnx", "1 ulp of a weight"): nnx_weight,
    ("nnx", "a number"): nnx_attribute("power", 2),
    ("nnx", "an activation"): nnx_attribute("activation", nnx.gelu),
    ("nnx", "epsilon"): lambda study: setattr(study.model.norm, "epsilon", 1e-2),
    ("nnx", "a global constant"): use("HELD.scale", 3.0),
    ("nnx", "the class's call"): lambda study: setattr(NnxNet, "__call__", lambda self, images: self.conv(images)),
    ("equinox", "1 ulp of a weight"): eqx_at(lambda model: model.conv.weight, ulp),
    ("equinox", "an array of NumPy"): eqx_at(lambda model: model.table, lambda table: table + 1),
    ("equinox", "a static number"): lambda study: setattr(study, "model", EqxNet(power=2)),
    ("equinox", "an activation"): lambda study: setattr(study, "model", EqxNet(activation=jax.nn.gelu)),
    ("equinox", "a closure"): lambda study: setattr(study, "model", EqxNet(activation=lambda values: values * 2)),
    ("equinox", "a function that is called"): use("squash", jnp.sin),
    ("equinox", "64 bits"): of_jax("jax_enable_x64", True),
}

HITS: dict[tuple[str, str], Change] = {
    ("linen", "built again"): with_linen(),
    ("linen", "bound"): lambda study: setattr(study, "model", study.model[0].bind(study.model[1])),
    ("linen", "an attribute that nothing uses"): with_linen(axis_name="rows"),
    ("linen", "a lambda that does the same"): with_linen(activation=lambda values: linen.relu(values)),
    ("nnx", "the seed of a dropout"): lambda study: setattr(study, "model", NnxNet(seed=5)),
    ("nnx", "training mode, as runs never train"): lambda study: study.model.train(),
    ("nnx", "evaluation mode"): lambda study: study.model.eval(),
    ("nnx", "random numbers drawn"): lambda study: study.model.drop(jnp.ones(3), deterministic=False),
    ("equinox", "inference mode"): lambda study: setattr(study, "model", eqx.nn.inference_mode(study.model)),
    ("equinox", "compiled"): lambda study: setattr(study, "model", eqx.filter_jit(study.model)),
}


@pytest.fixture
def as_found(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("scale", "table"):
        monkeypatch.setattr(HELD, name, getattr(HELD, name))
    monkeypatch.setitem(globals(), "squash", squash)
    monkeypatch.setattr(NnxNet, "__call__", NnxNet.__call__)
    yield
    jax.config.update("jax_enable_x64", False)
    jax.config.update("jax_default_matmul_precision", None)


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize(("kind", "name"), MISSES)
def test_must_miss(kind: str, name: str, tmp_path: Path):
    make, shape = MAKERS[kind]
    study = study_of(make(), shape, tmp_path)
    before = study.key()
    MISSES[kind, name](study)
    assert study.key() != before


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize(("kind", "name"), HITS)
def test_must_hit(kind: str, name: str, tmp_path: Path):
    make, shape = MAKERS[kind]
    study = study_of(make(), shape, tmp_path)
    before = study.key()
    HITS[kind, name](study)
    assert study.key() == before


@pytest.mark.parametrize("make", [haiku_model, function_model])
def test_other_kinds(make: Callable[[float], Any]):
    keys = [key_of(model_recipe(JaxAdapter(make(scale)), LAST)) for scale in (1.0, 2.0, 1.0)]
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.usefixtures("as_found")
def test_what_runs_is_what_was_described():
    """A compiled pass knows nothing of a global that was changed since: the key must not be that of the new one."""
    extractor = adapters.wrap(linen_model(), preprocessing=adapters.already_preprocessed())
    images = np.random.default_rng(0).random((2, *LAST), np.float32)
    before = extractor(images).values - np.repeat(np.arange(4.0), 64)
    assert np.isfinite(before).all()
    key = key_of(model_recipe(extractor.adapter, LAST))
    HELD.scale = 4.0
    assert key_of(model_recipe(extractor.adapter, LAST)) != key
    after = extractor(images).values - np.repeat(np.arange(4.0), 64)
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5, atol=1e-6)


def test_callbacks_count_by_their_code():
    def model(factor: float) -> Any:
        def host(values: Any) -> Any:
            return np.asarray(values) * np.float32(factor)

        def run(params: Any, images: Any) -> Any:
            return jax.pure_callback(host, jax.ShapeDtypeStruct(images.shape, images.dtype), images * params)

        return run, weights(1)

    keys = [key_of(model_recipe(JaxAdapter(model(factor)), LAST)) for factor in (1.0, 2.0, 1.0)]
    assert keys[0] == keys[2] != keys[1]
    with pytest.raises(NotFingerprintable, match=r"threading.Thread"):
        model_recipe(JaxAdapter(model(threading.Thread())), LAST)  # type: ignore[arg-type]


def test_golden_recipe():
    """What does not depend on the version of JAX is fixed: raise SEMANTICS when one of these has to change."""
    recipe = model_recipe(JaxAdapter(function_model(1.0)), LAST)
    assert recipe["weights"] == {"n": 1, "digest": WEIGHTS_DIGEST}
    structure = recipe["structure"]
    assert structure["operations"].items() >= {"dot_general": 1, "tanh": 1}.items()
    assert (structure["channels last"], structure["reads names"]) == (True, True)


WEIGHTS_DIGEST = "6da28583dbb9a1d4921fccb797f392deff01e55a6b5726a57cb524a8b4a8e3a0"

"""Windows and passes are the same in a framework that compiles its programs."""

from __future__ import annotations

import numpy as np
import pytest

import adapters
from benchmarks_local.gathering import gather, plan_gathering

from .networks import assert_gathered


@pytest.fixture(scope="module")
def flax():
    import flax.linen as nn
    import jax

    class Small(nn.Module):
        @nn.compact
        def __call__(self, images):
            images = nn.relu(nn.Conv(6, (3, 3), name="conv")(images))
            return nn.Dense(40, name="dense")(images.reshape(len(images), -1))

    model = Small()
    return model, model.init(jax.random.PRNGKey(0), np.zeros((1, 12, 12, 3), np.float32))


@pytest.mark.parametrize("n_units", [10_000, 400, 100])
def test_flax(flax, images, budget_for, n_units):
    extractor = adapters.wrap(flax, identifier="small", preprocessing=adapters.raw(12), batch_size=4)
    whole = extractor(images, ["conv", "dense"])
    values = {name: whole.values[:, whole["layer"].values == name].astype(float) for name in ("conv", "dense")}
    memory = budget_for(n_units, extractor, images, ["conv", "dense"])
    plan = plan_gathering(extractor, images, ["conv", "dense"], memory=memory)
    assert (plan.n_passes > 2) == (n_units < 904)
    assert_gathered(gather(extractor, images, ["conv", "dense"], memory=memory), values)

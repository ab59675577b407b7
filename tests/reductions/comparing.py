"""Every reduction in one framework, against NumPy and scikit-learn on values of the same extractor as they are.

Also a program, for Keras takes one backend per process: ``python comparing.py keras_case``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.random_projection import SparseRandomProjection

import adapters
from adapters import testing
from adapters.testing import AdapterCase
from adapters.testing.reading import extractor_of

SHAPES = {
    **{"conv1": (4, 10, 14), "relu1": (4, 10, 14), "pool": (4, 5, 7), "conv2": (6, 3, 4), "norm": (6, 3, 4)},
    **{"token_norm": (12, 6), "head": (5,)},
}
N_COMPONENTS, N_IMAGES = 6, 5


def every_other(values: Any) -> Any:
    """Take some channels, or tokens: a function of an array of any framework."""
    return values[:, ::2]


def on_host(values: Any) -> Any:
    """Do what no framework can compile."""
    return values[:, : int(np.asarray(values).shape[1] - 1)]


class Compared:
    """An extractor of a framework's toy network, its values, and what NumPy makes of them."""

    def __init__(self, case: AdapterCase) -> None:
        self.case, self.extractor = case, extractor_of(case, batch_size=2)  # the last batch is shorter
        self.images = list(case.in_layout(testing.toy_images(N_IMAGES)))
        self.others = list(case.in_layout(testing.toy_images(12, seed=3)))
        self.values = self.read(self.images, tuple(SHAPES))
        self.of_others = self.read(self.others, ("norm", "head"))["norm"]

    def read(self, images: Any, layers: Any, **options: Any) -> dict[str, np.ndarray]:
        names = [self.case.name_of(layer) for layer in layers]
        assembly = self.extractor(images, names, progress=False, **options)
        labels = np.asarray(assembly["layer"].values)
        return {layer: assembly.values[:, labels == name] for layer, name in zip(layers, names, strict=True)}

    def shaped(self, layer: str) -> np.ndarray:
        return self.values[layer].reshape(N_IMAGES, *SHAPES[layer])

    def reduced(self, reductions: dict[str, Any]) -> dict[str, np.ndarray]:
        by_name = {self.case.name_of(layer): reduction for layer, reduction in reductions.items()}
        return self.read(self.images, tuple(reductions), reduce=by_name)

    def require(self, reductions: dict[str, tuple[Any, np.ndarray]]) -> None:
        """Fail unless every layer is reduced to what is expected, to 1e-4 of the largest value."""
        found = self.reduced({layer: reduction for layer, (reduction, _) in reductions.items()})
        for layer, (reduction, expected) in reductions.items():
            wanted = expected.reshape(N_IMAGES, -1)
            assert found[layer].shape == wanted.shape, (layer, reduction)
            tolerance = 1e-4 * np.abs(wanted).max()
            np.testing.assert_allclose(found[layer], wanted, rtol=1e-4, atol=tolerance, err_msg=f"{layer} {reduction}")

    def pooled_and_picked(self) -> None:
        conv2, tokens = self.shaped("conv2"), self.shaped("token_norm")
        self.require(
            {
                "conv1": (every_other, self.shaped("conv1")[:, ::2]),  # a view, and what follows writes in place
                "relu1": (on_host, self.shaped("relu1")[:, :-1]),
                "pool": ("max", self.shaped("pool").max((2, 3))),
                "conv2": ("mean", conv2.mean((2, 3))),
                "norm": (adapters.Einops("c row column -> row c", "max"), self.shaped("norm").max(3).swapaxes(1, 2)),
                "token_norm": ("cls", tokens[:, 0]),
                "head": ("max", self.shaped("head")),
            }
        )
        halves = adapters.Einops("c row (half column) -> half c", "mean", half=2)
        self.require(
            {
                "conv2": (halves, conv2.reshape(N_IMAGES, 6, 3, 2, 2).mean((2, 4)).swapaxes(1, 2)),
                "token_norm": ("tokens", tokens[:, 1:]),
            }
        )

    def projected(self) -> None:
        sparse, dense = (SparseRandomProjection(8, random_state=4, density=density) for density in ("auto", 1.0))
        components = PCA(N_COMPONENTS, svd_solver="full").fit(self.of_others.astype(np.float64))
        name = self.case.name_of("norm")
        fitted = adapters.PCA(N_COMPONENTS).fit(self.extractor, self.others, [name, self.case.name_of("head")])
        assert fitted.layers == (name, self.case.name_of("head"))
        self.require(
            {
                "pool": (
                    adapters.SparseRandomProjection(8, seed=4),
                    sparse.fit(self.values["pool"]).transform(self.values["pool"]),
                ),
                "conv2": (
                    adapters.SparseRandomProjection(8, seed=4, density=1.0),
                    dense.fit(self.values["conv2"]).transform(self.values["conv2"]),
                ),
                "norm": (fitted, components.transform(self.values["norm"].astype(np.float64))),
                "head": (fitted, self.values["head"]),  # five values are fewer than six components
                "token_norm": ("mean", self.shaped("token_norm").mean(1)),
                "relu1": (None, self.values["relu1"]),
            }
        )

    def labelled(self) -> None:
        """Label what is left of a convolution as the units of a dense layer."""
        names = [self.case.name_of(layer) for layer in ("conv2", "head")]
        assembly = self.extractor(self.images, names, reduce="mean", progress=False)
        assert np.asarray(assembly["channel"]).tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]
        assert np.isnan(assembly["channel_x"].values.astype(float)).all()
        assert np.asarray(assembly["neuroid_num"]).tolist() == [*range(6), *range(5)]
        assert assembly["neuroid_id"].values[1] == f"toy.{names[0]}.1"

    def all(self) -> None:
        self.pooled_and_picked()
        self.projected()
        self.labelled()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Compared(getattr(testing, name)()).all()
        sys.stdout.write(f"{name} agrees\n")

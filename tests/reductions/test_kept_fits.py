"""Principal components are fitted once per store: another process finds them, and with them what they made."""

import numpy as np
import pytest
import torch

import adapters
from adapters import probing

STIMULI = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAIN_ADAPTERS_CACHE_DIR", str(tmp_path / "digests"))
    probing._COMPARED.clear()


def extractor() -> adapters.ActivationsExtractor:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    return adapters.wrap(model, preprocessing=adapters.raw(8), batch_size=4)


def pca(n_components: int = 5, stimuli: np.ndarray = STIMULI[:20]) -> adapters.PCA:
    return adapters.PCA(n_components, stimuli=stimuli)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the layers of each fit."""
    fitted: list[str] = []
    original = adapters.PCA.fit

    def counted(self, extractor, stimuli, layers):
        fitted.extend(layers)
        return original(self, extractor, stimuli, layers)

    monkeypatch.setattr(adapters.PCA, "fit", counted)
    return fitted


def test_found_by_another(tmp_path, fits: list[str]):
    first = extractor()(STIMULI, ["0"], reduce=pca(), store=tmp_path).values
    second = extractor()(STIMULI, ["0", "1"], reduce=pca(), store=tmp_path)
    assert fits == ["0", "1"]
    assert np.array_equal(second.sel(layer="0").values, first)
    assert len(adapters.open_store(tmp_path)) == 1
    extractor()(STIMULI, ["0"], reduce=pca())
    assert fits == ["0", "1", "0"]


def test_what_they_depend_on(tmp_path, fits: list[str]):
    changed = extractor()
    with torch.no_grad():
        changed.adapter.model[0].weight[0, 0, 0, 0] += 1e-3
    other = adapters.wrap(extractor().adapter.model, preprocessing=adapters.imagenet(8), batch_size=4)
    for model, reduction in (
        (extractor(), pca()),
        (extractor(), pca(4)),
        (extractor(), pca(stimuli=STIMULI[:19])),
        (changed, pca()),
        (other, pca()),
    ):
        model(STIMULI, ["0"], reduce=reduction, store=tmp_path)
    assert fits == ["0"] * 5


def test_damaged_ones_are_fitted_again(tmp_path, fits: list[str]):
    expected = extractor()(STIMULI, ["0"], reduce=pca(), store=tmp_path).values
    (path,) = (tmp_path / "v1" / "fits").glob("*.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert np.array_equal(extractor()(STIMULI, ["0"], reduce=pca(), store=tmp_path).values, expected)
    assert fits == ["0", "0"]

"""Many models over one decode of the stimuli give what each would give alone."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import adapters
import adapters.many
from adapters.errors import StimulusError
from adapters.images import load_image


def net(n_channels: int, identifier: str, preprocessing=None, batch_size: int = 4) -> adapters.ActivationsExtractor:
    torch.manual_seed(n_channels)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, n_channels, 3), torch.nn.ReLU())
    given = preprocessing or adapters.raw(8)
    return adapters.wrap(model, identifier=identifier, preprocessing=given, batch_size=batch_size)


@pytest.fixture
def nets() -> list[adapters.ActivationsExtractor]:
    return [net(2, "a"), net(3, "b"), net(4, "c", adapters.imagenet(9)), net(5, "d", batch_size=3)]


@pytest.mark.parametrize("block", [1, 10_000, adapters.many._BLOCK])
def test_as_alone(nets, image_files, monkeypatch, block: int):
    monkeypatch.setattr(adapters.many, "_BLOCK", block)
    files = [*image_files(11), *image_files(2)]
    together = adapters.extract_many(nets, files, {"a": ["0", "1"], "c": "1"})
    assert list(together) == ["a", "b", "c", "d"]
    for extractor, layers in zip(nets, (["0", "1"], None, ["1"], None), strict=True):
        alone = extractor(files, layers)
        assembly = together[extractor.identifier]
        np.testing.assert_allclose(assembly.values, alone.values, rtol=0, atol=1e-6)
        assert assembly.indexes["neuroid"].equals(alone.indexes["neuroid"])
        assert assembly.indexes["presentation"].equals(alone.indexes["presentation"])


def test_files_are_read_once(nets, image_files, monkeypatch):
    n_read = Counter()

    def counted(path: str):
        n_read[path] += 1
        return load_image(path)

    monkeypatch.setattr(adapters.many, "load_image", counted)
    files = image_files(7)
    adapters.extract_many(nets, files)
    assert n_read == dict.fromkeys(files, 1)


def test_unreadable_files(nets, image_files, tmp_path: Path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    files = [*image_files(3), str(broken)]
    with pytest.raises(StimulusError, match=r"broken\.png"):
        adapters.extract_many(nets, files)
    together = adapters.extract_many(nets, files, on_error="skip")
    assert [assembly.sizes["presentation"] for assembly in together.values()] == [3] * 4
    assert all(extractor.report().skipped[0][0] == str(broken) for extractor in nets)


def test_reports_are_those_of_each(nets, image_files):
    adapters.extract_many(nets, image_files(5))
    assert [extractor.report().n_images for extractor in nets] == [5] * 4


def test_hooks_on_stimulus_sets_and_batches(nets, image_files):
    import pandas as pd

    table = pd.DataFrame({"stimulus_path": image_files(4)})
    nets[0].register_stimulus_set_hook(lambda stimuli: stimuli.assign(kind="seen"))
    nets[1].register_batch_activations_hook(lambda batch: {layer: values[:, :1] for layer, values in batch.items()})
    together = adapters.extract_many(nets, table)
    assert list(together["a"]["kind"].values) == ["seen"] * 4
    assert together["b"].sizes["neuroid"] == 36


@pytest.mark.parametrize(
    ("identifiers", "layers", "message"),
    [
        ([], None, "No extractors were given"),
        (["a", "a"], None, "a is the identifier of several models"),
        (["a", "b"], {"z": ["0"]}, "Layers were given for z; the models are a, b"),
    ],
)
def test_what_cannot_be_run(identifiers: list[str], layers, message: str):
    with pytest.raises(ValueError, match=message):
        adapters.extract_many([net(2, name) for name in identifiers], np.zeros((1, 8, 8, 3)), layers)

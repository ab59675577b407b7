"""Keep plugins, and the files that replace them, from downloading: networks are built as ever, with random weights.

Only what fetches bytes is replaced, and what puts those bytes into a network. `torch.load` gives a mapping that is
empty at every depth, whatever the checkpoint's layout; loading it changes nothing.
"""

from __future__ import annotations

import functools
import importlib
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import timm.models._builder  # before anything is replaced: it takes functions that download by name
import torch
import torchvision
import transformers
from brainscore_core.supported_data_standards.brainio import s3

__all__ = ["without_downloads"]

# What the published configurations say where the class's own default differs; images are smaller than there.
CONFIGURATIONS = {
    "hustvl/yolos-tiny": {
        "hidden_size": 192,
        "num_attention_heads": 3,
        "intermediate_size": 768,
        "image_size": [64, 64],
    },
    "Matthijs/mobilenet_v2_1.0_224": {"num_labels": 1001},
}
PROCESSORS = {
    "facebook/convnextv2-tiny-22k-224": transformers.ConvNextImageProcessor,
    "microsoft/cvt-13": transformers.ConvNextImageProcessor,
    "openai/clip-vit-base-patch32": transformers.CLIPImageProcessor,
    "hustvl/yolos-tiny": functools.partial(  # 800 pixels there: 20 times as long here
        transformers.YolosImageProcessor, size={"shortest_edge": 64, "longest_edge": 64}
    ),
}
_PROCESSOR_CLASSES = (
    *("AutoImageProcessor", "AutoFeatureExtractor", "CLIPProcessor"),
    *("CLIPImageProcessor", "YolosImageProcessor"),
)


class _Checkpoint(dict[str, Any]):
    def __missing__(self, key: str) -> _Checkpoint:
        return _Checkpoint()


@contextmanager
def without_downloads(cornet: Any = None) -> Iterator[None]:
    """Replace what downloads, and restore also what plugins change in the process: certificates, the default dtype.

    Parameters
    ----------
    cornet : class, optional
        Stands for ``cornet.cornet_s.CORnet_S``, of a package that no index has.
    """
    importlib.import_module("brainscore_vision.model_helpers")  # takes such a function by name, too: not one of ours
    dtype = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "_create_default_https_context", ssl._create_default_https_context)
        patch.setattr(urllib.request, "urlretrieve", lambda *_: ("weights", None))
        patch.setattr(torch, "load", _empty)
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        patch.setattr(torch.hub, "load_state_dict_from_url", _empty)
        patch.setattr(torch.utils.model_zoo, "load_url", _empty)
        patch.setattr(torchvision.models._api.WeightsEnum, "get_state_dict", _empty)
        patch.setattr(timm.models._builder, "load_pretrained", lambda *_, **__: None)
        patch.setattr(s3, "load_file", lambda *_, **__: Path("weights"))
        patch.setattr(s3, "load_weight_file", lambda *_, **__: Path("weights"))
        patch.setattr(transformers.PreTrainedModel, "from_pretrained", classmethod(_network))
        for name in _PROCESSOR_CLASSES:
            patch.setattr(getattr(transformers, name), "from_pretrained", lambda name: PROCESSORS[name]())
        if cornet is not None:
            module = ModuleType("cornet.cornet_s")
            module.CORnet_S = cornet  # type: ignore[attr-defined]
            patch.setitem(sys.modules, "cornet", ModuleType("cornet"))
            patch.setitem(sys.modules, "cornet.cornet_s", module)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


def _empty(*_: Any, **__: Any) -> _Checkpoint:
    return _Checkpoint()


def _network(cls: Any, name: str, **_: Any) -> Any:
    return cls(cls.config_class(**CONFIGURATIONS.get(name, {})))

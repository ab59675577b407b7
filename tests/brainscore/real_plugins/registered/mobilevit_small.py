from transformers import MobileViTForImageClassification

import adapters
from registry import register_model

from .reference import BIBTEX

LAYERS = ["layer.0", "layer.1", *(f"layer.{i}{part}" for i in (2, 3, 4) for part in ("", ".fusion.activation"))]
LAYERS = [f"mobilevit.encoder.{name}" for name in LAYERS]


@register_model(layers=LAYERS, preprocessing=adapters.imagenet(256), bibtex=BIBTEX, batch_size=4)
def mobilevit_small_moved():
    return MobileViTForImageClassification.from_pretrained("apple/mobilevit-small")

from transformers import MobileNetV2ForImageClassification

import adapters
from registry import register_model

from .reference import BIBTEX

LAYERS = [
    "mobilenet_v2.conv_stem",
    *(f"mobilenet_v2.layer.{i}" for i in range(16)),
    "mobilenet_v2.pooler",
    "classifier",
]


@register_model(layers=LAYERS, preprocessing=adapters.inception(224, resize=256), bibtex=BIBTEX, batch_size=4)
def mobilenet_v2_1_0_224_moved():
    model = MobileNetV2ForImageClassification.from_pretrained("Matthijs/mobilenet_v2_1.0_224")
    model.classifier.register_forward_hook(lambda module, inputs, logits: logits[:, 1:])  # no background class
    return model

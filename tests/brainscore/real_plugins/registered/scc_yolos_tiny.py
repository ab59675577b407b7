from transformers import YolosForObjectDetection, YolosImageProcessor

import adapters
from registry import register_model

from .reference import BIBTEX

PARTS = [f"vit.encoder.layer.{i}.{part}" for i in (0, 2, 4, 6, 8, 10, 11) for part in ("attention.output", "output")]
LAYERS = [*(f"{part}.dense" for part in PARTS), "vit.layernorm", "class_labels_classifier.layers.*"]


@register_model(layers=LAYERS, bibtex=BIBTEX)
def yolos_tiny_moved():
    model = YolosForObjectDetection.from_pretrained("hustvl/yolos-tiny")
    process = YolosImageProcessor.from_pretrained("hustvl/yolos-tiny")
    return adapters.wrap(model, preprocessing=lambda image: process(image.resize((224, 224)), return_tensors="np"))

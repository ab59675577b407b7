from transformers import AutoImageProcessor, CvtForImageClassification

import adapters
from registry import register_model

from .reference import BIBTEX

LAYERS = [*(f"cvt.encoder.stages.{i}.layers.{j}" for i, n in enumerate((1, 2, 10)) for j in range(n)), "layernorm"]


@register_model(layers=LAYERS, bibtex=BIBTEX)
def cvt_13_moved():
    model = CvtForImageClassification.from_pretrained("microsoft/cvt-13")
    process = AutoImageProcessor.from_pretrained("microsoft/cvt-13")
    return adapters.wrap(model, preprocessing=lambda image: process(image.resize((224, 224)), return_tensors="np"))

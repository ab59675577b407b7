from transformers import CLIPImageProcessor, CLIPVisionModel

import adapters
from registry import register_model

from .reference import BIBTEX


@register_model(layers=[f"encoder.layers.{i}" for i in (2, 3, 6, 8)], bibtex=BIBTEX)
def clip_vision_moved():
    model = CLIPVisionModel.from_pretrained("openai/clip-vit-base-patch32")
    process = CLIPImageProcessor.from_pretrained("openai/clip-vit-base-patch32")
    return adapters.wrap(model, preprocessing=lambda image: process(image.resize((224, 224)), return_tensors="np"))

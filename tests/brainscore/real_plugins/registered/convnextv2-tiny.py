from transformers import ConvNextV2ForImageClassification

import adapters
from registry import register_model


@register_model(layers=["convnextv2.encoder.stages.*.dwconv"], preprocessing=adapters.imagenet(224))
def convnextv2_tiny_moved():
    return ConvNextV2ForImageClassification.from_pretrained("facebook/convnextv2-tiny-22k-224")

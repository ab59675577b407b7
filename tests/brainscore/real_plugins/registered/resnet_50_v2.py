import torchvision

import adapters
from registry import register_model


@register_model(layers=["conv1", "layer?.?", "avgpool"], preprocessing=adapters.inception(224, resize=256))
def resnet_50_v2_moved():
    return torchvision.models.resnet50(weights="IMAGENET1K_V2")

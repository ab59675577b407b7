import torchvision

import adapters
from registry import register_model

from .reference import BIBTEX

LAYERS = ["features.2", "features.5", "features.7", "features.9", "features.12", "classifier.2", "classifier.5"]


@register_model(layers=LAYERS, preprocessing=adapters.imagenet(224), bibtex=BIBTEX)
def alexnet_moved():
    return torchvision.models.alexnet(weights="DEFAULT")

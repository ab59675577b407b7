import torchvision

import adapters
from registry import register_model

from .reference import BIBTEX

LAYERS = [*(f"features.{i}" for i in (0, 3, 6, 8, 10)), *(f"classifier.{i}" for i in (1, 4, 6))]


@register_model(layers=LAYERS, preprocessing=adapters.imagenet(224), bibtex=BIBTEX)
def alexnet_random_moved():
    return torchvision.models.alexnet(weights=None)

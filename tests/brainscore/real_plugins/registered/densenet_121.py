import torchvision

import adapters
from registry import register_model

from .reference import BIBTEX

LAYERS = ["norm0", "pool0"]
for block, n_layers in enumerate((6, 12, 24, 16), start=1):
    LAYERS += [f"denseblock{block}.denselayer{i + 1}" for i in range(n_layers)] + [f"transition{block}.pool"]
LAYERS = [f"features.{name}" for name in [*LAYERS[:-1], "norm5"]]


@register_model(layers=LAYERS, preprocessing=adapters.imagenet(224), bibtex=BIBTEX)
def densenet_121_moved():
    return torchvision.models.densenet121(weights="DEFAULT")

import timm

import adapters
from registry import register_model

from .reference import BIBTEX

LAYERS = ["Conv2d_1a_3x3", "Pool1", "Pool2", "Mixed_??", "global_pool"]


@register_model(layers=LAYERS, preprocessing=adapters.inception(299, resize=341), bibtex=BIBTEX, batch_size=4)
def inception_v3_moved():
    return timm.create_model("inception_v3", pretrained=True)

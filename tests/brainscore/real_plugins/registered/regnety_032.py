import timm

import adapters
from registry import register_model

from .reference import BIBTEX

LAYERS = ["stem", "s1", "s2", "s3", "s4", "final_conv", "head"]


@register_model(layers=LAYERS, preprocessing=adapters.imagenet(224), bibtex=BIBTEX, behavioral_readout_layer="head")
def regnety_032_moved():
    return timm.create_model("regnety_032.ra_in1k", pretrained=True)

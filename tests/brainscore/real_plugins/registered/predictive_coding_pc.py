import adapters
from registry import register_model

from .network import PCWrapper
from .reference import BIBTEX


@register_model(
    layers=["r0", "r1", "r2", "r3"],
    preprocessing=adapters.imagenet(224),
    bibtex=BIBTEX,
    region_layer_map={"V1": "r0", "V2": "r1", "V4": "r1", "IT": "r3"},
    batch_size=32,
)
def predictive_coding_moved():
    return PCWrapper()

import adapters
from registry import register_model

from .evnet.evnet import EVNet, evnet_params
from .reference import BIBTEX

ARGUMENTS = {"image_size": 224, "gabor_seed": 1, "visual_degrees": 7, "num_classes": 1000, "sf_max": 11.5}


@register_model(
    layers=["voneblock", "model.[0-3].?", "model.5"],
    preprocessing=adapters.inception(224),
    bibtex=BIBTEX,
    region_layer_map={"V1": "voneblock"},
    visual_degrees=7,
)
def voneresnet_50_no_weight_moved():
    return EVNet(**evnet_params["vonenet"], model_arch="resnet50", k_exc=25, stride=4, **ARGUMENTS)

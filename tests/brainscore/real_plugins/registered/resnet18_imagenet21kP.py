import dataclasses

import torch
import torchvision

import adapters
from registry import register_model

from .reference import BIBTEX

URL = "https://adf349cdkj2349.blob.core.windows.net/model-checkpoints/resnet18_imagenet21kP.pt"


@register_model(
    layers=["layer2.0.relu", "layer4.0.relu"],
    preprocessing=dataclasses.replace(adapters.imagenet(224, resize=256), interpolation="bicubic"),
    bibtex=BIBTEX,
    region_layer_map={"V1": "layer2.0.relu", "V2": "layer2.0.relu", "V4": "layer2.0.relu", "IT": "layer4.0.relu"},
    behavioral_readout_layer="avgpool",
    batch_size=8,
)
def resnet18_imagenet21k_moved():
    model = torchvision.models.resnet18(num_classes=10450)
    weights = torch.hub.load_state_dict_from_url(URL, map_location="cpu")["state"]["model"]
    model.load_state_dict({key.replace("module.", ""): value for key, value in weights.items()})
    return model

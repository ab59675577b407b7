import torch
from brainscore_core.supported_data_standards.brainio.s3 import load_weight_file

import adapters
from registry import register_model

from .network import CORnet_S
from .reference import BIBTEX

FILE, SHA1 = "cornet_s/cornet_s_epoch43.pth.tar", "a4bfd8eda33b45fd945da1b972ab0b7cad38d60f"
STEPS = {"V1": 1, "V2": 2, "V4": 4, "IT": 2}
LAYERS = [f"{area}.output@{step}" for area, n_steps in STEPS.items() for step in range(n_steps)] + ["decoder.avgpool@0"]


@register_model(layers=LAYERS, preprocessing=adapters.imagenet(224), bibtex=BIBTEX)
def cornet_s_moved():
    model = CORnet_S()
    path = load_weight_file("brainscore-storage", FILE, "null", SHA1, "brainscore-vision/models")
    weights = torch.load(path, map_location="cpu", weights_only=False)["state_dict"]
    model.load_state_dict({key.removeprefix("module."): value for key, value in weights.items()})
    return model

import json
from pathlib import Path

import torch
from brainscore_core.supported_data_standards.brainio.s3 import load_weight_file

import adapters
from registry import register_model

from .network import CORnet_S, Encoder

WEIGHTS = json.loads((Path(__file__).parent / "weights.json").read_text())
REGIONS = ["V1", "V2", "V4", "IT"]


def realnet(name):
    version, sha1 = WEIGHTS["version_ids"][name], WEIGHTS["sha1s"][name]
    file = f"ReAlnet/{name}_best_model_params.pt"
    path = load_weight_file("brainscore-storage", file, version, sha1, "brainscore-vision/models")
    encoder = Encoder(CORnet_S(), 340)
    weights = torch.load(path, map_location="cpu")
    encoder.load_state_dict({key.replace("module.", ""): value for key, value in weights.items()})
    return encoder.realnet


for name in WEIGHTS["sha1s"]:
    register_model(
        f"{name}_moved",
        layers=[*REGIONS, "decoder.avgpool"],
        preprocessing=adapters.imagenet(224),
        region_layer_map={region: region for region in REGIONS},
    )(lambda name=name: realnet(name))

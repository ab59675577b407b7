import json
from pathlib import Path

import torch
from brainscore_core.supported_data_standards.brainio.s3 import load_file

import adapters
from registry import register_model

from .architecture import build_model

WEIGHTS = json.loads((Path(__file__).parent / "weights_config.json").read_text())


@register_model(
    layers=["features.maxpool", "features.layer?.?"],
    preprocessing=adapters.Preprocessing(size=(224, 224), resize=256),
    behavioral_readout_layer="features.avgpool",
    batch_size=16,
)
def eicircuit_resnet18_bn_moved():
    model = build_model("bn")
    model.load_state_dict(torch.load(load_file(**WEIGHTS), map_location="cpu", weights_only=True))
    return model

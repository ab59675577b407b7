import torch
from brainscore_core.supported_data_standards.brainio.s3 import load_weight_file

import adapters
from registry import register_model

from .network import alexnet_v2_pytorch
from .reference import BIBTEX

LAYERS = [*(f"features.{i}" for i in (0, 3, 6, 8, 10)), "classifier.0", "classifier.3"]
FILE, SHA1 = "model_weights/training_seed_01.pth", "4b1bb7810d5288631c04cf4cde882540d6ebee77"


@register_model(layers=LAYERS, preprocessing=adapters.imagenet(224), bibtex=BIBTEX)
def alexnet_training_seed_01_moved():
    model = alexnet_v2_pytorch()
    path = load_weight_file("brainscorevariability", FILE, None, SHA1)
    model.load_state_dict(torch.load(path, map_location="cpu"))
    return model

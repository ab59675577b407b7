import torch
from brainscore_core.supported_data_standards.brainio.s3 import load_weight_file

import adapters
from registry import register_model

from .network import WEIGHTS, AlexNetV2
from .reference import BIBTEX

LAYERS = [*(f"features.{i}" for i in (0, 3, 6, 8, 10)), "classifier.0", "classifier.3"]
NAME = "mehrer2020_alexnet_training_seed_"


def alexnet(seed):
    n_classes, version, sha1 = WEIGHTS[seed]
    file = f"mehrer2020_alexnet/training_seed_{seed}.pth"
    path = load_weight_file("brainscore-storage", file, version, sha1, "brainscore-vision/models")
    model = AlexNetV2(n_classes)
    model.load_state_dict(torch.load(path, map_location="cpu"))
    return model


for name, degrees in [*((seed, 8) for seed in WEIGHTS), ("01_fov4", 4), ("01_fov12", 12), ("01_fov16", 16)]:
    register_model(
        f"{NAME}{name}_moved",
        layers=LAYERS,
        preprocessing=adapters.inception(224),
        bibtex=BIBTEX,
        visual_degrees=degrees,
    )(lambda seed=name[:2]: alexnet(seed))

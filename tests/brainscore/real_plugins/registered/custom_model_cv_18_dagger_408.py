import timm
import torch
from brainscore_core.supported_data_standards.brainio.s3 import load_weight_file

import adapters
from registry import register_model

FILE = "custom_model_cv_18_dagger_408/crossvit_18_dagger_408_adv_finetuned_epoch5.pt"
SHA1 = "c769518485e352d5a2e6f3e588d6208cbad71b69"


@register_model(layers=["blocks.1.blocks.1.4.norm2"], preprocessing=adapters.imagenet(224, resize=(256, 256)))
def cv_18_dagger_408_moved():
    model = timm.create_model("crossvit_18_dagger_408", pretrained=False)
    path = load_weight_file("brainscore-storage", FILE, "null", SHA1, "brainscore-vision/models")
    model.load_state_dict(torch.load(path, map_location="cpu")["state_dict"])
    return model

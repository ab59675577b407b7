import torch
from brainscore_core.supported_data_standards.brainio.s3 import load_file

import adapters
from registry import register_model

from .network import CompactModel
from .reference import BIBTEX

LAYERS = [*(f"layer{i}_act" for i in (1, 2, 3, 4)), "spatial_pool_stage"]
FILE, VERSION = "compact_CORnetS_IT_50filters.pt", "ZbhCmgh7RGzIvOvrbxG0a.kKTPnxthw4"


@register_model(layers=LAYERS, preprocessing=adapters.imagenet(224), bibtex=BIBTEX)
def compact_cornets_it_moved():
    model = CompactModel().double()
    path = load_file("brainscore-storage", FILE, VERSION, "brainscore-vision/models/user_718/")
    model.load_state_dict(torch.load(path, map_location="cpu"))
    return model

import torch
from brainscore_core.supported_data_standards.brainio.s3 import load_weight_file

import adapters
from registry import register_model

from .helpers.helpers import grcnn55
from .reference import BIBTEX

UNITS = "iter_1.8 iter_g_1.1 iter_2.8 iter_g_2.1 iter_3.8 iter_g_3.1"
STAGES = {
    "layer1": "conv_g_f iter_1.8 iter_g_1.1 iter_2.8 iter_g_2.1 iter_3.3 iter_3.8 iter_g_3.1 d_conv_1 d_conv_3",
    "layer2": f"conv_g_r {UNITS}",
    "layer3": f"conv_f conv_g_r {UNITS} iter_4.8 iter_g_4.1 d_conv_1e",
    "layer4": f"conv_g_r {UNITS}",
}
LAYERS = ["conv1", "conv2", "layer1", *(f"{stage}.{name}" for stage in STAGES for name in STAGES[stage].split())]
FILE, SHA1 = "grcnn/checkpoint_params_grcnn55.pt", "20fb844e72f21aeb257c053adb2b645bc954839e"


@register_model(layers=[*LAYERS, "lastact.1", "classifier"], preprocessing=adapters.imagenet(224), bibtex=BIBTEX)
def grcnn_moved():
    model = grcnn55()
    path = load_weight_file("brainscore-storage", FILE, "null", SHA1, "brainscore-vision/models")
    model.load_state_dict(torch.load(path, map_location="cpu"))
    return model

import torch
import torchvision

import adapters
from registry import register_model

from .reference import BIBTEX

URL = (
    "https://bitbucket.org/robert_geirhos/texture-vs-shape-pretrained-models/raw/"
    "0008049cd10f74a944c6d5e90d4639927f8620ae/alexnet_train_60_epochs_lr0.001-b4aa5238.pth.tar"
)
LAYERS = [*(f"features.module.{i}" for i in (2, 5, 7, 9, 12)), "classifier.2", "classifier.5"]
OPTIONS = {"layers": LAYERS, "preprocessing": adapters.imagenet(224), "bibtex": BIBTEX}


@register_model("alexnet_sin_fov4_moved", visual_degrees=4, **OPTIONS)
@register_model("alexnet_sin_fov12_moved", visual_degrees=12, **OPTIONS)
@register_model("alexnet_sin_fov16_moved", visual_degrees=16, **OPTIONS)
def alexnet_sin():
    model = torchvision.models.alexnet(weights=None)
    model.features = torch.nn.DataParallel(model.features)
    model.load_state_dict(torch.hub.load_state_dict_from_url(URL, map_location="cpu")["state_dict"])
    return model

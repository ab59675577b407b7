"""AlexNet from torchvision, registered as ``alexnet_v1``.

The trained weights (230 MB) are downloaded once. Where they cannot be, or with ALEXNET_WEIGHTS=random in the
environment, the weights are random and a note says so: good enough to try the road, worthless as a model.
"""

from __future__ import annotations

import os
import sys

import torch
import torchvision

import adapters
from registry import register_model

ALEXNET = """@incollection{krizhevsky2012imagenet,
    title = {ImageNet Classification with Deep Convolutional Neural Networks},
    author = {Krizhevsky, Alex and Sutskever, Ilya and Hinton, Geoffrey E.},
    booktitle = {Advances in Neural Information Processing Systems 25},
    pages = {1097--1105},
    year = {2012},
    url = {https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks}
}"""


@register_model(
    layers=["features.2", "features.5", "features.12", "classifier.2", "classifier.5"],
    preprocessing=adapters.imagenet(224),
    bibtex=ALEXNET,
)
def alexnet_v1() -> torch.nn.Module:
    if os.environ.get("ALEXNET_WEIGHTS") == "random":
        return random_alexnet("ALEXNET_WEIGHTS=random is set")
    try:
        return torchvision.models.alexnet(weights="DEFAULT")
    except OSError as error:  # no network, or a certificate that cannot be verified
        # Only because this is an example: leave this out of your own model, which should rather fail than be random.
        return random_alexnet(f"the trained weights could not be downloaded ({error})")


def random_alexnet(reason: str) -> torch.nn.Module:
    print(f"NOTE: AlexNet has RANDOM WEIGHTS, because {reason}. Do not submit it.", file=sys.stderr)
    with torch.random.fork_rng(devices=[]):  # the same random weights every time
        torch.manual_seed(0)
        return torchvision.models.alexnet(weights=None)

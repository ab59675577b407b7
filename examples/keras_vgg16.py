"""VGG16 from keras.applications, registered as ``keras_vgg16``; any backend of Keras will do.

The trained weights (550 MB) are downloaded once. Where they cannot be, or with VGG16_WEIGHTS=random in the
environment, the weights are random and a note says so: good enough to try the road, worthless as a model.
"""

from __future__ import annotations

import os
import sys

import keras

from registry import register_model

VGG = """@inproceedings{simonyan2015very,
    title = {Very Deep Convolutional Networks for Large-Scale Image Recognition},
    author = {Simonyan, Karen and Zisserman, Andrew},
    booktitle = {International Conference on Learning Representations},
    year = {2015},
    url = {https://arxiv.org/abs/1409.1556}
}"""


# No preprocessing is given: VGG16's own (BGR, 0-255, minus the mean) is found by the model's origin.
@register_model(layers=["block4_pool", "block5_pool", "fc2"], bibtex=VGG)
def keras_vgg16() -> keras.Model:
    if os.environ.get("VGG16_WEIGHTS") == "random":
        return random_vgg16("VGG16_WEIGHTS=random is set")
    try:
        return keras.applications.VGG16(weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception where it cannot download
        # Only because this is an example: leave this out of your own model, which should rather fail than be random.
        return random_vgg16(f"the trained weights could not be downloaded ({error})")


def random_vgg16(reason: str) -> keras.Model:
    print(f"NOTE: VGG16 has RANDOM WEIGHTS, because {reason}. Do not submit it.", file=sys.stderr)
    model = keras.applications.VGG16(weights=None)
    for number, layer in enumerate(model.layers):  # the same random weights every time
        if hasattr(layer, "kernel"):
            layer.kernel.assign(keras.initializers.HeNormal(seed=number)(layer.kernel.shape))
    return model

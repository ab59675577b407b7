"""Which plugins of the installed Brain-Score are moved to our decorator, and what is to be known about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CASES", "IN_PLACE", "Case"]

IN_PLACE = "Brain-Score's array shares memory with the layer's output, which the next, in-place ReLU overwrites"
CONVOLUTIONS = tuple(f"features.{i}" for i in (0, 3, 6, 8, 10))


@dataclass(frozen=True)
class Case:
    """One plugin and the file in ``registered/`` that replaces it.

    Parameters
    ----------
    plugin : str
        Name of its folder; the file in ``registered/`` has the same.
    kind : str
        What is particular about it.
    theirs, ours : str
        Identifier of the model that is run, there and here; a plugin may register more.
    network : tuple of str
        What the plugin's own ``model.py`` defines of its network; goes to a file ``network.py`` of its own.
    network_of : str
        The plugin whose ``model.py`` that is; this one if empty.
    beside : tuple of str
        Files and folders of the plugin that stay beside the new file.
    outdated : mapping of str to str
        Parts of layer names that the network of the installed packages has no longer, with what it has.
    renamed : mapping of str to str
        Parts of layer names that are written in another way here.
    rectified : tuple of str
        Layers of which Brain-Score's wrapper gives the rectified value instead, for the reason IN_PLACE.
    repeated : bool
        Whether layers run several times per forward pass; both sides give the last call, and ours warns.
    trial : bool
        Whether the submission is also tried in a fresh process: only models without a download can be.
    left_out : str
        What the plugin does and the new file does not.
    """

    plugin: str
    kind: str
    theirs: str
    ours: str
    network: tuple[str, ...] = ()
    network_of: str = ""
    beside: tuple[str, ...] = ()
    outdated: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    rectified: tuple[str, ...] = ()
    repeated: bool = False
    trial: bool = False
    left_out: str = ""


CASES = (
    Case("alexnet", "torchvision", "alexnet", "alexnet_moved"),
    Case(
        "alexnet_random",
        "torchvision, no download",
        "alexnet_random",
        "alexnet_random_moved",
        rectified=(*CONVOLUTIONS, "classifier.1", "classifier.4"),
        trial=True,
    ),
    Case(
        "AlexNet_SIN_fov", "three fields of view, DataParallel inside", "AlexNet_SIN_fov12", "alexnet_sin_fov12_moved"
    ),
    Case(
        "densenet_121",
        "torchvision, 64 layers",
        "densenet-121",
        "densenet_121_moved",
        rectified=("features.norm0", "features.norm5"),
    ),
    Case("resnet_50_v2", "torchvision, Inception's crop", "resnet_50_v2", "resnet_50_v2_moved"),
    Case("inception_v3", "timm, Inception's crop at 299", "inception_v3", "inception_v3_moved"),
    Case("regnety_032", "timm, behavioral readout layer", "regnety_032", "regnety_032_moved"),
    Case(
        "timm_models",
        "timm, 24 models, own transforms, region map",
        "vit_tiny_r_s16_p8_384:augreg_in21k_ft_in1k",
        "vit_tiny_r_s16_p8_384_augreg_in21k_ft_in1k_moved",
        beside=("model_configs.json",),
    ),
    Case(
        "custom_model_cv_18_dagger_408",
        "timm, own Compose",
        "custom_model_cv_18_dagger_408",
        "cv_18_dagger_408_moved",
    ),
    Case("mobilevit_small", "Hugging Face", "mobilevit_small", "mobilevit_small_moved"),
    Case(
        "mobilenet_v2_1_0_224",
        "Hugging Face, 1001 logits, own hook",
        "mobilenet_v2_1_0_224",
        "mobilenet_v2_1_0_224_moved",
    ),
    Case("convnextv2-tiny", "Hugging Face", "convnextv2-tiny", "convnextv2_tiny_moved"),
    Case("cvt_cvt_13_224_in1k_4", "Hugging Face, own processor", "cvt_cvt-13-224-in1k_4_LucyV4", "cvt_13_moved"),
    Case(
        "clip",
        "CLIP, tuple outputs, own wrapper class",
        "model-lecs-v1.0.1",
        "clip_vision_moved",
        outdated={"vision_model.": ""},  # transformers 5 has no such level
    ),
    Case("scc_yolos_tiny", "detector, tuple outputs, own wrapper class", "yolos_tiny", "yolos_tiny_moved"),
    Case(
        "mehrer2020_alexnet_training_seed",
        "own network, 13 models, mean and std 0.5",
        "mehrer2020_alexnet_training_seed_06",
        "mehrer2020_alexnet_training_seed_06_moved",
        network=("AlexNetV2", "WEIGHTS"),
        rectified=(*CONVOLUTIONS, "classifier.0", "classifier.3"),
    ),
    Case(
        "alexnet_training_seed_01",
        "own network, hooks for tuples",
        "alexnet_training_seed_01",
        "alexnet_training_seed_01_moved",
        network=("alexnet_v2_pytorch",),
        rectified=(*CONVOLUTIONS, "classifier.0", "classifier.3"),
    ),
    Case(
        "compact_cornets_IT",
        "own network in float64",
        "compact_cornets_IT",
        "compact_cornets_it_moved",
        network=("CompactModel",),
    ),
    Case(
        "grcnn",
        "own network, recurrent units",
        "grcnn",
        "grcnn_moved",
        beside=("helpers",),
        rectified=("layer1.iter_3.3",),
        repeated=True,
    ),
    Case(
        "predictive_coding_pc",
        "own network with hooks of its own, region map",
        "predictive_coding_pc",
        "predictive_coding_moved",
        network=("PCWrapper",),
    ),
    Case(
        "eicircuit_resnet18_bn_20260919",
        "own network, own Compose, readout layer",
        "eicircuit_resnet18_bn_20260919",
        "eicircuit_resnet18_bn_moved",
        beside=("architecture.py", "weights_config.json"),
    ),
    Case(
        "ReAlnet",
        "CORnet, 10 models, region map",
        "ReAlnet03",
        "ReAlnet03_moved",
        network=("CORnet_S", "Encoder"),
        beside=("weights.json",),
    ),
    Case(
        "cornet_s",
        "CORnet by time step, own wrapper class",
        "CORnet-S",
        "cornet_s_moved",
        network=("CORnet_S",),
        network_of="ReAlnet",
        renamed={"-t": "@"},
        left_out="the time of each step: a CORnetCommitment of its own maps steps to milliseconds",
    ),
    Case(
        "voneresnet_50_no_weight",
        "own V1 front-end, part of a region map",
        "voneresnet_50_no_weight",
        "voneresnet_50_no_weight_moved",
        beside=("evnet",),
        trial=True,
    ),
    Case(
        "resnet18_imagenet21kP",
        "own Compose, region map, readout layer",
        "resnet18_imagenet21kP",
        "resnet18_imagenet21k_moved",
        repeated=True,
    ),
)

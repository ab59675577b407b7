"""Content keys: all that the values of a run depend on, as plain data, and digests of it.

A recipe is JSON data, and `key_of` its digest. Equal recipes mean equal values, so a key never finds a stale result.
What cannot be told by its content raises `NotFingerprintable`, and is computed without being kept.
"""

from .backends import jax_numerics, tensorflow_numerics, torch_numerics
from .describing import Describer, Special, describe
from .digests import SEMANTICS, canonical, digest_of, key_of, merkle
from .errors import NotFingerprintable
from .files import FileDigests
from .functions import class_reference, replaced_in
from .preparing import preprocessing_recipe, probe_stimuli
from .recipes import Policy, layer_recipe, model_recipe, numerics_recipe
from .stimuli import stimuli_digests, stimuli_recipe

__all__ = [
    "SEMANTICS",
    "Describer",
    "FileDigests",
    "NotFingerprintable",
    "Policy",
    "Special",
    "canonical",
    "class_reference",
    "describe",
    "digest_of",
    "jax_numerics",
    "key_of",
    "layer_recipe",
    "merkle",
    "model_recipe",
    "numerics_recipe",
    "preprocessing_recipe",
    "probe_stimuli",
    "replaced_in",
    "stimuli_digests",
    "stimuli_recipe",
    "tensorflow_numerics",
    "torch_numerics",
]

"""How sure a score is: three named kinds of interval, a permutation test, and comparisons of models."""

from .comparison import ModelDifference, compare_models
from .intervals import Interval, split_spread
from .permutation import PermutationTest, permutation_test
from .stimuli import OutOfFold, out_of_fold, stimulus_bootstrap
from .units import unit_bootstrap

__all__ = [
    "Interval",
    "split_spread",
    "unit_bootstrap",
    "stimulus_bootstrap",
    "out_of_fold",
    "OutOfFold",
    "permutation_test",
    "PermutationTest",
    "compare_models",
    "ModelDifference",
]

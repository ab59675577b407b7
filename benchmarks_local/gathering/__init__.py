"""One matrix of inner products per layer, gathered while a model runs, in as few passes as the memory allows."""

from __future__ import annotations

from .plans import GatheringPlan, LayerPart
from .preparing import plan_gathering
from .stored import gather_stored, stored_stimulus_ids
from .streaming import features_of, gather

__all__ = [
    "GatheringPlan",
    "LayerPart",
    "features_of",
    "gather",
    "gather_stored",
    "plan_gathering",
    "stored_stimulus_ids",
]

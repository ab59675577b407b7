"""Checks of layers that do not simply return one array once: called often, never, or with a structured output."""

from __future__ import annotations

import warnings

import numpy as np

from ..errors import AdapterWarning, LayerNeverRanError
from .case import AdapterCase
from .expecting import require, require_close, require_raises
from .oracle import oracle
from .reading import extract, extractor_of, values_by_layer
from .toys import toy_images, toy_weights

__all__ = ["check_never_run_layer", "check_repeated_layer", "check_structured_outputs"]


def check_never_run_layer(case: AdapterCase) -> None:
    """Refuse a layer that exists but never runs, by name."""
    require_raises(
        LayerNeverRanError,
        lambda: extract(case, extractor_of(case), toy_images(1), ["unused"]),
        "A layer that the forward pass does not call",
        repr(case.name_of("unused")),
    )


def check_repeated_layer(case: AdapterCase) -> None:
    """Give the last call of a layer that runs twice by its name, each by number, all with their time step."""
    extractor, images, calls = extractor_of(case), toy_images(3), ["shared@0", "shared@1"]
    expected = oracle(toy_weights(), images)
    listed = extractor.adapter.layers(tuple(case.image_shape))[case.name_of("shared")].n_calls
    require(listed == 2, f"{case.name_of('shared')!r} is listed with n_calls={listed}; it runs 2 times.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AdapterWarning)
        for _ in range(2):
            require_close(extract(case, extractor, images, ["shared"]).values, expected["shared"], "Last call by name")
    n_warnings = sum(issubclass(warning.category, AdapterWarning) for warning in caught)
    require(n_warnings == 1, f"A plain name that stands for the last of 2 calls warned {n_warnings}x; expected once.")
    by_number = values_by_layer(case, extract(case, extractor, images, calls), calls)
    assembly = extract(case, extractor, images, ["shared"], calls="all")
    for step, call in enumerate(calls):
        require_close(by_number[call], expected[call], f"Call {call!r}")
        is_call = np.asarray(assembly["layer"].values) == case.name_of(call)
        require_close(assembly.values[:, is_call], expected[call], f"Call {call!r} of calls='all'")
        steps = set(np.asarray(assembly["time_step"].values)[is_call])
        require(steps == {step}, f"Call {call!r} has time_step {steps}; expected {step}.")


def check_structured_outputs(case: AdapterCase) -> None:
    """Read parts of a tuple or dict by path; by default the first floating array with the batch first."""
    images, layers = toy_images(3), ["branch", "branch:1", "branch:2.mean"]
    expected = oracle(toy_weights(), images)
    for layer, values in values_by_layer(case, extract(case, extractor_of(case), images, layers), layers).items():
        require_close(values, expected[layer], f"Output {layer!r}")

"""Brain-Score's own check of a submission, offline and in about the time that it takes to read its output."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adapters.progress import TextStream

from .candidate import as_candidate
from .report import SUCCESS, CheckReport, Narrator
from .steps import CheckSteps

__all__ = ["check_model"]


def check_model(model: Any, *, registry: Any = None, stream: TextStream | None = None) -> CheckReport:
    """Run the steps of Brain-Score's check on generated stimuli and recordings, without network.

    Parameters
    ----------
    model : str, ModelEntry, extractor or brain model
        The identifier of a registered model, an entry, ``adapters.wrap(model)``, or an object that implements
        Brain-Score's ``BrainModel``. A brain model has no layers to choose from and skips those steps.
    registry : Registry, optional
        Where an identifier is looked up; the default registry when None.
    stream : text stream, optional
        Where the steps are written to as they happen; standard output when None. The last line is
        ``Test successful, you are ready to submit!``.

    Returns
    -------
    CheckReport
        The steps, warnings, mock score and committed layer.

    Raises
    ------
    CheckError
        When a step fails; says which, what was found and what to do.
    ModelNotFoundError
        When no model is registered under the identifier.
    UnsupportedModelError
        When ``model`` is none of the above.

    Notes
    -----
    Brain-Score's check (``check_models.py`` of brainscore_vision 2.4.2) downloads real recordings and photographs.
    Here both are generated from a seed, and the score says nothing about the brain.
    """
    candidate = as_candidate(model, registry)
    with tempfile.TemporaryDirectory(prefix="brain_adapters_check_") as folder, _left_as_found():
        warnings: list[str] = []
        steps = CheckSteps(candidate, Path(folder), warnings)
        plan = [("registration", steps.check_registration)]
        plan += [("model", steps.build_twice if candidate.is_registered else steps.build_once)]
        plan += [] if candidate.is_brain_model else [("layers", steps.read_layers)]
        plan += [("stimuli on screen", steps.draw_and_place)]
        plan += [] if candidate.is_brain_model else [("layer selection on mock IT", steps.commit)]
        plan += [("recording from IT", steps.record)]
        plan += [("probabilities task", steps.perform_task)]
        plan += [("score on mock IT", steps.compare)]
        narrator = Narrator(sys.stdout if stream is None else stream, len(plan), warnings)
        narrator.say(f"Checking {candidate.identifier} as Brain-Score does, on generated stimuli and recordings.")
        for name, step in plan:
            narrator.run(name, step)
        narrator.say(SUCCESS)
    return CheckReport(candidate.identifier, tuple(narrator.steps), tuple(warnings), steps.score, steps.layer)


@contextmanager
def _left_as_found() -> Iterator[None]:
    """Restore the random states of Python, NumPy and torch, and keep Brain-Score from caching mock activations."""
    torch = sys.modules.get("torch")  # never imported: where it is not loaded there is no state to restore
    torch_state = None if torch is None else torch.get_rng_state()
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - models use the global one
    caching = os.environ.get("RESULTCACHING_DISABLE")
    os.environ["RESULTCACHING_DISABLE"] = "1"
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(torch_state)
        if caching is None:
            del os.environ["RESULTCACHING_DISABLE"]
        else:
            os.environ["RESULTCACHING_DISABLE"] = caching

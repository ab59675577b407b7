"""Run by other interpreters, by its path: import a submission's model, and write what it says to files.

``python -P reading.py JOB.json`` does the parts that the job names and writes one line of JSON for each, at once, so
that what was found survives a crash in the next part. Arrays go to ``.npy`` files. Where this runs, our library is not
installed; so nothing is imported here but the standard library, and what the environment has inside of functions.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["main", "write_layers"]

_REGIONS = ("V1", "V2", "V4", "IT")
_TIME_BINS = [(70, 170)]


class Reading:
    """The parts of a job, and what one leaves for the next.

    Parameters
    ----------
    job : dict
        ``module`` and ``identifier`` of the model, ``images`` to show, ``folder`` for the arrays; ``plugin``, the
        plugin's folder in the overlay, where the model is loaded through Brain-Score; ``layers`` and ``region`` to
        read, where another environment has chosen them.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.model: Any = None

    def load(self) -> dict[str, Any]:
        """Load the model through Brain-Score, and commit it to layers if its plugin does not."""
        import brainscore_vision

        identifier, plugin = self.job["identifier"], Path(self.job["plugin"])
        if Path(brainscore_vision.__file__).parent != plugin.parents[1]:
            raise RuntimeError(f"{brainscore_vision.__file__} was imported in place of the overlay.")
        self.model = brainscore_vision.load_model(identifier)
        if self.model is None:
            raise RuntimeError("load_model returned None; expected a brain model. Is a 'return' missing?")
        regions = getattr(getattr(self.model, "layer_model", None), "region_layer_map", None)
        commitment = plugin / "region_layer_map" / f"{identifier}.json"
        # Of this class when Brain-Score would choose layers: by recordings, which it downloads.
        is_ours = type(regions).__name__ == "RegionLayerMap" and not commitment.is_file()
        if is_ours:
            commitment.parent.mkdir(exist_ok=True)
            commitment.write_text(json.dumps(_spread(list(map(str, self.model.layers))), indent=2), "utf-8")
        return {"type": type(self.model).__name__, "name": str(self.model.identifier), "is_committed_here": is_ours}

    def bibtex(self) -> dict[str, Any]:
        """Ask for the reference as Brain-Score does, and directly, where an error is not swallowed."""
        import brainscore_vision

        identifier, own = self.job["identifier"], ""
        if (Path(self.job["plugin"]) / "model.py").is_file():
            module = importlib.import_module(f"brainscore_vision.{self.job['module']}")
            own = module.get_bibtex(identifier) if hasattr(module, "get_bibtex") else ""
        found = brainscore_vision.load_model_bibtex(identifier) or ""
        if (own or "") != found:
            raise RuntimeError(f"load_model_bibtex returned {found!r}, but the plugin's get_bibtex {own!r}.")
        return {"bibtex": found}

    def registration(self) -> dict[str, Any]:
        """Ask the three programs of Brain-Score that can be installed for the registrations that they see."""
        from brainscore_core.plugin_management.import_plugin import ImportPlugin
        from brainscore_core.plugin_management.parse_plugin_changes import get_plugin_ids
        from brainscore_vision.plugin_management.vision_domain_plugin import VisionDomainPlugin

        plugin = Path(self.job["plugin"])
        located = ImportPlugin("brainscore_vision", "models", self.job["identifier"]).locate_plugin()
        return {
            "the plugin loader": [self.job["identifier"]] if located == plugin.name else [],
            "the test and scoring jobs": get_plugin_ids("models", [plugin.name], str(plugin.parents[1])),
            "the metadata generator": VisionDomainPlugin().find_registered_models(str(plugin)),
        }

    def functions(self) -> dict[str, Any]:
        """Call the functions of the layout of 2021; brain models have no layers."""
        module, identifier = importlib.import_module(self.job["module"]), self.job["identifier"]
        listed = list(module.get_model_list())
        if not listed or (identifier and identifier not in listed):
            raise RuntimeError(f"get_model_list() returned {listed!r}; expected a list with {identifier!r}.")
        self.job["identifier"] = identifier = identifier or listed[0]
        self.model = module.get_model(identifier)
        layers = list(module.get_layers(identifier)) if hasattr(module, "get_layers") else []
        bibtex = str(module.get_bibtex(identifier)) if hasattr(module, "get_bibtex") else ""
        return {"listed": listed, "type": type(self.model).__name__, "layers": layers, "bibtex": bibtex}

    def activations(self) -> dict[str, Any]:
        """Show the images to the model, and write what each layer, or region, answers."""
        if self.model is None:
            self.model = importlib.import_module(self.job["module"]).get_model(self.job["identifier"])
        folder = Path(self.job["folder"])
        if hasattr(self.model, "look_at") and not hasattr(self.model, "activations_model"):
            return self._recordings(folder)
        extractor = getattr(self.model, "activations_model", self.model)
        layers = self.job.get("layers") or self._layers()
        assembly = extractor(list(self.job["images"]), layers=layers)
        return {"read": write_layers(folder, assembly, layers)}

    def _layers(self) -> list[str]:
        layers = getattr(self.model, "layers", None) if hasattr(self.model, "activations_model") else None
        if layers is None:
            layers = importlib.import_module(self.job["module"]).get_layers(self.job["identifier"])
        return list(dict.fromkeys(str(layer) for layer in layers))

    def _recordings(self, folder: Path) -> dict[str, Any]:
        stimuli = _stimulus_set(self.job["images"])
        region = self.job.get("region") or self._region()
        self.model.start_recording(region, _TIME_BINS)
        values = self.model.look_at(stimuli).transpose("presentation", ...).values
        return {"region": region, "read": [_write(folder, 0, region, values)]}

    def _region(self) -> str:
        """Return the first region that the model records from; it need not have all."""
        for region in _REGIONS[:-1]:
            with contextlib.suppress(Exception):
                self.model.start_recording(region, _TIME_BINS)
                return region
        return _REGIONS[-1]


def write_layers(folder: Path, assembly: Any, layers: Sequence[str]) -> list[dict[str, Any]]:
    """Write the activations of each layer to a file of its own.

    Parameters
    ----------
    folder : Path
        Where to; made if it is not there.
    assembly : DataArray
        Activations of dimensions (presentation, neuroid), with the coordinate ``layer``.
    layers : sequence of str
        Their layers.

    Returns
    -------
    list of dict
        For each layer its name and the file, an array of shape (n_presentations, n_neuroids).
    """
    names = assembly["layer"].values
    values = assembly.transpose("presentation", "neuroid").values
    absent = [layer for layer in layers if not (names == layer).any()]
    if absent:
        raise RuntimeError(
            f"There are no activations of the layers {absent} among {list(dict.fromkeys(names.tolist()))}."
        )
    return [_write(folder, number, layer, values[:, names == layer]) for number, layer in enumerate(layers)]


def _spread(layers: list[str]) -> dict[str, str]:
    """Commit each region to a layer, from early to late: the server would choose them by recordings."""
    last = len(layers) - 1
    return {region: layers[round(number * last / 3)] for number, region in enumerate(_REGIONS)}


def _write(folder: Path, number: int, name: str, values: Any) -> dict[str, Any]:
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number:03d}.npy"
    np.save(path, np.asarray(values), allow_pickle=False)
    return {"layer": name, "file": str(path), "shape": list(values.shape)}


def _stimulus_set(images: list[str]) -> Any:
    import pandas as pd

    try:
        from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
    except ImportError:

        class StimulusSet(pd.DataFrame):  # type: ignore[no-redef]
            _metadata = ["identifier", "stimulus_paths"]  # noqa: RUF012 - pandas reads this name from the class

            @property
            def _constructor(self) -> type:
                return StimulusSet

            def get_stimulus(self, stimulus_id: str) -> Path:
                return Path(self.stimulus_paths[stimulus_id])

    names = [Path(image).stem for image in images]
    stimuli = StimulusSet({"stimulus_id": names, "object_name": ["drawn"] * len(names)})
    stimuli.stimulus_paths = {name: Path(image) for name, image in zip(names, images, strict=True)}
    stimuli.identifier = "brain_adapters_clean_check"
    return stimuli


def main(path: str) -> None:
    """Do the parts of a job, up to the first that fails and is needed by the others."""
    job = json.loads(Path(path).read_text("utf-8"))
    sys.path[:0] = job.get("paths", [])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    reading = Reading(job)
    with Path(job["answers"]).open("w", encoding="utf-8") as answers:
        for name in job["parts"]:
            part: Callable[[], dict[str, Any]] = getattr(reading, name)
            start = time.perf_counter()
            try:
                answer = {"part": name, "found": part()}
            except (Exception, SystemExit) as error:  # exit() in a model's code shall not look like success
                traceback.print_exc()
                answer = {"part": name, "error": f"{type(error).__name__}: {error}"}
            answer["seconds"] = time.perf_counter() - start
            answers.write(f"{json.dumps(answer)}\n")
            answers.flush()
            if "error" in answer and name in ("load", "functions"):
                sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])

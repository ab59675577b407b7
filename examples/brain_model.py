"""A brain model with dynamics, ``recurrent_cortex``: each time bin of a recording reads the time step in its middle.

It implements Brain-Score's BrainModel itself: no layer is committed to a region for it. Its weights are random.
"""

import numpy as np
import torch
import xarray as xr
from sklearn.linear_model import LogisticRegression
from torch import nn

import adapters
from registry import register_brain_model


class Cortex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.retina, self.lateral, self.rate = nn.Conv2d(3, 16, 7, 4), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rate = self.rate(drive := self.retina(images))
        for _ in range(3):  # with the first, four steps of 50 ms
            rate = self.rate(drive + self.lateral(rate))
        return nn.functional.adaptive_avg_pool2d(rate, 4).flatten(1)


@register_brain_model("recurrent_cortex", bibtex="@article{cornet, title={CORnet}, year={2018}, doi={10.1101/408385}}")
class RecurrentCortex:
    def __init__(self) -> None:
        self.identifier = "recurrent_cortex"
        with torch.random.fork_rng(devices=[]):  # the same random weights every time
            torch.manual_seed(0)
            self.extractor = adapters.wrap(Cortex(), identifier=self.identifier, preprocessing=adapters.imagenet(64))

    def visual_degrees(self) -> float:
        return 8.0

    def start_recording(self, recording_target: str, time_bins) -> None:
        self.region, self.bins, self.readout = recording_target, np.array(time_bins), None

    def start_task(self, task: str, fitting_stimuli) -> None:
        if task != "probabilities":
            raise NotImplementedError(f"recurrent_cortex cannot do the task {task!r}, only 'probabilities'.")
        features, labels = self.extractor(fitting_stimuli, "logits").values, fitting_stimuli["image_label"]
        self.readout = LogisticRegression(max_iter=1000).fit(features, labels)

    def look_at(self, stimuli, number_of_trials: int = 1) -> xr.DataArray:
        if self.readout is not None:
            features = self.extractor(stimuli, "logits")
            coords = {name: ("presentation", stimuli[name].values) for name in stimuli.columns}
            coords["choice"] = self.readout.classes_
            return xr.DataArray(self.readout.predict_proba(features.values), coords, dims=("presentation", "choice"))
        rates = [self.extractor(stimuli, f"rate@{min(max(start + end, 0) // 100, 3)}") for start, end in self.bins]
        cells = rates[0].assign_coords(region=("neuroid", [self.region] * rates[0].sizes["neuroid"]))
        cells = cells.expand_dims(time_bin=len(rates), axis=-1).copy(data=np.stack(rates, axis=-1))
        starts, ends = (("time_bin", edges) for edges in self.bins.T)
        cells = cells.assign_coords(time_bin_start=starts, time_bin_end=ends)
        return cells.squeeze("time_bin") if len(rates) == 1 else cells

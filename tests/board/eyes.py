"""A file of brain models of NumPy alone, so that a worker starts in a second."""

MODELS = '''
"""Brain models that see the mean colours of parts of an image; some of them behave badly."""
import os
import shlex
import signal
import time
from pathlib import Path

import numpy as np
import xarray as xr
from filelock import FileLock
from PIL import Image
from registry import register_brain_model

HERE = Path(__file__).parent
print("this line must not reach stdout")


class Eyes:
    def __init__(self, identifier):
        self.identifier = identifier

    def visual_degrees(self):
        return 8

    def start_recording(self, region, time_bins):
        self.region = region

    def look_at(self, stimuli, number_of_trials=1):
        paths = [stimuli.get_stimulus(each) for each in stimuli["stimulus_id"]]
        pixels = np.stack([np.asarray(Image.open(path).convert("L").resize((8, 8))).ravel() / 255 for path in paths])
        coords = {name: ("presentation", list(stimuli[name])) for name in stimuli.columns}
        coords["neuroid_id"] = ("neuroid", [f"eye.{i}" for i in range(64)])
        return xr.DataArray(pixels, dims=("presentation", "neuroid"), coords=coords)


@register_brain_model
def eyes():
    with (HERE / "eyes.log").open("a") as log:
        log.write(f"{os.environ.get('OMP_NUM_THREADS')}\\n")
    return Eyes("eyes")


@register_brain_model
def broken_eyes():
    if (HERE / "mended").exists():
        return Eyes("broken_eyes")
    raise RuntimeError("no eyes today")


@register_brain_model
def deadly_eyes():
    with (HERE / "deaths").open("a") as log:
        log.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


@register_brain_model
def startled_eyes():
    if not (HERE / "startled").exists():
        (HERE / "startled").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Eyes("startled_eyes")


@register_brain_model
def slow_eyes():
    with FileLock(HERE / "slow.lock"):  # free again when this process ends, however it ends
        with (HERE / "slow").open("a") as log:
            log.write("x")
        while not (HERE / "mended").exists():
            time.sleep(0.02)
    return Eyes("slow_eyes")
'''

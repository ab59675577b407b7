"""Time thingsvision, torchlens, Brain-Score's wrapper and this library on the same models, layers and images.

    make benchmarks        # builds .venv-benchmarks, runs this script, writes docs/benchmarks.md
    .venv-benchmarks/bin/python tests/speed/peers.py [early all stages classifier] [--rounds 3]

Each side of a case lives in a process of its own, which has read 16 images before anything is timed: those are held
against plain forward hooks. Then, in each round, every side reads all images once, the others waiting, and begins one
place later than in the round before. A ratio is theirs over ours within one round. Peak memory is the process's
high-water mark above what it held before the run; the processes that load images for thingsvision and torchlens are
not counted. Figures are kept in peers.json beside this script, from which the page is written.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from peer_page import OURS, case_table, page_of, probe_rows, table

HERE = Path(__file__).resolve().parent
FIGURES, PAGE = HERE / "peers.json", HERE.parents[1] / "docs" / "benchmarks.md"
PACKAGES = ("torch", "torchvision", "numpy", "xarray", "thingsvision", "torchlens", "brainscore-vision")
N_COMPARED = 16


class Case(NamedTuple):
    """A model, what is read of it, and of how many images."""

    title: str
    architecture: str
    layers: tuple[str, ...]  # none for all leaves
    n_images: int
    means: bool = False


CASES = {
    "early": Case("ResNet-18, `layer1`", "resnet18", ("layer1",), 256),
    "all": Case("ResNet-18, all leaf layers", "resnet18", (), 64),
    "stages": Case(
        "ResNet-50, means of the last three stages", "resnet50", ("layer2", "layer3", "layer4"), 128, means=True
    ),
    "classifier": Case("AlexNet, `classifier.5`", "alexnet", ("classifier.5",), 256),
}


class Process:
    """A process that holds one side and reads when it is told to."""

    def __init__(self, side: str, case: str, folder: Path) -> None:
        command = [sys.executable, __file__, *([case] if case else []), "--serve", side, "--folder", str(folder)]
        self._log = folder / f"{side}-{case or 'questions'}.log"
        homes = dict.fromkeys(("BRAINSCORE_HOME", "BRAINIO_HOME", "MT_HOME", "RESULTCACHING_HOME"), str(folder))
        quiet = {"RESULTCACHING_DISABLE": "1", "TQDM_DISABLE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **homes, **quiet},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def answer(self) -> dict[str, Any]:
        """Wait for what the process says next."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit(f"{' '.join(self._process.args[2:])} ended:\n{self._log.read_text()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self) -> dict[str, Any]:
        """Let it read all images once."""
        if self._process.stdin:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        """Let it go."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


def serve(side: str, name: str, folder: Path) -> None:
    """Hold one side: say how its values compare, then time a run for each line that comes in."""
    import torch
    import torchvision
    from peer_probes import answers_of
    from peer_sides import SIDES, reference

    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what packages print goes to the log

    def say(answer: dict[str, Any]) -> None:
        channel.write(json.dumps(answer) + "\n")
        channel.flush()

    paths = sorted(str(path) for path in folder.glob("*.jpg"))
    if not name:
        say(answers_of(SIDES[side], paths[:2]))
        return
    case = CASES[name]
    torch.manual_seed(0)
    model = torchvision.models.get_model(case.architecture, weights=None).eval()
    leaves = [name for name, module in model.named_modules() if not list(module.children())]
    layers, paths = list(case.layers) or leaves, paths[: case.n_images]
    expected = reference(model, paths[:N_COMPARED], layers, means=case.means)
    reader = SIDES[side](model)
    found = reader.values(paths[:N_COMPARED], layers, means=case.means)
    apart = {layer: float(abs(found[layer] - expected[layer]).max() / abs(expected[layer]).max()) for layer in layers}
    n_bytes = sum(values[:1].nbytes for values in expected.values()) * len(paths)
    del found, expected
    say({"apart": apart, "bytes": n_bytes})
    for _ in sys.stdin:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        before, start, processor = status_bytes("VmRSS"), time.perf_counter(), processor_seconds()
        result = reader.read(paths, layers, means=case.means)
        seconds, processor = time.perf_counter() - start, processor_seconds() - processor
        peak = status_bytes("VmHWM") - before
        del result
        say({"seconds": seconds, "processor": processor, "peak": peak})


def processor_seconds() -> float:
    """Add up what both cores did for this process and those that it started and ended."""
    return sum(os.times()[:4])


def status_bytes(field: str) -> int:
    """Read one line of what the kernel knows of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field + ":"))) * 1024


def measure(name: str, sides: Sequence[str], folder: Path, rounds: int) -> dict[str, Any]:
    """Let all sides of a case run in turn."""
    processes = {side: Process(side, name, folder) for side in sides}
    try:
        compared = {side: process.answer() for side, process in processes.items()}
        runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
        for number in range(rounds):
            first = number % len(sides)
            for side in [*sides[first:], *sides[:first]]:
                runs[side].append(processes[side].run())
    finally:
        for process in processes.values():
            process.end()
    case = CASES[name]
    return {
        "title": f"{case.title}, {case.n_images} images",
        "bytes": compared[OURS]["bytes"],
        "sides": {side: {"apart": compared[side]["apart"], "runs": runs[side]} for side in sides},
    }


def asked(sides: Sequence[str], folder: Path) -> dict[str, dict[str, str]]:
    """Ask every side what it does with small networks."""
    answers = {}
    for side in sides:
        process = Process(side, "", folder)
        answers[side] = process.answer()
        process.end()
    return answers


def everything(cases: Sequence[str], rounds: int) -> dict[str, Any]:
    """Run cases, and the questions, and say where."""
    from peer_sides import BATCH, SIDES
    from resnet18 import write_images

    figures: dict[str, Any] = {
        "machine": {
            "processor": platform.machine(),
            "system": platform.system(),
            "cores": os.cpu_count(),
            "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "load": round(os.getloadavg()[0], 1),
        },
        "versions": {"Python": platform.python_version(), **{each: version(each) for each in PACKAGES}},
        "batch": BATCH,
        "rounds": rounds,
    }
    with tempfile.TemporaryDirectory() as name:
        folder, sides = Path(name), list(SIDES)
        write_images(folder, max(case.n_images for case in CASES.values()))
        figures["cases"] = {}
        for case in cases:
            figures["cases"][case] = measure(case, sides, folder, rounds)
            print(f"{case_table(figures['cases'][case])}\n", flush=True)
        figures["probes"] = asked(sides, folder)
        print(table(probe_rows(figures["probes"])))
    return figures


def main() -> None:
    """Print tables; after a run of everything, keep the figures and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="only these, and leave the page as it is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="only write the page anew, from the figures that are there")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.cases[0] if options.cases else "", options.folder)
        return
    if not options.page:
        figures = everything(options.cases or list(CASES), options.rounds)
        if options.cases:
            return
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    PAGE.write_text(page_of(json.loads(FIGURES.read_text())))


if __name__ == "__main__":
    main()

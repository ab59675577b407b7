"""Doctor's checks of the machine: devices, memory, disk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from .findings import OK, PROBLEM, WARN, Finding

__all__ = ["check_devices", "check_disk", "check_imports", "check_memory"]

GB = 1024**3
ENOUGH_MEMORY, ENOUGH_DISK = 4 * GB, 5 * GB
IMPORT_NAMES = (
    *("torch", "torchvision", "timm", "transformers", "keras", "tensorflow", "tf_keras"),
    *("jax", "flax", "equinox", "haiku", "onnxruntime", "brainscore_vision"),
)
_TORCH_DEVICES = """
import json, torch
names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
mps = getattr(torch.backends, "mps", None)
print(json.dumps({"cuda": names, "mps": bool(mps and mps.is_available()), "threads": torch.get_num_threads()}))
"""


def _run_python(code: str, seconds: float = 120) -> tuple[bool, str]:
    """Run code in another interpreter, so that a framework that hangs or crashes does not take the doctor with it."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {seconds:.0f} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode == 0, lines[-1] if lines else f"exit status {done.returncode}"


def check_devices() -> Finding:
    """Ask torch, in another process, which accelerators it sees."""
    if find_spec("torch") is None:
        return Finding("devices", OK, "CPU (torch is not installed, so no GPU was looked for)")
    worked, answer = _run_python(_TORCH_DEVICES)
    if not worked:
        return Finding(
            "devices",
            PROBLEM,
            f"torch is installed and does not import: {answer}",
            "Install it again: pip install torch",
        )
    devices = json.loads(answer)
    named = [f"cuda:{n} ({name})" for n, name in enumerate(devices["cuda"])] + ["mps"] * devices["mps"]
    return Finding("devices", OK, ", ".join([*named, f"CPU ({devices['threads']} threads)"]))


def check_imports() -> list[Finding]:
    """Import every framework that is installed, each in its own process (slow: seconds for each)."""
    findings = []
    for name in IMPORT_NAMES:
        if find_spec(name) is None:
            continue
        worked, answer = _run_python(
            f"import time; t = time.time(); import {name}; print(f'{{time.time() - t:.1f}} s')"
        )
        if worked:
            findings.append(Finding(f"import {name}", OK, answer))
        else:
            fix = f"Install it again, with versions that match: pip install --force-reinstall --no-deps {name}"
            if "torchvision::" in answer:
                fix = "This torchvision was built for another torch; install both from the same index, in one command."
            findings.append(Finding(f"import {name}", PROBLEM, answer, fix))
    return findings


def check_memory() -> Finding:
    """Say how much memory there is; activations of early layers are what fills it (`OOM killed`)."""
    # At use: the doctor must start where another distribution's package stands in the place of ours.
    from adapters.memory import available_memory

    memory = available_memory()
    if memory is None:
        return Finding("memory", OK, "this system does not say how much is free")
    if memory < ENOUGH_MEMORY:
        fix = "Extract fewer layers or stimuli at once; `brain-adapters extract` says beforehand what a run needs."
        return Finding("memory", WARN, f"{memory / GB:.1f} GB free", fix)
    return Finding("memory", OK, f"{memory / GB:.1f} GB free")


def check_disk(folder: Path | None = None) -> Finding:
    """Say how much room there is on the disk of a folder (by default the current one)."""
    folder = folder or Path.cwd()
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_DISK:
        return Finding("disk", WARN, f"{free / GB:.1f} GB free at {folder}", "Make room, or write somewhere else.")
    return Finding("disk", OK, f"{free / GB:.1f} GB free at {folder}")

"""From a folder of images and a table of recordings to a leaderboard of two models, one in PyTorch and one in Flax.

python examples/own_recordings/walk.py            # writes to out/own_recordings
python examples/own_recordings/walk.py FOLDER

It types what you would type; with files of your own, these four commands are all there is to do.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = [HERE.parent / "pytorch_digits.py", HERE.parent / "jax_flax_vit.py"]


def run(folder: Path, *arguments: object) -> None:
    """Run a command of brain-adapters in a folder, and show both."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ brain-adapters {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "brain_adapters", *words], cwd=folder, check=True)


def main(folder: Path) -> None:
    """Begin the dataset, check it, score the models on it, and write the leaderboard."""
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"{folder} holds files already. Name a new folder: python {sys.argv[0]} FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    files = ["--images", HERE / "images", "--responses", HERE / "recordings.csv"]
    run(folder, "data", "new", "my_digits", *files, "--regions", "V4,IT", "--degrees", 8, "--license", "CC-BY-4.0")
    run(folder, "data", "validate", "my_digits")
    run(folder, "score", *MODELS, "--benchmark", "my_digits.V4-pls", "--benchmark", "my_digits.IT-pls")
    run(folder, "leaderboard", "results", "--html", "leaderboard.html")
    print(f"\nOpen {folder / 'leaderboard.html'} in a browser.")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/own_recordings").resolve())

"""The newcomer's road from images and a table of recordings to a leaderboard, typed as in README."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_recordings" / "walk.py"


def test_two_models_of_two_frameworks_are_scored_on_own_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    done = subprocess.run([sys.executable, str(EXAMPLE), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors, 1 warning: my_digits" in done.stdout
    assert "digits_cnn on my_digits.IT-pls: 0." in done.stdout
    assert "small_vit on my_digits.V4-pls: 0." in done.stdout
    page = (folder / "leaderboard.html").read_text("utf-8")
    assert "digits_cnn" in page
    assert "small_vit" in page
    command = [sys.executable, "-m", "brain_adapters", "leaderboard", "results", "--json"]
    board = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    models = {row["model"] for row in json.loads(board)["rows"]}
    assert models == {"digits_cnn", "small_vit"}

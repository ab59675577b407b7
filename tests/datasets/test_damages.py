"""However a dataset's files are damaged, validation says what it found and loading refuses: nothing else escapes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks_local.data import DatasetError, Finding, load_dataset, validate_dataset

INSERTED = [
    b"\0",
    b"\xff",
    b",",
    b";",
    b'"',
    b"\n",
    b"\r",
    b"\t",
    b"nan",
    b"1e999",
    b"\xef\xbb\xbf",
    b"../",
    b"{",
    b"&a *a",
]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut, repeat, insert, replace or flip something, mostly near the beginning, where formats say what they are."""
    at = rng.randrange(min(len(data), rng.choice([20, 200, 2000, 10**9])) + 1)
    length = rng.randint(1, 50)
    change = {
        "cut": lambda: data[:at],
        "hole": lambda: data[:at] + data[at + length :],
        "insert": lambda: data[:at] + rng.choice(INSERTED) + data[at:],
        "repeat": lambda: data[:at] + data[at : at + 200] + data[at:],
        "replace": lambda: data.replace(rng.choice([b",", b"\n", b":", b"0"]), rng.choice([b"", b",", b"-"]), length),
        "flip": lambda: (
            data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :] if at < len(data) else b""
        ),
    }
    return change[rng.choice(list(change))]()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # h5netcdf, of files it could not open
@pytest.mark.parametrize("responses", ["csv", "nc", "npy"])
def test_any_damage_is_a_finding(pristine: Path, tmp_path: Path, responses: str):
    folder = load_dataset(pristine).save(tmp_path / "saved", responses=responses)
    (folder / "trials.csv").write_text("stimulus_id,sample_obj,dist_obj,choice\n0001,cat,dog,dog\n")
    (folder / "triplets.csv").write_text("image_1,image_2,image_3,choice\n0001,0002,0003,0001\n")
    assert validate_dataset(folder) == []
    files = [each for each in sorted(folder.iterdir()) if each.is_file()]
    for number in range(25):
        rng = random.Random(number)
        file = rng.choice(files)
        sound = file.read_bytes()
        file.write_bytes(damaged(damaged(sound, rng), rng))
        findings = validate_dataset(folder)
        assert all(isinstance(finding, Finding) for finding in findings)
        if any(finding.level == "error" for finding in findings):
            with pytest.raises(DatasetError):
                load_dataset(folder)
        else:
            assert len(load_dataset(folder).digest) == 64
        file.write_bytes(sound)
    assert validate_dataset(folder) == []

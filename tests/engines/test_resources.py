"""GPUs and cores of a machine, as workers share them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.engines.resources import n_cores, thread_settings, visible_gpus


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", ()),
        ("0,1,3", ("0", "1", "3")),
        (" 2 , 5", ("2", "5")),
        ("1,-1,2", ("1",)),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("GPU-8f3c,MIG-77", ("GPU-8f3c", "MIG-77")),
    ],
)
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, expected: tuple[str, ...]):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert visible_gpus() == visible_gpus(machine(tmp_path, 4, 4)) == expected


@pytest.mark.parametrize(
    ("n_files", "n_told", "n_gpus"), [(0, 0, 0), (2, 0, 2), (0, 3, 3), (2, 8, 2), (8, 1, 1), (12, 12, 12)]
)
def test_the_driver_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, n_files: int, n_told: int, n_gpus: int):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(machine(tmp_path, n_files, n_told)) == tuple(map(str, range(n_gpus)))


def machine(root: Path, n_files: int, n_told: int) -> Path:
    """Make a machine whose driver shows files of devices, and tells of others."""
    folder = root / "dev"
    folder.mkdir()
    for name in ("nvidiactl", "nvidia-uvm", "nvidia-caps", *(f"nvidia{number}" for number in range(n_files))):
        (folder / name).touch()
    for number in range(n_told):
        (root / "proc/driver/nvidia/gpus" / f"0000:0{number}:00.0").mkdir(parents=True)
    return root


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    found = thread_settings(1)
    assert found["OMP_NUM_THREADS"] == str(n_cores())
    assert found["MKL_NUM_THREADS"] == "7"  # what the user says stays
    assert thread_settings(10 * n_cores())["OMP_NUM_THREADS"] == "1"
    assert set(thread_settings(4, threads=3).values()) == {"3"}

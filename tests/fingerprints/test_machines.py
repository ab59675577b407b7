"""The class of a device: what decides the last bits, and no machine's name."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from adapters.fingerprints.machines import cpu_class, device_class, environment_settings

INTEL = "processor : 0\nvendor_id : GenuineIntel\nflags : avx avx2 {}\n\nprocessor : 1\nflags : fpu\n"
ARM = "processor : 0\nFeatures : fp asimd {}\nCPU implementer : 0x41\n"
TABLES = {
    "avx512-intel": INTEL.format("avx512f"),
    "amx-intel": INTEL.format("avx512f amx_tile"),
    "avx2-intel": INTEL.format(""),
    "avx2-amd": INTEL.format("").replace("GenuineIntel", "AuthenticAMD"),
    "sve": ARM.format("sve"),
    platform.machine().lower(): ARM.format(""),
}


@pytest.mark.parametrize("expected", TABLES)
def test_processors(expected: str, tmp_path: Path):
    table = tmp_path / "cpuinfo"
    table.write_text(TABLES[expected])
    assert cpu_class(table) == expected


def test_where_nobody_says(tmp_path: Path):
    assert cpu_class(tmp_path / "missing") == platform.machine().lower()
    assert device_class("mps") == "mps"
    assert device_class("cuda", detail="sm90") == "cuda-sm90"
    assert device_class().startswith("cpu-")
    assert platform.node() not in device_class()


def test_only_settings_that_change_results(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environment_settings()["MKL_CBWR"] == "COMPATIBLE"
    assert "OMP_NUM_THREADS" not in environment_settings()

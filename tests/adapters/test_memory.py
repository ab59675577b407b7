"""Amounts of memory as users write them, and what this process holds."""

import subprocess
import sys

import pytest

from adapters.memory import parse_memory


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("4GB", 4 * 10**9),
        ("500 mb", 500 * 10**6),
        ("2GiB", 2 * 2**30),
        (" 1.5 GB ", 1_500_000_000),
        (12_345, 12_345),
        ("1_000", 1000),
    ],
)
def test_amounts(given: str | int | None, expected: int | None):
    assert parse_memory(given) == expected


@pytest.mark.parametrize("given", ["", "much", "-3GB", "4 apples", "0GB", True])
def test_what_is_no_amount(given: str):
    with pytest.raises(ValueError, match=r"no amount of memory. Write for example '4GB'"):
        parse_memory(given)


def test_a_new_array_is_seen():
    """In a process of its own: what others have freed would be filled first."""
    program = (
        "import numpy as np; from adapters.memory import used_memory; before = used_memory(); "
        "array = np.ones(50_000_000, np.uint8); print(used_memory() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 49_000_000 < int(done.stdout) < 60_000_000

"""One worker of a run without a master: does its part of an order, found by its rank.

    python -m adapters.engines FILE [--rank 0 --of 4]

Any batch system can start it: Slurm, PBS, LSF, mpirun, GNU parallel. Shards that are done cost nothing, so to start it
once more is never wrong. Exit status 0: its part is done; 1: stderr says what is missing; 2: wrongly called.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .ranks import part_of, rank_and_world
from .spooling import Journal, read_order
from .task import EngineError, Receipt, Work
from .working import Worker

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the part of this process, and return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands on the command line.
    """
    try:
        file, rank, world = _called_with(arguments)
        task, shards = read_order(file)
    except EngineError as error:
        _say(str(error))
        return 1
    part = part_of(shards, rank, world)
    _say(f"worker {rank} of {world}, process {os.getpid()}: {len(part)} of {len(shards)} shards of {task.label!r}")
    n_heard, missing = 0, []

    @contextmanager
    def opened() -> Iterator[Work]:
        with task.opened() as work:
            journal.open()
            yield work

    with _stopping_in_order(), Journal(file.parent, rank) as journal, Worker(replace(task, here=opened)) as worker:
        for start in range(0, len(part), max(task.group, 1)):
            group = part[start : start + max(task.group, 1)]
            journal.take(group)
            for receipt in worker.do(group):
                journal.keep(receipt)
                n_heard += 1
                missing += [receipt.shard] if receipt.error else []
                _say(f"{n_heard} of {len(part)}: {_told(receipt)}")
    if missing:
        _say(f"worker {rank} of {world} could not do {len(missing)} of {len(part)} shards")
    return 1 if missing else 0


def _called_with(arguments: Sequence[str] | None) -> tuple[Path, int, int]:
    parser = argparse.ArgumentParser(prog="python -m adapters.engines", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="task.json, as an engine wrote it")
    parser.add_argument("--rank", type=int, help="number of this worker, from 0; else the environment says it")
    parser.add_argument("--of", type=int, help="how many workers there are")
    said = parser.parse_args(arguments)
    if (said.rank is None) != (said.of is None):
        parser.error("--rank and --of belong together: --rank 0 --of 4")
    if said.rank is None:
        return said.file, *rank_and_world(os.environ)
    if not 0 <= said.rank < said.of:
        parser.error(f"--rank {said.rank} --of {said.of}: workers are counted from 0, so the last is {said.of - 1}")
    return said.file, said.rank, said.of


@contextmanager
def _stopping_in_order() -> Iterator[None]:
    """Close everything when a batch system asks to stop (time is up, others go first), before it kills."""

    def stop(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(receipt: Receipt) -> str:
    if receipt.error:
        return f"shard {receipt.shard} failed after {receipt.seconds:.1f} s: {receipt.error}"
    if not receipt.n_images:
        return f"shard {receipt.shard} was there already"
    return f"shard {receipt.shard} in {receipt.seconds:.1f} s, {receipt.n_images} images, {receipt.n_bytes} bytes"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

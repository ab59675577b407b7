"""Keep stdout for the answer of a command, whatever other people's code writes, and however it writes it."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["is_stdout_gone", "output_on_stderr"]


@contextlib.contextmanager
def output_on_stderr() -> Iterator[TextIO]:
    """Send what other people's code prints to stderr: stdout belongs to the answer of the command.

    Yields
    ------
    file object
        Goes to stdout all the same, for an answer that is written while their code runs.
    """
    with _descriptor_on_stderr() as answers, contextlib.redirect_stdout(sys.stderr):
        yield answers


@contextlib.contextmanager
def _descriptor_on_stderr() -> Iterator[TextIO]:
    """Redirect the descriptor as well, which is where os.write, libraries in C and subprocesses write."""
    stdout, stderr = _descriptor(sys.stdout), _descriptor(sys.stderr)
    if stdout is None or stderr is None or stdout == stderr:  # equal inside of another `with` of this kind
        yield sys.stdout
        return
    sys.stdout.flush()
    saved = os.dup(stdout)
    os.dup2(stderr, stdout)
    try:
        with os.fdopen(os.dup(saved), "w", 1, encoding=sys.stdout.encoding, errors=sys.stdout.errors) as answers:
            yield answers
    finally:
        os.dup2(saved, stdout)
        os.close(saved)


def is_stdout_gone() -> bool:
    """Say whether who read our answers has left, as ``head`` does after its last line."""
    stdout = _descriptor(sys.stdout)
    if stdout is None or not hasattr(select, "poll"):  # Windows has none
        return True
    poll = select.poll()
    poll.register(stdout, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):  # a stream in memory, as in a test or a notebook
        return None

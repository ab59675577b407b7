"""Tell how far something is: a bar on stderr, where tqdm is installed, or lines that are seen at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

__all__ = ["TextStream", "progress_bar", "write_at_once"]


class TextStream(Protocol):
    """Where a long task writes to what it is doing."""

    def write(self, text: str, /) -> object:
        """Write text."""


def write_at_once(stream: TextStream, text: str) -> None:
    """Write text so that it is seen now, whatever the stream keeps back.

    Parameters
    ----------
    stream : TextStream
        Where to write.
    text : str
        What to write.
    """
    stream.write(text)
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()


@contextmanager
def progress_bar(
    n_images: int, label: str, shown: bool | None, *, image_bytes: int = 0
) -> Iterator[Callable[[int], Any]]:
    """Give a function that is told how many more images are done.

    Parameters
    ----------
    n_images : int
        All there are.
    label : str
        Printed before the bar.
    shown : bool, optional
        None shows it only when stderr is a terminal.
    image_bytes : int
        Bytes of result per image; the bar shows MB/s, too, when it is known.
    """
    if shown is False or (shown is None and not sys.stderr.isatty()):
        yield lambda n_done: None
        return
    try:
        from tqdm import tqdm
    except ImportError:  # a submission brings this file along, but not its optional packages
        yield lambda n_done: None
        return
    with tqdm(total=n_images, desc=label, unit="image", file=sys.stderr, leave=bool(shown)) as bar:

        def advance(n_done: int) -> None:
            rate = bar.format_dict["rate"]
            if image_bytes and rate:
                bar.set_postfix_str(f"{rate * image_bytes / 1e6:.1f} MB/s", refresh=False)
            bar.update(n_done)

        yield advance

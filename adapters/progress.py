"""A progress bar on stderr, where tqdm is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(n_images: int, label: str, shown: bool | None) -> Iterator[Callable[[int], Any]]:
    """Give a function that is told how many more images are done.

    Parameters
    ----------
    n_images : int
        All there are.
    label : str
        Printed before the bar.
    shown : bool, optional
        None shows it only when stderr is a terminal.
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
        yield bar.update

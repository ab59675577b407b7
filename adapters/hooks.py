"""Handles for hooks that users register on an extractor, with the surface that Brain-Score's code expects."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

__all__ = ["HookHandle"]

_ids = itertools.count()


class HookHandle:
    """Removes, disables or enables one registered hook.

    Parameters
    ----------
    hooks : dict
        Where the hook is kept while it is enabled; the handle enters it.
    hook : callable
        What is called.
    """

    def __init__(self, hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self.hook_dict = hooks
        self.id = next(_ids)
        self._hook = hook
        self.enable()

    def remove(self) -> Callable[..., Any]:
        """Take the hook away and return it; removing twice is no error."""
        self.hook_dict.pop(self.id, None)
        return self._hook

    def disable(self) -> None:
        """Take the hook away until `enable`."""
        self.hook_dict.pop(self.id, None)

    def enable(self) -> None:
        """Put the hook back."""
        self.hook_dict[self.id] = self._hook

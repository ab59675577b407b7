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
        self._disabled: Callable[..., Any] | None = hook
        self.enable()

    def remove(self) -> Callable[..., Any] | None:
        """Take the hook away for good and return it; removing twice is no error, and returns None."""
        self.disable()
        # a handle that kept its hook would keep, in a circle, all that a LayerPCA knows: gigabytes
        hook, self._disabled = self._disabled, None
        return hook

    def disable(self) -> None:
        """Take the hook away until `enable`."""
        self._disabled = self.hook_dict.pop(self.id, self._disabled)

    def enable(self) -> None:
        """Put the hook back, unless it was removed."""
        if self._disabled is not None:
            self.hook_dict[self.id], self._disabled = self._disabled, None

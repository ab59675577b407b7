"""The registry itself: a mapping from identifier to entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from adapters.errors import AdapterError, DuplicateModelError, ModelNotFoundError, did_you_mean, listing

from .discovery import discover_models
from .entry import ModelEntry
from .source import is_same_source

__all__ = ["EntryTypeError", "Registry", "default_registry"]


class EntryTypeError(AdapterError, TypeError):
    """Something else than a :class:`ModelEntry` was to be registered."""


class Registry(Mapping[str, ModelEntry]):
    """Models by identifier, in the order of their registration.

    Parameters
    ----------
    entries : iterable of ModelEntry, optional
        Registered at once.
    discover : callable, optional
        Called with the registry, once, when an identifier is missing or all are listed: it may register more.

    Examples
    --------
    >>> from registry import ModelEntry, Registry
    >>> models = Registry([ModelEntry("my_net", function=lambda: None)])
    >>> list(models)
    ['my_net']
    """

    def __init__(
        self,
        entries: Iterable[ModelEntry] = (),
        *,
        discover: Callable[[Registry], None] | None = None,
    ) -> None:
        self._entries: dict[str, ModelEntry] = {}
        self._discover = discover
        for entry in entries:
            self.register(entry)

    def __getitem__(self, identifier: str) -> ModelEntry:
        """Return the entry of an identifier; look for models of installed packages if it is missing.

        Raises
        ------
        ModelNotFoundError
            If nobody registered it; the message suggests the nearest identifier.
        """
        if identifier not in self._entries:
            self._complete()
        try:
            return self._entries[identifier]
        except (KeyError, TypeError):
            raise ModelNotFoundError(self._not_found(identifier)) from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the identifiers."""
        self._complete()
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        """Count the models."""
        self._complete()
        return len(self._entries)

    def __repr__(self) -> str:
        """Name the models that are registered already."""
        return f"<Registry of {len(self._entries)} models: {listing(list(self._entries))}>"

    def register(self, entry: ModelEntry) -> None:
        """Add a model.

        A function that is registered again from the same place, because its module or notebook cell was run again,
        replaces its older self; and what was typed into a notebook gives way to whatever comes later.

        Parameters
        ----------
        entry : ModelEntry
            Its identifier must be free.

        Raises
        ------
        DuplicateModelError
            If another function has the identifier already.
        """
        if not isinstance(entry, ModelEntry):
            raise EntryTypeError(
                f"Registry.register was given {entry!r}; expected a ModelEntry. Use the decorator @register_model."
            )
        known = self._entries.get(entry.identifier)
        if known is not None and not _is_read_again(known, entry):
            raise DuplicateModelError(
                f"A model {entry.identifier!r} is registered already, by {known.source}; {entry.source} registers "
                f"another one. Give one of them another identifier, or call unregister({entry.identifier!r}) first."
            )
        self._entries[entry.identifier] = entry

    def unregister(self, identifier: str) -> None:
        """Forget a model.

        Raises
        ------
        ModelNotFoundError
            If it is not registered.
        """
        del self._entries[self[identifier].identifier]

    def _complete(self) -> None:
        discover, self._discover = self._discover, None
        if discover is not None:
            discover(self)

    def _not_found(self, identifier: object) -> str:
        if not self._entries:
            return f"No model {identifier!r}: none is registered. Import, or load, the file with its @register_model."
        hint = did_you_mean(identifier, self._entries) if isinstance(identifier, str) else ""
        known = listing(sorted(self._entries))
        return " ".join(filter(None, [f"No model {identifier!r} is registered.", hint, f"Registered: {known}."]))


def _is_read_again(known: ModelEntry, entry: ModelEntry) -> bool:
    if known.function is entry.function:
        return True
    if known.source.is_interactive:  # a cell that was changed and run again, or moved to a file
        return True
    code = getattr(known.function, "__code__", None)
    if code is not None and code is getattr(entry.function, "__code__", None):
        return False  # one `def` that ran twice, for example in a loop, makes two different models
    return is_same_source(known.source, entry.source)


default_registry = Registry(discover=discover_models)

"""The error for what cannot be told by its content."""

from __future__ import annotations

from ..errors import AdapterError

__all__ = ["NotFingerprintable"]

_ADVICE = (
    "Expected numbers, texts, arrays, functions, and plain objects or containers of these. Replace it, or remove it "
    "where it is not needed."
)


class NotFingerprintable(AdapterError, TypeError):
    """Something that values depend on cannot be told by its content, so no key can stand for it.

    Results are then computed anew each time and not kept; the message names what it is and where.
    """

    @classmethod
    def because(cls, value: object, where: str, reason: str, *, advice: str = _ADVICE) -> NotFingerprintable:
        """Return the error for one object.

        Parameters
        ----------
        value : object
            What was found.
        where : str
            Where it hangs, such as ``"attribute 'lookup' of layer 'blocks.3'"``.
        reason : str
            Why it cannot be told by its content.
        advice : str
            What to do about it, in full sentences.
        """
        kind = type(value)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return cls(
            f"{where[:1].upper()}{where[1:]} is a {name}, which cannot be told by its content: {reason}. {advice}"
        )

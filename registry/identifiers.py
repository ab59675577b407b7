"""Which identifiers a model may have: those that Brain-Score accepts and that can name a Python package."""

from __future__ import annotations

import keyword
import re

from adapters.errors import IdentifierError

__all__ = ["check_identifier", "propose_identifier"]


def check_identifier(identifier: str) -> str:
    """Return the identifier if it is legal, otherwise say why not and propose one that is.

    A submission puts a model into a folder of the same name, which Brain-Score imports as a Python package and which
    several programs look for in text. A legal identifier is therefore an ASCII Python name that is no keyword and
    does not begin with an underscore.

    Parameters
    ----------
    identifier : str
        For example ``"alexnet_v1"``.

    Returns
    -------
    str
        The identifier itself.

    Raises
    ------
    IdentifierError
        If it breaks a rule; the message proposes a legal one.

    Examples
    --------
    >>> check_identifier("alexnet_v1")
    'alexnet_v1'
    """
    if not isinstance(identifier, str):
        raise IdentifierError(
            f"{identifier!r} is a {type(identifier).__name__}; a model identifier is a string such as 'alexnet_v1'."
        )
    reason = _reason(identifier)
    if reason:
        raise IdentifierError(f"{identifier!r} {reason}. Use {propose_identifier(identifier)!r}.")
    return identifier


def propose_identifier(text: str) -> str:
    """Turn any text into a legal identifier.

    Parameters
    ----------
    text : str
        Anything, for example a file name or a title.

    Returns
    -------
    str
        A legal identifier; the text itself if it is one.

    Examples
    --------
    >>> propose_identifier("my-model v2.0")
    'my_model_v2_0'
    >>> propose_identifier("50 layers")
    'model_50_layers'
    """
    proposal = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")
    if not proposal:
        return "my_model"
    if proposal[0].isdigit():
        proposal = f"model_{proposal}"
    return f"{proposal}_model" if keyword.iskeyword(proposal) else proposal


def _reason(identifier: str) -> str:
    if not identifier:
        return "is empty; a model needs a name"
    if "-" in identifier:
        return "contains '-', which Brain-Score refuses in model identifiers"
    if identifier[0] in "_.":
        return f"begins with {identifier[0]!r}, and Brain-Score ignores models whose folder begins so"
    if identifier[0].isdigit():
        return "begins with a digit, but it must be able to name a Python package"
    strange = next((character for character in identifier if not re.match(r"[A-Za-z0-9_]", character)), None)
    if strange is not None:
        return f"contains {strange!r}, but only letters a-z, digits and '_' can stand in the name of its package"
    if keyword.iskeyword(identifier):
        return "is a word of the Python language, so no package can be called so"
    return ""

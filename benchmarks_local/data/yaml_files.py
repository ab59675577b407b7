"""Read and write YAML as data. The only file here that imports PyYAML, and only when it is used."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import ScoreExtraMissingError

__all__ = ["MAX_CHARACTERS", "read_yaml", "write_yaml"]

MAX_CHARACTERS = 1_000_000


def read_yaml(text: str) -> dict[str, Any]:
    """Read a mapping.

    Parameters
    ----------
    text : str
        A YAML document; it can name no Python object.

    Returns
    -------
    dict
        Keys are text; empty for an empty document.

    Raises
    ------
    ValueError
        If it is no YAML, no mapping, longer than `MAX_CHARACTERS`, has a key twice, or uses aliases, a few lines of
        which can stand for gigabytes.
    """
    yaml = _yaml()
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, expected a page of text")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("it uses aliases (*name), which are not supported")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise ValueError(f"the key {', '.join(twice)} is there more than once")
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        told = " ".join(str(error).split()).replace('in "<unicode string>", ', "on ")
        raise ValueError(told) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, expected lines of the form 'key: value'")
    return {str(key): value for key, value in found.items()}


def write_yaml(data: dict[str, Any]) -> str:
    """Write a mapping of plain data, keys in their order."""
    return str(_yaml().safe_dump(data, sort_keys=False, allow_unicode=True, width=120))


def _yaml() -> Any:
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise ScoreExtraMissingError(
            f"A dataset is described in YAML, and PyYAML could not be imported: {error}. "
            "Install it with: pip install 'brain-adapters[score]'."
        ) from error

"""Say in the words of the command line what the library advises in the words of Python."""

from __future__ import annotations

import re

__all__ = ["for_command_line", "in_singular", "without_skip_advice"]

_NAME_THE_FILE = "name the file that registers it on the command line: models.py, or models.py:identifier."
_SKIP = re.compile(r""",? *Replace it, or pass on_error=["']skip["'] to leave it out and list it\.""")

# What the library says, as a regular expression, and what helps on the command line; in order.
_ADVICE = (
    (r"\bextractor\.layers\b", "brain-adapters layers MODEL"),
    (r"""\bon_error=["']skip["']""", "--skip-unreadable"),
    (r"\bor raise PIL\.Image\.MAX_IMAGE_PIXELS if you trust the file\.", "or pass --skip-unreadable to leave it out."),
    (r"\bImport, or load, the file with its @register_model\.", _NAME_THE_FILE.capitalize()),
    (r"^(No model '[^']*' is registered\..*)$", rf"\1 If it is another one, {_NAME_THE_FILE}"),
    (r", or reduce each batch with extractor\.register_batch_activations_hook\.", "."),
    (r", or call unregister\([^)]*\) first", ""),
    (r"\bforce=True \(--force\)", "--force"),
    (r"\binclude=(\[\.\.\.\]|\.\.\.)", "--include PATTERN"),
    (r"""\binclude=\[?((['"]).+?\2)\]?""", r"--include \1"),
    (r"\btrial=False\b", "--no-trial"),
    (r"""\blayout=(['"])(plugin|legacy)\1""", r"--layout \2"),
)
_ONE = re.compile(r"(?<![\w.,])1 (layer|image|presentation|model|batch|error|warning)(?:e?s)\b")


def for_command_line(text: str) -> str:
    """Replace what a user would type into Python by what he types into a shell.

    Examples
    --------
    >>> for_command_line("Net has no layer 'b'. It has 1 layers; list them with extractor.layers.")
    "Net has no layer 'b'. It has 1 layer; list them with brain-adapters layers MODEL."
    """
    for said, meant in _ADVICE:
        text = re.sub(said, meant, text, flags=re.MULTILINE)
    return in_singular(text)


def in_singular(text: str) -> str:
    """Write one of something without the plural's s.

    Examples
    --------
    >>> in_singular("1 layers x 11 presentations (1 images, batches of 1)")
    '1 layer x 11 presentations (1 image, batches of 1)'
    """
    return _ONE.sub(r"1 \1", text)


def without_skip_advice(text: str) -> str:
    """Leave out the advice to skip a stimulus: for the list of those that were skipped.

    Examples
    --------
    >>> without_skip_advice('a.png is empty. Replace it, or pass on_error="skip" to leave it out and list it.')
    'a.png is empty.'
    """
    return _SKIP.sub("", text)

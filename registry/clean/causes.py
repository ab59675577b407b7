"""What a failure in a log usually comes from, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["fix_for"]

_WEIGHTS = (
    "Something that the model downloads, such as its weights, could not be fetched. Brain-Score's server needs an "
    "address that is public and stays: try it in a browser that is not logged in."
)
# The first pattern that is found decides: what is certain stands before what could also follow from it.
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|\[Errno 28\]|Disk quota exceeded|not enough space",
        "Make room on that disk, or give a folder on another one with --work FOLDER. Brain-Score's environment takes a "
        "few GB, and pip needs room for downloads in TMPDIR.",
    ),
    (
        r"ensurepip is not available|No module named (ensurepip|venv)",
        "This Python cannot make environments. On Debian and Ubuntu: apt install python3-venv. Or give an environment "
        "with Brain-Score by --reuse ENV.",
    ),
    (
        r"BRAIN_ADAPTERS_OFFLINE is set",
        "Unset BRAIN_ADAPTERS_OFFLINE, or copy the file to where the message says.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "A download was not trusted. `brain-adapters doctor` says why. Never switch the verification off.",
    ),
    (r"DownloadError|WeightsError", _WEIGHTS),
    (
        r"(?i)conflicting dependencies|ResolutionImpossible",
        "Two requirements exclude each other; the log names them. Loosen the pin with requirements=['name<version'] in "
        "the registration, and write the submission again. Brain-Score's own are numpy<2, pandas<3, xarray<2022.6.",
    ),
    (
        r"Failed to establish a new connection|NewConnectionError|Temporary failure in name resolution|"
        r"Network is unreachable|ConnectTimeoutError|Could not fetch URL|ProxyError",
        "A server could not be reached: the package index, if pip says so. Check the network and the proxy (pip reads "
        "PIP_INDEX_URL and HTTPS_PROXY). An environment that is complete can be given with --reuse ENV.",
    ),
    (
        r"No matching distribution found for (?P<name>\S+)",
        "There is no {name} for this Python. Mend the line with requirements=['name==version'] in the registration, "
        "and write the submission again. The server's Python is 3.11.",
    ),
    (
        r"HTTP Error \d+|40[134] Client Error|urlopen error|URLError|ConnectionRefusedError|NoCredentialsError|"
        r"EndpointConnectionError|ConnectionError|gaierror",
        _WEIGHTS,
    ),
    (
        r"No module named '?pytest",
        "Install there what Brain-Score's tests need: pip install 'brainscore-vision[test]'. Or leave --reuse out.",
    ),
    (
        r"ModuleNotFoundError: No module named '(?P<name>\w+)",
        "The model imports {name}, which neither Brain-Score nor the submission's requirements install. Add it with "
        "requirements=['{name}'] (as pip calls it) to the registration, or, if it is a file of yours, package it with "
        "include=['{name}.py'], and write the submission again.",
    ),
    (
        r"operator torchvision::\w+ does not exist",
        "The index gave a torch without CUDA and a torchvision with it, or the other way round. Let both come from "
        "one, such as PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu, and give a new --work FOLDER.",
    ),
    (
        r"MemoryError|out of memory|was ended by signal 9",
        "It took more memory than there is. List fewer or smaller layers; the server has limits, too.",
    ),
    (
        r"No registrations found|More than one registration found",
        "Brain-Score reads registrations as text: one line model_registry['identifier'] = lambda: ..., and no second "
        "one in any plugin, not even in a comment. Write the submission again, with another identifier if it is taken.",
    ),
)
_OTHERWISE = "The log shows where. Mend it in the file that registers the model, and write the submission again."


def fix_for(finding: str, log: Path | None = None) -> str:
    """Say what helps against a failure.

    Parameters
    ----------
    finding : str
        The error.
    log : Path, optional
        The log of what failed.

    Returns
    -------
    str
        One paragraph.

    Examples
    --------
    >>> fix_for("OSError: [Errno 28] No space left on device").split(",")[0]
    'Make room on that disk'
    """
    text = finding
    if log is not None and log.is_file():
        text += "\n" + log.read_text("utf-8", "replace")
    for pattern, fix in _CAUSES:
        if match := re.search(pattern, text):
            return fix.format(**{key: value or "" for key, value in match.groupdict().items()})
    return _OTHERWISE

"""Environment variables for programs that shall not see what this user's shell, caches and passwords would give."""

from __future__ import annotations

import os
from pathlib import Path

from ..fetching import with_absolute_folders

__all__ = ["clean_variables", "reused_variables", "server_variables"]

# What would reach from this shell into an environment that has to be as bare as the server's.
_LEFT_BEHIND = ("PYTHON", "PYTEST", "KERAS_BACKEND", "BS_", "BRAINSCORE", "RESULTCACHING", "MT_HOME", "VIRTUAL_ENV")
# What only this user has, and what would hide that nobody else can fetch a file: caches, passwords, local copies.
_HOMES = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME", "KERAS_HOME", "BRAIN_ADAPTERS_CACHE")
_OF_THIS_USER = frozenset(
    (
        *("BRAIN_ADAPTERS_WEIGHTS", "BRAIN_ADAPTERS_OFFLINE"),
        *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"),
        *("TFHUB_CACHE_DIR", "KAGGLEHUB_CACHE", "KAGGLE_USERNAME", "KAGGLE_KEY", "XDG_CONFIG_HOME", "NETRC"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
        *("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"),
    )
)
_BRAINSCORE_HOMES = ("BRAINSCORE_HOME", "MT_HOME")


def clean_variables(**more: str) -> dict[str, str]:
    """Return this process's environment variables without those that choose Python modules, backends or caches.

    Parameters
    ----------
    **more : str
        Variables to set.

    Returns
    -------
    dict of str to str
        For :func:`run_logged`. pip's own variables (index, proxy, constraints) are kept.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_BEHIND)}
    return {**with_absolute_folders(kept), "PYTHONNOUSERSITE": "1", **more}


def server_variables(homes: Path) -> dict[str, str]:
    """Return variables for a model that shall find what it finds on the server: none of this user's files.

    Parameters
    ----------
    homes : Path
        Folder for what models and Brain-Score download.
    """
    folders = {name: homes / name.lower().replace("_", "-") for name in (*_HOMES, *_BRAINSCORE_HOMES)}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    kept = clean_variables(**_without_stored_results(homes), **{name: str(folder) for name, folder in folders.items()})
    return {name: value for name, value in kept.items() if name not in _OF_THIS_USER}


def reused_variables(homes: Path) -> dict[str, str]:
    """Return variables for a model in an environment of this user's, who has the downloads for it, too.

    Parameters
    ----------
    homes : Path
        As for :func:`server_variables`; nothing that a model downloads goes there.
    """
    own = {name: os.environ[name] for name in _BRAINSCORE_HOMES if os.environ.get(name)}
    return clean_variables(**_without_stored_results(homes), **own)


def _without_stored_results(homes: Path) -> dict[str, str]:
    """Keep Brain-Score from answering with what it computed for another model of this identifier."""
    return {"RESULTCACHING_DISABLE": "1", "RESULTCACHING_HOME": str(homes / "result-caching")}

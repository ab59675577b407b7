"""Doctor's checks of certificates and of the folders where downloads and results are kept."""

from __future__ import annotations

import importlib.util
import os
import ssl
from pathlib import Path

from .findings import OK, PROBLEM, WARN, Finding

__all__ = ["cache_folders", "check_caches", "check_certificates", "check_result_caching"]

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
USE_CERTIFI = 'pip install certifi, then export SSL_CERT_FILE="$(python -m certifi)"'


def check_certificates() -> Finding:
    """Find what makes a download of weights end in `SSL: CERTIFICATE_VERIFY_FAILED`."""
    broken = {
        name: value for name in CERTIFICATE_VARIABLES if (value := os.environ.get(name)) and not Path(value).exists()
    }
    if broken:
        named = ", ".join(f"{name}={value}" for name, value in broken.items())
        fix = f"Downloads will end in CERTIFICATE_VERIFY_FAILED. Unset it, or point it to a real file: {USE_CERTIFI}."
        return Finding("certificates", PROBLEM, f"{named} names a file that does not exist", fix)
    if os.environ.get("PYTHONHTTPSVERIFY") == "0":
        fix = f"Unset it: anybody on the way could replace the weights. Instead: {USE_CERTIFI}."
        return Finding("certificates", PROBLEM, "PYTHONHTTPSVERIFY=0 switches the check of certificates off", fix)
    certifi = importlib.util.find_spec("certifi")
    system = ssl.get_default_verify_paths()
    found = [str(Path(certifi.origin).parent)] if certifi is not None and certifi.origin else []
    found += [path for path in (system.cafile, system.capath) if path]
    if not found:
        what = "neither certifi nor a list of the system: downloads will end in CERTIFICATE_VERIFY_FAILED"
        return Finding("certificates", WARN, what, f"{USE_CERTIFI}. Never switch the verification off.")
    return Finding("certificates", OK, ", ".join(found))


def cache_folders() -> dict[str, Path]:
    """Return the folders where torch, Hugging Face and Brain-Score keep what they downloaded or computed."""
    home = Path.home()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return {
        "torch hub": Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub",
        "hugging face": Path(os.environ.get("HF_HOME") or cache / "huggingface"),
        "keras": Path(os.environ.get("KERAS_HOME") or home / ".keras"),
        "result_caching": Path(os.environ.get("RESULTCACHING_HOME") or home / ".result_caching"),
        "brain-score": Path(os.environ.get("BRAINSCORE_HOME") or home / ".brain-score"),
    }


def check_caches() -> list[Finding]:
    """Say where caches are, and which of them could not be written."""
    findings = []
    for name, folder in cache_folders().items():
        existing = next(each for each in (folder, *folder.parents) if each.exists())
        state = str(folder) if folder.exists() else f"{folder} (not there yet)"
        if os.access(existing, os.W_OK):
            findings.append(Finding(f"cache {name}", OK, state))
        else:
            fix = f"{existing} is not writable for you: change its owner, or set the variable that moves this cache."
            findings.append(Finding(f"cache {name}", WARN, state, fix))
    return findings


def check_result_caching() -> Finding:
    """Warn of activations that Brain-Score stored, and will find again after the weights changed."""
    folder = cache_folders()["result_caching"]
    stored = sum(1 for _ in folder.rglob("*.pkl")) if folder.is_dir() else 0
    if not stored:
        return Finding("stored results", OK, "Brain-Score has stored no activations here")
    if os.environ.get("RESULTCACHING_DISABLE"):
        return Finding("stored results", OK, f"{stored} in {folder}, not used (RESULTCACHING_DISABLE is set)")
    return Finding(
        "stored results",
        WARN,
        f"{stored} in {folder}; Brain-Score finds them by identifier alone, so after a change of weights or of "
        "stimulus paths the old values come back, or a bare AssertionError.",
        f"After such a change delete {folder}, or export RESULTCACHING_DISABLE=1.",
    )

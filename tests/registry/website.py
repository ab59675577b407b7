"""What Brain-Score's website and plugin loader do with an upload, written again from their description.

The website's code cannot be installed. The reference is ``benchmarks/views/user.py`` of brain-score.web: the form for
uploads, ``validate_zip``, ``is_submission_original_and_under_plugin_limit`` and ``extract_identifiers``. The model
database that it asks is left out.
"""

from __future__ import annotations

import io
import re
import zipfile

KINDS = {"models": "model", "benchmarks": "benchmark", "data": "data", "metrics": "metric"}
TUTORIAL = "resnet50_tutorial"


def is_refused(content: bytes) -> bool:
    """Whether the website refuses an upload, or fails, which comes to the same."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [info.filename for info in archive.infolist()]
            return len(content) > 50 * 1024**2 or has_bad_form(names) or has_bad_models(archive, names)
    except Exception:  # whatever it is, nobody there expects it
        return True


def has_bad_form(names: list[str]) -> bool:
    kinds = {name.split("/")[1].lower() for name in names if name.endswith("/") and name.count("/") == 2} & KINDS.keys()
    folders = [
        name.split("/")[2]
        for name in names
        if name.endswith("/") and name.count("/") == 3 and name.split("/")[1] in kinds
    ]
    parents = [name.split("/")[-2:] for name in names]
    if any(" " in name or name.lower().endswith(("metadata.yml", "metadata.yaml")) for name in names):
        return True
    if any(len(parent) < 2 for parent in parents) and folders:
        return True
    return not folders or any(
        [folder, file] not in parents for folder in folders for file in ("__init__.py", "test.py")
    )


def has_bad_models(archive: zipfile.ZipFile, names: list[str]) -> bool:
    identifiers = set()
    for info in archive.infolist():
        parts = info.filename.split("/")
        if len(parts) == 4 and parts[1] in KINDS and parts[3] == "__init__.py":
            with archive.open(info) as stream:
                for line in io.TextIOWrapper(stream, encoding="utf-8"):
                    pattern = rf"{KINDS[parts[1]]}_registry\['(.+?)'\]"
                    identifiers.update(re.findall(pattern, line.split("#", 1)[0].strip()))
    folders = [name.split("/")[2] for name in names if name.endswith("/") and name.count("/") == 3]
    is_named_badly = any("-" in each for each in identifiers) or any(
        TUTORIAL in each for each in [*folders, *identifiers]
    )
    return len(identifiers) > 1 or is_named_badly

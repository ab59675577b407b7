"""Begin a dataset: an empty folder to be filled in, or one made of a folder of images and a file of responses."""

from __future__ import annotations

import math
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from adapters.errors import listing

from .behavior_tables import TRIALS_FILE
from .description import DESCRIPTION_FILE, LARGEST_DEGREES
from .findings import DatasetError, Findings
from .long_tables import read_long_table
from .saving import empty_folder, write_table
from .stimulus_files import STIMULI_FILE, STIMULI_FOLDER
from .wide_tables import MELT_ADVICE, unit_columns
from .yaml_files import write_yaml

__all__ = ["new_dataset"]

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
_RESPONSES_SUFFIXES = (".csv", ".nc")
_TEMPLATE = """\
# What brain-adapters needs to know about these recordings. What stands behind # is for you; see docs/recordings.md.
# When this is filled in: brain-adapters data validate {folder}
#
# Beside this file:
#   stimuli.csv     a row per image: stimulus_id, filename (in stimuli/); and if you like object_name, image_label,
#                   split (train: to choose a layer on; test: to score it on), and columns of your own
#   stimuli/        the images
#   responses.csv   a row per response: stimulus_id, neuroid_id, region, repetition, response; and for responses over
#                   time time_bin_start, time_bin_end (ms). Instead: responses.nc, or responses.npy with tables
#   trials.csv      for behavior: subject, stimulus_id, choice, and sample_obj with dist_obj, or truth
#   triplets.csv    for odd-one-out: image_1, image_2, image_3, choice

# Benchmarks are called after it: {name}.IT-pls. Letters, digits and underscores.
{name_line}
# How many degrees of the visual field an image covered, for example 8.
{degrees_line}
# Where was recorded. V1, V2, V4 and IT have columns of their own on the leaderboard.
{regions_line}
# A column of stimuli.csv whose classes are spread evenly over the splits, for example object_name; or none.
{stratify_line}
# How the ceiling is found: internal_consistency (from halves of the repetitions), none, or the reliability itself: 0.8
ceiling: internal_consistency
# Under which terms others may use the data, for example CC-BY-4.0.
{license_line}
# Whom to cite, and what was recorded from.
citation:
species:
"""


def new_dataset(
    folder: str | Path,
    *,
    images: str | Path | None = None,
    responses: str | Path | None = None,
    regions: Sequence[str] = (),
    visual_degrees: float | None = None,
    license: str | None = None,
) -> Path:
    """Begin a dataset.

    Parameters
    ----------
    folder : path
        A new or an empty folder. Its name, made an identifier, becomes the name of the dataset.
    images : path, optional
        Folder of images, which are copied. A stimulus_id is the file's name as the responses have it: without suffix,
        with it, or with the folders above. The folder that an image is in becomes its ``object_name``.
    responses : path, optional
        Long table (.csv) or NetCDF (.nc) of responses, which is copied.
    regions : sequence of str
        Where was recorded.
    visual_degrees : float, optional
        Extent of the images, degrees.
    license : str, optional
        Terms of use.

    Returns
    -------
    pathlib.Path
        The folder. What was not given is left to be filled in; `validate_dataset` says what.

    Raises
    ------
    DatasetError
        If the folder holds files, there are no images, the responses are of another format or have a column per unit,
        a region has a space in it, or the degrees are not above 0 and at most 180.
    """
    place = Path(folder)
    _verify_regions(regions)
    _verify_degrees(visual_degrees)
    source = _responses(responses)
    files = [] if images is None else _image_files(Path(images))
    empty_folder(place)
    (place / STIMULI_FOLDER).mkdir()
    stimuli = pd.DataFrame({"stimulus_id": [], "filename": [], "object_name": []}, dtype=object)
    if images is not None:
        stimuli = _stimuli(files, _recorded_ids(source))
        for file in files:
            target = place / STIMULI_FOLDER / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(images) / file, target)
    write_table(stimuli, place / STIMULI_FILE)
    if source is not None:
        shutil.copyfile(source, place / f"responses{source.suffix}")
    elif images is None:
        header = ["stimulus_id", "neuroid_id", "region", "repetition", "response"]
        write_table(pd.DataFrame({name: [] for name in header}), place / "responses.csv")
    name = re.sub(r"\W+", "_", place.resolve().name, flags=re.ASCII).strip("_")
    name = name if name[:1].isalpha() else f"data_{name}".rstrip("_")
    text = _TEMPLATE.format(
        folder=shlex.quote(str(folder)),
        name=name,
        name_line=_line("name", name),
        degrees_line=_line("visual_degrees", visual_degrees),
        regions_line=f"regions: [{', '.join(_quoted(region) for region in regions)}]",
        stratify_line=_line("stratify_on", _strata(stimuli)),
        license_line=_line("license", license),
    )
    (place / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
    return place


def _line(key: str, value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{key}:" if value is None else write_yaml({key: value}).strip()


def _quoted(text: str) -> str:
    return write_yaml({"x": text}).partition(":")[2].strip()


def _responses(given: str | Path | None) -> Path | None:
    if given is None:
        return None
    path = Path(given)
    if not path.is_file() or path.suffix.lower() not in _RESPONSES_SUFFIXES:
        what = f"is of the kind {path.suffix!r}" if path.is_file() else "is no file"
        raise DatasetError(
            f"{given} {what}, expected a long table (.csv) or NetCDF (.nc) of responses. For an array (.npy) or "
            f"behavior ({TRIALS_FILE}) copy the files into the folder yourself."
        )
    if path.suffix.lower() == ".csv" and (units := unit_columns(path)):
        raise DatasetError(
            f"{given} has neither a column neuroid_id nor a column response, and numbers in {listing(units)}; expected "
            f"a row per response. {MELT_ADVICE}"
        )
    return path


def _verify_regions(regions: Sequence[str]) -> None:
    if spaced := [region for region in regions if len(region.split()) > 1]:
        raise DatasetError(
            f"A region is called {spaced[0]!r}, expected names without spaces. Separate several by commas: "
            f"--regions {','.join(spaced[0].split())}"
        )


def _verify_degrees(degrees: float | None) -> None:
    if degrees is not None and not 0 < degrees <= LARGEST_DEGREES:
        raise DatasetError(
            f"The images are to cover {degrees:g} degrees, expected a number above 0 and at most "
            f"{LARGEST_DEGREES:g}. Give the degrees of the visual field that an image covered, or fill it in later."
        )


def _image_files(images: Path) -> list[Path]:
    found = sorted(each.relative_to(images) for each in images.rglob("*") if each.suffix.lower() in _IMAGE_SUFFIXES)
    found = [each for each in found if not any(part.startswith(".") for part in each.parts)]
    if not found:
        what = "holds no images" if images.is_dir() else "is no folder"
        raise DatasetError(
            f"{images} {what}, expected files of the kinds {listing(sorted(_IMAGE_SUFFIXES), 4)}. Check it."
        )
    return found


def _recorded_ids(source: Path | None) -> list[str]:
    """Return the stimuli of a long table; none when it cannot be read, which validation will explain."""
    if source is None or source.suffix.lower() != ".csv":
        return []
    entries = read_long_table(source, Findings())
    return [] if entries is None else entries.stimuli.labels


def _stimuli(files: Sequence[Path], recorded: Sequence[str]) -> pd.DataFrame:
    known = set(recorded)
    names = [
        [file.stem for file in files],
        [file.name for file in files],
        [file.with_suffix("").as_posix() for file in files],
        [file.as_posix() for file in files],
    ]
    unique = [ids for ids in names if len(set(ids)) == len(ids)]
    ids = max(unique, key=lambda ids: len(known.intersection(ids)))  # the first, where no response decides
    columns = {"stimulus_id": ids, "filename": [file.as_posix() for file in files]}
    if all(len(file.parts) > 1 for file in files):
        columns["object_name"] = [file.parent.name for file in files]
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})


def _strata(stimuli: pd.DataFrame) -> str:
    if "object_name" not in stimuli.columns or not len(stimuli):
        return "none"
    counts = Counter(stimuli["object_name"])
    return "object_name" if min(counts.values()) > 1 and len(counts) <= math.ceil(len(stimuli) / 10) else "none"

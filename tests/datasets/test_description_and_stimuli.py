"""Each rule for dataset.yaml, stimuli and manifests: a dataset that breaks it, and nothing else, gets its finding."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks_local.data import DatasetError, load_dataset, validate_dataset
from benchmarks_local.data.manifests import write_manifest

from .building import read_rows, write_rows


def yaml(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "dataset.yaml").read_text()
        assert old in text
        (folder / "dataset.yaml").write_text(text.replace(old, new))

    return change


def rows(change: Callable[[list[list[str]]], object], name: str = "stimuli.csv") -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        table = read_rows(folder / name)
        change(table)
        write_rows(folder / name, table)

    return apply


def cell(row: int, column: int, value: str, name: str = "stimuli.csv") -> Callable[[Path], None]:
    return rows(lambda table: table[row].__setitem__(column, value), name)


def split(parts: Callable[[int], str]) -> Callable[[Path], None]:
    def add(table: list[list[str]]) -> None:
        table[0].append("split")
        for row, line in enumerate(table[1:]):
            line.append(parts(row))

    return rows(add)


def both(*changes: Callable[[Path], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for change in changes:
            change(folder)

    return apply


def same_image(first: str, second: str) -> Callable[[Path], object]:
    return lambda folder: shutil.copyfile(folder / "stimuli" / first, folder / "stimuli" / second)


def fewer(n_stimuli: int) -> Callable[[Path], None]:
    """Keep the first stimuli, with their files and responses."""

    def drop(folder: Path) -> None:
        gone = {line[0] for line in read_rows(folder / "stimuli.csv")[n_stimuli + 1 :]}
        for name in ("stimuli.csv", "responses.csv"):
            write_rows(folder / name, [line for line in read_rows(folder / name) if line[0] not in gone])
        for each in gone:
            (folder / "stimuli" / f"{each}.png").unlink()

    return drop


def link_outside(folder: Path) -> None:
    (folder.parent / "elsewhere.png").write_bytes((folder / "stimuli" / "0003.png").read_bytes())
    (folder / "stimuli" / "0003.png").unlink()
    (folder / "stimuli" / "0003.png").symlink_to(folder.parent / "elsewhere.png")


def truncated(folder: Path) -> None:
    path = folder / "stimuli" / "0005.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:500])


def manifest(change: Callable[[str], str], name: str = "SHA256SUMS") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = write_manifest(folder)
        text = change(path.read_text())
        path.unlink()
        (folder / name).write_text(text)

    return write


ZERO = "0" * 64
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    # dataset.yaml
    "description-missing": (lambda folder: (folder / "dataset.yaml").unlink(), "There is no dataset.yaml"),
    "description-unreadable": (yaml("name: my_recordings", "name: [my"), "on line 1, column 7"),
    "description-unreadable alias": (yaml("species: macaque", "a: &x [1]\nb: *x"), "aliases"),
    "description-unreadable twice": (yaml("species: macaque", "name: again"), "the key name is there more"),
    "description-unreadable list": (
        lambda folder: (folder / "dataset.yaml").write_text("- name\n- degrees\n"),
        "holds a list",
    ),
    "description-unreadable python": (
        yaml("species: macaque", "species: !!python/object/apply:os.getcwd []"),
        "could not determine a construc",
    ),
    "description-unreadable size": (yaml("species: macaque", f"note: {'x' * 1_000_001}"), "characters"),
    "description-unreadable encoding": (
        lambda folder: (folder / "dataset.yaml").write_bytes(b"name: caf\xe9\n"),
        "codec",
    ),
    "description-name": (yaml("name: my_recordings", "name: my-recordings"), "'my-recordings'"),
    "description-name missing": (yaml("name: my_recordings", ""), "There is no name"),
    "description-name number": (yaml("name: my_recordings", "name: 0042"), "The name is 34"),
    "description-key": (yaml("species: macaque", "spieces: macaque"), "'spieces' means nothing"),
    "description-regions": (yaml("[V4, IT]", "[4, IT]"), "regions is [4, 'IT']"),
    "description-kind": (yaml("kind: neural", "kind: nerual"), "kind is 'nerual'"),
    "kind-missing": (yaml("kind: neural", "kind: [neural, behaviour]"), "none of trials.csv, triplets.csv"),
    "visual-degrees": (yaml("visual_degrees: 8\n", ""), "visual_degrees is not given"),
    "visual-degrees text": (yaml("visual_degrees: 8", "visual_degrees: 8 deg"), "'8 deg'"),
    "visual-degrees nan": (yaml("visual_degrees: 8", "visual_degrees: .nan"), "nan"),
    "ceiling-value": (yaml("internal_consistency", "1.5"), "The ceiling is 1.5"),
    "ceiling-value text": (yaml("internal_consistency", "split-half"), "'split-half'"),
    "time-bins": (yaml("species: macaque", "time_bins: [[170, 70]]"), "[[170, 70]]"),
    "column-types": (yaml("species: macaque", "column_types: {object_name: word}"), "'word'"),
    "column-types cell": (yaml("species: macaque", "column_types: {object_name: integer}"), "invalid literal"),
    "license-missing": (yaml("license: CC-BY-4.0\n", ""), "There is no license"),
    "stratify-column": (yaml("stratify_on: object_name", "stratify_on: object"), "'object', which is no column"),
    "content-missing": (lambda folder: (folder / "responses.csv").unlink(), "nothing that was recorded"),
    # stimuli.csv
    "stimuli-missing": (lambda folder: (folder / "stimuli.csv").unlink(), "There is no stimuli.csv"),
    "table-empty": (lambda folder: (folder / "stimuli.csv").write_text(""), "empty"),
    "table-no-rows": (rows(lambda table: table.__delitem__(slice(1, None))), "nothing below it"),
    "table-encoding": (
        lambda folder: (folder / "stimuli.csv").write_bytes(b"stimulus_id,filename\ncaf\xe9,a.png\n"),
        "UTF-8",
    ),
    "table-malformed": (rows(lambda table: table[7].append("extra")), "line 8 has 4"),
    "column-missing": (cell(0, 1, "file_name"), "no column 'filename'"),
    "column-duplicate": (cell(0, 2, "filename"), "filename is there more than once"),
    "id-empty": (cell(3, 0, ""), "empty on line 4"),
    "stimulus-duplicate": (cell(3, 0, "0000"), "0000 is there again on line 4"),
    "filename-outside": (cell(2, 1, "../../secret.png"), "../../secret.png"),
    "filename-outside detour": (cell(2, 1, "../stimuli/0001.png"), "../stimuli/0001.png"),
    "filename-outside absolute": (cell(2, 1, "/etc/hostname"), "/etc/hostname"),
    "filename-outside drive": (cell(2, 1, r"C:\images\0001.png"), r"C:\images\0001.png"),
    "filename-outside backslash": (cell(2, 1, r"..\..\x.png"), r"..\..\x.png"),
    "filename-outside link": (link_outside, "0003.png"),
    "image-missing": (lambda folder: (folder / "stimuli" / "0004.png").unlink(), "0004.png"),
    "image-missing empty": (cell(5, 1, ""), "an empty filename"),
    "image-unreadable": (lambda folder: (folder / "stimuli" / "0005.png").write_text("text"), "0005.png"),
    "image-unreadable truncated": (truncated, "truncated after 500"),
    "image-unlisted": (lambda folder: shutil.copy(folder / "stimuli.csv", folder / "stimuli" / "x.png"), "x.png"),
    "image-duplicate": (same_image("0001.png", "0002.png"), "0001 = 0002"),
    "image-leak": (
        both(split(lambda row: "train" if row % 2 else "test"), same_image("0001.png", "0002.png")),
        "0001 = 0002",
    ),
    "split-value": (split(lambda row: "training" if row % 2 else "test"), "'training'"),
    "train-few": (split(lambda row: "train" if row < 25 else "test"), "25 train stimuli, fewer than the 26"),
    "test-few": (split(lambda row: "test" if row < 25 else "train"), "25 test stimuli"),
    "stimuli-few": (fewer(51), "There are 51 stimuli"),
    "splits-small": (fewer(100), "from 50 stimuli, and each split correlates over a tenth of them: 5."),
    "splits-small of a part": (split(lambda row: "train" if row < 52 else "test"), "from 50 stimuli"),
    "stratify-class": (cell(4, 2, "okapi"), "'okapi' has one stimulus"),
    "stratify-classes": (
        rows(lambda table: [line.__setitem__(2, f"object {row % 13}") for row, line in enumerate(table) if row]),
        "13 classes, and the tenth that is tested holds 11",
    ),
    "stratify-class of a part": (
        both(split(lambda row: "train" if row < 30 else "test"), cell(4, 2, "owl"), cell(44, 2, "owl")),
        "has one stimulus in train",
    ),
    # manifests
    "manifest-mismatch": (manifest(lambda text: ZERO + text[64:]), "dataset.yaml (1) is not what it was"),
    "manifest-missing": (manifest(lambda text: f"{text}{ZERO}  gone.csv\n"), "gone.csv (1) is listed"),
    "manifest-outside": (manifest(lambda text: f"{text}{ZERO}  ../x.csv\n"), "../x.csv"),
    "manifest-malformed": (manifest(lambda text: f"{text}not a digest\n"), "(1) is not of the form"),
    "manifest-mismatch sha1": (manifest(lambda text: f"{'0' * 40}  stimuli.csv\n", "SHA1SUMS"), "stimuli.csv"),
}
WARNINGS = {
    *("description-key", "license-missing", "image-unlisted", "image-duplicate"),
    *("train-few", "test-few", "stimuli-few", "splits-small"),
}


def test_a_good_dataset_has_no_findings(folder: Path):
    assert validate_dataset(folder) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(folder: Path, fault: str):
    spoil, fragment = FAULTS[fault]
    code = fault.split()[0]
    spoil(folder)
    findings = validate_dataset(folder)
    assert {finding.code for finding in findings} == {code}, findings
    (finding, *_) = [each for each in findings if each.code == code]
    assert fragment in finding.message
    assert finding.level == ("warning" if code in WARNINGS else "error")
    assert len(finding.fix) > 10
    assert finding.where
    if code in ("image-unreadable",) or code.startswith("manifest"):  # what takes long is left to validation
        assert load_dataset(folder).n_stimuli == 102
    elif code not in WARNINGS:
        with pytest.raises(DatasetError, match=rf"has \d errors? and was not loaded(.|\n)*{code}"):
            load_dataset(folder)
    else:
        assert load_dataset(folder).name == "my_recordings"


def test_manifest_of_an_untouched_dataset_is_kept(folder: Path):
    path = write_manifest(folder)
    assert len(path.read_text().splitlines()) == 102 + 3
    assert validate_dataset(folder) == []


def test_links_within_the_dataset_and_a_linked_folder_are_followed(folder: Path, tmp_path: Path):
    (folder / "objects").mkdir()
    (folder / "stimuli" / "0003.png").rename(folder / "objects" / "0003.png")
    (folder / "stimuli" / "0003.png").symlink_to(folder / "objects" / "0003.png")
    assert validate_dataset(folder) == []
    (folder / "stimuli").rename(tmp_path / "disk")
    (folder / "stimuli").symlink_to(tmp_path / "disk")
    assert validate_dataset(folder) == []


def test_nothing_outside_is_opened(folder: Path, tmp_path: Path):
    """A name that leads outside is refused before anybody looks whether there is such a file."""
    (tmp_path / "secret.png").write_bytes((folder / "stimuli" / "0001.png").read_bytes())
    cell(2, 1, "../../secret.png")(folder)
    with pytest.raises(DatasetError, match="outside of stimuli/") as caught:
        load_dataset(folder)
    assert [finding.code for finding in caught.value.findings] == ["filename-outside"]


def test_many_errors_are_listed_in_short(folder: Path):
    for name in ("dataset.yaml", "stimuli.csv"):
        (folder / name).unlink()
    (folder / "responses.csv").unlink()
    with pytest.raises(DatasetError, match="3 errors") as caught:
        load_dataset(folder)
    assert "brain-adapters data validate" in str(caught.value)

"""Tables as they come out of spreadsheets and other people's scripts are read as they were meant, or refused."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks_local.data import load_dataset, long_tables, validate_dataset
from benchmarks_local.data.findings import Findings
from benchmarks_local.data.long_tables import read_long_table
from benchmarks_local.data.tables import read_table

from .building import IDS, read_rows, responses, write_rows

TABLES = ("stimuli.csv", "responses.csv")
RECODINGS: dict[str, Callable[[str], bytes]] = {
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "Windows line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "UTF-16 of Excel": lambda text: text.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"),
    "Excel's first line": lambda text: b"sep=;\r\n" + text.replace(",", ";").encode(),
    "semicolons and decimal commas": lambda text: (
        text.replace(",", ";").replace(".", ",").replace(",png", ".png").encode()
    ),
    "quotes": lambda text: "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in text.split("\n")[:-1]
    ).encode(),
    "spaces": lambda text: text.replace(",", " , ").encode(),
    "blank lines": lambda text: (text.replace("\n", "\n\n") + "\n").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "index of pandas": lambda text: "\n".join(
        f"{row - 1 if row else ''},{line}" for row, line in enumerate(text.split("\n")[:-1])
    ).encode(),
}


@pytest.mark.parametrize("how", RECODINGS)
def test_same_dataset_written_otherwise(folder: Path, pristine: Path, how: str):
    for name in TABLES:
        (folder / name).write_bytes(RECODINGS[how]((pristine / name).read_text()))
    assert validate_dataset(folder) == []
    loaded = load_dataset(folder)
    assert list(loaded.stimuli["stimulus_id"]) == IDS
    np.testing.assert_array_equal(loaded.recordings.values, responses())
    assert loaded.digest == load_dataset(pristine).digest


def rename(folder: Path, new: Callable[[str], str]) -> None:
    """Give every stimulus and its file another name."""
    for name in TABLES:
        lines = read_rows(folder / name)
        for line in lines[1:]:
            line[0] = new(line[0])
            if name == "stimuli.csv":
                line[1] = f"{line[0]}.png"
        write_rows(folder / name, lines)
    for path in list((folder / "stimuli").iterdir()):
        path.rename(path.with_name(f"{new(path.stem)}.png"))


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(lambda name: name, id="leading zeros"),
        pytest.param(lambda name: str(int(name)), id="numbers"),
        pytest.param(lambda name: f"{int(name)}.0", id="decimal numbers"),
        pytest.param(lambda name: f"{int(name)}e5", id="exponents"),
        pytest.param(
            lambda name: {"0000": "NA", "0001": "null", "0002": "nan", "0003": "None"}.get(name, name), id="missing"
        ),
        pytest.param(lambda name: {"0000": "True", "0001": "false"}.get(name, name), id="truth values"),
        pytest.param(lambda name: f"Hündchen 犬 {name}", id="Unicode"),
        pytest.param(lambda name: f'a, "b"; {name}', id="delimiters and quotes"),
        pytest.param(lambda name: f"2026-01-{name}", id="dates"),
    ],
)
def test_identifiers_stay_the_text_that_they_are(folder: Path, new: Callable[[str], str]):
    rename(folder, new)
    assert validate_dataset(folder) == []
    loaded = load_dataset(folder)
    assert list(loaded.stimuli["stimulus_id"]) == [new(each) for each in IDS] == list(loaded.recordings.stimulus_ids)
    np.testing.assert_array_equal(loaded.recordings.values, responses())


def test_names_of_macos_are_found(folder: Path):
    composed, decomposed = (unicodedata.normalize(form, "Hündchen.png") for form in ("NFC", "NFD"))
    (folder / "stimuli" / "0001.png").rename(folder / "stimuli" / decomposed)
    lines = read_rows(folder / "stimuli.csv")
    lines[2][1] = composed
    write_rows(folder / "stimuli.csv", lines)
    assert validate_dataset(folder) == []
    assert Path(load_dataset(folder).stimuli["path"][1]).is_file()


def test_windows_paths_within_the_folder_are_read(folder: Path):
    (folder / "stimuli" / "cats").mkdir()
    (folder / "stimuli" / "0001.png").rename(folder / "stimuli" / "cats" / "0001.png")
    lines = read_rows(folder / "stimuli.csv")
    lines[2][1] = r".\cats\0001.png"
    write_rows(folder / "stimuli.csv", lines)
    assert validate_dataset(folder) == []


def test_older_name_of_the_stimuli(folder: Path):
    for name in TABLES:
        path = folder / name
        path.write_text(path.read_text().replace("stimulus_id", "image_id", 1))
    assert validate_dataset(folder) == []


def test_rows_in_any_order(folder: Path, pristine: Path):
    head, *rows = read_rows(folder / "responses.csv")
    order = np.random.default_rng(5).permutation(len(rows))
    write_rows(folder / "responses.csv", [head, *[rows[row] for row in order]])
    assert validate_dataset(folder) == []
    loaded = load_dataset(folder).recordings
    columns = [list(loaded.neuroids["neuroid_id"]).index(f"u{unit}") for unit in range(6)]
    np.testing.assert_array_equal(loaded.values[:, :, columns], responses())


def test_table_in_pieces_is_the_table(pristine: Path, monkeypatch: pytest.MonkeyPatch):
    whole = read_long_table(pristine / "responses.csv", Findings())
    monkeypatch.setattr(long_tables, "_ROWS_AT_ONCE", 97)
    pieces = read_long_table(pristine / "responses.csv", Findings())
    np.testing.assert_array_equal(pieces.values, whole.values)
    for name in ("stimuli", "repetitions"):
        np.testing.assert_array_equal(getattr(pieces, name).codes, getattr(whole, name).codes)
        assert getattr(pieces, name).labels == getattr(whole, name).labels
    assert pieces.neuroids.equals(whole.neuroids)


@pytest.mark.parametrize(
    "text", ["0.1", "1e-310", "2.2250738585072011e-308", "1.7976931348623157e308", "-0.0", "123456789.123456789"]
)
def test_numbers_are_read_to_the_last_bit(tmp_path: Path, text: str):
    path = tmp_path / "responses.csv"
    path.write_text(f"stimulus_id,neuroid_id,response\na,u,{text}\n")
    (value,) = read_long_table(path, Findings()).values
    assert np.float64(value).tobytes() == np.float64(float(text)).tobytes()


@pytest.mark.parametrize("text", ["", "NA", "NaN", "nan", "null", "n/a"])
def test_missing_responses(tmp_path: Path, text: str):
    path = tmp_path / "responses.csv"
    path.write_text(f"stimulus_id,neuroid_id,response\na,u,{text}\nb,u,1\n")
    assert np.isnan(read_long_table(path, Findings()).values).tolist() == [True, False]


@pytest.mark.parametrize("text", ["1,5", "1_000", "high", "1.5 Hz", "0x10", "TRUE"])
def test_what_is_no_number_is_named_with_its_line(tmp_path: Path, text: str):
    path, findings = tmp_path / "responses.csv", Findings()
    path.write_text(f'stimulus_id,neuroid_id,response\na,u,1\n\nb,u,"{text}"\n')
    assert read_long_table(path, findings) is None
    (finding,) = findings
    assert finding.code == "response-number"
    assert f"{text!r} on line 4" in finding.message


@pytest.mark.parametrize("line", ["a,u,1,2", "a,u,1,2,3,4", "a,u,1,,x"])
def test_rows_with_too_many_cells_are_refused(tmp_path: Path, line: str):
    path, findings = tmp_path / "responses.csv", Findings()
    for body in (f"{line}\n", f"x,u,1\n{line}\ny,u,1\n", f"{line}\n" * 3):
        path.write_text(f"stimulus_id,neuroid_id,response\n{body}")
        findings = Findings()
        assert read_long_table(path, findings) is None, body
        assert [finding.code for finding in findings] == ["table-malformed"]


def test_rows_that_end_early_lack_what_is_not_there(tmp_path: Path):
    path, findings = tmp_path / "responses.csv", Findings()
    path.write_text("stimulus_id,response,neuroid_id\na,1\nb,2,u\n")
    read_long_table(path, findings)
    assert [finding.code for finding in findings] == ["id-empty"]


def test_a_cell_as_long_as_a_book_is_refused(tmp_path: Path):
    path, findings = tmp_path / "stimuli.csv", Findings()
    path.write_text("stimulus_id,filename\na," + "x" * (csv.field_size_limit() + 1) + "\n")
    assert read_table(path, ["stimulus_id", "filename"], findings) is None
    assert [finding.code for finding in findings] == ["table-malformed"]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"sep=;\n"])
def test_files_without_a_header(tmp_path: Path, content: bytes):
    path, findings = tmp_path / "stimuli.csv", Findings()
    path.write_bytes(content)
    assert read_table(path, ["stimulus_id"], findings) is None
    assert [finding.code for finding in findings] == ["table-empty"]


@pytest.mark.parametrize("labels", [["10", "9", "2"], ["2.0", "10.5", "1.5"], ["third", "first", "second"]])
def test_repetitions_are_ordered_by_number_or_as_they_appear(folder: Path, labels: list[str]):
    lines = read_rows(folder / "responses.csv")
    for line in lines[1:]:
        line[3] = labels[int(line[3])]
    write_rows(folder / "responses.csv", lines)
    assert validate_dataset(folder) == []
    order = np.argsort([float(label) for label in labels]) if labels[0] != "third" else np.arange(3)
    np.testing.assert_array_equal(load_dataset(folder).recordings.values, responses()[order])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"a,u,high\n" + b"a,u,1\n" * 5000 + b"caf\xe9,u,1\n", "table-encoding"),
        (b"a,u,1,2\na,u,1\n" + b"a" * 200_000 + b",u,1\n", "table-malformed"),
        (b'a,u,"1\n' + b"a,u,1\n" * 10, "response-number"),
    ],
)
def test_a_second_fault_does_not_hide_the_first(tmp_path: Path, body: bytes, code: str):
    path, findings = tmp_path / "responses.csv", Findings()
    path.write_bytes(b"stimulus_id,neuroid_id,response\n" + body)
    assert read_long_table(path, findings) is None
    assert [finding.code for finding in findings] == [code]

"""The zip as a file: where it goes, when it is refused, that it is whole or absent, and the same every time."""

import io
import json
import os
import time
import zipfile
from pathlib import Path

import pytest

from adapters.errors import AdapterError, ModelNotFoundError
from registry.submission import (
    SubmissionError,
    SubmissionExistsError,
    SubmissionOutputError,
    validate_submission,
    write_submission,
)


@pytest.mark.parametrize(("layout", "name"), [("plugin", "toy_net.zip"), ("legacy", "toy_net_legacy.zip")])
def test_zip_is_written_and_passes_its_own_validation(toy, tmp_path, layout, name):
    path = write_submission("toy_net", tmp_path / "new" / "folder", layout=layout)
    assert path == tmp_path / "new" / "folder" / name
    assert validate_submission(path) == []
    assert validate_submission(str(path)) == []
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_same_input_gives_the_same_bytes(toy, tmp_path):
    first = write_submission("toy_net", tmp_path / "a").read_bytes()
    os.utime(toy / "nets.py", (time.time() + 99, time.time() + 99))
    assert write_submission("toy_net", str(tmp_path / "b")).read_bytes() == first


def test_every_folder_has_an_entry_and_one_root_holds_all(toy, tmp_path):
    names = zipfile.ZipFile(write_submission("toy_net", tmp_path)).namelist()
    folders = {f"{folder}/" for name in names for folder in Path(name).parents if str(folder) != "."}
    assert folders <= set(names)
    assert {name.split("/")[0] for name in names} == {"toy_net"}
    assert names == sorted(names)


def test_legacy_layout_has_the_files_of_2021(toy, tmp_path):
    archive = zipfile.ZipFile(write_submission("toy_net", tmp_path, layout="legacy"))
    own = {name for name in archive.namelist() if "/runtime/" not in name and not name.endswith("/")}
    assert own == {
        *("toy_net/setup.py", "toy_net/__init__.py", "toy_net/models/__init__.py", "toy_net/models/base_models.py"),
        *("toy_net/models/source/__init__.py", "toy_net/models/source/toy_models.py", "toy_net/models/source/nets.py"),
    }
    functions = archive.read("toy_net/models/base_models.py").decode()
    for name in ("get_model_list", "get_model", "get_layers", "get_bibtex"):
        assert f"def {name}(" in functions


def test_brain_model_gets_brain_models_in_the_legacy_layout(load, tmp_path):
    load({"brain.py": "from registry import register_brain_model\n@register_brain_model\nclass MyBrain: pass\n"})
    archive = zipfile.ZipFile(write_submission("MyBrain", tmp_path, layout="legacy"))
    assert "MyBrain/models/brain_models.py" in archive.namelist()
    assert "MyBrain/models/base_models.py" not in archive.namelist()
    assert validate_submission(write_submission("MyBrain", tmp_path)) == []


@pytest.mark.parametrize("regions", [("V1", "V2", "V4", "IT"), ("IT",)])
def test_known_layers_of_all_regions_are_written_for_the_server(load, tmp_path, regions):
    mapping = {region: "0" for region in regions}
    text = f"from registry import register_model\n@register_model(region_layer_map={mapping})\ndef net(): pass\n"
    load({"mapped.py": text})
    archive = zipfile.ZipFile(write_submission("net", tmp_path))
    name = "net/models/net/region_layer_map/net.json"
    if len(regions) == 4:
        assert json.loads(archive.read(name)) == mapping
    else:
        assert name not in archive.namelist()


def test_existing_zip_is_refused_and_left_as_it_is(toy, tmp_path):
    path = tmp_path / "toy_net.zip"
    path.write_bytes(b"precious")
    with pytest.raises(
        SubmissionExistsError, match=r"toy_net\.zip exists already and was left as it is\. Pass force=True"
    ):
        write_submission("toy_net", tmp_path)
    with pytest.raises(FileExistsError):
        write_submission("toy_net", tmp_path)
    assert path.read_bytes() == b"precious"
    assert write_submission("toy_net", tmp_path, force=True) == path
    assert validate_submission(path) == []


@pytest.mark.parametrize("inside", ["", "sub/folder"])
def test_output_that_is_no_folder_is_refused(toy, tmp_path, inside):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        SubmissionOutputError, match=r"is a file; expected a folder|could not be written: Not a directory"
    ):
        write_submission("toy_net", tmp_path / "file" / inside)
    with pytest.raises(OSError, match="folder"):
        write_submission("toy_net", tmp_path / "file" / inside)


def test_folder_that_cannot_be_written_to_is_refused(toy):
    with pytest.raises(
        SubmissionOutputError, match=r"/proc/toy_net\.zip could not be written: .* choose another folder"
    ):
        write_submission("toy_net", "/proc")


@pytest.mark.parametrize("moment", ["write_bytes", "replace"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted_packaging_leaves_nothing(toy, tmp_path, monkeypatch, moment, stop):
    original = getattr(Path, moment)
    old = tmp_path / "out" / "toy_net.zip"
    old.parent.mkdir()
    old.write_bytes(b"old")

    def interrupted(path, *arguments):
        if moment == "write_bytes":
            original(path, arguments[0][:1000])
        raise stop

    monkeypatch.setattr(Path, moment, interrupted)
    with pytest.raises((KeyboardInterrupt, SubmissionOutputError)):
        write_submission("toy_net", old.parent, force=True)
    monkeypatch.undo()
    assert [(file.name, file.read_bytes()) for file in old.parent.iterdir()] == [("toy_net.zip", b"old")]


def test_model_that_breaks_a_rule_is_not_written(load, tmp_path):
    text = "from registry import register_model\nKEY = 'AKIA' 'ABCDEFGHIJKLMNOP'\nDATA = '/home/me/data'\n"
    load({"leaky.py": text.replace("' '", "") + "@register_model\ndef net(): pass\n"})
    with pytest.raises(SubmissionError) as caught:
        write_submission("net", tmp_path / "out")
    assert {problem.code for problem in caught.value.problems} == {"secret"}
    assert "net.zip would be refused, so it was not written" in str(caught.value)
    assert "source/leaky.py, line 2" in str(caught.value)
    assert isinstance(caught.value, (AdapterError, ValueError))
    assert not (tmp_path / "out").exists()


def test_unknown_layout_and_unknown_model_are_refused(toy, tmp_path):
    with pytest.raises(SubmissionError, match=r"layout='2021' is not known; expected 'plugin' or 'legacy'\."):
        write_submission("toy_net", tmp_path, layout="2021")
    with pytest.raises(ModelNotFoundError, match=r"Did you mean 'toy_net'\?"):
        write_submission("toy_nett", tmp_path)
    assert list(tmp_path.glob("*.zip")) == []


def test_zip_holds_files_that_everybody_may_read(toy, tmp_path):
    path = write_submission("toy_net", tmp_path)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert {mode for name, mode in modes.items() if name.endswith("/")} == {0o40755}
    assert {mode for name, mode in modes.items() if not name.endswith("/")} == {0o100644}
    reference = tmp_path / "reference"
    reference.touch()
    assert path.stat().st_mode == reference.stat().st_mode

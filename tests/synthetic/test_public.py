"""Without brainscore_vision, its public benchmarks say what to install."""

from __future__ import annotations

import hashlib

import pytest

from adapters.errors import MissingFrameworkError
from benchmarks_local.errors import BenchmarkNotFoundError
from benchmarks_local.public import PUBLIC_BENCHMARKS, list_public, score_public
from benchmarks_local.public_data import DataFile, find_public_data


def test_every_benchmark_says_what_to_install():
    statuses = list_public()
    assert [each.identifier for each in statuses] == list(PUBLIC_BENCHMARKS)
    for status in statuses:
        assert (status.state, status.missing) == ("library missing", ())
        assert status.message == (
            f"{status.identifier} is run by brainscore_vision, which is not installed. "
            "Install it with: pip install 'brain-adapters[brainscore]'"
        )
    regions = {each.region for each in statuses}
    assert regions == {"V1", "V2", "V4", "IT", "behavior", "other"}


def test_scoring_says_so(extractor):
    with pytest.raises(MissingFrameworkError, match=r"pip install 'brain-adapters\[brainscore\]'"):
        score_public(extractor, "MajajHong2015public.IT-pls")
    with pytest.raises(BenchmarkNotFoundError, match=r"'Nothing-pls' is none of .* They are: FreemanZiemba2013public"):
        score_public(extractor, "Nothing-pls")


PLUGIN = """
from somewhere import data_registry, stimulus_set_registry
data_registry['Mine.public'] = lambda: load_assembly_from_s3(
    identifier="lab.Mine.public", version_id="null", sha1="aa11", bucket="storage/folder", cls=None,
    stimulus_set_loader=lambda: load_stimulus_set('mine'))
stimulus_set_registry["mine"] = lambda: load_stimulus_set_from_s3(
    identifier="mine", bucket="storage", csv_sha1="bb22", zip_sha1="cc33", csv_version_id="1", zip_version_id="2",
    filename_prefix="set_")
data_registry['Other'] = make_loader("Other")
BIBTEX = "Other, Mine.public"
"""


def test_files_are_read_from_the_text_of_a_plugin(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINIO_HOME", str(tmp_path / "home"))
    (tmp_path / "lab2020").mkdir()
    (tmp_path / "lab2020" / "__init__.py").write_text(PLUGIN)
    (data,) = find_public_data(tmp_path, ["Mine.public", "Other", "Nowhere"])
    assert (data.identifier, data.module) == ("Mine.public", "brainscore_vision.data.lab2020")
    expected = {
        "https://storage.s3.amazonaws.com/folder/assy_lab_Mine_public.nc": "aa11/assy_lab_Mine_public.nc",
        "https://storage.s3.amazonaws.com/set_mine.csv": "bb22/set_mine.csv",
        "https://storage.s3.amazonaws.com/set_mine.zip": "cc33/set_mine.zip",
    }
    assert {file.url: str(file.path.relative_to(tmp_path / "home")) for file in data.files} == expected
    assert find_public_data(tmp_path, [], ["mine"])[0].files == data.files[1:]
    first: DataFile = data.files[0]
    assert not first.is_here
    first.path.parent.mkdir(parents=True)
    first.path.touch()
    assert first.is_here
    assert not first.is_whole
    whole = DataFile("empty.txt", "storage", hashlib.sha1(b"").hexdigest())
    assert not whole.is_whole
    whole.path.parent.mkdir()
    whole.path.touch()
    assert whole.is_whole

"""Models in the user's files, models of installed packages, and a package `adapters` that is not ours."""

import subprocess
import sys
from pathlib import Path

import pytest

import registry
from registry import ModelsFileError, load_models_file

ROOT = Path(__file__).parents[2]
REGISTERING = "from registry import register_model\n@register_model\ndef {name}():\n    return {value}\n"


def test_file_registers_its_models_with_modules_beside_it(toy):
    assert load_models_file(toy / "toy_models.py") == ["toy_net"]
    assert load_models_file(str(toy / "toy_models.py")) == ["toy_net"]
    assert registry.get_entry("toy_net").source.module == "toy_models"


def test_files_of_the_same_name_do_not_hide_each_other(write_project):
    folder = write_project(
        {
            "a/model.py": REGISTERING.format(name="net_a", value=1),
            "b/model.py": REGISTERING.format(name="net_b", value=2),
            "json.py": REGISTERING.format(name="net_c", value=3),
        }
    )
    assert load_models_file(folder / "a/model.py") == ["net_a"]
    assert load_models_file(folder / "b/model.py") == ["net_b"]
    assert load_models_file(folder / "json.py") == ["net_c"]
    assert "loads" in dir(sys.modules["json"])


def test_file_in_a_package_is_imported_as_its_part(write_project):
    folder = write_project(
        {
            "lab/__init__.py": "",
            "lab/values.py": "ANSWER = 42\n",
            "lab/models.py": "from .values import ANSWER\n" + REGISTERING.format(name="lab_net", value="ANSWER"),
        }
    )
    assert load_models_file(folder / "lab/models.py") == ["lab_net"]
    assert registry.get_entry("lab_net").function() == 42
    assert load_models_file("lab.models") == ["lab_net"]
    assert load_models_file(folder / "lab/models.py") == ["lab_net"]


@pytest.mark.parametrize(
    ("name", "text", "fragment"),
    [
        ("missing.py", None, "There is no file"),
        ("models.txt", "", "is no Python file"),
        ("broken.py", "import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("syntax.py", "def net(:", "SyntaxError"),
    ],
)
def test_file_that_cannot_be_imported_is_named(write_project, name, text, fragment):
    folder = write_project({} if text is None else {name: text})
    with pytest.raises(ModelsFileError) as caught:
        load_models_file(folder / name)
    assert fragment in str(caught.value)
    assert name in str(caught.value)


def test_module_that_does_not_exist_is_named():
    with pytest.raises(ModelsFileError, match=r"no_lab\.models could not be imported: ModuleNotFoundError"):
        load_models_file("no_lab.models")


def run_with(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds a folder before the repository."""
    lines = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n{code}"
    return subprocess.run([sys.executable, "-I", "-c", lines], capture_output=True, text=True, check=False)


def test_entry_points_are_loaded_at_the_first_miss_and_a_broken_one_only_warns(write_project):
    folder = write_project(
        {
            "lab_models.py": "print('loaded')\n" + REGISTERING.format(name="lab_net", value=7),
            "lab_entry.py": "from registry import ModelEntry\nENTRY = ModelEntry('entry_net', function=lambda: 8)\n",
            "lab-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n",
            "lab-1.0.dist-info/entry_points.txt": "[brain_adapters.models]\n"
            "a_broken = lab_missing\nlab = lab_models\nz_entry = lab_entry:ENTRY\n",
        }
    )
    result = run_with(
        folder,
        "import warnings, registry\n"
        "print('imported')\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    print(registry.get_entry('lab_net').function(), registry.list_models())\n"
        "print([str(warning.message) for warning in caught])\n",
    )
    assert result.returncode == 0, result.stderr
    first, second, third, message = result.stdout.splitlines()
    assert (first, second, third) == ("imported", "loaded", "7 ['entry_net', 'lab_net']")
    assert "The models of 'lab' (entry point 'a_broken' = 'lab_missing') could not be loaded" in message
    assert "No module named 'lab_missing'" in message


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("", "and carries no mark of ours"),
        ("raise RuntimeError('transformers is too new')", "and fails with RuntimeError: transformers is too new"),
    ],
)
@pytest.mark.parametrize("is_installed", [True, False])
def test_other_package_called_adapters_is_one_clear_error(write_project, text, how, is_installed):
    files = {"adapters/__init__.py": text}
    if is_installed:
        files["adapters-1.2.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: adapters\nVersion: 1.2\n"
        files["adapters-1.2.dist-info/RECORD"] = "adapters/__init__.py,,\nadapters-1.2.dist-info/METADATA,,\n"
        files["adapters-1.2.dist-info/top_level.txt"] = "adapters\n"
    folder = write_project(files)
    result = run_with(folder, "import registry")
    last = result.stderr.strip().splitlines()[-1]
    assert "AdaptersClashError: 'import adapters' finds" in last
    assert str(folder / "adapters" / "__init__.py") in last
    assert how in last
    assert "Use a separate environment" in last
    expected = "of the distribution 'adapters'" if is_installed else "which no installed distribution owns"
    assert expected in last


def test_our_own_package_passes_the_check():
    assert registry.check_adapters_package().__distribution__ == "brain-adapters"

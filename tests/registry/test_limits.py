"""What cannot come along into a submission is named, and what must be installed is listed."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import registry
from registry import Registry, register_model
from registry.submission import SubmissionError, write_submission
from registry.submission.requirements import distributions_of, requirement_lines

ROOT = Path(__file__).parents[2]
REGISTERED = "from registry import register_model\n\n@register_model\ndef net():\n    return None\n"


def test_include_of_nothing_is_an_error(load, tmp_path):
    load({"net.py": REGISTERED})
    with pytest.raises(SubmissionError, match=r"include='data/\*' names nothing below .*expected files relative to"):
        write_submission("net", tmp_path, include=["data/*"])


def test_requirements_are_what_is_imported_pinned_where_brain_score_allows_it(load, package):
    load(
        {
            "net.py": """
            import json
            import sklearn.linear_model
            import packaging.version
            from PIL import Image
            import torch
            from registry import register_model

            @register_model(requirements=["einops>=0.6"])
            def net():
                import scipy.stats

            if __name__ == "__main__":
                import matplotlib
            """
        }
    )
    text = package("net")["requirements.txt"]
    assert text.endswith("\n")
    lines = dict(line.replace(">=", "==").partition("==")[::2] for line in text.splitlines())
    assert lines == {
        **dict.fromkeys(("numpy", "pandas", "pillow", "scikit-learn", "scipy", "torch", "xarray"), ""),
        "einops": "0.6",
        "packaging": importlib.metadata.version("packaging"),
    }


@pytest.mark.parametrize(
    ("needs", "line"),
    [
        ("", "lab-tools==1.0"),
        ("numpy>=2,<2.3; python_version>='3.9'", "lab-tools"),
        ("numpy>=2; python_version<'3.9'", "lab-tools==1.0"),
        ("numpy>=2; extra=='new'", "lab-tools==1.0"),
        ("numpy<1.25,>1.20", "lab-tools==1.0"),
        ("pandas==2.1.*", "lab-tools==1.0"),
        ("pandas>=3.0", "lab-tools"),
        ("xarray>2022.6", "lab-tools"),
    ],
)
def test_distribution_that_needs_more_than_brain_score_has_is_not_pinned(write_project, needs, line):
    metadata = "Metadata-Version: 2.1\nName: lab-tools\nVersion: 1.0\n" + (f"Requires-Dist: {needs}\n" if needs else "")
    folder = write_project(
        {
            "site-packages/lab_tools.py": "",
            "site-packages/lab_tools-1.0.dist-info/METADATA": metadata,
            "site-packages/lab_tools-1.0.dist-info/top_level.txt": "lab_tools\n",
        }
    )
    sys.path.insert(0, str(folder / "site-packages"))
    lines = requirement_lines(distributions_of("lab_tools"))
    assert [found for found in lines if found.startswith("lab-tools")] == [line]


def test_given_requirement_replaces_the_derived_one(load, package):
    load(
        {
            "net.py": "import torch\n"
            + REGISTERED.replace("@register_model", "@register_model(requirements=['Torch>=2.6'])")
        }
    )
    lines = package("net")["requirements.txt"].splitlines()
    assert [line for line in lines if "torch" in line.lower()] == ["Torch>=2.6"]


def test_unreadable_requirement_is_refused(load, tmp_path):
    load({"net.py": REGISTERED.replace("@register_model", "@register_model(requirements=['torch 2.6'])")})
    with pytest.raises(SubmissionError, match=r"has the line 'torch 2\.6', which pip cannot read"):
        write_submission("net", tmp_path)


def test_package_installed_from_a_local_folder_cannot_be_required(load, tmp_path, write_project):
    folder = write_project(
        {
            "site-packages/lab_tools.py": "",
            "site-packages/lab_tools-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: lab-tools\nVersion: 1.0\n",
            "site-packages/lab_tools-1.0.dist-info/top_level.txt": "lab_tools\n",
            "site-packages/lab_tools-1.0.dist-info/direct_url.json": '{"url": "file:///lab/tools", "dir_info": {}}',
        }
    )
    sys.path.insert(0, str(folder / "site-packages"))
    load({"net.py": "import lab_tools\n" + REGISTERED})
    with pytest.raises(SubmissionError, match=r"'lab-tools', which is installed from file:///lab/tools"):
        write_submission("net", tmp_path / "out")
    address = '{"url": "https://example.org/lab/tools", "vcs_info": {"vcs": "git", "commit_id": "abc1"}}'
    (folder / "site-packages/lab_tools-1.0.dist-info/direct_url.json").write_text(address)
    path = write_submission("net", tmp_path / "out")
    assert path.is_file()


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (
            "from benchmarks_local import check_model",
            ["line 1 imports 'benchmarks_local'", 'if __name__ == "__main__":'],
        ),
        ("import registry.submission", ["line 1 imports 'registry.submission'", "when it is imported"]),
        ("from registry import submission", ["line 1 imports 'registry.submission'"]),
        (
            "import importlib; importlib.import_module('nets')",
            ["imports 'nets' by import_module()", "import statement"],
        ),
        ("nets = __import__('nets')", ["imports 'nets' by __import__()"]),
        ("import runpy\ndef late(): runpy.run_path('nets.py')", ["line 2 imports 'nets.py' by run_path()"]),
        ("import importlib; importlib.import_module('adapters.errors')", ["imports 'adapters.errors'"]),
        ("import test_tools", ["test_tools.py", "takes every file called test*.py", "Rename it"]),
        ("PATH = '../outside.txt'", ["outside.txt, which lies outside its own folder", "Move the file beside it"]),
        ("import latin", ["latin.py cannot be read as Python"]),
    ],
)
def test_what_cannot_come_along_is_named(load, write_project, tmp_path, text, fragments):
    (write_project({"nets.py": "", "test_tools.py": ""}).parent / "outside.txt").write_text("x")
    load({"net.py": f"{text}\n{REGISTERED}"} if text != "import latin" else {"net.py": REGISTERED, "latin.py": ""})
    if text == "import latin":
        (tmp_path / "project/net.py").write_text(f"{text}\n{REGISTERED}")
        (tmp_path / "project/latin.py").write_bytes(b"x = '\xe9'\n")
    with pytest.raises(SubmissionError) as caught:
        write_submission("net", tmp_path / "out")
    for fragment in fragments:
        assert fragment in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_module_that_is_nowhere_is_named(load, tmp_path):
    folder = load({"net.py": REGISTERED})
    (folder / "net.py").write_text("import nowhere_to_be_found\n" + REGISTERED)
    with pytest.raises(
        SubmissionError, match=r"line 1 imports 'nowhere_to_be_found', which is neither installed here nor"
    ):
        write_submission("net", tmp_path)
    (folder / "net.py").write_text("import nets.missing\n" + REGISTERED)
    (folder / "nets.py").write_text("")
    with pytest.raises(SubmissionError, match=r"line 1 imports 'nets\.missing', but there is no such file beside it"):
        write_submission("net", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "import importlib.util\nif importlib.util.find_spec('nowhere'):\n    import nowhere",
        "from contextlib import suppress\nwith suppress(ImportError):\n    import nowhere",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import nowhere",
        "import sys\nif sys.version_info < (3, 0):\n    from nowhere import a\nelse:\n    a = 1",
        "import typing as t\nif t.TYPE_CHECKING:\n    import nowhere",
        "import os\nif os.environ.get('NO_SUCH_VARIABLE'):\n    import side.nowhere",
    ],
)
def test_import_that_did_not_run_may_be_of_a_module_that_is_nowhere(load, package, text):
    files = {"net.py": f"{text}\n{REGISTERED}", "side.py": ""}
    load(files)
    assert "nowhere" in package("net")["source/net.py"]


def test_import_of_ours_below_a_condition_is_still_named(load, tmp_path):
    load({"net.py": f"import os\nif os.sep:\n    import benchmarks_local\n{REGISTERED}"})
    with pytest.raises(SubmissionError, match="line 3 imports 'benchmarks_local' when it is imported"):
        write_submission("net", tmp_path / "out")


def test_unowned_module_among_the_installed_packages_is_named(load, tmp_path, write_project):
    folder = write_project({"site-packages/stray.py": ""})
    sys.path.insert(0, str(folder / "site-packages"))
    load({"net.py": "import stray\n" + REGISTERED})
    with pytest.raises(
        SubmissionError, match=r"imports 'stray', which lies among the installed packages but belongs to"
    ):
        write_submission("net", tmp_path / "out")


def test_file_too_large_for_any_submission_is_named(load, tmp_path):
    folder = load({"net.py": "from pathlib import Path\nFILE = Path(__file__).parent / 'weights.bin'\n" + REGISTERED})
    with (folder / "weights.bin").open("wb") as stream:
        stream.truncate(51 * 2**20)
    with pytest.raises(SubmissionError) as caught:
        write_submission("net", tmp_path / "out")
    for fragment in (
        "weights.bin, which is larger than the 50 MB",
        "write WEIGHTS = Weights(url, sha256), register the model with weights=[WEIGHTS]",
        "load the file that WEIGHTS.fetch() returns inside the function",
    ):
        assert fragment in str(caught.value)


def test_notebook_gets_told_to_move_the_model_to_a_file(tmp_path):
    models = Registry()
    names = {"register_model": register_model, "models": models, "__name__": "__main__"}
    exec(compile("@register_model(registry=models)\ndef net(): pass", "<ipython-input-1>", "exec"), names)
    with pytest.raises(SubmissionError) as caught:
        write_submission("net", tmp_path, registry=models)
    assert "'net' was typed into a notebook or prompt (<ipython-input-1>, line 1)" in str(caught.value)
    assert "load_models_file('my_models.py'); write_submission('net', 'out')" in str(caught.value)
    assert "brain-adapters package my_models.py" in str(caught.value)


def test_main_program_gets_told_to_package_from_outside(write_project, tmp_path):
    text = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{REGISTERED}"
    text += "from registry.submission import write_submission\nwrite_submission('net', 'out')\n"
    folder = write_project({"script.py": text})
    result = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-1]
    assert "SubmissionError: Model 'net' was registered by" in last
    assert "(__main__)" in last
    assert "brain-adapters package script.py" in last
    assert not (folder / "out").exists()


def test_model_registered_by_a_running_program_cannot_be_packaged(write_project):
    late = "from registry import register_model\ndef register():\n    register_model('net')(lambda: None)\n"
    main = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport late\nlate.register()\n"
    main += "from registry.submission import write_submission\nwrite_submission('net', 'out')\n"
    folder = write_project({"late.py": late, "main.py": main})
    result = subprocess.run([sys.executable, "main.py"], cwd=folder, capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-1]
    assert "was not registered by importing a file" in last
    assert "Register it at the top level" in last
    assert not (folder / "out").exists()


def test_model_of_an_installed_package_cannot_be_packaged(write_project, tmp_path):
    folder = write_project({"site-packages/lab_models.py": REGISTERED})
    sys.path.insert(0, str(folder / "site-packages"))
    registry.load_models_file("lab_models")
    with pytest.raises(SubmissionError, match=r"is registered by an installed package .*in a file of your own"):
        write_submission("net", tmp_path)


def test_registry_of_ones_own_must_be_a_variable_of_the_file(load, tmp_path, package):
    load(
        {
            "owned.py": """
            from registry import Registry, register_model
            MINE = Registry()
            @register_model(registry=MINE)
            def net(): pass
            """
        }
    )
    mine = sys.modules["owned"].MINE
    assert "source/owned.py" in package("net", registry=mine)
    del sys.modules["owned"].MINE
    with pytest.raises(SubmissionError, match=r"in a registry that .*owned\.py does not hold in a variable"):
        write_submission("net", tmp_path / "other", registry=mine)

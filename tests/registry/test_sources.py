"""What of the user's comes along into a submission, and how it is changed."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import registry
from registry.submission import SubmissionWarning, write_submission

ROOT = Path(__file__).parents[2]
PACKAGES = {"pkg/__init__.py": "", "pkg/sub/__init__.py": ""}
REGISTERED = "from registry import register_model\n\n@register_model\ndef net():\n    return None\n"


def test_model_file_and_modules_beside_it_come_along_with_relative_imports(toy, package):
    files = package("toy_net")
    own = {name for name in files if not name.startswith("runtime/")}
    assert own == {
        *("__init__.py", "model.py", "test.py", "requirements.txt"),
        *("source/__init__.py", "source/toy_models.py", "source/nets.py"),
    }
    assert files["source/nets.py"] == (toy / "nets.py").read_text()
    original = (toy / "toy_models.py").read_text().splitlines()
    changed = dict(zip(original, files["source/toy_models.py"].splitlines(), strict=True))
    assert {line: new for line, new in changed.items() if line != new} == {
        "import adapters": "from ..runtime import adapters",
        "from registry import register_model": "from ..runtime.registry import register_model",
        "import nets": "from . import nets",
    }


def test_every_form_of_import_is_rewritten_and_still_binds_the_same_names(load, package, tmp_path, monkeypatch):
    load(
        {
            "forms.py": """
            '''Naïve text before ✓.'''
            from registry import register_model as rm; import os, lab.deep.a, side
            import lab.deep.a as a_module, json as j
            from lab.deep import a, b as b_module
            from lab.deep.a import (A,  # a comment stays
                                    second as a_second)
            from lab import *
            if os.sep: import lab.deep.b


            @rm(layers=["0"])
            def net():
                import lab.deep.c; from side import \\
                    S as later
                try:
                    import optional_speedup
                except ImportError:
                    optional_speedup = None
                return [lab.deep.a.A, a_module.A, a.A, b_module.B, A, a_second, STARRED, lab.deep.b.B,
                        lab.deep.c.C, later, side.S, j.dumps([1]), optional_speedup]


            if __name__ == "__main__":
                from benchmarks_local import check_model
                import lab.deep.a
            """,
            "lab/__init__.py": "STARRED = 'star'\n",
            "lab/deep/a.py": "from . import b\nfrom ..more import M as A\nsecond = b.B + 1\n",
            "lab/deep/b.py": "B = 2\n",
            "lab/deep/c.py": "import lab.more\nC = lab.more.M + 30\n",
            "lab/more.py": "M = 1\n",
            "lab/unused.py": "raise RuntimeError\n",
            "side.py": "S = 's'\n",
        }
    )
    expected = registry.get_entry("net").function()
    files = package("net")
    assert "source/lab/unused.py" not in files
    assert files["source/lab/deep/__init__.py"] == ""
    assert "  # a comment stays" in files["source/forms.py"]
    assert "from benchmarks_local import check_model" in files["source/forms.py"]
    for name, text in files.items():
        target = tmp_path / "unpacked" / "net_plugin" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] in ("lab", "side", "forms")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "unpacked"), *(p for p in sys.path if "project" not in p)])
    import net_plugin.model  # type: ignore[import-not-found]

    assert net_plugin.model.source.net() == expected
    assert not {"lab", "side", "forms"} & set(sys.modules)


def test_files_named_by_constants_come_along(load, package):
    load(
        {
            "named.py": """
            '''Mentions notes.txt only in passing, but that is a constant too: "other.txt" is not.'''
            import os
            from pathlib import Path
            from registry import register_model
            HERE = Path(__file__).parent
            PATHS = [HERE / "data" / "labels.json", os.path.join(os.path.dirname(__file__), "data", "b.txt"),
                     HERE.joinpath("data", "c.txt"), HERE / "d.csv", "missing.txt", "data", "", "x" * 300, "a\\0b"]

            @register_model
            def net():
                return [path.name for path in PATHS[2:4]]
            """,
            "data/labels.json": "[]",
            "data/b.txt": "b",
            "data/c.txt": "c",
            "data/unused.txt": "unused",
            "d.csv": "d",
            "other.txt": "other",
        }
    )
    files = package("net")
    data = {name for name in files if name.startswith("source/") and not name.endswith(".py")}
    assert data == {"source/data/labels.json", "source/data/b.txt", "source/data/c.txt", "source/d.csv"}


@pytest.mark.parametrize(
    "text",
    [
        "D = HERE / 'data'\nTEXT = (D / 'k.txt').read_text()",
        "D = os.path.join(os.path.dirname(__file__), 'data')\nTEXT = open(os.path.join(D, 'k.txt')).read()",
        "D: Path = HERE.joinpath('data')\nN = 'k.txt'\ndef read():\n    return (D / N).read_text()\nTEXT = read()",
        "TEXT = open(os.path.dirname(__file__) + '/data/k.txt').read()",
        "TEXT = open(f'{os.path.dirname(os.path.abspath(__file__))}/data/k.txt').read()",
        "N = 'k'\nTEXT = (HERE / 'data' / f'{N}.txt').read_text()",
        "TEXT = (HERE / 'data/k').with_suffix('.txt').read_text()",
        "TEXT = Path(HERE, 'data', 'j.txt').with_name('k.txt').read_text()",
        "TEXT = (Path(__file__).resolve().parents[0] / 'data' / 'k.txt').read_text()",
    ],
)
def test_file_named_by_a_path_made_of_the_module_file_comes_along(load, package, text):
    start = "import os\nfrom pathlib import Path\nHERE = Path(__file__).parent\n"
    load({"net.py": f"{start}{text}\n{REGISTERED}"} | {"data/k.txt": "k"})
    assert package("net")["source/data/k.txt"] == "k"


def test_file_beside_a_model_whose_name_it_has_comes_along(load, package):
    load(
        {"net.py": "from pathlib import Path\nFILE = Path(__file__).with_suffix('.txt')\n" + REGISTERED, "net.txt": "k"}
    )
    assert package("net")["source/net.txt"] == "k"


def test_variable_that_changes_is_no_folder(load, package):
    text = (
        "from pathlib import Path\nD = Path(__file__).parent\nD = D / 'data'\n\ndef read():\n    return D / 'no.txt'\n"
    )
    load({"net.py": text + REGISTERED, "data/k.txt": "k"})
    assert "source/net.py" in package("net")


def test_file_in_a_folder_above_the_module_comes_along(load, package):
    text = "from pathlib import Path\nTEXT = (Path(__file__).parent.parent / 'shared' / 'k.txt').read_text()\n"
    load({"net.py": "import pkg.sub.nets\n" + REGISTERED, "pkg/sub/nets.py": text, "pkg/shared/k.txt": "k"} | PACKAGES)
    assert package("net")["source/pkg/shared/k.txt"] == "k"


def test_file_beside_a_module_of_another_folder_on_the_path_lies_beside_it(load, package):
    text = "from pathlib import Path\nTEXT = (Path(__file__).parent / 'k.txt').read_text()\n"
    main = "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\nimport nets_lib\n"
    load({"net.py": main + REGISTERED, "lib/nets_lib.py": text, "lib/k.txt": "k"})
    files = package("net")
    assert files["source/k.txt"] == "k"
    assert "source/nets_lib.py" in files
    assert "source/lib/k.txt" not in files


def test_linked_file_comes_along_under_its_own_name(load, package, write_project, tmp_path):
    (tmp_path / "elsewhere.txt").write_text("k")
    (write_project({"unused.txt": ""}) / "k.txt").symlink_to(tmp_path / "elsewhere.txt")
    load({"net.py": "from pathlib import Path\nFILE = Path(__file__).parent / 'k.txt'\n" + REGISTERED})
    assert package("net")["source/k.txt"] == "k"


@pytest.mark.parametrize("exported", ["__all__ = ['nets']", "__all__: list = []\n__all__ += ('nets', 'unknown')"])
def test_star_import_brings_the_modules_that_the_package_names(load, package, exported):
    exported += "\nunknown = 1\n"
    load(
        {
            "net.py": "from pkg import *\nK = nets.K\n" + REGISTERED,
            "pkg/__init__.py": exported,
            "pkg/nets.py": "K = 1\n",
        }
    )
    files = package("net")
    assert files["source/pkg/nets.py"] == "K = 1\n"
    assert files["source/net.py"].startswith("from .pkg import *\n")


def test_include_brings_more(load, package):
    load(
        {"net.py": REGISTERED, "plugins/extra.py": "import late\n", "late.py": "", "data/a.bin": "a", "data/b.bin": "b"}
    )
    files = package("net", include=["plugins", "data/a.*"])
    assert {"source/plugins/extra.py", "source/late.py", "source/data/a.bin"} <= set(files)
    assert "source/data/b.bin" not in files
    assert files["source/plugins/extra.py"] == "from .. import late\n"


def test_model_in_a_package_keeps_its_place(load, package):
    load(
        {
            "lab/models/nets.py": "from ..layers import WIDTH\nfrom lab.layers import WIDTH as W\n" + REGISTERED,
            "lab/__init__.py": "",
            "lab/models/__init__.py": "",
            "lab/layers.py": "WIDTH = 3\n",
        }
    )
    files = package("net")
    assert {"source/lab/models/nets.py", "source/lab/layers.py", "source/lab/__init__.py"} <= set(files)
    assert "from .source.lab.models import nets as source" in files["model.py"]
    assert "from ..layers import WIDTH as W" in files["source/lab/models/nets.py"]


@pytest.mark.parametrize(("file", "place"), [("my-nets.py", "my_nets"), ("test_nets.py", "model_test_nets")])
def test_file_whose_name_cannot_be_submitted_is_renamed(load, package, file, place):
    load({file: REGISTERED})
    files = package("net")
    assert f"source/{place}.py" in files
    assert f"from .source import {place} as source" in files["model.py"]


def test_latin_file_keeps_its_encoding(load, tmp_path):
    text = f"# -*- coding: latin-1 -*-\n{REGISTERED}\nNAME = 'é'\n"
    folder = load({"net.py": REGISTERED})
    (folder / "net.py").write_bytes(text.encode("latin-1"))
    path = write_submission("net", tmp_path / "out")
    content = zipfile.ZipFile(path).read("net/models/net/source/net.py")
    assert content == text.replace("from registry", "from ..runtime.registry").encode("latin-1")


def test_warning_about_a_path_that_depends_on_the_working_folder(load, tmp_path):
    load({"net.py": "LABELS = 'labels.txt'\n" + REGISTERED, "labels.txt": "a"})
    with pytest.warns(SubmissionWarning, match=r"net\.zip was written, but: .*'labels\.txt' .*never __file__"):
        write_submission("net", tmp_path)


def test_warning_about_a_file_that_the_model_has_not_made_yet(load, tmp_path):
    text = "from pathlib import Path\nHERE = Path(__file__).parent\nWEIGHTS = HERE / 'weights.npz'\n" + REGISTERED
    folder = load({"net.py": text})
    with pytest.warns(SubmissionWarning, match=r"net\.zip was written without .*weights\.npz, .* build it once"):
        write_submission("net", tmp_path)
    (folder / "weights.npz").write_text("made")
    archive = zipfile.ZipFile(write_submission("net", tmp_path, force=True))
    assert archive.read("net/models/net/source/weights.npz") == b"made"


def test_models_made_by_a_function_or_of_a_library_can_be_packaged(load, package):
    load(
        {
            "family.py": """
            import nets
            import torch
            from registry import register_model

            def register(depth):
                register_model(f"net_{depth}")(lambda: nets.make(depth))

            for depth in (1, 2):
                register(depth)
            register_model("net_of_a_library")(torch.nn.Identity)
            register_model("net_of_a_module")(nets.default)
            """,
            "nets.py": "def make(depth):\n    return depth\n\ndef default():\n    return 0\n",
        }
    )
    for identifier in ("net_2", "net_of_a_library", "net_of_a_module"):
        files = package(identifier)
        assert "from .source import family as source" in files["model.py"]
        assert "source/nets.py" in files


def test_runtime_has_no_absolute_import_of_ours_and_no_test(toy, package):
    runtime = {name: text for name, text in package("toy_net").items() if name.startswith("runtime/")}
    assert {"runtime/adapters/extractor.py", "runtime/registry/decorators.py"} <= set(runtime)
    assert not [name for name in runtime if "submission" in name or Path(name).name.startswith("test") or " " in name]
    assert {Path(name).suffix for name in runtime} <= {".py", ".json", ".txt"}
    for name, text in runtime.items():
        for node in ast.walk(ast.parse(text)) if name.endswith(".py") else ():
            if isinstance(node, ast.Import):
                assert not [
                    alias.name for alias in node.names if alias.name.split(".")[0] in ("adapters", "registry")
                ], name
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert str(node.module).split(".")[0] not in ("adapters", "registry", "pickle"), name


def test_importing_the_registry_does_not_import_the_submission():
    code = "import sys, registry; print([name for name in sys.modules if 'submission' in name])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

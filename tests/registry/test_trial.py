"""Before a submission is written it runs by itself: what was left behind is an error here and not on the server."""

import ast
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from registry.submission import SubmissionError, write_submission

ROOT = Path(__file__).parents[2]

MODEL = """
    import pathlib
    import torch
    import adapters
    from registry import register_model

    class Net(torch.nn.Sequential):
        def __init__(self):
            name = "".join(["scale", ".txt"])
            super().__init__(torch.nn.Conv2d(3, 4, 3))
            self.scale = float((pathlib.Path(__file__).parent / name).read_text())

    @register_model(layers={layers}, preprocessing=adapters.raw(16))
    def net():
        {body}
"""


def model_file(body="return Net()", layers='["0"]'):
    return MODEL.format(body=body, layers=layers)


@pytest.mark.parametrize("layout", ["plugin", "legacy"])
def test_file_with_a_computed_name_is_missed_and_can_be_included(load, tmp_path, layout):
    load({"net_models.py": model_file(), "scale.txt": "2"})
    with pytest.raises(SubmissionError) as caught:
        write_submission("net", tmp_path / "out", layout=layout)
    for fragment in ("does not work by itself", "FileNotFoundError", "scale.txt", "include=[...]", "trial=False"):
        assert fragment in str(caught.value)
    assert not list(tmp_path.glob("out/*"))
    assert write_submission("net", tmp_path / "out", layout=layout, include=["scale.txt"]).exists()


@pytest.mark.parametrize(
    ("files", "fragment"),
    [
        ({"net_models.py": model_file("return 42")}, "UnsupportedModelError"),
        ({"net_models.py": model_file("raise ValueError('no weights')")}, "ValueError: no weights"),
        ({"net_models.py": model_file(layers="['1']"), "scale.txt": "2"}, "has no layer '1'"),
    ],
    ids=["no-model", "raises", "no-such-layer"],
)
def test_model_that_cannot_be_read_is_not_written(load, tmp_path, files, fragment):
    load(files)
    include = [name for name in files if name.endswith(".txt")]
    with pytest.raises(SubmissionError, match="does not work by itself") as caught:
        write_submission("net", tmp_path / "out", include=include)
    assert fragment in str(caught.value)
    assert write_submission("net", tmp_path / "out", include=include, trial=False).exists()


ONNX_FILE = """
    from pathlib import Path
    import adapters
    from registry import register_model

    @register_model(layers=["relu"], preprocessing=adapters.raw(8), bibtex="@misc{a, title={b}}")
    def net():
        return Path(__file__).with_name("net.onnx")
"""


def test_framework_that_the_source_does_not_name_is_required(load, tmp_path):
    """The function returns a path; only the model that was built from it says what it needs."""
    import onnx

    node = onnx.helper.make_node("Relu", ["images"], ["positive"], name="relu")
    shape = ["batch", 3, 8, 8]
    inputs, outputs = (
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)] for name in ("images", "positive")
    )
    graph = onnx.helper.make_graph([node], "net", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
    (load({"model.py": ONNX_FILE}) / "net.onnx").write_bytes(model.SerializeToString())
    path = write_submission("net", tmp_path / "out")
    lines = zipfile.ZipFile(path).read("net/models/net/requirements.txt").decode().splitlines()
    assert {line.partition("==")[0] for line in lines} >= {"onnx", "onnxruntime"}


KERAS = """
    import keras
    import adapters
    from registry import register_model

    @register_model(layers=["conv"], preprocessing=adapters.raw(8), bibtex="@misc{a, title={b}}")
    def net():
        print("jax and torch are words that a model may print")
        return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="conv")])
"""


def backend_there(folder, module):
    """Build the model of an unpacked submission in a process that was told nothing, and return its backend."""
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    code = f"import {module} as it, keras; it.get_model('net'); print(keras.config.backend())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_backend_of_keras_travels_along(tmp_path):
    """It is a variable of this process, and a requirement that the source does not name."""
    (tmp_path / "net.py").write_text(textwrap.dedent(KERAS))
    command = [sys.executable, "-m", "brain_adapters", "package", "net.py", "--out", "out"]
    environment = {**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.strip()) as archive:
        archive.extractall(tmp_path / "there")
    assert backend_there(tmp_path / "there" / "net", "models.net.model") == "torch"
    lines = (tmp_path / "there" / "net" / "models" / "net" / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} >= {"keras", "torch"}
    assert not {line.partition("==")[0] for line in lines} & {"jax", "tensorflow-cpu"}


def test_backend_of_keras_travels_along_in_the_legacy_layout(load, tmp_path, monkeypatch):
    """Here the answer of the trial is given: it costs two processes that import Keras, and is the same as above."""
    load({"model.py": KERAS})
    monkeypatch.setattr("registry.submission.writing.run_alone", lambda *_, **__: ("keras", "torch"))
    with zipfile.ZipFile(write_submission("net", tmp_path, layout="legacy")) as archive:
        archive.extractall(tmp_path / "there")
    assert backend_there(tmp_path / "there" / "net", "models.base_models") == "torch"


SAVED = """
    from pathlib import Path
    import adapters
    from registry import register_model

    @register_model(layers=["logits"], preprocessing=adapters.raw(8), bibtex="@misc{a, title={b}}")
    def net():
        return Path(__file__).parent / "saved"
"""


def test_folder_of_a_saved_model_is_brought_along(load, tmp_path):
    import tensorflow as tf

    model = tf.Module()
    model.scale = tf.Variable(2.0)
    shape = tf.TensorSpec([None, 8, 8, 3], tf.float32)
    signature = tf.function(lambda images: {"out": tf.nn.relu(images * model.scale)}).get_concrete_function(shape)
    tf.saved_model.save(model, str(load({"model.py": SAVED}) / "saved"), signatures=signature)
    path = write_submission("net", tmp_path / "out")
    names = zipfile.ZipFile(path).namelist()
    assert any(name.endswith("saved/saved_model.pb") for name in names)
    assert any("saved/variables/" in name for name in names)


def test_requirements_of_an_installed_library_are_found(tmp_path):
    """Where our packages are installed, numpy lies beside them; it is no file of ours."""
    for package in ("adapters", "registry"):
        shutil.copytree(ROOT / package, tmp_path / "site-packages" / package)
    code = "from registry.submission.runtime import runtime_distributions; print(sorted(runtime_distributions()))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site-packages")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert {"numpy", "pandas", "pillow", "xarray"} <= set(ast.literal_eval(done.stdout.lower()))

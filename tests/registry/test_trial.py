"""Before a submission is written it runs by itself: what was left behind is an error here and not on the server."""

import zipfile

import pytest

from registry.submission import SubmissionError, write_submission

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

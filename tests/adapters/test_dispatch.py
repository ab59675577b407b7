"""Finding the adapter for a model, also one of another package's entry point."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import adapters
from adapters.errors import AdapterWarning, MissingFrameworkError, UnsupportedModelError

ROOT = Path(__file__).parents[2]

THIRD_PARTY = """
from contextlib import contextmanager
import numpy as np
from adapters import Adapter, InputSpec, Layer, Layers

class Table:
    '''A model of a framework that nobody knows: multiplies an image by its table.'''
    table = np.arange(2.0)

class TableAdapter(Adapter):
    framework = "tables"

    @classmethod
    def accepts(cls, model):
        return isinstance(model, Table)

    @property
    def input(self):
        return InputSpec(size=(2, 3), channel_axis=-1)

    def layers(self, image_shape):
        output = Layer("logits", "Table", (2, *image_shape))
        return Layers([Layer("table", "Table", (2, *image_shape))], model="Table", output=output)

    @contextmanager
    def open(self, requests, image_shape):
        def forward(batch, out=None):
            values = self.model.table[:, None, None, None] * batch[:, None]
            return {request.requested: values.astype(np.float32) for request in requests}
        yield forward

    def to_host(self, activations):
        return dict(activations)

    def weights(self):
        yield "table", self.model.table.view(np.uint8)
"""


def install(folder, name, value, source=""):
    """Lay out an installed distribution with one entry point, as pip would."""
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[brain_adapters.adapters]\n{name} = {value}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("toy_tables", "toy_broken"):
        sys.modules.pop(name, None)


def test_adapter_of_another_package_is_found(site):
    install(site, "toy_tables", "toy_tables:TableAdapter", THIRD_PARTY)
    from toy_tables import Table

    extractor = adapters.wrap(Table(), preprocessing=adapters.Preprocessing(size=(2, 3)))
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 3, 3), dtype=np.uint8)
    assembly = extractor(images, ["table"])
    expected = np.arange(2)[None, :, None] * (images / np.float32(255)).reshape(3, 1, -1)
    np.testing.assert_allclose(assembly.values, expected.reshape(3, -1), atol=1e-6)  # channels last reached it
    assert extractor.adapter.framework == "tables"


def test_broken_adapter_of_another_package_stops_nobody(site, convnet):
    install(site, "toy_broken", "toy_broken:Adapter", "raise ImportError('no such framework')")
    with pytest.warns(AdapterWarning, match="toy_broken") as caught:
        extractor = adapters.wrap(convnet)
    assert extractor.adapter.framework == "pytorch"
    assert "no such framework" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_find_adapter_returns_the_class(convnet):
    adapter = adapters.find_adapter(convnet)
    assert issubclass(adapter, adapters.Adapter)
    assert adapter.accepts(convnet)
    assert not adapter.accepts(torch.zeros(3))
    with pytest.raises(UnsupportedModelError):
        adapters.find_adapter(torch.zeros(3))


def test_is_instance_of_does_not_import():
    assert not adapters.is_instance_of(3, "a_module_that_nobody_has", "Model")
    assert "a_module_that_nobody_has" not in sys.modules
    assert adapters.is_instance_of(torch.nn.Flatten(), "torch.nn", "Module")
    assert not adapters.is_instance_of(3, "torch", "__version__")


def test_input_and_weights_of_a_pytorch_model(convnet):
    adapter = adapters.find_adapter(convnet)(convnet)
    assert adapter.input == adapters.InputSpec(size=None, n_channels=3, channel_axis=1)
    weights = dict(adapter.weights())
    assert list(weights) == [*dict(convnet.named_parameters()), *dict(convnet.named_buffers())]
    np.testing.assert_array_equal(weights["4.bias"].view(np.float32), convnet[4].bias.detach().numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_weights_are_raw_bytes_of_any_dtype(dtype):
    model = torch.nn.BatchNorm2d(3).to(dtype)
    model.weight.data = torch.arange(6).to(dtype)[::2]  # not contiguous
    model.register_buffer("extra", torch.tensor(2.0), persistent=False)
    weights = dict(adapters.find_adapter(model)(model).weights())
    assert {"weight", "running_mean", "num_batches_tracked", "extra"} <= set(weights)
    assert weights["weight"].dtype == np.uint8
    restored = torch.from_numpy(weights["weight"].copy()).view(dtype)
    assert torch.equal(restored, model.weight.detach())


def test_paths_that_hold_no_model_say_what_would(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"")
    for path, found in (
        ("resnet50", "no file or folder"),
        (tmp_path / "weights.bin", "no model file"),
        (tmp_path, "no"),
    ):
        with pytest.raises(UnsupportedModelError) as caught:
            adapters.wrap(path)
        message = str(caught.value)
        assert repr(str(path)) in message
        assert found in message
        assert "saved_model.pb" in message
        assert ".onnx" in message
        assert "registry.get_model" in message


@pytest.mark.parametrize("container", [lambda *models: list(models), lambda *models: dict(enumerate(models))])
def test_several_models_at_once_are_refused_by_name(convnet, container):
    from flax import linen

    with pytest.raises(UnsupportedModelError, match=r"holds Sequential, Dense; one model was expected"):
        adapters.wrap(container(convnet, linen.Dense(2).bind({})))


def test_framework_that_does_not_import_says_how_to_repair_it(tmp_path):
    """And stops nobody else: the torch model of the same process is read."""
    (tmp_path / "onnxruntime.py").write_text("raise RuntimeError('libonnxruntime.so is not there')")
    (tmp_path / "net.onnx").write_bytes(b"")
    code = (
        "import adapters, adapters.errors, torch\n"
        "model = torch.nn.Sequential(torch.nn.Linear(3, 2))\n"
        "assert adapters.wrap(model, preprocessing=adapters.already_preprocessed()).adapter.framework == 'pytorch'\n"
        "try:\n    adapters.wrap('net.onnx')\n"
        "except adapters.errors.MissingFrameworkError as error:\n    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert "adapter for onnx could not be imported (RuntimeError: libonnxruntime.so is not there)" in done.stdout
    assert "pip install 'brain-adapters[onnx]'" in done.stdout, done.stderr


def test_broken_framework_does_not_stop_another(convnet, monkeypatch):
    """Keras is asked first, and its adapter cannot be imported here."""
    for name in [name for name in sys.modules if name.startswith("adapters.frameworks.keras")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keras", types.ModuleType("keras"))  # as a half-removed installation leaves it
    assert adapters.wrap(convnet).adapter.framework == "pytorch"
    with pytest.raises(MissingFrameworkError, match=r"adapter for keras .* pip install 'brain-adapters\[keras\]'"):
        adapters.wrap(object())


def test_weights_beside_a_module_in_another_order_say_the_order():
    from flax import linen

    with pytest.raises(UnsupportedModelError, match=r"holds a model, Dense, beside dict.* in this order: \(module, "):
        adapters.wrap([linen.Dense(2).bind({}), {"params": {}}])


def test_what_is_nearly_a_model_says_what_is(convnet):
    import tensorflow as tf
    from flax import linen

    for given, fragments in (
        ((linen.Dense, {}), ["class Dense", "(Dense(...), variables)"]),
        (convnet.forward, ["forward is a method of a Sequential", "Wrap the Sequential itself"]),
        (tf.compat.v1.Session(graph=tf.Graph()), ["TF1Model(session, inputs, endpoints)"]),
    ):
        with pytest.raises(UnsupportedModelError) as caught:
            adapters.wrap(given)
        assert all(fragment in str(caught.value) for fragment in fragments), caught.value


def test_wrong_name_of_the_framework_says_the_right_one(convnet):
    with pytest.raises(UnsupportedModelError, match=r"no model of tensorflow but of pytorch\. Leave framework"):
        adapters.wrap(convnet, framework="tensorflow")


def test_function_is_a_model_where_the_framework_is_named():
    import tensorflow as tf

    extractor = adapters.wrap(lambda images: tf.nn.relu(images), framework="tensorflow", preprocessing=adapters.raw(4))
    image = np.full((4, 4, 3), 51, np.uint8)
    np.testing.assert_allclose(extractor([image], ["logits"]).values, np.full((1, 48), 0.2), rtol=1e-6)


def test_content_of_a_file_is_recognised_before_its_framework_is_imported():
    code = "import adapters\ntry:\n    adapters.wrap(b'\\x08\\x07')\nexcept adapters.AdapterError as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "A model of 2 bytes holds no graph; expected an ONNX model" in done.stdout

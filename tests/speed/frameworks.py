"""Time extraction from ResNet-50 in every framework against that framework's bare compiled forward.

    python tests/speed/frameworks.py [pytorch keras-tensorflow ...] [--images 16] [--batch 8] [--rounds 5]

Each framework gets a process of its own. Per round, one after the other, on images that are loaded already:
(a) the bare forward as the framework's users run it compiled: `jax.jit`, `tf.function`, ONNX Runtime, eager PyTorch,
(c) one copy of as many bytes as all layers have, into fresh memory,
(r) the same, bringing channels before rows and columns where the framework has them last,
(x) every leaf layer by the extractor,
(w) the same at once again, into the memory that (x) gave back a moment ago,
(f) the first residual block alone by the extractor.
What counts are the ratios, each the median of the rounds' own: x/(a+c), x/(a+r), w/(a+r), goal at most 1.15, and f/a,
goal below 0.35. Memory that a virtual machine has not touched lately can cost it a second per gigabyte, in (c), (r) and
(x) alike, and the outputs of the framework cost it again: that is why there is (w). Listing and compiling come before
the first round, and are told apart ("first"). "peak" is the memory of (x), sampled above what was held before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import fresh_copy, measured, reordered_copy

HERE = Path(__file__).parent
SIZE = 224


class Subject(NamedTuple):
    """A network, how it is run without us, and where its first block ends."""

    model: Any
    bare: Callable[[np.ndarray], Any]
    first_block: str
    image_shape: tuple[int, int, int] = (SIZE, SIZE, 3)
    options: dict[str, Any] = {}  # noqa: RUF012


def pytorch() -> Subject:
    """Return torchvision's ResNet-50."""
    import torch
    import torchvision

    model = torchvision.models.resnet50(weights=None).eval()

    def bare(batch: np.ndarray) -> None:
        with torch.inference_mode():
            model(torch.from_numpy(batch))

    return Subject(model, bare, "layer1.0", (3, SIZE, SIZE))


def keras_tensorflow() -> Subject:
    """Return Keras's ResNet50 on TensorFlow."""
    import keras
    import tensorflow as tf

    model = keras.applications.ResNet50(weights=None)
    function = tf.function(lambda images: model(images, training=False))
    return Subject(model, lambda batch: np.asarray(function(tf.constant(batch))), "conv2_block1_out")


def keras_jax() -> Subject:
    """Return Keras's ResNet50 on JAX."""
    import jax
    import keras

    model = keras.applications.ResNet50(weights=None)
    trained, other = (
        [one.value for one in some] for some in (model.trainable_variables, model.non_trainable_variables)
    )
    function = jax.jit(lambda trained, other, images: model.stateless_call(trained, other, images, training=False)[0])
    return Subject(model, lambda batch: np.asarray(function(trained, other, batch)), "conv2_block1_out")


def keras_torch() -> Subject:
    """Return Keras's ResNet50 on torch."""
    import keras
    import torch

    model = keras.applications.ResNet50(weights=None)

    def bare(batch: np.ndarray) -> None:
        with torch.inference_mode():
            model(torch.from_numpy(batch), training=False)

    return Subject(model, bare, "conv2_block1_out")


def tensorflow() -> Subject:
    """Return a SavedModel, exported from Keras's ResNet50."""
    import keras
    import tensorflow as tf

    folder = tempfile.mkdtemp()
    keras.applications.ResNet50(weights=None).export(folder, verbose=False)
    function = tf.saved_model.load(folder).signatures["serving_default"]
    name = next(iter(function.structured_input_signature[1]))
    return Subject(folder, lambda batch: [*function(**{name: tf.constant(batch)}).values()], "*conv2_block1_out*")


def jax() -> Subject:
    """Return a ResNet-50 in flax linen."""
    import jax

    sys.path.insert(0, str(HERE.parent / "frameworks" / "jax"))
    from architectures_linen import ResNet

    module = ResNet()
    variables = module.init(jax.random.key(0), np.zeros((1, SIZE, SIZE, 3), np.float32))
    function = jax.jit(lambda variables, images: module.apply(variables, images, train=False))
    return Subject((module, variables), lambda batch: np.asarray(function(variables, batch)), "stage0_block0")


def onnx() -> Subject:
    """Return torchvision's ResNet-50 as an ONNX file."""
    import onnxruntime
    import torch
    import torchvision

    path = str(Path(tempfile.mkdtemp()) / "resnet50.onnx")
    model = torchvision.models.resnet50(weights=None).eval()
    torch.onnx.export(
        model, (torch.zeros(1, 3, SIZE, SIZE),), path, dynamo=False, input_names=["images"],
        dynamic_axes={"images": {0: "batch"}},
    )  # fmt: skip
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return Subject(
        path, lambda batch: session.run(None, {"images": batch}), "/layer1/layer1.0/relu_2/Relu", (3, SIZE, SIZE)
    )


SUBJECTS = {
    "pytorch": pytorch,
    "keras-tensorflow": keras_tensorflow,
    "keras-jax": keras_jax,
    "keras-torch": keras_torch,
    "tensorflow": tensorflow,
    "jax": jax,
    "onnx": onnx,
}


def measure(name: str, n_images: int, batch: int, rounds: int) -> dict[str, float]:
    """Return the figures of one framework; runs in a process of its own."""
    import adapters

    subject = SUBJECTS[name]()
    images = np.random.default_rng(0).standard_normal((n_images, *subject.image_shape), dtype=np.float32)
    options = {"preprocessing": adapters.already_preprocessed(), "batch_size": batch, **subject.options}
    extractor = adapters.wrap(subject.model, **options)
    started = time.perf_counter()
    names = list(extractor.resolve_layers("*"))
    leaves = [one for one in names if not any(other.startswith((f"{one}.", f"{one}/")) for other in names)]
    first = list(extractor.resolve_layers(subject.first_block))[-1:]
    n_neuroids = extractor.plan(images, leaves).n_neuroids
    shapes, is_last = [extractor.layers[layer].shape for layer in leaves], subject.image_shape[-1] == 3

    def bare() -> None:
        for start in range(0, n_images, batch):
            subject.bare(images[start : start + batch])

    parts: dict[str, Callable[[], Any]] = {
        "a": bare,
        "c": lambda: fresh_copy(n_images, n_neuroids, batch),
        "r": lambda: reordered_copy(n_images, shapes, batch) if is_last else fresh_copy(n_images, n_neuroids, batch),
        "x": lambda: extractor(images, leaves, calls="last", progress=False),
        "w": lambda: extractor(images, leaves, calls="last", progress=False),
        "f": lambda: extractor(images, first, progress=False),
    }
    for part in ("a", "x", "f"):
        parts[part]()
    first_run = time.perf_counter() - started
    seconds: dict[str, list[float]] = {part: [] for part in parts}
    peak = 0
    for _ in range(rounds):
        for part, run in parts.items():
            with measured() as sampled:
                result = run()
            del result
            seconds[part].append(sampled.seconds)
            peak = max(peak, sampled.peak if part == "x" else 0)
    a, c, r, x, w, f = (np.array(seconds[part]) for part in "acrxwf")
    return {
        "layers": len(leaves),
        "result": 4 * n_neuroids * n_images / 1e9,
        **{part: float(np.median(times)) for part, times in seconds.items()},
        "x/(a+c)": float(np.median(x / (a + c))),
        "x/(a+r)": float(np.median(x / (a + r))),
        "w/(a+r)": float(np.median(w / (a + r))),
        "f/a": float(np.median(f / a)),
        "peak": peak / 1e9,
        "first": first_run,
    }


def main() -> None:
    """Run the frameworks one after the other and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *SUBJECTS], help="default: all")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--here", action="store_true", help="one framework, in this process; prints JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.names[0], options.images, options.batch, options.rounds)))
        return
    print(
        f"ResNet-50, {options.images} images of {SIZE} x {SIZE}, batches of {options.batch}, {options.rounds} rounds;"
    )
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores\n")
    parts, ratios = [f"({part})" for part in "acrxwf"], ["x/(a+c)", "x/(a+r)", "w/(a+r)", "f/a"]
    columns = ["framework", "layers", "result", *parts, *ratios, "peak", "first"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name in options.names or SUBJECTS:
        environment = {
            **os.environ,
            "KERAS_BACKEND": name.partition("-")[2] or "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        numbers = [f"--{each}={getattr(options, each)}" for each in ("images", "batch", "rounds")]
        command = [sys.executable, __file__, name, "--here", *numbers]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        it = json.loads(done.stdout.splitlines()[-1])
        times = [f"{it[part]:.2f} s" for part in "acrxwf"]
        ratios = [f"{it[ratio]:.2f}" for ratio in ("x/(a+c)", "x/(a+r)", "w/(a+r)", "f/a")]
        cells = [
            name,
            it["layers"],
            f"{it['result']:.2f} GB",
            *times,
            *ratios,
            f"{it['peak']:.2f} GB",
            f"{it['first']:.0f} s",
        ]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()

"""The whole road once, on real photographs: wrap, extract, register, check, package, validate.

Run it with `make demo`, or `python examples/demo.py [FOLDER]`. It needs no network and writes to out/demo.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

# Importing a file of models registers them; nothing is built before a model is asked for.
import pytorch_alexnet
import pytorch_digits

import registry
from benchmarks_local import check_model
from registry.submission import validate_submission, write_submission

MAPS_LAYER = "features.2"


def section(number: int, title: str) -> None:
    print(f"\n=== {number}. {title} " + "=" * max(4, 90 - len(title)))


def cut_photographs(folder: Path) -> list[str]:
    """Cut scikit-learn's two photographs (a temple, a flower) into twelve square files."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, photograph in zip(("china", "flower"), load_sample_images().images, strict=True):
        for part, (top, left) in enumerate((top, left) for top in (0, 203) for left in (0, 208, 416)):
            paths.append(folder / f"{name}_{part}.jpg")
            Image.fromarray(photograph[top : top + 224, left : left + 224]).save(paths[-1], quality=92)
    return [str(path) for path in paths]


def draw(activations: Any, layers: Any, photograph: str, path: Path) -> None:
    """Draw the feature maps of one layer for one photograph, and how many values each layer has."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    maps = activations.sel(layer=MAPS_LAYER, stimulus_path=photograph).squeeze()
    shape = [int(maps[axis].max()) + 1 for axis in ("channel", "channel_x", "channel_y")]
    figure, axes = plt.subplot_mosaic(
        [
            ["photo", *(f"map{i}" for i in range(4))],
            *(["sizes", *(f"map{4 * r + i}" for i in range(4))] for r in (1, 2)),
        ],
        figsize=(13, 7),
        layout="constrained",
        width_ratios=[2.2, 1, 1, 1, 1],
    )
    axes["photo"].imshow(Image.open(photograph))
    axes["photo"].set_title(Path(photograph).name)
    for index, image in enumerate(maps.values.reshape(shape)[:12]):
        axes[f"map{index}"].imshow(image, cmap="magma")
        axes[f"map{index}"].set_title(f"channel {index}", fontsize=8)
    for name, axis in axes.items():
        if name != "sizes":
            axis.set_axis_off()
    axes["sizes"].barh(list(layers), [layers[name].n_neuroids for name in layers], color="#3b6ea5")
    axes["sizes"].invert_yaxis()
    axes["sizes"].tick_params(labelsize=7)
    axes["sizes"].set_xlabel("values per image")
    figure.suptitle(f"AlexNet: feature maps of {MAPS_LAYER}, and the size of every layer")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def extract(folder: Path) -> None:
    section(3, "Activations of real photographs")
    photographs = cut_photographs(folder / "photographs")
    extractor = registry.get_model("alexnet_v1")
    print(extractor.layers)
    wanted = [MAPS_LAYER, "features.12", "classifier.5", "logits"]
    print("\nWhat it will cost, before it runs:")
    print(extractor.plan(photographs, wanted))
    activations = extractor(photographs, layers=wanted)
    print(f"\n{extractor.report()}\n\nThe labelled assembly:\n{activations}")
    draw(activations, extractor.layers, photographs[7], folder / "alexnet.png")
    print(f"\nFigure: {folder / 'alexnet.png'}")


def train_digits() -> None:
    section(2, "A small network, really trained on handwritten digits")
    accuracy = pytorch_digits.train()
    print(f"Trained now: it reads {accuracy:.1%} of the digits rightly that it has never seen.\n")
    print(registry.get_model("digits_cnn").layers)


def check_and_package(folder: Path) -> bool:
    section(4, "Check: the steps of Brain-Score's check, offline")
    for identifier in registry.list_models():
        print(f"\n--- {identifier}")
        check_model(identifier)
    section(5, "Package and validate")
    is_clean = True
    for identifier in registry.list_models():
        for layout in ("plugin", "legacy"):
            zip_path = write_submission(identifier, folder / "submissions", layout=layout, force=True)
            problems = validate_submission(zip_path)
            is_clean = is_clean and not problems
            size = zip_path.stat().st_size / 1024
            print(f"{layout:<7} {zip_path} ({size:,.0f} KiB): {problems or 'no problems'}")
    return is_clean


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    section(1, "Register: one decorated function per model")
    for module in (pytorch_alexnet, pytorch_digits):
        print(f"examples/{Path(str(module.__file__)).name}: {(module.__doc__ or '').splitlines()[0]}")
    print(f"The registry now lists: {', '.join(registry.list_models())}")
    train_digits()
    extract(folder)
    is_clean = check_and_package(folder)
    print(f"\nDone in {time.perf_counter() - start:.0f} s. Everything written is below {folder}.")
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())

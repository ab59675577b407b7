"""Let torchvision's CUDA wheel import next to a CPU-only torch wheel. Test environment only, never the library.

Some package indexes hold a CPU build of torch but only the CUDA build of torchvision. Its compiled operators then do
not load, and its Python side stops at ``RuntimeError: operator torchvision::nms does not exist``. Everything that the
tests need (models, weights, transforms) is pure Python, so it is enough to declare the missing operators' schemas and
to import once more; the operators themselves still refuse to run.

``python torchvision_on_cpu_torch.py --install`` copies this file into the running interpreter's site-packages and adds
a ``.pth`` file that imports it at start. That puts one small finder on ``sys.meta_path`` and imports neither torch nor
torchvision. The real import is always tried first: where torchvision works, nothing is changed.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

# torchvision 0.28's _meta_registrations.py registers a fake kernel for exactly these two without asking whether the
# compiled operators are there. A torchvision that needs another one fails with its own error, as without this file.
MISSING_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_libraries: list[object] = []  # torch.library.Library removes its definitions when it is garbage-collected


class RetryingLoader(SourceFileLoader):
    """Load torchvision; when only its operators' schemas are missing, declare them and load it again."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the package, a second time if the first one failed for want of an operator."""
        before = dict(module.__dict__)
        try:
            super().exec_module(module)
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            for name in [name for name in sys.modules if name.startswith("torchvision.")]:
                del sys.modules[name]
            module.__dict__.clear()
            module.__dict__.update(before)
            declare_missing_schemas()
            super().exec_module(module)


class TorchvisionFinder:
    """Meta path finder that hands the first ``import torchvision`` to :class:`RetryingLoader`, and nothing else."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return torchvision's own spec with a retrying loader, None for every other module."""
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = RetryingLoader(spec.loader.name, spec.loader.path)
        return spec


def declare_missing_schemas() -> None:
    """Declare to torch the operators that torchvision registers fake kernels for."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name, schema in MISSING_SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
    _libraries.append(library)


def install() -> str:
    """Copy this file and its ``.pth`` into the running interpreter's site-packages; return that folder."""
    import shutil
    import sysconfig
    from pathlib import Path

    folder = Path(sysconfig.get_path("purelib"))
    shutil.copyfile(__file__, folder / "torchvision_on_cpu_torch.py")
    (folder / "torchvision_on_cpu_torch.pth").write_text("import torchvision_on_cpu_torch\n")
    return str(folder)


if __name__ == "__main__":
    if sys.argv[1:] != ["--install"]:
        raise SystemExit("usage: python torchvision_on_cpu_torch.py --install")
    install()
elif not any(isinstance(finder, TorchvisionFinder) for finder in sys.meta_path):
    sys.meta_path.insert(0, TorchvisionFinder())

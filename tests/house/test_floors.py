"""The floors of the house: imports go downwards only, and what the style page forbids is not in the library."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("adapters", "registry", "benchmarks_local", "brain_adapters")

# The floor of a module is that of its longest prefix here. A new module of adapters/ is on floor 0 until it is listed.
FLOORS = {
    "adapters": 0,
    "adapters.frameworks": 1,
    "adapters.__init__": 2,
    "adapters.dispatch": 2,
    "adapters.engines": 2,
    "adapters.extractor": 2,
    "adapters.many": 2,
    "adapters.model_tools": 2,
    "adapters.refusing": 2,
    "adapters.storing": 2,
    "adapters.testing": 2,
    "registry": 3,
    "benchmarks_local": 4,
    "brain_adapters": 5,
}
BRIDGES = {
    "adapters.brainscore",
    "benchmarks_local.public",
    "benchmarks_local.data.brainscore",
    "registry.brainscore.connecting",
    "registry.brainscore.installed",
    "registry.brainscore.plugins",
    "registry.brainscore_storage",
    "registry.clean.reading",
    "registry.commitment",
}

FRAMEWORKS = {
    *("torch", "torchvision", "timm", "transformers"),
    *("tensorflow", "tf_keras", "keras"),
    *("jax", "jaxlib", "flax", "equinox", "haiku", "onnx", "onnxruntime"),
}
BRAINSCORE = {"brainscore_vision", "brainscore_core", "brainio", "result_caching"}
SCORING = {"sklearn", "scipy", "matplotlib", "yaml", "jinja2"}
ENGINES = {"ray", "dask", "distributed"}
AT_USE_ONLY = FRAMEWORKS | BRAINSCORE | SCORING | ENGINES | {"h5netcdf", "netCDF4", "psutil"}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "misc"}
# What runs code that came with data: no module of the library may ask for it.
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
TRUSTING = {"allow_pickle": True, "weights_only": False, "trust_remote_code": True, "safe_mode": False}
MAX_LINES = 300


def floor_of(module: str) -> int:
    """Return the floor of a module; a package itself stands for its ``__init__``."""
    prefixes = [prefix for prefix in FLOORS if module == prefix or module.startswith(f"{prefix}.")]
    return FLOORS[max(prefixes, key=len)]


def imported(module: str, tree: ast.Module, modules: set[str]) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import statement, also inside functions, with the absolute name of what it imports."""
    package = module.removesuffix(".__init__") if module.endswith(".__init__") else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], *base.split(".")])
            base = base.strip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield node, name if name in modules or f"{name}.__init__" in modules else base


def problems_in(module: str, source: str, modules: set[str]) -> Iterator[str]:
    """Yield what one module does against the rules of the house."""
    tree = ast.parse(source)
    top_level = {id(node) for node in tree.body}
    for node, name in imported(module, tree, modules):
        root, where = name.partition(".")[0], f"{module}:{node.lineno}"
        in_frameworks = module.startswith("adapters.frameworks.")
        if root in PACKAGES:
            target = f"{name}.__init__" if f"{name}.__init__" in modules else name
            if floor_of(target) > floor_of(module):
                yield f"{where} imports {name} from a higher floor"
            if in_frameworks and name.startswith("adapters.frameworks."):
                framework, other = (each.split(".")[2].split("_")[0] for each in (module, name))
                if framework != other:
                    yield f"{where} imports its sibling {name}"
            if root == module.partition(".")[0] and not getattr(node, "level", 0):
                yield f"{where} imports {name} absolutely inside its own package"
        elif root in FRAMEWORKS and not in_frameworks and not module.startswith("adapters.testing"):
            yield f"{where} imports the framework {root} outside adapters/frameworks"
        elif root in BRAINSCORE and module not in BRIDGES:
            yield f"{where} imports {root} outside a bridge file"
        elif root in UNPICKLING:
            yield f"{where} imports {root}, which runs code from data"
        elif root in AT_USE_ONLY and id(node) in top_level and not (in_frameworks and root in FRAMEWORKS):
            yield f"{where} imports {root} at the top instead of where it is used"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{module}:{node.lineno} asserts"
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{module}:{node.lineno} has a bare except"
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            if keyword.arg in TRUSTING and getattr(keyword.value, "value", None) is TRUSTING[keyword.arg]:
                yield f"{module}:{node.lineno} trusts data with {keyword.arg}={TRUSTING[keyword.arg]}"
        is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        if is_print and not module.startswith("brain_adapters"):
            yield f"{module}:{node.lineno} prints"
    if (n_lines := len(source.splitlines())) > MAX_LINES:
        yield f"{module} has {n_lines} lines, more than {MAX_LINES}"
    if FORBIDDEN_NAMES & set(module.split(".")):
        yield f"{module} says nothing about its content by its name"


def house_sources() -> dict[str, str]:
    """Return the source of every module of our packages by dotted name (``adapters.__init__`` for a package)."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text("utf-8") for path in paths}


def test_house_stands():
    sources = house_sources()
    assert {f"{package}.__init__" for package in PACKAGES} <= set(sources)
    problems = [each for module, source in sources.items() for each in problems_in(module, source, set(sources))]
    assert not problems, "\n".join(problems)


def test_listed_modules_exist():
    """A floor or a bridge that names no module is a rule that protects nothing."""
    sources = house_sources()
    names = {*sources, *(name.removesuffix(".__init__") for name in sources)}
    assert {*FLOORS, *BRIDGES} - names == set()


MODULES = {
    "adapters.__init__",
    "adapters.errors",
    "adapters.extractor",
    "adapters.frameworks.__init__",
    "adapters.frameworks.pytorch",
    "adapters.frameworks.pytorch_hooks",
    "adapters.frameworks.keras",
    "adapters.testing.toys",
    "registry.__init__",
    "registry.entry",
    "benchmarks_local.__init__",
    "brain_adapters.__init__",
}


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("adapters.errors", "from .extractor import x", "higher floor"),
        ("adapters.errors", "from . import extractor", "higher floor"),
        ("adapters.errors", "from . import wrap", "higher floor"),
        ("adapters.errors", "def f():\n    import registry", "higher floor"),
        ("adapters.frameworks.pytorch", "from ..extractor import x", "higher floor"),
        ("adapters.frameworks.pytorch", "from .keras import x", "sibling"),
        ("adapters.frameworks.pytorch", "from . import keras", "sibling"),
        ("registry.entry", "from benchmarks_local import score", "higher floor"),
        ("benchmarks_local.check", "import brain_adapters", "higher floor"),
        ("registry.entry", "from registry.identifiers import x", "absolutely"),
        ("adapters.layers", "def f():\n    import torch.nn as nn", "framework torch outside"),
        ("brain_adapters.doctor", "import jax", "framework jax outside"),
        ("adapters.testing.toys", "import torch", "at the top"),
        ("registry.entry", "def f():\n    from brainscore_vision import x", "outside a bridge"),
        ("adapters.brainscore", "import brainscore_core", "at the top"),
        ("benchmarks_local.check", "from sklearn.cross_decomposition import PLSRegression", "at the top"),
        ("registry.entry", "assert True", "asserts"),
        ("registry.entry", "try:\n    pass\nexcept:\n    raise", "bare except"),
        ("registry.entry", "print(1)", "prints"),
        ("adapters.layers", "import pickle", "runs code from data"),
        ("registry.entry", "np.load(path, allow_pickle=True)", "trusts data with allow_pickle=True"),
        ("registry.entry", "torch.load(path, weights_only=False)", "trusts data with weights_only=False"),
        ("registry.entry", "x = 1\n" * 301, "301 lines"),
        ("registry.utils", "x = 1", "by its name"),
    ],
)
def test_a_broken_house_is_noticed(module: str, source: str, expected: str):
    problems = list(problems_in(module, source, MODULES))
    assert len(problems) == 1
    assert expected in problems[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("adapters.extractor", "from . import errors\nfrom .frameworks import pytorch"),
        (
            "adapters.frameworks.pytorch",
            "import torch\nfrom ..errors import AdapterError\nfrom .pytorch_hooks import x",
        ),
        ("adapters.testing.toys", "def toy():\n    import torch\n    from .. import wrap"),
        ("adapters.brainscore", "def f():\n    from brainscore_core import x"),
        ("registry.entry", "import adapters\nfrom adapters.errors import AdapterError\nfrom .store import x"),
        ("benchmarks_local.check", "import registry\ndef f():\n    import sklearn"),
        ("brain_adapters.doctor", "import adapters, registry, benchmarks_local\nprint(1)"),
    ],
)
def test_a_sound_house_passes(module: str, source: str):
    assert list(problems_in(module, source, MODULES)) == []

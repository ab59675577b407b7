"""Every public name exists and says what it is for."""

import importlib
import inspect

import pytest

PACKAGES = (
    *("adapters", "adapters.errors", "adapters.fingerprints", "adapters.model_tools", "adapters.testing"),
    *("registry", "registry.clean", "registry.submission", "brain_adapters"),
    *("benchmarks_local", "benchmarks_local.behavioral", "benchmarks_local.board", "benchmarks_local.data"),
    *("benchmarks_local.gathering", "benchmarks_local.metrics", "benchmarks_local.uncertainty"),
)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_exist_and_are_documented(package: str):
    module = importlib.import_module(package)
    assert module.__doc__
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing
    members = {name: getattr(module, name) for name in module.__all__}
    callables = {name: value for name, value in members.items() if inspect.isclass(value) or inspect.isroutine(value)}
    assert [name for name, value in callables.items() if not inspect.getdoc(value)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_public_methods_are_documented(package: str):
    module = importlib.import_module(package)
    classes = [value for name in module.__all__ if inspect.isclass(value := getattr(module, name))]
    undocumented = [
        f"{each.__name__}.{name}"
        for each in classes
        for name, member in vars(each).items()
        if not name.startswith("_") and inspect.isroutine(member) and not inspect.getdoc(getattr(each, name))
    ]
    assert undocumented == []

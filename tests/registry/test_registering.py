"""What the decorators accept, refuse and remember."""

import functools
import importlib
from pathlib import Path

import pytest

import registry
from adapters.errors import DuplicateModelError, IdentifierError, ModelNotFoundError
from registry import (
    EntryTypeError,
    ModelEntry,
    ModelFunctionError,
    ModelOptionError,
    Registry,
    Weights,
    WeightsError,
    check_identifier,
    propose_identifier,
    register_brain_model,
    register_model,
)


@pytest.fixture
def models() -> Registry:
    return Registry()


def blank():
    raise RuntimeError("a model is built only when it is asked for")


def test_bare_decorator_takes_the_name_of_the_function_and_returns_it_unchanged():
    decorated = register_model(blank)
    assert decorated is blank
    assert registry.get_entry("blank").function is blank
    registry.unregister("blank")


def test_options_and_identifier_reach_the_entry(models):
    register_model("my_net", layers=["a", "b*"], bibtex="@misc{}", visual_degrees=6, batch_size=8, registry=models)(
        blank
    )
    entry = models["my_net"]
    assert (entry.kind, entry.layers, entry.bibtex, entry.visual_degrees, entry.batch_size) == (
        "base",
        ("a", "b*"),
        "@misc{}",
        6,
        8,
    )


def test_source_names_the_file_and_the_line_below_other_decorators(models):
    @register_model("cached", registry=models)
    @functools.lru_cache
    def cached():
        return None

    source = models["cached"].source
    assert Path(source.file) == Path(__file__)
    line = Path(__file__).read_text(encoding="utf-8").splitlines()[source.line - 1]
    assert "@functools.lru_cache" in line or "@register_model" in line
    assert str(source) == f"{__file__}, line {source.line}"


def test_brain_model_may_be_a_class(models):
    @register_brain_model(registry=models)
    class MyBrain:
        pass

    assert models["MyBrain"].kind == "brain"
    assert isinstance(models["MyBrain"].build(), MyBrain)
    assert models["MyBrain"].source.line > 0


@pytest.mark.parametrize(
    ("identifier", "reason", "proposal"),
    [
        ("my-model", "contains '-', which Brain-Score refuses in model identifiers", "my_model"),
        ("_hidden", "begins with '_'", "hidden"),
        (".hidden", "begins with '.'", "hidden"),
        ("50_layers", "begins with a digit", "model_50_layers"),
        ("my model", "contains ' '", "my_model"),
        ("net.v2", "contains '.'", "net_v2"),
        ("modèle", "contains 'è'", "mod_le"),
        ("class", "a word of the Python language", "class_model"),
        ("", "is empty", "my_model"),
    ],
)
def test_illegal_identifier_says_why_and_proposes_a_legal_one(models, identifier, reason, proposal):
    with pytest.raises(IdentifierError) as caught:
        register_model(identifier, registry=models)(blank)
    assert reason in str(caught.value)
    assert f"Use {proposal!r}." in str(caught.value)
    assert check_identifier(propose_identifier(identifier)) == proposal
    assert len(models) == 0


def test_identifier_must_be_a_string():
    with pytest.raises(IdentifierError, match=r"3 is a int; a model identifier is a string"):
        check_identifier(3)  # type: ignore[arg-type]


def test_duplicate_names_where_the_first_was_registered(models):
    register_model("net", registry=models)(blank)

    def other():
        return None

    with pytest.raises(DuplicateModelError) as caught:
        register_model("net", registry=models)(other)
    line = blank.__code__.co_firstlineno
    assert f"'net' is registered already, by {__file__}, line {line}" in str(caught.value)
    assert "unregister('net')" in str(caught.value)
    assert models["net"].function is blank


def test_second_function_of_the_same_name_in_a_file_is_a_duplicate(write_project):
    folder = write_project(
        {
            "twice.py": """
            from registry import register_model

            @register_model
            def net():
                return 1

            @register_model
            def net():
                return 2
            """
        }
    )
    with pytest.raises(registry.ModelsFileError, match=r"'net' is registered already, by .*twice\.py, line 4"):
        registry.load_models_file(folder / "twice.py")


def test_function_made_in_a_loop_under_one_name_is_a_duplicate(models):
    def make(depth):
        @register_model("resnet", registry=models)
        def net():
            return depth

    make(18)
    with pytest.raises(DuplicateModelError):
        make(34)


def test_reloaded_module_replaces_its_models_also_after_an_edit(load):
    text = "from registry import register_model\n@register_model\ndef net():\n    return 'old'\n"
    folder = load({"reloaded.py": text})
    assert registry.get_entry("net").function() == "old"
    (folder / "reloaded.py").write_text("\n\n# moved down\n" + text.replace("old", "longer new"))
    importlib.invalidate_caches()
    assert registry.load_models_file(folder / "reloaded.py") == ["net"]
    assert registry.get_entry("net").function() == "longer new"


def test_notebook_cell_that_runs_again_replaces_its_model(models):
    cell = "@register_model('net', registry=models)\ndef net():\n    return {}\n"
    for number in (1, 2):
        names = {"register_model": register_model, "models": models, "__name__": "__main__"}
        exec(compile(cell.format(number), f"<ipython-input-{number}>", "exec"), names)
    assert models["net"].function() == 2


@pytest.mark.parametrize(
    ("option", "value", "fragment"),
    [
        ("layers", "features.5", "expected a list of layer names, such as ['features.5'], or a function"),
        ("layers", [3], "expected a list of layer names"),
        ("bibtex", None, "expected a string, the model's reference in BibTeX"),
        ("visual_degrees", 0, "expected a number of degrees above 0"),
        ("visual_degrees", "8", "expected a number of degrees above 0"),
        ("batch_size", 2.5, "expected a whole number of images"),
        ("behavioral_readout_layer", 3, "expected the name of one layer"),
        ("region_layer_map", {"IT": []}, "expected a mapping from region to layer"),
        ("region_layer_map", "IT", "expected a mapping from region to layer"),
        ("weights", ["https://example.org/a.pth"], "expected a list of registry.Weights(url, sha256)"),
        ("requirements", "timm", "expected a list of requirement lines"),
        ("kind", "other", "expected 'base' or 'brain'"),
    ],
)
def test_unusable_option_is_refused_at_registration(option, value, fragment):
    with pytest.raises(ModelOptionError) as caught:
        ModelEntry("net", function=blank, **{option: value})
    assert f"'net' was registered with {option}={value!r}" in str(caught.value)
    assert fragment in str(caught.value)


def test_unknown_option_lists_those_that_exist(models):
    with pytest.raises(
        ModelFunctionError, match=r"given layer=; it takes layers, preprocessing, .*, identifier and registry"
    ):
        register_model(layer=["a"], registry=models)(blank)


@pytest.mark.parametrize(
    ("function", "fragment"),
    [
        (lambda: None, "A lambda has no name"),
        (3, "expected a function which returns a model"),
        (lambda depth: None, "A lambda has no name"),
    ],
)
def test_only_functions_with_a_name_can_be_registered(models, function, fragment):
    with pytest.raises(ModelFunctionError, match=fragment):
        register_model(registry=models)(function)


def test_function_must_need_no_arguments(models):
    def net(depth):
        return depth

    with pytest.raises(ModelFunctionError, match=r"'net' cannot be called without arguments \(missing .*'depth'"):
        register_model(registry=models)(net)


def test_weights_are_carried_as_data(models):
    weights = Weights("https://example.org/nets/a.pth?download=1", "AB" * 32)
    register_model("net", weights=[weights], registry=models)(blank)
    assert models["net"].weights == (weights,)
    assert weights.sha256 == "ab" * 32
    assert weights.file_name == "a.pth"


@pytest.mark.parametrize(
    ("url", "sha256", "fragment"),
    [
        ("http://example.org/a.pth", "0" * 64, "expected one that begins with 'https://'"),
        ("a.pth", "0" * 64, "expected one that begins with 'https://'"),
        ("https://example.org/a.pth", "0" * 40, "expected the file's SHA-256 as 64 hexadecimal digits"),
    ],
)
def test_weights_need_a_safe_address_and_a_checksum(url, sha256, fragment):
    with pytest.raises(WeightsError) as caught:
        Weights(url, sha256)
    assert fragment in str(caught.value)


def test_registry_is_a_mapping(models):
    entry = ModelEntry("net", function=blank)
    models.register(entry)
    assert models["net"] is entry
    assert list(models) == ["net"]
    assert len(models) == 1
    assert "net" in models
    assert "other" not in models
    assert models.get("other") is None
    assert "net" in repr(models)
    models.unregister("net")
    assert len(models) == 0


def test_only_entries_can_be_registered(models):
    with pytest.raises(EntryTypeError, match=r"expected a ModelEntry. Use the decorator @register_model"):
        models.register(blank)


def test_mistyped_identifier_gets_a_suggestion(models):
    models.register(ModelEntry("alexnet_v1", function=blank))
    for ask in (models.__getitem__, models.unregister):
        with pytest.raises(ModelNotFoundError) as caught:
            ask("alexnet_v2")
        assert "No model 'alexnet_v2' is registered. Did you mean 'alexnet_v1'?" in str(caught.value)


def test_empty_registry_says_what_to_do(models):
    with pytest.raises(ModelNotFoundError, match=r"none is registered\. Import, or load, the file"):
        models["alexnet_v1"]

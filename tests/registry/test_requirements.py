"""What is pinned in requirements.txt goes with Brain-Score's environment, wherever the model was made."""

import zipfile

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from registry.submission import SubmissionWarning, write_submission
from registry.submission.requirements import changed_versions, requirement_lines
from registry.submission.server_pins import HOST, HOST_LIMITS, MEASURED

NEWEST, FOR_EQUINOX = MEASURED
# An environment of today, as far as it matters: JAX and ml_dtypes need numpy 2, flax needs such a JAX.
TODAY = {
    "jax": ("0.10.2", "jaxlib==0.10.2", "numpy>=2.0"),
    "jaxlib": ("0.10.2", "ml_dtypes>=0.5", "numpy>=2.0"),
    "ml_dtypes": ("0.6.0", "numpy>=2.0"),
    "flax": ("0.12.8", "jax>=0.8.1", "numpy>=1.23.2", "optax"),
    "optax": ("0.2.7", "jax>=0.5.3", "numpy>=1.18"),
    "equinox": ("0.13.8", "jax!=0.7.0,!=0.7.1,>=0.4.38", "jaxtyping"),
    "tensorflow_cpu": ("2.20.0", "keras>=3.10", "ml_dtypes<1.0.0,>=0.5.1", "numpy>=1.26", "h5py"),
    "keras": ("3.11.3", "numpy", "ml-dtypes", "optree"),
    "tf_keras": ("2.20.1", "tensorflow<2.21,>=2.20"),
    "dm_pix": ("0.5", "jax>=0.8", "numpy"),
    "optree": ("0.20.0", "typing-extensions"),
}
FOR_CPU = 'tensorflow-cpu=={}; sys_platform == "linux" and platform_machine == "x86_64"'
FOR_OTHERS = 'tensorflow=={}; sys_platform != "linux" or platform_machine != "x86_64"'


@pytest.fixture
def install(write_project, monkeypatch):
    """Return a function that writes the metadata of distributions, found before those that are really installed."""

    def write(distributions, python=""):
        files = {}
        for name, (version, *lines) in distributions.items():
            text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + python
            text += "".join(f"Requires-Dist: {line}\n" for line in lines)
            files[f"site-packages/{name}-{version}.dist-info/METADATA"] = text
            files[f"site-packages/{name}-{version}.dist-info/top_level.txt"] = f"{name}\n"
            files[f"site-packages/{name}.py"] = ""
        monkeypatch.syspath_prepend(str(write_project(files) / "site-packages"))

    return write


def pins(lines):
    """Return versions by name, of lines that pin one."""
    return dict(line.split("==") for line in lines if "==" in line and ";" not in line)


@pytest.mark.parametrize("table", MEASURED)
def test_each_measured_set_goes_together_and_with_brain_score(table):
    versions = {**HOST, **{name: version for name, (version, _) in table.items()}}
    for name, (_, lines) in table.items():
        for requirement in map(Requirement, lines):
            other = requirement.name.lower().replace("_", "-")
            assert requirement.specifier.contains(versions[other]), (name, str(requirement))
    assert all(SpecifierSet(limit).contains(HOST[name]) for name, limit in HOST_LIMITS.items())


def test_versions_that_brain_score_cannot_take_are_replaced_by_measured_ones(install):
    install(TODAY)
    found = pins(requirement_lines(["flax", "jax", "numpy"]))
    replaced = ("flax", "jax", "jaxlib", "ml-dtypes", "orbax-checkpoint", "tensorstore", "treescope")
    assert found == {**{name: NEWEST[name][0] for name in replaced}, "optax": "0.2.7"}
    assert changed_versions(["flax", "jax", "numpy"]) == {
        "flax": ("0.12.8", NEWEST["flax"][0]),
        "jax": ("0.10.2", NEWEST["jax"][0]),
    }


def test_equinox_gets_the_jax_that_it_works_with(install):
    install(TODAY)
    found = pins(requirement_lines(["equinox", "jax"]))
    assert found == {"equinox": "0.13.8", **{name: FOR_EQUINOX[name][0] for name in ("jax", "jaxlib", "ml-dtypes")}}


def test_versions_that_brain_score_can_take_are_kept(install):
    older = {name: (version, *lines) for name, (version, lines) in FOR_EQUINOX.items()}
    install(older | {"jax": ("0.6.1", "jaxlib==0.6.1"), "jaxlib": ("0.6.1", "ml_dtypes>=0.5", "numpy>=1.26")})
    found = pins(requirement_lines(["flax", "jax"]))
    assert (found["jax"], found["jaxlib"], found["flax"]) == ("0.6.1", "0.6.1", FOR_EQUINOX["flax"][0])
    assert changed_versions(["flax", "jax"]) == {}


def test_version_that_a_measured_one_refuses_is_replaced(install):
    """The JAX would be fine, but not for the Equinox that goes with Brain-Score."""
    newer = {"equinox": ("0.14", "jax>=0.7", "numpy>=2"), "jax": ("0.7.1", "jaxlib==0.7.1"), "jaxlib": ("0.7.1",)}
    install(TODAY | newer)
    found = pins(requirement_lines(["equinox", "jax"]))
    assert found == {name: FOR_EQUINOX[name][0] for name in ("equinox", "jax", "jaxlib", "ml-dtypes")}


def test_what_a_fitting_version_needs_is_pinned_where_the_newest_would_not_fit(install):
    """TensorFlow accepts numpy 1, but also the newest ml_dtypes, with which pip would exchange numpy."""
    install(TODAY)
    lines = requirement_lines(["tensorflow_cpu", "keras", "numpy"])
    expected = ["keras==3.11.3", "ml-dtypes==0.5.4", "numpy", FOR_CPU.format("2.20.0"), FOR_OTHERS.format("2.20.0")]
    assert lines == expected
    assert changed_versions(["tensorflow_cpu", "keras"]) == {}


@pytest.mark.parametrize("build", ["tensorflow", "tensorflow_cpu"])
def test_tensorflow_is_required_under_the_name_that_suits_the_machine(install, build):
    install({build: TODAY["tensorflow_cpu"]})
    lines = requirement_lines([build])
    assert {FOR_CPU.format("2.20.0"), FOR_OTHERS.format("2.20.0")} <= set(lines)


def test_tensorflow_is_not_installed_twice_where_another_asks_for_it_by_name(install):
    install(TODAY)
    lines = requirement_lines(["tf_keras", "tensorflow_cpu"])
    assert {"tensorflow==2.20.0", "tf-keras==2.20.1"} <= set(lines)
    assert not [line for line in lines if line.startswith("tensorflow-cpu")]


def test_line_of_the_user_about_a_framework_leaves_what_it_needs_to_pip(install):
    install(TODAY)
    lines = requirement_lines(["flax", "jax"], ["jax==0.8.0"])
    assert "jax==0.8.0" in lines
    assert not [line for line in lines if line.startswith(("jaxlib", "ml-dtypes", "optax"))]
    assert "jax" not in changed_versions(["flax", "jax"], ["jax==0.8.0"])


@pytest.mark.parametrize("given", ["TensorFlow==2.19", "tensorflow-cpu==2.19"])
def test_line_of_the_user_about_one_build_replaces_the_other(install, given):
    install(TODAY)
    assert [line for line in requirement_lines(["tensorflow_cpu"], [given]) if "ensor" in line] == [given]


def test_pip_may_only_search_within_the_limits_of_brain_score(install):
    """Nobody measured dm_pix, and this version needs a JAX that Brain-Score cannot have."""
    install(TODAY)
    lines = requirement_lines(["dm_pix", "jax", "numpy", "torch"], ["pandas>=2"])
    assert {"dm-pix", f"jax=={NEWEST['jax'][0]}", "numpy<2", "xarray<2022.6", "pandas>=2", "torch"} <= set(lines)
    assert changed_versions(["dm_pix"]) == {"dm-pix": ("0.5", "")}


def test_limits_of_brain_score_are_left_out_where_every_version_is_known(install):
    install(TODAY)
    assert requirement_lines(["optree", "numpy"]) == ["numpy", "optree==0.20.0"]


def test_version_for_another_python_than_the_servers_is_not_pinned(install):
    install({"lab_tools": ("1.0",)}, python="Requires-Python: >=3.12\n")
    assert "lab-tools" in requirement_lines(["lab_tools"])


@pytest.mark.parametrize(
    ("marker", "line"),
    [
        ("python_version < '3.12'", "lab-tools"),
        ("python_version >= '3.12'", "lab-tools==1.0"),
        ("sys_platform == 'darwin'", "lab-tools==1.0"),
    ],
)
def test_markers_are_read_as_on_the_server(install, monkeypatch, marker, line):
    elsewhere = {**default_environment(), "python_version": "3.14", "sys_platform": "darwin"}
    monkeypatch.setattr("packaging.markers.default_environment", lambda: elsewhere)
    install({"lab_tools": ("1.0", f"numpy>=2; {marker}")})
    assert line in requirement_lines(["lab_tools"])


@pytest.mark.parametrize("name", sorted(HOST))
def test_what_brain_score_brings_along_is_never_pinned(install, name):
    install({name: ("99.0",)})
    assert requirement_lines([name]) == [name]


def test_other_versions_on_the_server_are_said_once(install, load, tmp_path):
    install(TODAY)
    text = (
        "import dm_pix, optree\nfrom registry import register_model\n\n@register_model\ndef net():\n    return None\n"
    )
    load({"net.py": text})
    with pytest.warns(SubmissionWarning) as caught:
        path = write_submission("net", tmp_path)
    assert [str(each.message) for each in caught] == [
        "net.zip was written, but the model was built here with dm-pix 0.5, and Brain-Score's environment takes dm-pix "
        f"of a version that pip finds: `brain-adapters check --clean {path}` compares the activations."
    ]
    assert f"jax=={NEWEST['jax'][0]}" in zipfile.ZipFile(path).read("net/models/net/requirements.txt").decode()

"""The steps of the clean check. Each takes the path of a log and returns what it found, or raises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import listing

from ..store import Registry
from ..submission.registrations import website_identifiers
from .causes import fix_for
from .commands import run_logged
from .comparing import compare_activations
from .environments import BRAINSCORE, Environment, base_environment, plugin_environment, reused_environment
from .here import read_here
from .images import draw_images
from .overlay import make_overlay
from .programs import Answers, read
from .pytests import run_tests
from .report import LeftOut, StepError
from .unpacking import Unpacked
from .variables import reused_variables, server_variables

__all__ = ["CleanOptions", "CleanSteps"]

_IMAGES = ("first.png", "second.png", "third.png")
_WHERE = "from importlib.util import find_spec; print(find_spec('brainscore_vision').submodule_search_locations[0])"


@dataclass(frozen=True)
class CleanOptions:
    """How a clean environment is made.

    Parameters
    ----------
    reuse : Path, optional
        An environment to use as it is, in place of a clean one; nothing is installed.
    work : Path, optional
        Where environments are kept and logs are written; a folder in the user's cache if not given.
    constraints : Path, optional
        A constraints file for pip.
    brainscore : str
        Version of brainscore-vision.
    """

    reuse: Path | None = None
    work: Path | None = None
    constraints: Path | None = None
    brainscore: str = BRAINSCORE


class CleanSteps:
    """The steps, and what one leaves for the next.

    Parameters
    ----------
    unpacked : Unpacked
        The submission.
    options : CleanOptions
        How to make the environment.
    work : Path
        Folder of environments.
    folder : Path
        Folder for everything else.
    registry : Registry
        A model that is registered in it is compared with, in place of the zip's.
    """

    def __init__(self, unpacked: Unpacked, options: CleanOptions, work: Path, folder: Path, registry: Registry) -> None:
        self.folder = folder
        self.environment: Environment | None = None
        self.unpacked = unpacked
        self._registry = registry
        self._options = options
        self._environments = work / "environments"
        self._homes = work / "homes"
        self._base: Environment
        self._overlay = folder / "overlay"
        self._plugin: Path
        self._is_taken: bool  # the name of its folder, by a plugin of Brain-Score's, whose place it has in the overlay
        self._identifier = ""
        self._answers: Answers

    def make_base(self, log: Path) -> str:
        """Make the environment that all submissions share, or find it."""
        options = self._options
        if options.reuse is not None:
            self._base = self.environment = reused_environment(options.reuse)
            return f"{options.reuse}, used as it is"
        self._base = base_environment(
            self._environments, log, brainscore=options.brainscore, constraints=options.constraints
        )
        what = "installed" if self._base.is_new else "installed before"
        return f"brainscore-vision {options.brainscore} {what}, {self._base.folder.name}"

    def install(self, log: Path) -> str:
        """Install the submission's ``setup.py``, then its ``requirements.txt``."""
        if self._options.reuse is not None:
            raise LeftOut("nothing is installed into an environment that is used as it is")
        folder = self.unpacked.folder
        environment = plugin_environment(
            self._environments, self._base, folder, log, constraints=self._options.constraints
        )
        self.environment = environment
        files = [name for name in ("setup.py", "requirements.txt") if (folder / name).is_file()]
        what = "installed" if environment.is_new else "installed before"
        conflicts = f"; but {listing(environment.conflicts)}" if environment.conflicts else ""
        return f"{' and '.join(files) or 'nothing'} {what}, {environment.folder.name}{conflicts}"

    def put_in_place(self, log: Path) -> str:
        """Put the plugin among Brain-Score's models."""
        try:
            run_logged([self._python, "-P", "-c", _WHERE], log, folder=self.folder, variables=self._variables())
        except StepError as error:
            raise StepError(
                f"There is no brainscore_vision in {self._python}. {error}",
                "Install it there (pip install 'brainscore-vision[test]'), or leave --reuse out.",
            ) from error
        installed = Path(log.read_text("utf-8").splitlines()[-1])
        self._is_taken = (installed / "models" / self.unpacked.plugin).is_dir()
        self._plugin = make_overlay(installed, self.unpacked.folder, self._overlay)
        others = [each for each in self._plugin.parent.glob("[!._]*/__init__.py") if each.parent != self._plugin]
        return f"beside {len(others)} plugins of Brain-Score"

    def load(self, log: Path) -> str:
        """Load the model through ``brainscore_vision.load_model``."""
        self._answers = self._read_there(("load", "registration", "bibtex"), log, "loading")
        found = self._answers.of("load")
        commitment = "; regions committed to spread layers for the tests" if found["is_committed_here"] else ""
        return f"{found['type']} {found['name']}{commitment}"

    def find_registration(self, log: Path) -> str:
        """Ask the four programs that read registrations, and see whether the model is new to Brain-Score."""
        seen = {"the website": website_identifiers((self._plugin / "__init__.py").read_text("utf-8"))}
        seen.update(self._answers.of("registration"))
        blind = [f"{who} sees {names}" for who, names in seen.items() if names != [self.unpacked.identifier]]
        if blind:
            raise StepError(
                f"Expected {[self.unpacked.identifier]}, but {'; '.join(blind)}.",
                "Register the model in one line, model_registry['identifier'] = lambda: ..., without other brackets.",
            )
        if self._is_taken:
            name = self.unpacked.plugin
            raise StepError(
                f"Brain-Score has a plugin in a folder {name!r} already, so the website refuses this one.",
                f"Choose another identifier, for example {name + '_v2'!r}, and write the submission again.",
            )
        return f"seen by {', '.join(seen)}"

    def find_bibtex(self, log: Path) -> str:
        """Ask for the reference."""
        bibtex = str(self._answers.of("bibtex")["bibtex"])
        if not bibtex.strip():
            return "there is none, so nobody will be cited: pass bibtex=... in the registration"
        if "url" not in bibtex.lower() and "doi" not in bibtex.lower():
            return "it has neither url nor doi, and Brain-Score needs one"
        return bibtex.strip().splitlines()[0].rstrip(",")

    def call_functions(self, log: Path) -> str:
        """Call the functions of the layout of 2021."""
        answers = self._read_there(("functions",), log, "functions")
        found = answers.of("functions")
        self._identifier = str(found["listed"][0]) if not self.unpacked.identifier else ""
        return f"get_model_list {found['listed']}, get_model {found['type']}, {len(found['layers'])} layers, get_bibtex"

    def run_generic_tests(self, log: Path) -> str:
        """Run the tests that Brain-Score has for every model."""
        tests = self._plugin.parents[1] / "model_helpers" / "generic_plugin_tests.py"
        command = (tests, "--plugin_directory", self._plugin)
        return run_tests(self._python, command, self._overlay, log, variables=self._variables())

    def run_own_tests(self, log: Path) -> str:
        """Run the plugin's own tests."""
        tests = self._plugin / "test.py"
        return run_tests(self._python, (tests,), self._overlay, log, variables=self._variables(), may_be_empty=True)

    def compare(self, log: Path) -> str:
        """Read the same images there and here."""
        images = draw_images(self.folder / "images", _IMAGES)
        there = self._read_there((self._first, "activations"), log, "there", images).of("activations")
        here = read_here(self.unpacked, self._registry, there, images, self.folder / "here", log)
        differences = compare_activations(there["read"], here["read"])
        worst = max(differences, key=lambda each: each.relative)
        return (
            f"{len(differences)} of {len(differences)} agree on {len(_IMAGES)} images; largest difference "
            f"{max(each.absolute for each in differences):.2g}, {worst.relative:.2g} relative ({worst.layer})"
        )

    @property
    def identifier(self) -> str:
        """Of the model."""
        return self._identifier or self.unpacked.identifier

    @property
    def _first(self) -> str:
        """The part that builds the model in the clean environment."""
        return "load" if self.unpacked.plugin else "functions"

    @property
    def _python(self) -> Path:
        return (self.environment or self._base).python

    def _variables(self) -> dict[str, str]:
        variables = (reused_variables if self._options.reuse else server_variables)(self._homes)
        path = self._overlay if self.unpacked.plugin else self.unpacked.root
        return {**variables, "PYTHONPATH": str(path), "BS_INSTALL_DEPENDENCIES": "no"}

    def _read_there(self, parts: Sequence[str], log: Path, name: str, images: Sequence[Path] = ()) -> Answers:
        job = {
            "module": self.unpacked.module,
            "identifier": self.unpacked.identifier,
            "images": [str(image) for image in images],
            "plugin": str(self._plugin) if self.unpacked.plugin else "",
        }
        try:
            answers = read(self._python, job, parts, self.folder / name, log, self._variables())
            if self._first in parts:
                answers.of(self._first)
        except StepError as error:
            error.fix = self._advice(error)
            raise
        return answers

    def _advice(self, error: StepError) -> str:
        """Say first what may be wrong with this environment, then what usually helps against the error."""
        fix = error.fix or fix_for(str(error), error.log)
        if self._options.reuse is not None and "No module named" in str(error):
            what = self.unpacked.folder / ("requirements.txt" if self.unpacked.plugin else "setup.py")
            return f"Nothing is installed with --reuse: see whether {what} names it, and install it there. Else: {fix}"
        if self.environment is not None and (conflicts := listing(self.environment.conflicts)):
            return (
                f"The submission's requirements exchanged what Brain-Score needs: {conflicts}. Pin them with "
                "requirements=['name==version'] to versions that go with it, and write the submission again. "
                f"Else: {fix}"
            )
        return fix

"""The code blocks of README.md and docs/*.md run: a page's blocks in order, in one namespace, in an empty folder.

`python` blocks run as written; of `console`, `bash` and `shell` blocks the lines that start with ``brain-adapters`` (or
``$ brain-adapters``). The folder holds dog.png and cat.png and a copy of examples/. One HTML comment directly above a
block changes this: ``<!-- not run: reason -->`` leaves it out, ``<!-- save as: my_models.py -->`` writes it to a file.
Links to files of the repository lead to files that are there.
"""

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ESCAPES = ("py", "pycon", "python3", "ipython", "Python")
SHELLS = ("console", "bash", "shell", "sh")
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<language>[\w-]*)")
MARK = re.compile(r"^\s*<!--\s*(?P<what>not run|save as)\s*:\s*(?P<value>.*?)\s*-->\s*$")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)(?: [^)]*)?\)|^\[[^\]]+\]: *(?P<defined>\S+)", re.MULTILINE)
CODE = re.compile(r"(`+)[^`]+\1")
RUN_SHELL = (
    "import shlex, subprocess, sys; _shell = lambda command: subprocess.run("
    "[sys.executable, '-m', 'brain_adapters', *shlex.split(command)[1:]], check=True)"
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its lines, the number of its first line (from 1), the mark above it."""

    language: str
    lines: list[str]
    first_line: int
    mark: str
    value: str


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        if opening := FENCE.match(lines[position]):
            indent, fence = len(opening["indent"]), opening["fence"]
            end = next((n for n in range(position + 1, len(lines)) if lines[n].strip() == fence), None)
            assert end is not None, f"line {position + 1}: this block is never closed"
            mark = MARK.match(lines[position - 1]) if position else None
            assert mark is None or mark["value"], f"line {position}: a mark needs its reason or file name"
            assert opening["language"] not in ESCAPES, (
                f"line {position + 1}: write ```python, so that this block is run"
            )
            content = [line[indent:] for line in lines[position + 1 : end]]
            yield Block(
                opening["language"], content, position + 2, mark["what"] if mark else "", mark["value"] if mark else ""
            )
            position = end
        position += 1


def shell_commands(lines: list[str]) -> list[str]:
    """Return the `brain-adapters` commands of a shell block, one per line, continued lines put together."""
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()
    bare = [line.removeprefix("$ ").split("  #")[0].strip() for line in joined]
    return [line for line in bare if line.startswith("brain-adapters ")]


def script_of(text: str) -> str:
    """Return one Python script with every block that runs, on the same line numbers as in the page."""
    script = ["", *([""] * len(text.splitlines()))]
    for block in blocks_of(text):
        if block.mark == "not run":
            continue
        if block.mark == "save as":
            content = "\n".join(block.lines) + "\n"
            script[block.first_line] = f"__import__('pathlib').Path({block.value!r}).write_text({content!r})"
        elif block.language == "python":
            script[block.first_line : block.first_line + len(block.lines)] = block.lines
        elif block.language in SHELLS:
            script[block.first_line] = "; ".join(f"_shell({command!r})" for command in shell_commands(block.lines))
    return "\n".join([RUN_SHELL, *script[2:]]) + "\n"


def broken_links(text: str, folder: Path) -> list[str]:
    """Return the targets of links to files that do not exist, relative to the folder of the page; code has no links."""
    lines = text.splitlines()
    for block in blocks_of(text):
        lines[block.first_line - 1 : block.first_line - 1 + len(block.lines)] = [""] * len(block.lines)
    found = LINK.finditer(CODE.sub("", "\n".join(lines)))
    targets = [match["target"] or match["defined"] for match in found]
    paths = {target: target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:", target)}
    return [target for target, path in paths.items() if path and not (folder / path).exists()]


def run_page(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a page's blocks in a folder with two photographs and the examples."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    for name, photograph in zip(("dog.png", "cat.png"), load_sample_images().images, strict=True):
        Image.fromarray(photograph[:400, :400]).save(folder / name)
    if (ROOT / "examples").is_dir():
        shutil.copytree(ROOT / "examples", folder / "examples")
    environment = {**os.environ, "TORCH_HOME": str(folder / "torch")}
    if "alexnet(weights=" in text:  # torchvision finds random weights in its cache, where the real ones would be
        runpy.run_path(str(ROOT / "tests" / "checkpoints.py"))["write_alexnet"](folder / "torch")
    (folder / "page_blocks.py").write_text(script_of(text))
    command = [sys.executable, "-c", "import sys; sys.path.insert(0, ''); import page_blocks"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_runs(page: Path, tmp_path: Path):
    done = run_page(page.read_text(encoding="utf-8"), tmp_path)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_to_files(page: Path):
    assert broken_links(page.read_text(encoding="utf-8"), page.parent) == []


def test_broken_links_are_noticed(tmp_path: Path):
    (tmp_path / "there.md").write_text("")
    text = (
        "# T\n[a](there.md) [b](there.md#part) [c](#part) [d](https://example.org/no.md) [of two\nlines](gone.md)\n"
        '![e](no/picture.png "Title") `calls[0](code.md)` [f][g]\n[g]: absent.md\n\n```python\ncalls[0](block)\n```\n'
    )
    assert broken_links(text, tmp_path) == ["gone.md", "no/picture.png", "absent.md"]


PAGE = """# Title

<!-- save as: my_values.py -->
```python
value = 3
```

```python
import pathlib
from my_values import value
first = [value]
```

- a list

  ```python
  first.append(len(list(pathlib.Path().glob("*.png"))))
  ```

<!-- not run: it needs a network -->
```python
raise RuntimeError
```

```
not code
```

```python
assert first == [3, 2], first
{last}
```
"""


def test_blocks_share_one_namespace_in_order(tmp_path: Path):
    done = run_page(PAGE.format(last=""), tmp_path)
    assert done.returncode == 0, done.stderr


def test_failing_block_is_noticed_with_its_line(tmp_path: Path):
    done = run_page(PAGE.format(last="1 / 0"), tmp_path)
    assert done.returncode != 0
    assert f"line {PAGE.splitlines().index('{last}') + 1}" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_failing_command_is_noticed(tmp_path: Path):
    done = run_page("# Title\n```console\n$ brain-adapters no-such-command\n```\n", tmp_path)
    assert done.returncode != 0
    assert "no-such-command" in done.stderr


def test_shell_commands_are_found():
    lines = ["pip install x", "$ brain-adapters list \\", "    --json  # as data", "output", "brain-adapters doctor"]
    assert shell_commands(lines) == ["brain-adapters list --json", "brain-adapters doctor"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# T\n<!-- not run: -->\n```python\n1 / 0\n```\n", "needs its reason"),
        ("# T\n```python\n1 / 0\n", "never closed"),
        ("# T\n```pycon\n>>> 1 / 0\n```\n", "so that this block is run"),
    ],
)
def test_escaping_the_run_is_noticed(text: str, expected: str):
    with pytest.raises(AssertionError, match=expected):
        list(blocks_of(text))

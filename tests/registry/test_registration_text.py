"""The generated registration, read by the four programs that look for it: written again here from their description."""

import re
import zipfile

import pytest

from registry.submission import write_submission


def website(lines: list[str]) -> list[str]:
    """Find identifiers as the website does: comments are cut off, then single quotes only."""
    found = []
    for line in lines:
        code = line[: line.index("#")] if "#" in line else line
        found += [match.group(1) for match in re.finditer(r"model_registry\['(.+?)'\]", code)]
    return found


def loader_lines(lines: list[str], identifier: str) -> int:
    """Count the lines in which the plugin loader finds an identifier: as a substring, any quotes, comments included."""
    return sum(f"model_registry['{identifier}']" in line.replace('"', "'") for line in lines)


def scoring_jobs(lines: list[str]) -> list[str]:
    """Find identifiers as the test and scoring jobs do: from the first bracket to the last of the line."""
    found = []
    for line in lines:
        if "model_registry[" in line:
            inside = re.search(r"model_registry\[.*\]", line)
            found.append(inside.group(0)[len("model_registry") + 2 : -2] if inside else None)
    return found


def metadata_generator(text: str) -> list[str]:
    """Find identifiers as the metadata generator does: only what is registered by a lambda."""
    return [
        match[1] for match in re.findall(r"model_registry\[\s*([\"'])(.*?)\1\s*\]\s*=\s*\\?\s*lambda\s*:", text, re.S)
    ]


@pytest.mark.parametrize("identifier", ["net", "Net_v2", "a", "resnet50_2x_lr01"])
def test_all_four_programs_see_exactly_the_one_identifier(load, tmp_path, identifier):
    load({"models.py": f"from registry import register_model\n@register_model\ndef {identifier}(): pass\n"})
    path = write_submission(identifier, tmp_path)
    text = zipfile.ZipFile(path).read(f"{identifier}/models/{identifier}/__init__.py").decode()
    lines = text.splitlines(keepends=True)
    assert website(lines) == [identifier]
    assert loader_lines(lines, identifier) == 1
    assert scoring_jobs(lines) == [identifier]
    assert metadata_generator(text) == [identifier]
    (line,) = [line for line in lines if "model_registry[" in line]
    assert re.fullmatch(rf"model_registry\['{identifier}'\] = lambda: \w+\(\)\n", line)
    assert line.count("[") == line.count("]") == 1


def test_registration_puts_the_model_into_brain_scores_registry_or_into_a_dictionary(load, tmp_path, monkeypatch):
    load({"models.py": "from registry import register_model\n@register_model\ndef net(): pass\n"})
    text = zipfile.ZipFile(write_submission("net", tmp_path)).read("net/models/net/__init__.py").decode()
    assert re.findall(r"^\s*from (\S+) import (\w+)$", text, re.M) == [
        ("brainscore_vision", "model_registry"),
        (".model", "get_brain_model"),
    ]
    assert 'if error.name != "brainscore_vision":\n        raise\n' in text

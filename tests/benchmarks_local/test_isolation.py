"""Importing brings in no framework and no scikit-learn; where that is missing, the error says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_fresh(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_brings_in_nothing_heavy() -> None:
    code = (
        "import sys, numpy, pandas, xarray\n"
        "before = set(sys.modules)  # old xarray imports scipy itself\n"
        "import benchmarks_local, benchmarks_local.steps, benchmarks_local.estimators\n"
        "heavy = {'torch', 'tensorflow', 'keras', 'jax', 'sklearn', 'scipy', 'matplotlib', 'brainscore_core'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    assert run_fresh(code).strip() == "[]"


def test_missing_scikit_learn_is_named_with_the_command() -> None:
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = None\n"
        "import numpy as np\n"
        "from adapters.errors import AdapterError\n"
        "from benchmarks_local import ScoreExtraMissingError\n"
        "from benchmarks_local.metrics import get_metric\n"
        "try:\n"
        "    get_metric('pls')(np.eye(40), np.eye(40), strata=np.zeros(40))\n"
        "except ScoreExtraMissingError as error:\n"
        "    assert isinstance(error, AdapterError) and isinstance(error, ImportError)\n"
        "    print(error)\n"
    )
    output = run_fresh(code)
    assert "need scikit-learn, which could not be imported" in output
    assert "pip install 'brain-adapters[score]'" in output


def test_brainio_is_used_where_it_is_loaded_and_never_imported() -> None:
    code = (
        "import sys, types\n"
        "from benchmarks_local.stimuli import StimulusTable, stimulus_table\n"
        "columns = {'stimulus_id': ['a', 'b']}\n"
        "table = stimulus_table('x', columns, {'a': 1, 'b': 2})\n"
        "assert type(table) is StimulusTable and type(table.iloc[:1]) is StimulusTable\n"
        "assert table.iloc[1:].get_stimulus('b') == 2 and table.iloc[1:].identifier == 'x'\n"
        "loaded = types.ModuleType('loaded')\n"
        "loaded.StimulusSet = type('StimulusSet', (StimulusTable,), {})\n"
        "sys.modules['brainscore_core.supported_data_standards.brainio.stimuli'] = loaded\n"
        "print(type(stimulus_table('x', columns, {})).__name__)\n"
    )
    assert run_fresh(code).strip() == "StimulusSet"

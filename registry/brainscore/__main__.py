"""Brain-Score's command line with registered models: ``python -m registry.brainscore my_models.py score ...``."""

from __future__ import annotations

import argparse
import runpy
import sys

from adapters.errors import AdapterError

from ..loading import load_models_file
from .connecting import connect_brainscore

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Load files that register models, connect them, and hand the rest to ``python -m brainscore_vision``.

    Parameters
    ----------
    arguments : list of str
        Files or dotted module names, then ``score`` and its options.
    """
    parser = argparse.ArgumentParser(
        prog="python -m registry.brainscore",
        usage="%(prog)s [MODELS.py ...] score --model_identifier=... --benchmark_identifier=...",
        description="Score registered models by Brain-Score's own command line.",
    )
    if not arguments or arguments[0] in ("-h", "--help") or "score" not in arguments:
        parser.parse_args(["--help"] if arguments[:1] in (["-h"], ["--help"]) else [])
        parser.error("the command 'score' is missing")
    position = arguments.index("score")
    try:
        for path in arguments[:position]:
            load_models_file(path)
        connect_brainscore()
    except AdapterError as error:
        parser.error(str(error))
    sys.argv = ["brainscore_vision", *arguments[position:]]
    runpy.run_module("brainscore_vision", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])

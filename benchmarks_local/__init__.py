"""Score models locally: the offline check before a submission, and benchmarks on this machine."""

# First, because importing it notices when AdapterHub's package stands where ours should.
import registry as _registry  # noqa: F401

from .available import list_benchmarks
from .benchmark import NeuralBenchmark
from .check import check_model
from .commitment import LocalBrainModel
from .committing import region_layer_map, write_region_layer_map
from .errors import BenchmarkNotFoundError, CheckError, ScoreExtraMissingError, ScoringError
from .report import CheckReport, CheckStep
from .scores import Score
from .scoring import score

__all__ = [
    "BenchmarkNotFoundError",
    "CheckError",
    "CheckReport",
    "CheckStep",
    "LocalBrainModel",
    "NeuralBenchmark",
    "Score",
    "ScoreExtraMissingError",
    "ScoringError",
    "check_model",
    "list_benchmarks",
    "region_layer_map",
    "score",
    "write_region_layer_map",
]

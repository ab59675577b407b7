"""Bring your own recordings: a folder of images and tables, checked before anything is scored on it."""

from .dataset import BOARD_REGIONS, Dataset
from .examination import load_dataset, validate_dataset
from .exchange import from_assembly, to_assembly
from .findings import DatasetError, DatasetNotFoundError, Finding
from .places import add_dataset, dataset_names, find_dataset, list_datasets
from .recordings import Recordings
from .starting import new_dataset

__all__ = [
    "BOARD_REGIONS",
    "Dataset",
    "DatasetError",
    "DatasetNotFoundError",
    "Finding",
    "Recordings",
    "add_dataset",
    "dataset_names",
    "find_dataset",
    "from_assembly",
    "list_datasets",
    "load_dataset",
    "new_dataset",
    "to_assembly",
    "validate_dataset",
]

"""Bring your own recordings: a folder of images and tables, checked before anything is scored on it."""

from .dataset import BOARD_REGIONS, Dataset
from .examination import load_dataset, load_found_datasets, validate_dataset
from .exchange import from_assembly, to_assembly
from .findings import DatasetError, DatasetNotFoundError, Finding
from .places import (
    add_dataset,
    dataset_names,
    find_dataset,
    folders_named_otherwise,
    list_datasets,
    searched_places,
)
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
    "folders_named_otherwise",
    "from_assembly",
    "list_datasets",
    "load_dataset",
    "load_found_datasets",
    "new_dataset",
    "searched_places",
    "to_assembly",
    "validate_dataset",
]

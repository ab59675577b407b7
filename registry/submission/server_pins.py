"""Versions that were installed and run together beside Brain-Score.

Written by tests/environment/server_pins.py, which measures them anew.
"""

__all__ = ["BRAINSCORE", "HOST", "HOST_LIMITS", "MEASURED", "MEASURED_ON", "PYTHON"]

MEASURED_ON = "2026-11-21"
BRAINSCORE = "2.4.2"
PYTHON = "3.11"
# What Brain-Score itself asks for, with the versions that it got, and its upper limits.
HOST: dict[str, str] = {
    "boto3": "1.44.5",
    "brainscore-core": "2.5.0",
    "brainscore-vision": "2.4.2",
    "dask": "2026.8.0",
    "eva-decord": "0.6.1",
    "fire": "0.7.1",
    "gitpython": "3.2.1",
    "h5py": "3.16.0",
    "importlib-metadata": "4.13.0",
    "jupyter": "1.1.1",
    "netcdf4": "1.7.5.1.post1",
    "networkx": "3.6.1",
    "numpy": "1.26.4",
    "opencv-python": "4.11.0.86",
    "pandas": "2.3.3",
    "peewee": "4.5.3",
    "pillow": "13.0.0",
    "psutil": "7.2.2",
    "psycopg2-binary": "2.9.13",
    "pybtex": "0.26.1",
    "pyyaml": "6.0.3",
    "requests": "2.34.2",
    "result-caching": "0.5",
    "scikit-learn": "1.5.2",
    "scipy": "1.17.1",
    "torch": "2.13.0",
    "torchvision": "0.28.0",
    "tqdm": "4.70.1",
    "xarray": "2022.3.0",
}
HOST_LIMITS: dict[str, str] = {
    "importlib-metadata": "<5",
    "numpy": "<2",
    "pandas": "<3",
    "scikit-learn": "<1.6",
    "xarray": "<2022.6",
}
# Sets of versions that go together, the newest first; each with what it asks of the others.
MEASURED: tuple[dict[str, tuple[str, tuple[str, ...]]], ...] = (
    {
        "dm-haiku": ("0.0.17", ("jmp>=0.0.2", "numpy>=1.18.0")),
        "flax": (
            "0.12.0",
            ("jax>=0.7.1", "numpy>=1.23.2", "optax", "orbax-checkpoint", "tensorstore", "treescope>=0.1.7"),
        ),
        "jax": ("0.7.1", ("jaxlib<=0.7.1,>=0.7.1", "ml_dtypes>=0.5.0", "numpy>=1.26")),
        "jaxlib": ("0.7.1", ("ml_dtypes>=0.5.0", "numpy>=1.26")),
        "jmp": ("0.0.4", ("numpy>=1.19.5",)),
        "keras": ("3.15.1", ("ml-dtypes", "numpy")),
        "ml-dtypes": ("0.5.4", ("numpy>=1.21", "numpy>=1.21.2", "numpy>=1.23.3")),
        "onnx": ("1.23.2", ("ml_dtypes>=0.5.4", "numpy>=1.23.2")),
        "onnxruntime": ("1.31.1", ("numpy>=1.21.6",)),
        "optax": ("0.2.8", ("jax>=0.5.3", "jaxlib>=0.5.3", "numpy>=1.18.0")),
        "orbax-checkpoint": ("0.12.8", ("jax>=0.6.0", "numpy", "tensorstore>=0.1.84")),
        "tensorflow": ("2.21.0", ("keras>=3.12.0", "ml_dtypes<1.0.0,>=0.5.1", "numpy>=1.26.0")),
        "tensorstore": ("0.1.86", ("ml_dtypes>=0.5.0", "numpy>=1.22.0")),
        "tf-keras": ("2.21.0", ("tensorflow<2.22,>=2.21",)),
        "timm": ("1.0.31", ()),
        "transformers": ("5.23.0", ("numpy>=1.17",)),
        "treescope": ("0.1.10", ("numpy>=1.25.2",)),
    },
    {
        "dm-haiku": ("0.0.17", ("jmp>=0.0.2", "numpy>=1.18.0")),
        "equinox": ("0.13.8", ("jax!=0.7.0,!=0.7.1,>=0.4.38",)),
        "flax": (
            "0.11.2",
            ("jax>=0.6.0", "numpy>=1.23.2", "optax", "orbax-checkpoint", "tensorstore", "treescope>=0.1.7"),
        ),
        "jax": ("0.6.2", ("jaxlib<=0.6.2,>=0.6.2", "ml_dtypes>=0.5.0", "numpy>=1.26")),
        "jaxlib": ("0.6.2", ("ml_dtypes>=0.5.0", "numpy>=1.26")),
        "jmp": ("0.0.4", ("numpy>=1.19.5",)),
        "keras": ("3.15.1", ("ml-dtypes", "numpy")),
        "ml-dtypes": ("0.5.4", ("numpy>=1.21", "numpy>=1.21.2", "numpy>=1.23.3")),
        "onnx": ("1.23.2", ("ml_dtypes>=0.5.4", "numpy>=1.23.2")),
        "onnxruntime": ("1.31.1", ("numpy>=1.21.6",)),
        "optax": ("0.2.8", ("jax>=0.5.3", "jaxlib>=0.5.3", "numpy>=1.18.0")),
        "orbax-checkpoint": ("0.12.8", ("jax>=0.6.0", "numpy", "tensorstore>=0.1.84")),
        "tensorflow": ("2.21.0", ("keras>=3.12.0", "ml_dtypes<1.0.0,>=0.5.1", "numpy>=1.26.0")),
        "tensorstore": ("0.1.86", ("ml_dtypes>=0.5.0", "numpy>=1.22.0")),
        "tf-keras": ("2.21.0", ("tensorflow<2.22,>=2.21",)),
        "timm": ("1.0.31", ()),
        "transformers": ("5.23.0", ("numpy>=1.17",)),
        "treescope": ("0.1.10", ("numpy>=1.25.2",)),
    },
)

"""Packaging of brain-adapters: what is installed, and which extras there are. Tool settings live in pyproject.toml."""

from pathlib import Path

from setuptools import setup

# Listed by hand: tests, examples and a stray `models` folder must never reach the wheel (tests/house opens it).
PACKAGES = [
    "adapters",
    "adapters.engines",
    "adapters.fingerprints",
    "adapters.frameworks",
    "adapters.frameworks.jax",
    "adapters.frameworks.keras",
    "adapters.frameworks.onnx",
    "adapters.frameworks.pytorch",
    "adapters.frameworks.tensorflow",
    "adapters.store",
    "adapters.testing",
    "registry",
    "registry.brainscore",
    "registry.clean",
    "registry.submission",
    "benchmarks_local",
    "benchmarks_local.behavioral",
    "benchmarks_local.board",
    "benchmarks_local.data",
    "benchmarks_local.gathering",
    "benchmarks_local.metrics",
    "benchmarks_local.uncertainty",
    "brain_adapters",
]

EXTRAS = {
    "pytorch": ["torch>=2.6"],
    "keras": ["keras>=3.5", "tensorflow>=2.18"],
    "tensorflow": ["tensorflow>=2.18"],
    "jax": ["jax>=0.6.2", "flax>=0.11.2", "equinox>=0.13", "dm-haiku>=0.0.14"],
    "onnx": ["onnx>=1.18", "onnxruntime>=1.22"],
    "store": ["blake3>=1.0", "google-crc32c>=1.6", "numcodecs>=0.14", "einops>=0.8", "h5netcdf>=1.3"],
    "remote": ["obstore>=0.8"],
    "score": ["scikit-learn>=1.4", "scipy>=1.11", "pyyaml>=6", "jinja2>=3.1", "h5netcdf>=1.3"],
    "brainscore": ["brainscore-vision>=2.4"],
    "ray": ["ray>=2.40"],
    "dask": ["distributed>=2024.8"],
}
# `brain-adapters check` scores, so whoever installs a framework gets what scoring needs.
for name in ("pytorch", "keras", "tensorflow", "jax", "onnx"):
    EXTRAS[name] = [*EXTRAS.get(name, []), *EXTRAS["score"]]
# numpy < 2 of brainscore-vision would hold back every other framework, so it stays out of `all`.
EXTRAS["all"] = sorted({name for key, names in EXTRAS.items() if key != "brainscore" for name in names})
EXTRAS["demo"] = [*EXTRAS["pytorch"], *EXTRAS["score"], "torchvision>=0.21", "matplotlib>=3.8"]
EXTRAS["test"] = [
    *EXTRAS["demo"],
    *EXTRAS["store"],
    *EXTRAS["remote"],
    *EXTRAS["ray"],
    *EXTRAS["dask"],
    "timm>=1.0",
    "transformers>=4.40",
    "pytest>=8",
    "pytest-xdist>=3.5",
    "hypothesis>=6.100",
    "trustme>=1.1",
    "zarr>=3.1.6",
    "moto[s3,server]>=5",
    "ruff>=0.17.5,<0.18",
    "mypy>=2.1",
    "setuptools>=70",
]

setup(
    name="brain-adapters",
    version="0.1.0",
    description="Activations of any vision model as labelled assemblies, and from there to a Brain-Score submission.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=PACKAGES,
    package_data={package: ["py.typed", "*.j2", "*.css", "*.js"] for package in PACKAGES},
    install_requires=[
        "numpy>=1.26",
        "pandas>=2",
        "xarray>=2022.3",
        "Pillow>=10",
        "tqdm>=4.60",
        "typer>=0.12",
        "packaging>=23",
        "pooch>=1.7",
        "certifi",
        "filelock>=3.12",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["brain-adapters=brain_adapters.__main__:main"]},
)

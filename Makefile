# The two commands a newcomer needs: `make demo` and `make test`. They need Python >= 3.11, make, bash and a package index,
# and build .venv on first use. On Linux the index may offer torch with CUDA, a download of gigabytes; to get CPU wheels:
#     PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make test
# PYTHON is the interpreter that builds .venv. With PY=... an interpreter that has everything is used as it is.
PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PACKAGES := adapters registry benchmarks_local brain_adapters
WORKERS ?= 2
# Two workers on two cores: without the first line each worker's torch would start one thread per core. And no test
# reaches a network: Hugging Face's libraries shall fail at once instead of trying again.
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
    HF_HUB_OFFLINE=1 TF_CPP_MIN_LOG_LEVEL=3
export TIMEFORMAT = == took %R s

VENV := .venv
BRAINSCORE := .venv-brainscore
BENCHMARKS := .venv-benchmarks
# What runs there: all that meets Brain-Score, and of the rest what depends on the versions of NumPy, pandas, xarray and frameworks.
# The whole: make brainscore BESIDE_BRAINSCORE="tests/brainscore tests/adapters tests/frameworks tests/benchmarks_local"
BESIDE_BRAINSCORE := tests/brainscore tests/adapters tests/benchmarks_local \
    tests/metrics tests/behavioral tests/uncertainty tests/datasets tests/gathering \
    tests/fingerprints tests/store/test_labelled.py tests/reductions/test_pytorch.py \
    tests/frameworks/test_same_network.py $(wildcard tests/frameworks/*/test_conformance.py)
ifeq ($(origin PY), undefined)
PY := $(VENV)/bin/python
DEMO_READY := $(VENV)/demo.stamp
TEST_READY := $(VENV)/test.stamp
endif

.PHONY: help demo test test-gpu test-nightly lint types unit alone brainscore format benchmarks clean

help:
	@echo "make demo      the whole road once on real images: wrap, extract, register, check, package, validate"
	@echo "make test      ruff, mypy, unit and documentation tests in every framework; JAX alone; beside Brain-Score"
	@echo "make test-nightly  the store under thousands of kills, faults and damages (hours)"
	@echo "make test-gpu  what only a GPU can show (fails where there is none)"
	@echo "make benchmarks  against thingsvision, torchlens and Brain-Score's wrapper: writes docs/benchmarks.md"
	@echo "make format    let ruff format and fix"

demo: $(DEMO_READY)
	@$(PY) examples/demo.py

test: lint types unit alone brainscore

lint: $(TEST_READY)
	@echo "== ruff" && time { $(PY) -m ruff check . && $(PY) -m ruff format --check .; }

types: $(TEST_READY)
	@echo "== mypy" && time $(PY) -m mypy $(PACKAGES)

unit: $(TEST_READY)
	@$(PY) tests/environment/browser.py
	@$(PY) tests/environment/slurm.py
	@echo "== pytest" && time CONFORMANCE_PAGE=docs/conformance.md $(TEST_ENVIRONMENT) $(PY) -m pytest -n $(WORKERS)

test-gpu: $(TEST_READY)
	@$(PY) -c "import sys, torch; sys.exit(None if torch.cuda.is_available() or torch.backends.mps.is_available() \
	    else 'make test-gpu: torch ' + torch.__version__ + ' sees no CUDA or MPS device here.')"
	@time $(PY) -m pytest tests/gpu

# The store's reliability at the large size: thousands of kills, faults and damages; hours.
test-nightly: $(TEST_READY)
	@echo "== store, nightly" && time STORE_TESTS=nightly $(TEST_ENVIRONMENT) $(PY) -m pytest -n $(WORKERS) tests/store

# What a user of JAX alone installs: no torch, no TensorFlow, no Keras.
alone:
	@echo "== JAX without the other frameworks" && time $(PYTHON) tests/environment/jax_alone.py .venv-jax

# The second environment: the released Brain-Score, and every framework in the versions that go with it.
brainscore: $(BRAINSCORE)/brainscore.stamp
	@echo "== beside Brain-Score" && time $(TEST_ENVIRONMENT) $(BRAINSCORE)/bin/python -m pytest -n $(WORKERS) $(BESIDE_BRAINSCORE)

# The third environment: the packages that this library is compared with.
benchmarks: $(BENCHMARKS)/benchmarks.stamp
	@echo "== against other packages" && time $(BENCHMARKS)/bin/python tests/speed/peers.py

format: $(TEST_READY)
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

clean:
	rm -rf $(VENV) $(BRAINSCORE) $(BENCHMARKS) .venv-jax build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

# A stamp is written last: an interrupted installation is taken up again at the next call.
$(VENV)/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(None if sys.version_info >= (3, 11) else 'brain-adapters needs Python >= 3.11, and \
	    $(PYTHON) is ' + sys.version.split()[0] + '. Choose another one: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip

$(BRAINSCORE)/brainscore.stamp: requirements/brainscore.txt requirements/legacy.txt setup.py tests/environment/torchvision_on_cpu_torch.py
	$(PYTHON) -m venv $(BRAINSCORE)
	$(BRAINSCORE)/bin/python -m pip install --quiet --upgrade pip
	$(BRAINSCORE)/bin/python -m pip install --quiet -r requirements/brainscore.txt -e .
	$(BRAINSCORE)/bin/python -m pip install --quiet --no-deps -r requirements/legacy.txt
	$(BRAINSCORE)/bin/python tests/environment/torchvision_on_cpu_torch.py --install
	touch $@

# thingsvision asks for torchvision 0.15.2 and tensorflow; what it imports stands in the file.
$(BENCHMARKS)/benchmarks.stamp: requirements/benchmarks.txt setup.py tests/environment/torchvision_on_cpu_torch.py
	$(PYTHON) -m venv $(BENCHMARKS)
	$(BENCHMARKS)/bin/python -m pip install --quiet --upgrade pip
	$(BENCHMARKS)/bin/python -m pip install --quiet -r requirements/benchmarks.txt -e .
	$(BENCHMARKS)/bin/python -m pip install --quiet --no-deps thingsvision==2.7.3
	$(BENCHMARKS)/bin/python tests/environment/torchvision_on_cpu_torch.py --install
	touch $@

$(VENV)/%.stamp: requirements/%.txt requirements/demo.txt setup.py tests/environment/torchvision_on_cpu_torch.py | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet -r $< -e .
	$(if $(filter test,$*),$(VENV)/bin/python -m pip install --quiet --no-deps -r requirements/legacy.txt)
	$(VENV)/bin/python tests/environment/torchvision_on_cpu_torch.py --install
	touch $@

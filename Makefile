# Every target works from a fresh clone: it makes .venv when that is missing or older than what it is made from.
# For a CPU-only PyTorch where the default one carries CUDA: make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_ARGS ?=
CONSTRAINTS ?= constraints.txt
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) $(PIP_ARGS)

.PHONY: help table test test-slow test-gpu bench notebooks docs lint build release-check clean

help:
	@echo "make table   regenerate and verify the periodic table into out/table"
	@echo "make test    run the tests (make test-slow: the slow ones, make test-gpu: those of a CUDA device)"
	@echo "make bench   measure speed and memory against the peers"
	@echo "make notebooks   make the notebooks from their scripts and execute them"
	@echo "make docs    build the guide into out/docs"
	@echo "make lint    ruff and mypy"
	@echo "make build   the wheel and the sdist, into dist (make release-check: install and try them, oldest and newest)"

$(VENV)/.ready: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) --editable ".[dev]"
	@touch $@

# The packages that the table and the benchmarks compare with. Without them all works, and says that they are missing.
# lightly and open_clip ask for torchvision, which their losses do not use: hence --no-deps.
$(VENV)/.peers: $(VENV)/.ready
	-$(PIP) pytorch-metric-learning openTSNE POT sentence-transformers umap-learn
	-$(PIP) --no-deps lightly lightly-utils open_clip_torch torchdr
	@touch $@

table: $(VENV)/.peers
	$(BIN)/python -m table

test: $(VENV)/.peers
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(VENV)/.peers
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

test-gpu: $(VENV)/.ready
	$(BIN)/python -m pytest -m gpu

bench: $(VENV)/.peers
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.ranks
	$(BIN)/python -m benchmarks.caching
	$(BIN)/python -m benchmarks.maps
	$(BIN)/python -m benchmarks.clustering

notebooks: $(VENV)/.ready
	$(BIN)/python -m notebooks.execute

docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy -p table
	$(BIN)/mypy -p experiments

build: $(VENV)/.ready
	rm -rf build dist
	$(BIN)/python -m build

release-check: build
	$(BIN)/python -m tests.release_check dist

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

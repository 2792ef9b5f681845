# Every target that CI or a person needs; CI calls only these.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
P ?= params/quickstart.yaml
# Where torch comes from, if not from the configured package index, such as the CPU-only index of the PyTorch project:
#   make run TORCH_INDEX="--index-url https://download.pytorch.org/whl/cpu"
TORCH_INDEX ?=
PORT ?=

.DEFAULT_GOAL := help
.PHONY: help env run prepare lab test lint unit test-gates notebooks smoke report calibrate check drill rates campaign metrics tensorboard trace lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

env: $(VENV)/.ready ## make the virtual environment with the pinned dependencies

# torch first and alone: as a dependency of another package, or in a newer version, it brings gigabytes of CUDA.
$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v == (3, 11) or sys.exit("perflib needs Python 3.11, but $(PYTHON) is %d.%d; name another with make PYTHON=…" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH_INDEX) "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

run: env ## run params/quickstart.yaml, or another with P=…
	$(BIN)/perflib run $(P)

prepare: env ## fetch, verify and train the default workload, once
	$(BIN)/perflib prepare

lab: env ## open JupyterLab with the notebooks
	$(BIN)/jupyter lab --notebook-dir=. notebooks/01_baseline.ipynb

test: lint unit test-gates notebooks ## run every check and every test

lint: env ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: env ## run the unit tests, doctests and the report's browser test
	$(BIN)/python -m pytest -m "not notebooks and not gates and not engines"
	$(BIN)/python -m pytest -m "engines and not notebooks"

test-gates: env ## show the gates fourteen bad models and twenty copies of the baseline
	$(BIN)/python -m pytest -m gates

notebooks: env ## run the smoke pipeline and nbval over the notebooks
	$(BIN)/python -m pytest -m notebooks

smoke: env ## run the whole way on a tiny model, in about a minute
	$(BIN)/perflib run params/smoke.yaml; code=$$?; test $$code -eq 0 -o $$code -eq 5

report: env ## write the newest run's report again, also as PDF
	$(BIN)/perflib report --pdf

calibrate: env ## compare models whose truth is known, for up to 90 minutes; goes on where it was ended
	$(BIN)/perflib machine --calibrate

check: env ## compare the newest run with those before it, rerun what is suspected, and tell who is to be told
	$(BIN)/perflib check --alert

drill: env ## plant three regressions and see whether the watch finds them; about two minutes
	$(BIN)/perflib drill

rates: env ## count how often the detector is wrong on noise, and how soon it sees a step; about half an hour
	$(BIN)/python -m perflib.regression.changepoints.rates

campaign: env ## try every tamper on an evidence pack, some minutes; `make test` tries a minute's worth
	PERFLIB_CAMPAIGN=1 $(BIN)/python -m pytest tests/test_tampers.py

metrics: env ## write the newest results for Prometheus and serve them on this machine; another port with PORT=…
	$(BIN)/perflib metrics --serve $(if $(PORT),--port $(PORT))

tensorboard: env ## open the newest run's traces in TensorBoard, on this machine only; another port with PORT=…
	$(BIN)/perflib show tensorboard $(if $(PORT),--port $(PORT))

trace: env ## open the newest run's baseline in Perfetto, offline, on this machine only; another port with PORT=…
	$(BIN)/perflib show trace $(if $(PORT),--port $(PORT))

lock: env ## write requirements.lock again from the environment
	$(BIN)/python -m pip freeze --all --exclude-editable | sed 's/+cpu$$//' | grep -v '^pip==' > requirements.lock

clean: ## remove the environment and the caches, never the outputs
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

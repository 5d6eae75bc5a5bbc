# Everything a person or CI does with this project. `make` alone lists the targets.
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
CONFIG ?= configs/quickstart.yaml
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
# Small models are slower on many threads than on one.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup quickstart train check analyze-rewards eval prove test test-full lint format schema reference bench docs build clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(INSTALLED) ## create .venv and install rlctl with everything pinned

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $(INSTALLED)

quickstart: $(INSTALLED) ## train the built-in model on the built-in task, two minutes on a laptop
	@name=quickstart; n=2; while [ -e outputs/$$name ]; do name=quickstart-$$n; n=$$((n+1)); done; \
	echo "rlctl train configs/quickstart.yaml --set run.name=$$name"; \
	$(BIN)/rlctl train configs/quickstart.yaml --set run.name=$$name

train: $(INSTALLED) ## train CONFIG=path/to/config.yaml
	$(BIN)/rlctl train $(CONFIG) $(ARGS)

check: $(INSTALLED) ## validate CONFIG=path/to/config.yaml without running it
	$(BIN)/rlctl check $(CONFIG) $(ARGS)

analyze-rewards: $(INSTALLED) ## analyse the rewards of CONFIG=path/to/config.yaml before training
	$(BIN)/rlctl analyze-rewards $(CONFIG) $(ARGS)

eval: $(INSTALLED) ## evaluate the run of CONFIG=path/to/config.yaml, or what ARGS names
	$(BIN)/rlctl eval $(CONFIG) $(ARGS)

prove: $(INSTALLED) ## train seeds and a control of CONFIG=path/to/config.yaml, and write the verdict
	$(BIN)/rlctl prove $(CONFIG) $(ARGS)

test: $(INSTALLED) ## the tests, under six minutes
	$(BIN)/python -m pytest -m "not full" -n 2 --dist loadfile $(ARGS)

test-full: $(INSTALLED) ## all tests, with the long and statistical ones
	$(BIN)/python -m pytest $(ARGS)

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(INSTALLED) ## write rlctl.schema.json anew
	$(BIN)/rlctl schema > rlctl.schema.json

reference: $(INSTALLED) ## write docs/reference anew
	$(BIN)/python scripts/make_reference.py

bench: $(INSTALLED) ## every figure of the docs, beside its peer
	$(BIN)/python -m benchmarks

docs: $(INSTALLED) ## build the documentation into site/
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt -e '.[docs]'
	$(BIN)/zensical build --strict

build: $(INSTALLED) ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## remove what was built, but not runs
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache

# `make run` starts the service and runs the quickstart; `make test` runs every test.
# Both set up a virtual environment in .venv first, when it is not there or out of date.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help run test test-long check bench studies-quick install

help: ## Show this.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## Start the service, run the quickstart sweep, show its results, go on serving.
	@exec $(BIN)/sweep up --run studies/arithmetic-quickstart.yaml

test: $(STAMP) ## Run every test but the long ones.
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder -m 'not long'

test-long: $(STAMP) ## Strike twenty faults at random, compare packs with none; a quarter of an hour.
	$(BIN)/python -m pytest -m long

check: $(STAMP) ## Lint, formatting, types, imports between packages.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(STAMP) ## Run the benchmarks and print their figures.
	$(BIN)/python -m benchmarks

studies-quick: $(STAMP) ## Run the studies of minutes through a service; check their claims.
	@$(BIN)/sweep study run product multiplicative expressivity multitask-regression arithmetic \
		--size quick --start

install: $(STAMP) ## Set up the virtual environment.

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV) (about a minute and a half)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[service,workers,studies,dev]'
	@touch $@

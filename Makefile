# `make demo` and `make test` need Python 3.11 or newer and nothing else: they install what they use into .venv.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
DEMO_CLIP := tests/clips/bigbuckbunny.mp4
DEMO_OUT := demo-wave.mp4

.PHONY: help demo test test-all lint format bench clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/installed-core  ## Stylize a real clip, with sound, and say where the result is
	$(BIN)/streamfx transcode $(DEMO_CLIP) $(DEMO_OUT) --effect wave --overwrite
	@echo "Before: $(CURDIR)/$(DEMO_CLIP)"
	@echo "After:  $(CURDIR)/$(DEMO_OUT)"

test: .venv/installed-dev  ## Run the tests (under three minutes on two cores)
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: .venv/installed-dev  ## Run the slow tests too
	$(BIN)/python -m pytest -m ""

lint: .venv/installed-dev  ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-dev  ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-bench  ## Measure on this machine; figures go to benchmarks/results
	$(BIN)/python -m benchmarks

clean:  ## Remove what the other commands made
	rm -rf .venv build dist demo-*.mp4 .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is newer than pyproject.toml once its packages are in, so a second run installs nothing.
.venv/installed-core: pyproject.toml | $(BIN)/pip
	@echo "Installing into .venv; the first time this takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-dev: pyproject.toml | $(BIN)/pip
	@echo "Installing into .venv; the first time this takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/installed-core

.venv/installed-bench: pyproject.toml | $(BIN)/pip
	@echo "Installing into .venv; the first time this takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ .venv/installed-core

$(BIN)/pip:
	@PYTHON='$(PYTHON)' sh .ci/make-venv

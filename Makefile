# `make demo` and `make test` need Python 3.11 or newer and nothing else: they install what they use into .venv.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
DEMO_CLIP := tests/clips/person.mkv
DEMO_OUT := demo-toon.mp4

.PHONY: help demo live test test-all docs tensorrt-check gpu-kit package lint format bench clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/installed-demo  ## Turn a person before a webcam into a cartoon, and say where the result is
	$(BIN)/streamfx transcode $(DEMO_CLIP) $(DEMO_OUT) --effect toon --overwrite
	@echo "Before: $(CURDIR)/$(DEMO_CLIP)"
	@echo "After:  $(CURDIR)/$(DEMO_OUT)"

live: .venv/installed-live  ## Show the camera, or without one the demo clip, with effects in a page; Ctrl-C ends
	@if [ -r /dev/video0 ] && [ -w /dev/video0 ]; then source=camera:0; again=; \
	else source=$(DEMO_CLIP); again=--loop; \
		echo "There is no camera that may be opened (/dev/video0), so a clip is played again and again."; fi; \
	echo "Open the address of the page, below, in a browser. Ctrl-C ends it."; \
	$(BIN)/streamfx live $$source web:0 --effect toon $$again

test: .venv/installed-dev  ## Run the tests (about five minutes on two cores)
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: .venv/installed-dev  ## Run the slow tests too
	$(BIN)/python -m pytest -m ""

docs: .venv/installed-docs  ## Build the documentation into .site, and say where it begins
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "The documentation: $(CURDIR)/.site/index.html; with its search: $(BIN)/python -m http.server --directory .site"

tensorrt-check: .venv/installed-tensorrt  ## Build every engine with TensorRT's own builder; takes no GPU
	STREAMFX_TENSORRT=$(CURDIR)/.venv/tensorrt $(BIN)/python -m pytest tests/backends/test_tensorrt_build.py

gpu-kit: .venv/installed-tensorrt  ## Pack TensorRT-RTX for benchmarks.gpu on a machine without it; takes minutes
	$(BIN)/python -m benchmarks.gpu.pack --wheels .venv/tensorrt

package: .venv/installed-build  ## Build the wheel and the source archive into dist, and try the wheel away from here
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist . >/dev/null
	@ls -sh dist
	@sh .ci/try-wheel

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
	rm -rf .venv .site .gpu_kit build dist demo-*.mp4 .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is newer than pyproject.toml once its packages are in, so a second run installs nothing.
.venv/installed-core: pyproject.toml | $(BIN)/pip
	@echo "Installing into .venv; the first time this takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# The demo runs on the processor, which takes no torch: without an NVIDIA GPU the small install is enough.
.venv/installed-demo: pyproject.toml | $(BIN)/pip
	@if command -v nvidia-smi >/dev/null || [ -e .venv/installed-core ]; then $(MAKE) --no-print-directory .venv/installed-core; \
	else $(MAKE) --no-print-directory .venv/installed-small; fi
	@touch $@

# Pages and cameras on top of what is there, and no torch on account of them.
.venv/installed-live: pyproject.toml | .venv/installed-demo
	@$(BIN)/python -c "import tomllib; extras = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']; \
	print(*extras['web'], *extras['camera'], sep='\n')" > .venv/extras-live.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement .venv/extras-live.txt
	@touch $@

# Everything but torch: for a processor, with the engines that bring along what OpenVINO runs.
.venv/installed-small: pyproject.toml | $(BIN)/pip
	@echo "Installing into .venv, without torch; the first time this takes a minute"
	@$(BIN)/python .ci/install-small --editable .
	@touch $@

.venv/installed-dev: pyproject.toml | $(BIN)/pip
	@echo "Installing into .venv; the first time this takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/installed-core .venv/installed-demo

.venv/installed-build: pyproject.toml | $(BIN)/pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'build>=1.2'
	@touch $@

.venv/installed-docs: pyproject.toml | $(BIN)/pip
	@echo "Installing into .venv; the first time this takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs,train]'
	@touch $@ .venv/installed-core

# Pinned, together and without what they ask for: they are made to fit the torch that is there, see
# tests/tensorrt_standins.py. NVIDIA's libraries come with their own licence, so they are never shipped.
.venv/installed-tensorrt: Makefile | .venv/installed-dev
	@rm -rf .venv/tensorrt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .venv/tensorrt \
		onnxruntime-ep-nv-tensorrt-rtx-cu13==0.3.0 tensorrt-rtx-cu13-bindings==1.5.0.114 \
		torch-tensorrt-rtx==2.13.0 dllist psutil packaging
	@touch $@

.venv/installed-bench: pyproject.toml | $(BIN)/pip
	@echo "Installing into .venv; the first time this takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ .venv/installed-core

$(BIN)/pip:
	@PYTHON='$(PYTHON)' sh .ci/make-venv

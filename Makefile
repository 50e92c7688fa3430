# `make demo` needs Python >= 3.11, git and the package index; no Java.
# `make help` prints the targets with the comments behind `##`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-run
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := demo
.PHONY: help docs demo test test-slow torture bench release-check proof-base proof-kmlm proof-jaket proof-trelm check clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Java's classes as the tests' Spark sessions load them: each starts 4 s sooner.
$(VENV)/spark-classes.jsa: $(VENV)/.installed
	$(BIN)/python -m tests.e2e.java

demo: $(VENV)/.installed ## build the embedded world and train a small model; five minutes
	$(BIN)/kgcorpus demo --out $(DEMO)

test: $(VENV)/.installed $(VENV)/spark-classes.jsa ## the fast tests
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: $(VENV)/.installed $(VENV)/spark-classes.jsa ## kills, faults, a cluster, whole builds
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile

torture: $(VENV)/.installed $(VENV)/spark-classes.jsa ## kill every stage twenty times; hours
	$(BIN)/python -m tests.torture --kills 20 --jobs 2

bench: $(VENV)/.installed ## the benchmarks that need no data, into docs/benchmarks.md; half an hour
	$(BIN)/python benchmarks/build.py --megabytes 15 --triples 150000 --targets code_switched reasoning passages plain_text jaket_text
	$(BIN)/python benchmarks/reader.py
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/training.py --rounds 3 --steps 2
	$(BIN)/python benchmarks/tables.py

release-check: $(VENV)/.installed ## build wheel and sdist; demo, train and report from the wheel on each Python
	$(BIN)/python -m tests.release

proof-base: $(VENV)/.installed ## whether a pretrained base knows enough for the proofs
	$(BIN)/pip install --quiet --editable '.[proofs]'
	$(BIN)/python -m proofs.base

proof-kmlm: $(VENV)/.installed ## redo the experiment on KMLM; hours
	$(BIN)/python -m proofs.kmlm

proof-jaket: $(VENV)/.installed ## redo the experiment on JAKET; hours
	$(BIN)/python -m proofs.jaket

proof-trelm: proof-base ## redo the experiment on TRELM; hours
	$(BIN)/python -m proofs.trelm

check: $(VENV)/.installed ## ruff, mypy --strict, import rules, plain language
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.prose

clean: ## remove caches, build products and the demo
	rm -rf $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

docs: $(VENV)/.installed ## build the documentation into site/; a warning is an error
	$(BIN)/pip install --quiet --editable '.[docs]'
	$(BIN)/python -m mkdocs build --strict

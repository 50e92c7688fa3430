# `make demo` needs Python >= 3.11, git and the package index; no Java.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-run
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow torture proof-base proof-kmlm proof-jaket proof-trelm check clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Java's classes as the tests' Spark sessions load them: each starts 4 s sooner.
$(VENV)/spark-classes.jsa: $(VENV)/.installed
	$(BIN)/python -m tests.e2e.java

demo: $(VENV)/.installed
	$(BIN)/kgcorpus build-corpus --out $(DEMO)/corpus
	$(BIN)/kgcorpus train kmlm --corpus $(DEMO)/corpus --out $(DEMO)/kmlm --max-steps 100
	@printf 'corpus: %s\nreport: %s\ncheckpoint: %s\n' $(DEMO)/corpus $(DEMO)/corpus/report.json $(DEMO)/kmlm/model

test: $(VENV)/.installed $(VENV)/spark-classes.jsa
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.installed $(VENV)/spark-classes.jsa
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile

torture: $(VENV)/.installed $(VENV)/spark-classes.jsa
	$(BIN)/python -m tests.torture --kills 20 --jobs 2

proof-base: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[proofs]'
	$(BIN)/python -m proofs.base

proof-kmlm: $(VENV)/.installed
	$(BIN)/python -m proofs.kmlm

proof-jaket: $(VENV)/.installed
	$(BIN)/python -m proofs.jaket

proof-trelm: $(VENV)/.installed
	$(BIN)/python -m proofs.trelm

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

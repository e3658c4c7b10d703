# `make demo` sets up the light environment and shows a result; `make test` completes it and checks everything.
# Both use .venv here, made from pyproject.toml and constraints.txt; PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-results
# Two test processes suit two cores; a file is run by one of them, and conftest.py puts the costly first.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Tests and notebooks start hundreds of processes: without bytecode each of them would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint format bench bench-quick notebooks docs constraints clean

help:
	@echo "make demo       set up and run the demonstration; the results go to $(OUT)/"
	@echo "make test       set up with every extra; lint, type-check and run all tests"
	@echo "make test-fast  the same without the slow tests"
	@echo "make lint       ruff, mypy and the layers contract alone"
	@echo "make format     ruff's formatting and its safe fixes, written to the files"
	@echo "make notebooks  make notebooks/*.ipynb anew from the .py beside them, and run them"
	@echo "make docs       the documentation, to open at docs/_build/html/index.html"
	@echo "make bench      every benchmark, into benchmarks/RESULTS.md (an hour); RESUME=1 goes on after an interruption"
	@echo "make bench-quick  a shorter set, in minutes, into benchmarks/results/QUICK.md"
	@echo "make clean      remove what was made here (the environment, caches, $(OUT)/)"

demo: $(VENV)/.demo
	@$(BIN)/predclv demo --out $(OUT)

test: lint
	$(PYTEST) --nbmake tests notebooks

test-fast: lint
	$(PYTEST) -m "not slow"

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each case is a process of its own; other packages are in the extras.
bench: $(VENV)/.all
	$(BIN)/python benchmarks/run.py $(if $(RESUME),--resume)

bench-quick: $(VENV)/.all
	$(BIN)/python benchmarks/run.py --quick

# Offline; a warning is an error. Cells of pages and the gallery are run, and kept until code or package change.
docs: $(VENV)/.all
	$(BIN)/sphinx-build -W -n --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

# What `make test` was last green with. PyMC and its companions are other versions from Python 3.12 on.
notebooks: $(VENV)/.all
	$(BIN)/jupytext --quiet --to ipynb notebooks/*.py
	$(BIN)/pytest --nbmake --overwrite notebooks

constraints: $(VENV)/.all
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	   $(BIN)/pip freeze --exclude-editable --exclude predclv \
	   | sed -E '/^(pymc|pymc-extras|pytensor|pytensor-distributions|arviz|arviz-stats|preliz)==/I s/$$/ ; python_version < "3.12"/'; \
	 } > constraints.new && mv constraints.new constraints.txt && touch $(VENV)/.demo $(VENV)/.all

clean:
	rm -rf docs/_build docs/gallery docs/notebooks/*.ipynb docs/api/*.rst docs/commands.rst
	rm -rf $(VENV) $(OUT) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "predclv needs Python 3.11 or newer: make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# A stamp is touched once pip has succeeded, so nothing is installed twice and a broken install is tried again.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing predclv with what the demonstration needs into $(VENV) (a minute or so) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.all: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing predclv with every extra into $(VENV) (about two minutes, 2.6 GB) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@ $(VENV)/.demo

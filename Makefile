# Everything runs in .venv, which is made where it is missing. PYTHON may name another interpreter, 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Twelve checkpoints, early ones dense, on all 1,437 training images; without eigenvectors, which no figure needs.
DEMO := --at 0,5,10,23,46,69,92,138,184,276,368,460 --vectors 0

.PHONY: demo test lint format docs package bench clean
.DEFAULT_GOAL := help
.PHONY: help

help:
	@echo "make demo     train on handwritten digits, and draw the dendrograms of the Hessian's eigenvalues"
	@echo "make test     run the tests"
	@echo "make lint     check style and types"
	@echo "make docs     build the documentation's site"
	@echo "make package  build wheel and sdist, and use them in empty environments"
	@echo "make bench    measure ratios against other programs"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

# One stamp per set of extras; renewed when the project's requirements change.
$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,apps]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,dev]'
	@touch $@ $(VENV)/.demo

# Without torch: the reference is read from the sources as text.
$(VENV)/.docs: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/hessian-dendrogram run digits $(DEMO)

test: $(VENV)/.dev
	$(BIN)/pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.docs
	$(BIN)/python docs/build.py

package: $(VENV)/.dev
	bash .ci/package

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/dendrogram.py
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/exact_hessian.py --dtype float32
	$(BIN)/python benchmarks/exact_hessian.py --dtype float64
	$(BIN)/python benchmarks/samples.py
	$(BIN)/python benchmarks/checks.py
	$(BIN)/python benchmarks/products.py
	$(BIN)/python benchmarks/precision.py
	$(BIN)/python benchmarks/dense_eigensolver.py

clean:
	rm -rf $(VENV) runs build site .pytest_cache .mypy_cache .ruff_cache .hypothesis

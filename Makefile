# Targets for people; setup.py and pyproject.toml do the work. PYTHON says which interpreter .venv is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.py pyproject.toml $(shell find nanobragg_py kernels cli \
    -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.cu' -o -name nanoBragg -o -name noisify)

.PHONY: help setup example test lint bench docs site clean

help:
	@echo "make example   set up and render the example image"
	@echo "make test      set up and run the checks of style and the tests"
	@echo "make setup     the environment in $(VENV), with the package in it"
	@echo "make lint      ruff and cython-lint"
	@echo "make bench     the benchmarks"
	@echo "make docs      write the generated pages of docs/ anew"
	@echo "make site      the documentation as a site, in site/, with every link checked"
	@echo "make clean     take away what was built"

setup: $(VENV)/installed

# The package is installed, not linked: what is tested is what users get.
$(VENV)/installed: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test]'
	touch $@

example: setup
	NANOBRAGG=$(CURDIR)/$(BIN)/nanoBragg PYTHON=$(CURDIR)/$(BIN)/python examples/rotation.sh

test: setup lint
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff check
	PATH=$(CURDIR)/$(BIN):$$PATH cython-lint kernels nanobragg_py/flags

bench: setup
	$(BIN)/python benchmarks/run.py --scaling --json benchmarks.json --plot benchmarks.png

docs: setup
	$(BIN)/python -P -m nanobragg_py.flags.page $(shell grep -l '^<!-- flags of ' docs/*.md)
	$(BIN)/python tests/test_help.py

site: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info

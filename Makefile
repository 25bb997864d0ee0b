# Targets for people; setup.py and pyproject.toml do the work. PYTHON says which interpreter .venv is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -P -m pip --quiet --disable-pip-version-check
WHEELS := build/wheels
# an environment of its own for what builds the package
TOOLS := $(VENV)/tools
# those of kernels/formulas/shapes are parts of shapes.h
HEADERS = $(wildcard kernels/*/*.h) kernels/formulas/shapes/shapes.h
CUDA = $(wildcard kernels/*/*.cu)
SOURCES := setup.py pyproject.toml MANIFEST.in README.md $(shell find nanobragg_py kernels cli \
    -name '*.py' -o -name '*.pyi' -o -name '*.pxi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.cu' -o -name nanoBragg -o -name noisify -o -name nonBragg)

# Where the environment asks Python to keep no bytecode, every program that the tests start, thousands of them, would
# compile numpy anew, which is most of what it does.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup wheel example test pytest lint frameworks sanitize fuzz bench docs site clean

help:
	@echo "make example   set up and render the example image"
	@echo "make test      set up and run the checks of style and the tests"
	@echo "make setup     the environment in $(VENV), with the package in it"
	@echo "make lint      the checks of style"
	@echo "make frameworks  gradients and data sets by torch and by jax, which it installs"
	@echo "make sanitize  golden cases and broken inputs under the address and undefined-behaviour sanitizers"
	@echo "make fuzz      inputs that are meant to break the programs, kept in found/ where they do"
	@echo "make bench     the benchmarks"
	@echo "make docs      write the generated pages of docs/ anew"
	@echo "make site      the documentation as a site, in site/, with every link checked"
	@echo "make clean     take away what was built"

setup: $(VENV)/installed

# The source archive is unpacked, a wheel is made of it, and that is installed: what is tested is what users get, and
# tests/test_install.py takes the same wheel. What builds it is what pyproject.toml asks for, in an environment with
# nothing else in it. Objects are kept, so that only what changed is compiled. Meanwhile what the tests need is fetched;
# of that only what they import is worth compiling.
$(VENV)/installed: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(MAKE) --jobs=2 --no-print-directory wheel $(VENV)/dependencies
	$(PIP) uninstall --yes nanobragg-py 2>/dev/null
	$(PIP) install "$$(echo $(WHEELS)/*.whl)[test]"
	touch $@

wheel: $(TOOLS)/ready
	rm -rf build/archive $(WHEELS)
	mkdir -p build/objects build/archive
	$(TOOLS)/bin/python -P -m build --no-isolation --sdist --outdir build/archive . >/dev/null
	tar -xzf build/archive/*.tar.gz -C build/archive --strip-components=1
	ln -s ../objects build/archive/build
	$(PIP) --python $(TOOLS)/bin/python wheel --no-deps --no-build-isolation --wheel-dir $(WHEELS) build/archive

$(TOOLS)/ready: pyproject.toml
	$(BIN)/python -m venv --without-pip $(TOOLS)
	$(PIP) --python $(TOOLS)/bin/python install --no-compile build \
	    $$($(BIN)/python -P -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'])")
	touch $@

$(VENV)/dependencies: pyproject.toml
	$(BIN)/python -P packaging/requirements.py test > $(VENV)/requirements.txt
	$(PIP) install --no-compile --requirement $(VENV)/requirements.txt
	touch $@

example: setup
	NANOBRAGG=$(CURDIR)/$(BIN)/nanoBragg NANOBRAGG_PY=$(CURDIR)/$(BIN)/nanobragg-py examples/rotation.sh

test: setup
	$(MAKE) --jobs=2 --no-print-directory lint pytest

# as many tests at a time as there are processors; those of a module together, for what they share, and the modules in
# the order of tests/conftest.py. OpenMP's threads wait for each other as briefly as those of the programs do
# (nanobragg_py/render/backends.py): busy loops take the processors from the tests beside.
pytest: setup
	MAKEFLAGS= GOMP_SPINCOUNT=3000 NANOBRAGG_WHEELS=$(CURDIR)/$(WHEELS) \
	    $(BIN)/pytest -n auto --dist loadscope --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check
	PATH=$(CURDIR)/$(BIN):$$PATH cython-lint kernels nanobragg_py/flags
	cd $(VENV) && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --package nanobragg_py
	! grep -nE '	|[[:space:]]$$|.{121}' $(HEADERS) $(CUDA)
	for header in $(HEADERS); do $(CC) -x c -fsyntax-only -fopenmp-simd -Wall -Wextra -Wno-unused-parameter -Wno-psabi -Werror -D_GNU_SOURCE \
	    -Ikernels/formulas -Ikernels/loops -Ikernels/noise $$header || exit 1; done

frameworks: setup
	$(PIP) install torch jax --extra-index-url https://download.pytorch.org/whl/cpu
	$(BIN)/python -P -m pytest -n 0 -ra tests/test_gradients_frameworks.py tests/test_data.py

sanitize: setup
	PYTHON=$(BIN)/python tests/sanitize.sh

fuzz: setup
	$(BIN)/python tests/fuzz/run.py --count 1000 --keep found

bench: setup
	$(BIN)/python benchmarks/run.py --scaling --json benchmarks.json --plot benchmarks.png

docs: setup
	$(BIN)/python -P -m nanobragg_py.flags.page $(shell grep -l '^<!-- flags of ' docs/*.md)
	$(BIN)/python -P -m nanobragg_py.experiment.reference docs/fields.md
	$(BIN)/python tests/test_help.py

site: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info

# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
# PYTHON may name an interpreter (3.11 to 3.13); otherwise the first that runs is taken.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Python compiles the modules that are used when they are first imported; all of them would take a minute. It must keep
# what it has compiled, whatever the environment says: otherwise each process takes 14 s longer to import Keras.
unexport PYTHONDONTWRITEBYTECODE
INSTALL = $(BIN)/python -m pip install --quiet --no-compile --editable

.PHONY: demo test check types tests slow docs bench fuzz tables clean
.DELETE_ON_ERROR:

# The main job on a real photograph that comes with scikit-image.
demo: .venv/runtime.stamp
	mkdir -p demo
	$(BIN)/python -c 'import skimage.data, skimage.io; skimage.io.imsave("demo/chelsea.png", skimage.data.chelsea())'
	$(BIN)/defocus-edge estimate demo/chelsea.png --overlay --edges
	$(BIN)/defocus-edge mask demo/chelsea.png --radius 1.5

test: check

# Types and documentation are checked beside the tests, which leave a core idle while they wait for processes and files.
check: .venv/test.stamp
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory --jobs 2 types tests

types: .venv/test.stamp
	$(BIN)/mypy
	$(MAKE) --no-print-directory docs

# pymatting compiles itself when it is first imported: a minute, which each worker of the tests would take. The modules of
# Keras and Ray are compiled then, too; Ray starts programs of its own, which it does not wait for long. Files keep their
# order: xdist would put those with few tests last, and some of these take minutes.
tests: .venv/test.stamp
	$(BIN)/python -c 'import compileall, keras, pymatting, ray; compileall.compile_dir(ray.__path__[0], quiet=2)'
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 30

# Tests that take minutes each and are left out of the others: programs that are killed, other backends of Keras, bfloat16
# of all networks.
slow: .venv/test.stamp
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

# The documentation as web pages; open docs/_build/index.html.
docs: .venv/docs.stamp
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build

bench: .venv/test.stamp
	$(BIN)/python -m tests.benchmarks

# Changed files through every reader, in processes of their own.
MINUTES ?= 10
fuzz: .venv/test.stamp
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

# The tables of the README and of docs, from the commands that their markers name, with the pictures that these need.
tables: .venv/test.stamp
	$(BIN)/python -m training tables

clean:
	rm -rf .venv demo build docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/runtime.stamp: .venv/bin/python setup.cfg
	$(INSTALL) '.[onnx]'
	touch $@

.venv/docs.stamp: .venv/bin/python setup.cfg
	$(INSTALL) '.[docs]'
	touch $@ .venv/runtime.stamp

.venv/test.stamp: .venv/bin/python setup.cfg
	$(INSTALL) '.[test]'
	touch $@ .venv/docs.stamp .venv/runtime.stamp

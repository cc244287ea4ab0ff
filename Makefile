# `make demo` and `make test` set up everything they need, on a machine with Python 3.11 and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready

.PHONY: demo test check bench golden docs picture clean

demo: $(READY)           ## a pipeline that fails, is killed, resumed, undone, measured and proved: under a minute
	@$(BIN)/actum demo

test: $(READY)           ## every test
	$(BIN)/pytest -n 2 --dist loadgroup

check: $(READY)          ## before a commit: format, lint, types, import direction, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadgroup -m "not slow"

bench: $(READY)          ## measure, beside DBOS; writes bench/results/ and the figures of the README
	$(BIN)/pip install --quiet --constraint constraints.txt ".[bench]"
	$(BIN)/python -m bench.run

golden: $(READY)         ## add golden files for new event versions, never changing one; renew the golden exposition
	$(BIN)/python tests/golden/make.py
	$(BIN)/python -m tests.exporters.test_prometheus

docs: $(READY)           ## write docs/reference/ from the code it is about
	$(BIN)/python docs/reference/make.py

picture: $(READY)        ## make docs/demo.svg from what `actum demo` prints now
	$(BIN)/python docs/picture.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("actum needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable ".[dev]"
	@touch $(READY)

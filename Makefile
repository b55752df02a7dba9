# Two commands set everything up on a fresh machine: `make demo` runs the main job, `make test`
# passes the tests. Each makes the virtual environment it needs and nothing else.

PYTHON ?= python3
# One known build of torch first: whatever satisfies the package's own range is then left alone.
TORCH  ?= torch==2.13.0
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A file's tests share servers and published versions, so they stay in one process.
PYTEST ?= -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test check docs catalogs format clean

demo: $(VENV)/.torch
	$(BIN)/scidata demo

test: $(VENV)/.test
	$(BIN)/python -m pytest $(PYTEST)

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/.test
	$(BIN)/python -m pytest tests/test_docs.py

catalogs: $(VENV)/.torch
	$(BIN)/python -m scidata.catalog catalogs

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) dist scidata-demo

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch: pyproject.toml | $(BIN)/python
	$(PIP) "$(TORCH)"
	$(PIP) --editable ".[bench]"
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.torch
	$(PIP) --editable ".[test]"
	touch $@

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: setup demo test lint lock clean

# Two commands for users: `make demo` and `make test`. Both set up first.
demo: setup
	$(BIN)/litelens demo --out runs/demo

test: setup lint
	$(BIN)/pytest -m "not slow"
	$(BIN)/pytest -m slow

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

lint: setup
	$(BIN)/ruff check .

# Maintainers: exact versions with hashes, from pyproject.toml.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev \
		--no-emit-index-url --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv runs build *.egg-info

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow smoke clean

demo: .venv/installed  ## the main job on the CPU: pretrain, fine-tune, conjugate, measure; about four minutes
	$(BIN)/implicit-inference run --preset demo

smoke: .venv/installed  ## the same in miniature, under a minute
	$(BIN)/implicit-inference run --preset smoke

test: .venv/installed  ## style, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 -m "not slow"

test-slow: .venv/installed  ## the tests marked slow: many more examples
	$(BIN)/pytest -n 2 -m slow

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; choose one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	@touch $@

clean:  ## everything but the runs
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

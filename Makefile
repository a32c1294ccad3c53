PYTHON ?= python3
BIN := .venv/bin

EXPERIMENTS := primary single_distribution tradeoff forgetting conjugation other_conjugations finetuning_sets replay \
  lessons finetuning_prompts origin closeness task_diversity worlds erasure weight_path \
  splicing translation language_dose anchors rare_languages language_methods language_lessons language_averages \
  language_control safety code_tuning model_size nonlinear methods control spread teachers
SCALE ?= laptop

.PHONY: help demo demo-language zoo smoke experiments figures docs bench test test-slow clean

help:  ## what there is to make
	@awk -F ':.*## +' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed  ## the main job on the CPU: pretrain, fine-tune, conjugate, measure; about five minutes
	$(BIN)/implicit-inference run --preset demo

demo-language: .venv/installed  ## the same in the world of tiny languages
	$(BIN)/implicit-inference run --preset language-demo

smoke: .venv/installed  ## the same in miniature, under a minute
	$(BIN)/implicit-inference run --preset smoke

zoo: demo demo-language  ## the networks that come with the package, trained anew
	$(BIN)/python -m implicit_inference.runs.zoo

experiments: .venv/installed  ## every experiment at SCALE (smoke, laptop, paper), then the gallery; finished runs are skipped
	for name in $(EXPERIMENTS); do $(BIN)/python experiments/$$name.py --scale $(SCALE) || exit 1; done
	$(BIN)/python figures/gallery.py --scale $(SCALE)

figures: .venv/installed  ## the gallery from its stored tables; trains nothing
	$(BIN)/python figures/gallery.py
	$(BIN)/python figures/front.py
	$(BIN)/python figures/time_to_result.py
	$(BIN)/python figures/road.py
	$(BIN)/python figures/language_model.py

docs: .venv/documented  ## the documentation as a site, in site/index.html; the build itself needs no network
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going docs site
	@echo site/index.html

bench: .venv/installed  ## how fast, side by side; six minutes; a minute: implicit-inference bench --quick
	$(BIN)/implicit-inference bench

test: .venv/installed  ## style, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 -m "not slow"

test-slow: .venv/installed  ## the tests marked slow: many more examples, programs compiled as users compile them
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/pytest -n 2 -m slow

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; choose one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	@touch $@

.venv/documented: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[docs]"
	@touch $@

clean:  ## everything that can be made again, but the runs
	rm -rf .venv site .pytest_cache .mypy_cache .ruff_cache .hypothesis

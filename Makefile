.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

BIN := .venv/bin
PACKAGES := components pipelines cli schemas

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

setup:  ## make .venv with everything in it (PYTHON=/path overrides the interpreter)
	@tools/setup.sh

demo: setup  ## run the bundled census pipeline
	@$(BIN)/tfx-trust run

# Lint first, so that the last line printed is pytest's own.
test: lint  ## lint, then run the tests
	@$(BIN)/python -m pytest

# tfx_trust has no folder of its own (see setup.py), so mypy is shown one made of links.
lint: setup  ## check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@mkdir -p build/mypy/tfx_trust
	@for name in $(PACKAGES); do ln -sfn ../../../$$name build/mypy/tfx_trust/$$name; done
	@MYPYPATH=build/mypy $(BIN)/mypy -p tfx_trust

bench: setup  ## run every benchmark
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

clean:  ## remove the environment, caches, build products and runs
	@rm -rf .venv .uv build dist runs *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find $(wildcard $(PACKAGES) tests benchmarks tools) -name __pycache__ -prune -exec rm -rf {} +

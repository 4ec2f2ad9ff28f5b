# Every target does its own set-up: a fresh clone needs nothing typed before it.
SHELL := /bin/bash
BIN := .venv/bin
.PHONY: help setup demo test lint format bench bench-report

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup:  ## Make .venv, and install system libraries where that is allowed
	@tools/setup.sh

demo: setup  ## Collect, train, evaluate, then drive the twin over ROS 2; prints the report's path
	@$(BIN)/python benchmarks/demo.py $(DEMO)

test: setup  ## Run the tests (MARKERS="" runs the slow ones too, JOBS=2 in two processes)
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup -m '$(MARKERS)' $(TESTS)
MARKERS ?= not slow
JOBS ?= 0

lint: setup  ## Formatting, style, types, dependency rule, layout
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/test_layout.py

format: setup  ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup  ## Measure everything the foundation promises, into benchmarks/results/foundation.json
	@$(BIN)/python benchmarks/foundation.py $(BENCH)

bench-report: setup  ## Print every target of benchmarks/results, those that do not hold first
	@$(BIN)/python benchmarks/report.py

# Targets for users (run, setup) and for developers (the rest). `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help run setup dev test check bench format clean

PYTHON := .venv/bin/python
# Quick tests wait more than they work; a guest takes a CPU. Those that measure run last, alone.
PYTEST := $(PYTHON) -m pytest
QUICK := -n 4 --dist worksteal -m "not slow and not alone"
GUESTS := -n 2 --dist worksteal -m "slow and not alone"

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 16

run: ## Open vmtui, installing what it needs the first time; ARGS="…" are its arguments
	@scripts/setup run --no-retry
	@.venv/bin/vmtui $(ARGS)

setup: ## Install what vmtui needs, without opening it
	@scripts/setup run

dev:
	@scripts/setup dev

test: dev ## Every check and every test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTEST) $(QUICK)
	$(PYTEST) $(GUESTS)
	$(PYTEST) -m alone

check: dev ## The quick checks and tests only
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTEST) $(QUICK)

bench: dev ## Measure; ONLY="tour listing" chooses benchmarks
	$(PYTHON) -m benchmarks $(ONLY)

format: dev ## Format the code, and repair what can be repaired
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean: ## Remove what was built here; the cache of images stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Targets for users (run, setup) and for developers (the rest). `make help` lists them.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run setup dev lint test check quick alone together hard bench reference pictures dist format clean

# Tests and benchmarks start vmtui hundreds of times: compiled, as where it is installed.
unexport PYTHONDONTWRITEBYTECODE

PYTHON := .venv/bin/python
# Tests wait for others nearly as long as they work. Those that measure run before them, alone; so
# all tests have been compiled, once, when four processes need them at a time.
PYTEST := $(PYTHON) -m pytest
BY_FOURS := -n 4 --dist worksteal

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

run: ## Open vmtui, installing what it needs the first time; ARGS="…" are its arguments
	@scripts/setup run --no-retry
	@.venv/bin/vmtui $(ARGS)

setup: ## Install what vmtui needs, without opening it
	@scripts/setup run

dev:
	@scripts/setup dev

lint: dev ## The checks that run nothing: style, types, layers, dead code, dependencies
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/vulture
	.venv/bin/deptry .

test: lint alone together ## Every check and every test; with -k it goes on after a failure

check: lint quick ## The quick checks and tests only

quick: dev
	$(PYTEST) $(BY_FOURS) -m "not slow and not alone"

alone: dev
	$(PYTEST) -m alone

together: dev
	$(PYTEST) $(BY_FOURS) -m "not alone"

hard: dev ## Kill vmtui 200 times at its work, give it 1,000 broken files of each kind
	VMTUI_HARD=200 $(PYTEST) tests/fault/test_hard_kills.py tests/fuzz

bench: dev ## Measure; ONLY="tour listing" chooses benchmarks
	$(PYTHON) -m benchmarks $(ONLY)

reference: dev ## Write anew: docs of keys, commands, settings, figures; manual; completion
	$(PYTHON) -m reference

pictures: dev ## Draw anew: the pictures in the docs, of the demo fleet and of a real guest
	VMTUI_UPDATE_GOLDEN=1 $(PYTEST) -q tests/tui/test_picture.py
	$(PYTHON) -m reference.real_guest

dist: dev ## Build wheel and sdist into dist, and check them
	rm -rf dist
	$(PYTHON) -m build --no-isolation
	$(PYTHON) -m twine check --strict dist/*

format: dev ## Format the code, and repair what can be repaired
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean: ## Remove what was built here; the cache of images stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything a developer needs; CI runs `make test`. On a fresh machine `make run` and `make test` install what is missing.
.DEFAULT_GOAL := help
SHELL := bash
# What Python has compiled is kept for the next process, whatever the environment says: a server that a test starts needs a third less.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell scripts/python)
# Four processes for two cores, since some tests wait for programs and clocks; `make test JOBS=6` where there are more.
JOBS ?= 4
UV_LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock"

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/.run: requirements/run.txt pyproject.toml scripts/venv
	scripts/venv $(VENV) requirements/run.txt "$(PYTHON)"
	touch $@

$(BIN)/.dev: requirements/dev.txt pyproject.toml scripts/venv
	scripts/venv $(VENV) requirements/dev.txt "$(PYTHON)"
	touch $(BIN)/.run $@

.PHONY: run
run: $(BIN)/.run ## Start Tocsin on the embedded database; it says what to do next
	$(BIN)/tocsin serve

.PHONY: system
system:
	@scripts/system-packages test

.PHONY: demo
demo: $(BIN)/.run ## Look around: a made-up hosting company with 90 days behind it, in ./demo-data. Sends nothing
	$(BIN)/tocsin demo

.PHONY: test
test: system $(BIN)/.dev lint ## All checks and all tests
	@$(MAKE) --no-print-directory --jobs=2 types suite

# mypy has one process, at the side of which there is room for tests.
.PHONY: suite
suite: $(BIN)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -q

.PHONY: check
check: lint types ## Format, lint, floors, strict types

.PHONY: lint
lint: $(BIN)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

.PHONY: types
types: $(BIN)/.dev
	$(BIN)/mypy

.PHONY: fix
fix: $(BIN)/.dev ## Let the formatter and the linter mend what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: claims
claims: $(BIN)/.dev ## Which promise is held by which tests, and which by none
	$(BIN)/python -m pytest --claims -q

.PHONY: soak
soak: system $(BIN)/.dev ## The long tests: hundreds of kills, thousands of made-up requests
	TOCSIN_HYPOTHESIS=soak $(BIN)/python -m pytest -m soak -q

.PHONY: screenshots
screenshots: system $(BIN)/.dev ## Every page as desk and phone show it, by day and at night, into screenshots/
	$(BIN)/python -m tests.web.screenshots

build/lighthouse/node_modules/.bin/lighthouse:
	npm install --prefix build/lighthouse --no-audit --no-fund --no-save lighthouse@12.8.2

.PHONY: lighthouse
lighthouse: system $(BIN)/.dev build/lighthouse/node_modules/.bin/lighthouse ## What Lighthouse says of the main pages (needs Node.js), into docs/reference/dashboard.md
	$(BIN)/python -m tests.web.lighthouse build/lighthouse/node_modules/.bin/lighthouse

.PHONY: bench
bench: $(BIN)/.dev ## Measure speed and memory, and write docs/performance.md
	@scripts/system-packages bench
	$(BIN)/python -m bench.run

.PHONY: lock
lock: $(BIN)/.dev ## Pin the dependencies of pyproject.toml anew (needs uv)
	$(UV_LOCK) --extra install -o requirements/run.txt pyproject.toml
	$(UV_LOCK) --extra install --extra dev -o requirements/dev.txt pyproject.toml

.PHONY: bridge
bridge: ## Build the single-file bridge and its hook table from contracts/
	php php/build.php

.PHONY: clean
clean: ## Remove what was built; data/ stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache

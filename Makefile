# All work with this tree goes through these targets.  Each sets up what it needs: Python 3.11 or newer, make and npm
# must be on the machine, all else is installed into the tree (.venv, tests/*/node_modules), in pinned versions.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Measures at next to no cost from Python 3.12 on; before that it is passed over.
export COVERAGE_CORE := sysmon
unexport PYTHONDONTWRITEBYTECODE # or each of the many processes that tests start compiles the package anew

BIN := .venv/bin
WORKERS ?= 2
OTHER_PYTHONS := 3.11 3.12

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## make the virtual environment .venv, or bring it up to date
	@scripts/setup .venv dev

.PHONY: setup-all
setup-all: setup setup-programs $(OTHER_PYTHONS:%=setup-%) ## make all that `make test-all` needs, side by side with --jobs=2

.PHONY: setup-programs
setup-programs:
	@scripts/setup-oidc
	@scripts/setup-programs

.PHONY: $(OTHER_PYTHONS:%=setup-%)
$(OTHER_PYTHONS:%=setup-%): setup-%:
	@! scripts/find-python $* >/dev/null || scripts/setup .venv-$* test $*

.PHONY: demo
demo: setup ## show the main job end to end, against the practice provider on loopback
	@$(BIN)/python demo/run.py

# -- tests -------------------------------------------------------------------------------------------------------------

# What runs outside the process of its test, in programs and browsers, or runs what others run too: measuring it would
# take long and show little.  The other tests hold the coverage to its gate by themselves.
UNMEASURED = tests/refresh_model tests/oidc tests/mcp_client tests/docs tests/bad_input \
	tests/cli/bad_input tests/presets tests/server/browser tests/server/api/test_openapi.py tests/facade/test_month.py
PYTEST = pytest -n $(WORKERS) --dist worksteal
SLOWEST = --durations 10 --durations-min 2

.PHONY: test
test: setup setup-programs ## run all tests and hold the coverage to its gate; ARGS="tests/engine -k claim" runs some of them
ifdef ARGS
	$(BIN)/python -m $(PYTEST) $(ARGS)
else
	@rm -f .coverage .coverage.*
	@failed=0; set -x; \
	$(BIN)/python -m $(PYTEST) tests/explorer || failed=1; \
	$(BIN)/python -m $(PYTEST) $(SLOWEST) $(UNMEASURED) || failed=1; \
	$(BIN)/coverage run -m $(PYTEST) $(SLOWEST) $(patsubst %,--ignore=%,tests/explorer $(UNMEASURED)) || failed=1; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report || failed=1; \
	$(BIN)/python scripts/providers.py --count || failed=1; \
	exit $$failed
endif

.PHONY: test-all
test-all: test $(OTHER_PYTHONS:%=test-%) ## run the tests, then the core tests on the other Pythons that are here

.PHONY: $(OTHER_PYTHONS:%=test-%)
$(OTHER_PYTHONS:%=test-%): test-%:
	@if scripts/find-python $* >/dev/null; then $(MAKE) core PYTHON_VERSION=$*; \
	else echo "**** Python $* is not here: the core tests did not run on it."; fi

.PHONY: explore
explore: setup ## explore the engine's interleavings further than `make test` does (some minutes)
	EXPLORE=more $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(or $(ARGS),tests/explorer tests/refresh_model)

.PHONY: fuzz
fuzz: setup ## read 10,000 made-up answers with each parser (some minutes)
	FUZZ=more $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -o faulthandler_timeout=3600 -m fuzz $(or $(ARGS),tests/protocol)

.PHONY: conformance
conformance: setup ## write docs/conformance.md, which requirement is held by which test
	@$(BIN)/python scripts/conformance.py

.PHONY: providers
providers: setup ## write what follows from the presets: index, pages, list, count, schema
	@$(BIN)/python scripts/providers.py

# What depends on the Python it runs on: not the tables of the pages, the presets and the practice provider, nor the
# stores that are servers of their own.
CORE_TESTS = tests/adapters tests/engine tests/facade tests/stores tests/keys tests/secret_services tests/protocol \
	tests/test_flights.py tests/test_http.py tests/test_loopback.py tests/test_interaction.py tests/test_package.py \
	--ignore=tests/stores/postgres --ignore=tests/stores/redis_server

.PHONY: core
core: # with PYTHON_VERSION: the core tests on that Python, in an environment of its own
	@scripts/setup .venv-$(PYTHON_VERSION) test $(PYTHON_VERSION)
	.venv-$(PYTHON_VERSION)/bin/python -m $(PYTEST) -m "not oidc" $(or $(ARGS),$(CORE_TESTS))

.PHONY: screenshots
screenshots: setup ## take pictures of the console's pages, in both themes, into .cache/screenshots
	@scripts/setup-oidc
	@rm -rf .cache/screenshots && mkdir -p .cache/screenshots
	SCREENSHOTS=$(CURDIR)/.cache/screenshots $(BIN)/python -m pytest -q -n $(WORKERS) tests/server/browser/test_pages.py
	@echo "$$(ls .cache/screenshots | wc -l) pictures in .cache/screenshots"

.PHONY: compare-screenshots
compare-screenshots: setup ## compare .cache/screenshots with those of another build: DIR=folder
	@test -d "$(DIR)" || { echo "usage: make compare-screenshots DIR=folder of an earlier build's pictures"; exit 2; }
	@$(BIN)/python scripts/compare_pictures.py "$(DIR)" .cache/screenshots

.PHONY: pictures
pictures: setup ## take the README's pictures of the console anew, into docs/pictures
	@scripts/setup-oidc
	PICTURES=$(CURDIR)/docs/pictures $(BIN)/python -m pytest -q -n 0 tests/server/browser/test_pictures.py

# -- checks ------------------------------------------------------------------------------------------------------------

.PHONY: check
check: lint types layers wheel check-docs ## check style, types, layers, sizes, the wheel and the documentation's code

.PHONY: lint
lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@$(BIN)/python scripts/check_sizes.py
	@$(BIN)/valetkey providers lint src/valetkey/presets

.PHONY: types
types: mypy pyright

.PHONY: mypy pyright
mypy pyright: setup
	$(BIN)/$@

.PHONY: layers
layers: setup
	$(BIN)/lint-imports

.PHONY: wheel
wheel: setup
	@$(BIN)/python scripts/check_wheel.py

.PHONY: check-docs
check-docs: setup
	@$(BIN)/python scripts/check_docs.py

.PHONY: format
format: setup ## put the code into shape
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

# -- figures and documentation -----------------------------------------------------------------------------------------

.PHONY: bench
bench: ## measure what the README promises, beside other clients; ARGS="herd load" measures these only
	@scripts/setup .venv-bench bench
	@.venv-bench/bin/python bench/run.py $(ARGS)

.PHONY: faults
faults: setup ## kill, freeze, cut and confuse everything around grants, and count what is lost; ARGS=--quick: 3 minutes
	@$(BIN)/python bench/faults/run.py $(ARGS)

.PHONY: bench-quick
bench-quick: ## measure the same roughly, in under two minutes on two quiet cores
	@$(MAKE) bench ARGS=--quick

.PHONY: docs
docs: setup ## build the documentation into site/
	@rm -rf site
	$(BIN)/zensical build --strict

.PHONY: clean
clean: ## remove all that was made
	rm -rf .venv .venv-* .cache .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	    .import_linter_cache dist site tests/oidc/node_modules tests/mcp_client/node_modules

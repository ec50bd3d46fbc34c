# Every target makes the virtual environment that it needs. `make` alone lists them.
#
#   PYTHON=/path/to/python3   another Python than the first one found that is new enough
#   ARGS="-k keys"            more arguments for the program that the target runs

VENV := .venv
PYTHON = $(shell scripts/find_python.sh)
PYTHONS := 3.11 3.12 3.13
ARGS :=
# Tests wait more than they compute: three at a time keep two processors busy. One by one, and with their output: ARGS="-n 0 -s".
BESIDE := -n 3 --dist worksteal
# pyright would ask the network for a newer version of itself.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# The theme would advertise its successor in every build.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help demo test steps test-all test-oldest fuzz coverage chaos failures variants check fix docs bench guard clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

# What is made for developers has everything.
demo: $(or $(wildcard $(VENV)/.ready-dev),$(VENV)/.ready-all) ## see caching work, with numbers, on a private server
	@$(VENV)/bin/python -m afresh demo $(ARGS)

test: $(VENV)/.ready-dev ## run the tests
	@$(VENV)/bin/python -m pytest $(BESIDE) $(ARGS)

steps: $(VENV)/.ready-dev ## run the step tests alone: every interleaving of the flows of production
	@$(VENV)/bin/python -m pytest $(BESIDE) tests/flows $(ARGS)

test-all: ## run the tests on every supported Python found here
	@status=0; for version in $(PYTHONS); do \
	    if python=$$(scripts/find_python.sh $$version); then \
	        echo "== Python $$version: $$python"; \
	        $(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON=$$python || status=1; \
	    else \
	        echo "== Python $$version: not found here, not tested"; \
	    fi; \
	done; exit $$status

test-oldest: ## run the tests with the oldest dependencies that pyproject.toml admits
	@$(PYTHON) scripts/oldest.py > .venv-oldest.txt
	@PIP_CONSTRAINT=$(CURDIR)/.venv-oldest.txt $(MAKE) --no-print-directory test VENV=.venv-oldest

fuzz: $(VENV)/.ready-dev ## look for inputs that break a property, for an hour: ARGS="--seconds 60"
	@$(VENV)/bin/python -m tests.fuzz $(ARGS)

coverage: $(VENV)/.ready-dev ## run the tests and list the branches of core that none takes
	@$(VENV)/bin/coverage run -m pytest $(ARGS)
	@$(VENV)/bin/coverage report

chaos: $(VENV)/.ready-dev ## torture servers and clients, and hold what they read to the contract
	@$(VENV)/bin/python -m afresh.testing.chaos $(ARGS)

check: $(VENV)/.ready-dev ## lint, format, types, layers and sizes
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/python scripts/budgets.py

fix: $(VENV)/.ready-dev ## mend what the linter and the formatter can
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

failures: $(VENV)/.ready-dev ## measure what calls do while a server fails, and write docs/reference/failures.md
	@$(VENV)/bin/python scripts/failures.py

variants: $(VENV)/.ready-dev ## get the protocol wrong in every known way, and list what catches it
	@$(VENV)/bin/python -m scripts.wrong_variants $(ARGS)

docs: $(VENV)/.ready-dev ## build the documentation into site/
	@$(VENV)/bin/mkdocs build --strict --quiet
	@echo "site/index.html is ready"

bench: $(VENV)/.ready-dev ## measure against the floor and the peers, and draw the plots of the documentation
	@$(VENV)/bin/python -m pip install --quiet "pip>=25.1" && $(VENV)/bin/python -m pip install --quiet --group bench \
	    || echo "afresh: not all peers could be installed; who is absent is left out" >&2
	@$(VENV)/bin/python -m benchmarks $(ARGS)

guard: $(VENV)/.ready-dev ## count the machine instructions of a hit, and compare with the baseline: ARGS=--write for a new one
	@$(VENV)/bin/python scripts/guard.py $(ARGS)

clean: ## remove everything that was built, the environments too
	rm -rf .venv .venv-* .venv*.lock .venv*.log .venv*.txt site build dist .coverage* .*_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready-%: pyproject.toml
	@python="$(PYTHON)"; test -n "$$python" || { echo "afresh: no Python 3.11 or newer found: make PYTHON=/path/to/python3 ..." >&2; exit 1; }; \
	"$$python" scripts/bootstrap.py $(VENV) $*

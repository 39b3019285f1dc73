# make test    everything that must hold before a change is kept
# make demo    the whole story on the procedural actor, into demo/
#
# Both set up .venv from nothing with Python 3.11 or 3.12 and a package index.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO ?= demo
WORKERS ?= 2

.PHONY: demo test install lint types contracts units format clean

demo: $(INSTALLED)
	$(BIN)/likeness demo -o $(DEMO)

test: lint types contracts units

install: $(INSTALLED)

# The stamp is newer than both files after an installation, so a second run starts at once.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
		{ echo "found $$($(PYTHON) --version), expected Python 3.11 or 3.12: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

contracts: $(INSTALLED)
	$(BIN)/lint-imports

# One thread per worker: two workers on two cores would otherwise fight over them.
units: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage build

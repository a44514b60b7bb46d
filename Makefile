# make demo   the story, on real portraits        make test   checks and tests
# Both need Python 3.11 to 3.14 and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check -c constraints.txt

.PHONY: demo test check unit clean

demo: $(VENV)/.demo
	@$(BIN)/countenance demo $(DEMO_ARGS)

test: check unit

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --no-summary tests/structure/test_arrows.py

unit: $(VENV)/.dev
	$(BIN)/pytest $(TEST_ARGS)

clean:
	rm -rf $(VENV)

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 15) else "Countenance needs Python 3.11 to 3.14; name one: make PYTHON=python3.12 demo")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/pip pyproject.toml constraints.txt
	@echo "First time only: fetching about 310 MB from the Python package index (100 MB of it the face model)."
	@$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(BIN)/pip pyproject.toml constraints.txt
	@echo "First time only: fetching about 400 MB from the Python package index (100 MB of it the face model)."
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo

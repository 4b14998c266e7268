# The four commands of a checkout. Everything else depends on `make setup`, which does nothing the second time.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup-done

.PHONY: setup web demo test check check-python check-page browser bench bench-live bench-page bench-peers bench-history clean help
.DEFAULT_GOAL := help

help:
	@echo "make setup   environment in .venv, web page built, kernels compiled"
	@echo "make demo    simulated venue + the program; PORT=8123 make demo chooses the port"
	@echo "make bench   our path beside its references on the same bytes; also bench-peers, bench-history"
	@echo "make test    lint, types, import rules, Python tests (browser ones too), web tests"

setup: $(SETUP) web

$(SETUP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "tapewatch needs Python 3.11 or newer; \
	choose one with PYTHON=python3.12 make $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	echo "python3 cannot make a virtual environment; on Debian and Ubuntu install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/tapewatch doctor --warm
	@touch $@

# The page is rebuilt by the package's own build whenever web/ has changed since.
web: $(SETUP)
	@$(BIN)/python hatch_build.py --check || \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .

demo: setup
	@exec $(BIN)/tapewatch demo --port $(PORT)

browser: setup
	@$(BIN)/python tests/support/chromium.py --install

# Two at a time: Python's checks beside the page's.
check: setup
	@$(MAKE) --no-print-directory --jobs 2 check-python check-page

check-python:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

check-page:
	$(BIN)/python hatch_build.py npm run check
	$(BIN)/python hatch_build.py npm run test

# pytest comes last: its summary is the last line on the screen. Files are spread over a process a core: the programs
# and browsers that they start have to keep up with a market beside each other.
test: setup browser check
	$(BIN)/pytest --dist loadfile --no-loadscope-reorder --maxprocesses 8 \
	--numprocesses $$(getconf _NPROCESSORS_ONLN)

# Run it on a quiet machine; bench/README.md says what is measured. `make bench SETS=depth20` runs one set.
bench: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench $(SETS)

# Other people's feed handlers, and polars, DuckDB and pandas on an archive file; each gets an environment of its own.
bench-peers: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench.against $(SETS)

bench-history: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench.history

# Sockets, fan-out and ten minutes of the whole program against the simulated venue.
bench-live: setup
	$(BIN)/python -m bench.sockets --save
	$(BIN)/python -m bench.fanout --save
	$(BIN)/python -m bench.live --save

# Half an hour of the page in a real browser, with the whole liquidity lab open.
bench-page: setup
	$(BIN)/python -m bench.page --save page

clean:
	rm -rf $(VENV) src/tapewatch/api/static web/node_modules build dist .mypy_cache .ruff_cache .pytest_cache

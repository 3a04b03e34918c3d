# Works with GNU make 3.81 and a POSIX shell. No target changes anything outside this folder.

PYTHONS = python3.14 python3.13 python3.12 python3.11 python3
BIN = .venv/bin
RUN = $(BIN)/python -m
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1
export PIP_USER = 0
# Without compiled files every process of a test run would rewrite and compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

# Processes that `make test` uses: as many as there are cores, or make test WORKERS=1.
WORKERS = logical
# More arguments for pytest: make test ARGS="-k escrow -x"
ARGS =

.PHONY: help setup demo demo-once test test-fast contract lint bench soak cover dist lock clean

help:
	@echo 'make demo-once   a scripted buyer walks the whole main job, and exits'
	@echo 'make demo        the platform, its banks and a shop, for you to buy something'
	@echo 'make test        everything that can be tested here (test-fast: under a minute)'
	@echo 'make contract    only the laws, vectors and tests of the protocol folders'
	@echo 'make lint        style, types and import contracts'
	@echo 'make bench       measurements;  make soak   long runs;  make cover   tests with coverage'
	@echo 'make dist        a wheel and a source archive in dist/'
	@echo 'make setup       only the environment, in .venv;  make clean   remove what was made here'

setup: .venv/ready

# The mark is written last, so that a set-up that failed or was interrupted starts again from nothing.
.venv/locked: requirements/dev.txt
	@set -e; \
	if [ ! -f $@ ] || ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
	    found=; \
	    for name in $(PYTHON) $(PYTHONS); do \
	        if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	            found=$$name; break; \
	        fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo 'Python 3.11 or newer with its venv module is needed: install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python; others: python.org), or say make PYTHON=/path/to/python3.' >&2; \
	        exit 1; \
	    fi; \
	    echo "setting up .venv with $$("$$found" --version)"; \
	    rm -f $@ .venv/ready; \
	    "$$found" -m venv --clear .venv; \
	fi
	$(RUN) pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

.venv/ready: .venv/locked pyproject.toml
	$(RUN) pip install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/tongbao demo $(ARGS)

demo-once: setup
	@$(BIN)/tongbao demo --once $(ARGS)

test: setup
	@$(RUN) pytest -n $(WORKERS) -m "not soak" $(ARGS)

test-fast: setup
	@$(RUN) pytest -n $(WORKERS) -m "not soak and not slow" $(ARGS)

contract: setup
	@$(RUN) pytest -n $(WORKERS) -m "not soak" tests/protocol src/tongbao/protocols $(ARGS)

cover: setup
	@rm -f .coverage .coverage.*
	@$(RUN) coverage run -m pytest -n $(WORKERS) -m "not soak" $(ARGS)
	@$(RUN) coverage combine --quiet
	@$(RUN) coverage report

# All four are run, whatever the first one says.
lint: setup
	@status=0; \
	$(RUN) ruff check . || status=1; \
	$(RUN) ruff format --check --quiet . || status=1; \
	$(RUN) mypy || status=1; \
	$(BIN)/lint-imports --no-logo || status=1; \
	exit $$status

bench: setup
	@$(RUN) benchmarks $(ARGS)

# Long runs, taken up where they were left (make soak ARGS="worlds --seeds 1000"), then the long tests, and the
# properties once more with fresh examples, two thousand each.
soak: setup
	@$(RUN) tests.soak --workers $(WORKERS) $(ARGS)
	@$(RUN) pytest -n $(WORKERS) --timeout 0 --hypothesis-profile=soak -m "soak or hypothesis"

dist: setup
	@rm -rf dist
	@$(RUN) build --no-isolation --outdir dist .

# Write the locks anew from pyproject.toml; the only target that wants uv on the PATH.
lock:
	@sh scripts/lock.sh

clean:
	rm -rf .venv dist build htmlcov screenshots .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

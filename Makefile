# `make` alone prints the targets. Needs git and Python 3.11 or newer; everything else comes from requirements.lock.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# The Temporal binaries that the tests start are in the virtual environment.
export PATH := $(abspath $(VENV)/bin):$(PATH)

# The thousand processes that tests start take what is compiled from what the first one compiled.
unexport PYTHONDONTWRITEBYTECODE

# The first Python that is new enough and can make virtual environments.
PYTHON ?= $(firstword $(foreach each,python3.11 python3.12 python3.13 python3,\
  $(shell $(each) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(each))))

# Only this act of the demo: `make demo ACT=2`; and where it keeps everything: `make demo ROOT=/tmp/demo`.
ACT ?=
ROOT ?=
# What `make test` runs: `make test TESTS=tests/runbook`, `make test ARGS='-k gate -x'`; in so many processes (0: in one,
# as a debugger wants it), each with whole files, whose tests share what they start. PROGRAM_ENDINGS=40 looks at twice as many
# ends of worker.py and starter.py.
TESTS ?=
ARGS ?=
JOBS ?= 4
# What `make chaos` is told: its --help says what there is.
CHAOS ?=
# In CI a test that was skipped has failed.
UNSKIPPED := $(if $(filter true,$(CI)),-p tests.unskipped)

UV := $(VENV)/uv/bin/uv
COMPILE := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header -q

.PHONY: help setup demo sandbox test chaos histories replay bench check lint types mypy pyright layers current format lock docs clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## make .venv from the hashed lock; again only when the lock changes

$(READY): requirements.lock
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with venv was found: install python3 and python3-venv, or say make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## watch releases on this machine: Temporal, forge, registry and hosts included
	$(PY) -m deploy.demo $(if $(ACT),--act $(ACT)) $(if $(ROOT),--root $(ROOT))

sandbox: $(READY) ## the same world, kept running for you to play with
	$(PY) -m deploy.demo --keep $(if $(ROOT),--root $(ROOT))

test: $(READY) ## the whole suite; what this machine lacks is skipped with its reason
	$(PY) -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder --max-worker-restart 0 -p tests.watched $(UNSKIPPED) --durations=15 $(ARGS) $(TESTS)

chaos: $(READY) ## kill, cut and fill up everything at every point: make chaos CHAOS='--sample 100 --seed 1'
	$(PY) -m tests.chaos $(CHAOS)

histories: $(READY) ## record the histories that tests/histories lacks; one anew: make histories ARGS='--again NAME'
	$(PY) -m tests.record_histories $(ARGS)

replay: $(READY) ## how long each recorded history takes to replay, beside an empty workflow
	$(PY) -m tests.replay_times $(ARGS)

bench: $(READY) ## measure a release, its parts and its recovery, beside what they can be compared with
	$(PY) -m tests.bench $(ARGS)

check: lint types layers current ## everything that needs no running: style, types, layers, lock, generated files

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: mypy pyright

mypy: $(READY)
	$(VENV)/bin/mypy

pyright: $(READY)
	$(VENV)/bin/pyright

layers: $(READY)
	PYTHONPATH=. $(VENV)/bin/lint-imports --no-logo --no-cache

current: $(READY)
	$(PY) -m docs.generate --check
	$(PY) -m pytest -q tests/test_locks.py

format: $(READY) ## let ruff format and mend what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(READY) ## generate docs/runbook.md and the JSON Schema of a project's file
	$(PY) -m docs.generate

lock: $(UV) ## compile both locks from pyproject.toml; make lock UPGRADE=--upgrade for newer versions
	$(COMPILE) --all-extras $(UPGRADE) -o requirements.lock
	$(COMPILE) --extra postgresql --constraint requirements.lock -o deploy/requirements.lock

$(UV): $(READY)
	$(PY) -m venv $(VENV)/uv
	$(VENV)/uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9

clean: ## remove what make made, .venv included
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build *.egg-info

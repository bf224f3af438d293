# Two commands for everyone: `make demo` and `make test`. Each sets up what it needs and nothing else.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:

VENV := .venv
PYTHON := $(VENV)/bin/python
CORE_STAMP := $(VENV)/.core-installed
ISAAC_STAMP := $(VENV)/.isaac-installed
# Small networks: threads that spin while waiting only take time from the physics.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help demo test test-sim check format clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(CORE_STAMP)  ## Watch the shipped teacher spin the cube, then train a fresh one for three minutes
	@$(PYTHON) scripts/demo.py

test: $(CORE_STAMP)  ## The test suite: CPU only, a few minutes
	@$(PYTHON) -m pytest

test-sim: $(ISAAC_STAMP)  ## The tests that start Isaac Lab (kit-less, CPU)
	@$(PYTHON) -m pytest -m sim tests/sim

check: $(ISAAC_STAMP)  ## Lint, formatting and types
	@$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

format: $(CORE_STAMP)  ## Format the code and fix what lint can fix
	@$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:  ## Remove the environment and everything that was derived
	rm -rf $(VENV) .cache runs logs outputs *.egg-info

# uv is taken from PATH, or put into .cache when it is not there.
define with_uv
	if command -v uv >/dev/null; then uv=uv; else
	  uv=.cache/uv/bin/uv
	  if [ ! -x "$$uv" ]; then
	    echo "installing uv into .cache/uv"
	    python3 -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet uv
	  fi
	fi
endef

$(CORE_STAMP): pyproject.toml
	@$(with_uv)
	"$$uv" sync --quiet --inexact --extra dev
	touch $@

$(ISAAC_STAMP): pyproject.toml
	@$(with_uv)
	"$$uv" sync --quiet --inexact --extra dev --extra isaac
	touch $@ $(CORE_STAMP)

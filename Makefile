# Two commands for everyone: `make demo` and `make test`. Both set up the same environment,
# with everything that the tests use and without Isaac Lab.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:

VENV := .venv
PYTHON := $(VENV)/bin/python
CORE_STAMP := $(VENV)/.core-installed
ISAAC_STAMP := $(VENV)/.isaac-installed
DOCS_STAMP := $(VENV)/.docs-installed
# Small networks: threads that spin while waiting only take time from the physics.
export OMP_WAIT_POLICY := PASSIVE
# A shell that has sourced ROS 2 would mix its packages, made for another Python, with ours.
unexport PYTHONPATH
# Some containers forbid to keep compiled modules: each process of a test would compile PyTorch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-long test-sim test-lerobot check docs wheel format clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(CORE_STAMP)  ## The whole story in six minutes: teacher, student, fine-tuning on a hand, eyes
	@$(PYTHON) scripts/demo.py

test: $(CORE_STAMP)  ## The test suite: CPU only, about five minutes
	@$(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-long: $(CORE_STAMP)  ## What takes longer: examples, notebook, the documents' commands, kills, Ray
	@$(PYTHON) -m pytest -m "slow and not sim and not gpu"

test-sim: $(ISAAC_STAMP)  ## The tests that start Isaac Lab (kit-less, CPU)
	@$(PYTHON) -m pytest -m sim tests/sim

LEROBOT := .cache/lerobot
test-lerobot:  ## The plug-in for LeRobot, in an environment of its own: LeRobot holds other versions
	@$(with_uv)
	"$$uv" venv --quiet --allow-existing --python 3.12 $(LEROBOT)
	"$$uv" pip install --quiet --python $(LEROBOT)/bin/python \
	  -e '.[lerobot]' -e plugins/lerobot_policy_sernf 'pytest>=9' 'pytest-timeout>=2.4' 'pytest-xdist>=3.8'
	$(LEROBOT)/bin/python -m pytest -m slow tests/test_lerobot_policy.py

check: $(ISAAC_STAMP)  ## Lint, formatting and types
	@$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

docs: $(DOCS_STAMP)  ## The documentation site, into site/
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --quiet --strict
	echo "site -> site/index.html"

wheel:  ## What pip installs without a clone, into dist/
	@$(with_uv)
	"$$uv" build --quiet --wheel

format: $(CORE_STAMP)  ## Format the code and fix what lint can fix
	@$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:  ## Remove the environment and everything that was derived
	rm -rf $(VENV) .cache runs logs outputs site dist *.egg-info

# uv is taken from PATH if it runs (pyenv's may not), or put into .cache. Debian's python3 may lack venv,
# and its pip may refuse to install except into a folder of its own.
define with_uv
	if uv --version >/dev/null 2>&1; then uv=uv; else
	  uv=.cache/uv/bin/uv
	  if [ ! -x "$$uv" ]; then
	    echo "installing uv into .cache/uv"
	    rm -rf .cache/uv
	    if python3 -m venv .cache/uv >/dev/null 2>&1; then
	      .cache/uv/bin/python -m pip install --quiet uv
	    else
	      rm -rf .cache/uv
	      python3 -m pip install --quiet --target .cache/uv uv || {
	        echo "cannot install uv: python3 has neither venv nor pip; apt-get install python3-venv" >&2
	        exit 1
	      }
	    fi
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

$(DOCS_STAMP): pyproject.toml
	@$(with_uv)
	"$$uv" sync --quiet --inexact --extra dev --extra docs
	touch $@ $(CORE_STAMP)

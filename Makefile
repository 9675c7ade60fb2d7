# dcp-tutor: everything that you can type. `make` alone shows the list.
# Kept to what GNU make 3.81 (macOS) understands.

PYTHON ?= python3
# Arguments for the tool behind a target: make test ARGS="-k reshard"
ARGS ?=
# A pip index for torch alone; empty is pip's own default.
TORCH_INDEX ?=

VENV := .venv
PY := $(VENV)/bin/python
# Terminals and `!torchrun` cells shall find this environment's programs.
WITH_PATH := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

# The exact versions live in environment.yml and nowhere else. sed reads them, because at this
# moment there may be nothing here but Python's standard library, which has no YAML.
PINS := sed -n 's/^ *- *\([A-Za-z0-9_.-]*==[^ \#]*\).*/\1/p' environment.yml
# Another torch of the range, for the test workflow: make test TORCH='2.13.*'
TORCH ?= $(shell $(PINS) | sed -n 's/^torch==//p')
CONSTRAINTS = $(PINS) | sed "s/^torch==.*/torch==$(TORCH)/"
MIN_PYTHON := $(shell sed -n 's/^requires-python = ">=\([0-9.]*\)".*/\1/p' pyproject.toml)

# The stamp carries torch's version in its name, so that another TORCH installs again, and the
# plain call afterwards goes back to the pinned one. (`*` would be a wildcard to make.)
STAMP := $(VENV)/.installed-torch-$(subst *,x,$(TORCH))

# Programs in a venv know the folder that they were made in: in a moved or copied checkout they
# would start the old one's code. Such a .venv is made anew, and so is one whose Python is not the
# PYTHON that was typed. A .venv that make did not make has no notes inside and is kept as long as
# its Python is there.
MADE_IN := $(shell cat $(VENV)/.made-in 2>/dev/null)
MADE_BY := $(shell cat $(VENV)/.made-by 2>/dev/null)
# This also says when there is no .venv yet, or only the broken link of a Python that went away.
STALE := $(shell test -x $(PY) || echo again)
ifneq ($(MADE_IN),)
  ifneq ($(MADE_IN),$(CURDIR))
    STALE := again
  endif
  ifneq ($(origin PYTHON),file)
    ifneq ($(MADE_BY),$(PYTHON))
      STALE := again
    endif
  endif
endif

.DEFAULT_GOAL := help
.PHONY: help setup run lab test check bench soak outputs clean pins again
.DELETE_ON_ERROR:

help: ## show this list
	@echo "dcp-tutor: learn PyTorch Distributed Checkpoint with real ranks on your own machine"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "All but help and clean set up .venv first, where that has not been done. Options:"
	@echo "  PYTHON=python3.12   the Python to make .venv with (now: $(PYTHON); $(MIN_PYTHON) or newer)"
	@echo "  TORCH='2.13.*'      another torch of the range in pyproject.toml (now: $(TORCH))"
	@echo "  TORCH_INDEX=URL     take torch from this pip index, such as PyTorch's CPU wheels:"
	@echo "                      without a GPU that saves gigabytes (.github/workflows/test.yml has it)"
	@echo "  ARGS=\"...\"          arguments for the tool: make test ARGS=\"-k reshard\""

setup: $(STAMP) ## make .venv with the exact versions of environment.yml; done once

run: setup ## execute every notebook into runs/, with an index page; fails if one failed
	$(WITH_PATH) $(VENV)/bin/dcp-tutor run $(ARGS)

# Trust: without it JupyterLab hides the committed drawings until each cell is run again.
# Jupyter refuses to serve root unless told so; whoever is root in a container has no other user.
lab: setup ## open the lessons in JupyterLab
	$(VENV)/bin/jupyter trust notebooks/*.ipynb
	$(WITH_PATH) $(VENV)/bin/jupyter lab \
	  $$(test "$$(id -u)" != 0 || echo --allow-root) $(ARGS) notebooks/00_start_here.ipynb

# nbval compares the cells that show a lesson's result; `outputs --check` all that are committed.
test: check ## everything that must pass: check, all tests, every notebook executed and compared
	$(WITH_PATH) $(PY) -m pytest $(ARGS)
	$(WITH_PATH) $(PY) -m pytest --nbval-lax --nbval-cell-timeout=120 notebooks
	$(WITH_PATH) $(VENV)/bin/dcp-tutor outputs --check

check: setup ## lint, format and types, without the tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# A file whose name begins with _ is a part of others, not a benchmark.
bench: setup ## run every benchmark of benchmarks/ (not part of make test)
	@found=; failed=; for file in benchmarks/[!_]*.py; do \
	  test -e "$$file" || continue; found=yes; \
	  echo "== $$file"; $(WITH_PATH) $(PY) "$$file" $(ARGS) || failed="$$failed $$file"; \
	done; \
	test -n "$$found" || { echo "make bench: there is no benchmarks/*.py here."; exit 1; }; \
	test -z "$$failed" || { echo "make bench: failed:$$failed"; exit 1; }

# Soak tests are long by intention: the limit that protects make test would end them.
soak: setup ## run the long tests, marked `soak` (not part of make test)
	$(WITH_PATH) $(PY) -m pytest -m soak -o timeout=0 $(ARGS)

outputs: setup ## regenerate the outputs that are committed inside the notebooks
	$(WITH_PATH) $(VENV)/bin/dcp-tutor outputs $(ARGS)

clean: ## remove runs/, caches and build leftovers; keeps .venv (rm -rf .venv to start anew)
	rm -rf runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -path ./$(VENV) -prune -o \
	  \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

# What pip is held to, to be seen; tests/test_environment.py compares it with environment.yml.
pins:
	@$(CONSTRAINTS)

# torch comes first and alone: a later request then finds it there, and cannot bring another build
# (on Linux pip's default one carries CUDA). `--upgrade` only for a wildcard, which an older
# torch of the range would satisfy too.
# The old stamps go first, so that a setup that broke off is taken up again by the next call.
# STALE stands here too: make looks through $(PY)'s link, at a Python that is older than the stamp.
$(STAMP): pyproject.toml environment.yml $(PY) $(STALE)
	@rm -f $(VENV)/.installed-torch-*
	@test -e $(VENV)/.made-in || echo "Using the .venv that is here already; make did not make it."
	@$(CONSTRAINTS) > $(VENV)/constraints.txt
	@echo "Installing torch $(TORCH) into $(VENV) ..."
	@$(PY) -m pip install --disable-pip-version-check $(if $(findstring *,$(TORCH)),--upgrade) \
	  $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "torch==$(TORCH)" || { \
	  echo "make setup: pip could not install torch==$(TORCH) for $$($(PY) --version); its reason is above."; \
	  echo "A torch has builds for some versions of Python only. Another one that you have can be"; \
	  echo "named: make setup PYTHON=python3.12"; exit 1; }
	@echo "Installing dcp-tutor and what it needs into $(VENV) ..."
	@$(PY) -m pip install --disable-pip-version-check -c $(VENV)/constraints.txt -e ".[dev]" || { \
	  echo "make setup: pip could not install dcp-tutor; its reason is above. Nothing is lost:"; \
	  echo "type make setup again when it is mended."; exit 1; }
	@touch $@
	@echo "$(VENV) is ready. make lab opens the lessons."

$(PY): $(STALE)
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make setup: there is no program $(PYTHON) here. dcp-tutor needs Python $(MIN_PYTHON) or newer."; \
	  echo "Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)"; \
	  echo "or name one that you have: make setup PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < tuple(map(int, "$(MIN_PYTHON)".split("."))))' || { \
	  echo "make setup: $(PYTHON) is $$($(PYTHON) --version 2>&1). dcp-tutor needs Python $(MIN_PYTHON) or newer."; \
	  echo "Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)"; \
	  echo "or name one that you have: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make setup: $(PYTHON) has no venv module, or venv has no pip to put into .venv."; \
	  echo "Debian and Ubuntu keep it in a package of its own: apt install python3-venv"; \
	  echo "Or name another Python: make setup PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
	@echo "$(CURDIR)" > $(VENV)/.made-in
	@echo "$(PYTHON)" > $(VENV)/.made-by

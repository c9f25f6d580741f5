# `make book` builds the book and opens it, `make test` tests everything; both set up .venv first.
# Another Python: make PYTHON=/path/to/python3.12 book

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup book test check bench audit portable lab notebooks clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PAGE := _build/html/index.html

# The first of these that is Python 3.11 or newer.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c "$(NEW_ENOUGH)" 2>/dev/null && echo $$p && break; done)

# Kernels and Jupyter print warnings about these two on every start.
export JUPYTER_PLATFORM_DIRS := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
# Threads that wait for each other shall sleep: they spin otherwise, and beside other work a small network takes many times as long.
export OMP_WAIT_POLICY ?= PASSIVE
# Freed memory stays with the process (advnb/memory.py says why): a network on a CPU takes up to twice as long otherwise.
export MALLOC_MMAP_THRESHOLD_ ?= 33554432
export MALLOC_TRIM_THRESHOLD_ ?= 1073741824

BUILD := $(BIN)/jupyter-book build . -W -n --keep-going

# As many processes as there are cores, at most eight, with one thread each: together they would only wait for each other.
# What only the benchmark needs: torchattacks pins an old version of a package that Jupyter needs a new one of.
BESIDE := _build/benchmark
PYTEST := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n logical --maxprocesses=8

help: ## List these commands
	@echo "The First-Order Adversary: three papers on adversarial training, run again."
	@echo
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv and install what requirements.txt names

$(READY): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" && "$(PYTHON)" -c "$(NEW_ENOUGH)" || { \
		echo "The book needs Python 3.11 or newer; $(if $(PYTHON),'$(PYTHON)' is $$($(PYTHON) --version 2>&1),none was found)."; \
		echo "Install one from https://www.python.org/downloads/ or name one: make PYTHON=/path/to/python3.12 book"; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

book: $(READY) ## Build the book and open it in a browser
	$(BUILD)
	@if [ -z "$$CI" ] && { [ "$$(uname)" = Darwin ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; }; then \
		$(BIN)/python -m webbrowser "file://$(CURDIR)/$(PAGE)" >/dev/null 2>&1 || true; fi
	@echo "The book is at $(PAGE)"

# Compiled once, whatever the caller wants else: some hundred interpreters import the module. The book, which takes one
# core, is built beside the tests that need none.
test check: export PYTHONDONTWRITEBYTECODE :=
test: $(READY) ## Test everything: module, notebooks, and the built book in a browser
	@$(BIN)/python tests/browser/chrome.py
	@$(BIN)/python tests/tree.py remember
	$(BUILD) >_build/book.log 2>&1 & book=$$!; \
	$(PYTEST) --dist=loadfile --no-loadscope-reorder -m "not browser" --ignore=tests/benchmarks book tests; tested=$$?; \
	wait $$book || { cat _build/book.log; exit 1; }; exit $$tested
	$(PYTEST) --dist=loadfile tests/benchmarks
	ADVNB_BOOK=$(dir $(PAGE)) $(PYTEST) --dist=worksteal -rfE -m browser tests/browser
	@$(BIN)/python tests/tree.py compare

check: $(READY) ## Run the tests that need no browser and no notebook
	$(PYTEST) --dist=loadfile -m "not browser and not slow" --ignore=tests/benchmarks

bench: $(READY) ## Time attacks and training beside other libraries, for the page on speed (8 minutes)
	@test -d $(BESIDE)/torchattacks || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --target $(BESIDE) torchattacks==3.5.1 || echo "torchattacks cannot be had: it is left out."
	PYTHONPATH=$(CURDIR)/$(BESIDE)$${PYTHONPATH:+:$$PYTHONPATH} OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/compare.py $(BENCH)
	$(BIN)/python book/_ext/execute.py book/speed.ipynb

audit: $(READY) ## Look up known vulnerabilities and licences of all that the book is made with
	$(BIN)/python tests/dependencies.py

portable: $(READY) ## Test all of it under other processors and numbers of threads (SETTINGS=..., hours)
	$(BIN)/python tests/portable.py $(SETTINGS) $(if $(STEPS),--steps $(STEPS))

lab: $(READY) ## Open the notebooks in JupyterLab
	@$(BIN)/jupyter trust book/*.ipynb book/*/*.ipynb >/dev/null
	$(BIN)/jupyter lab --notebook-dir=book

notebooks: $(READY) ## Judge all claims, execute all notebooks in place, widget state kept
	$(BIN)/python -m advnb claims --write
	$(BIN)/python book/_ext/execute.py

clean: ## Remove what was built (.venv stays)
	rm -rf _build book/_static/vendor .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

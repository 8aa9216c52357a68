# make train   makes .venv, installs the package and its requirements, trains on the embedded digits
# make test    the same set-up, then the tests
# make stress  the same set-up, then the long tests: hostile files, interruptions
# make browser the same set-up and gradio, then the tests of its page and the gallery in Chromium
# make lint    the same set-up, then ruff and import-linter
#
# All are safe to repeat; the set-up runs again only when requirements.txt or pyproject.toml has
# changed. The package is installed as it stands here: .venv/bin/lsgan runs what you edit.
# make train ARGS="--dataset=fashion_mnist --train_steps=5000" passes flags on.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
ARGS ?=

.PHONY: help setup train test stress browser lint clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^$$/q'

setup: $(VENV)/installed

# --no-compile: Python compiles what is imported when it is, a fraction of the packages' modules.
# Installed first, then stamped: an interrupted installation is made again from the start.
$(VENV)/installed: requirements.txt pyproject.toml
	@echo "== installing requirements.txt into $(VENV) (some minutes, once)"
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --editable ".[dev]"
	@touch $@

train: setup
	@echo "== training: python -m lsgan_tf.train $(ARGS)"
	$(VENV)/bin/python -m lsgan_tf.train $(ARGS)

test: setup
	@echo "== testing: pytest"
	$(VENV)/bin/python -m pytest $(ARGS)

stress: setup
	@echo "== testing under stress: pytest -m stress"
	$(VENV)/bin/python -m pytest -m stress $(ARGS)

browser: setup
	@echo "== testing in a browser: pytest -m browser"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[browser]"
	$(VENV)/bin/python -m pytest -m browser -n 0 $(ARGS)

lint: setup
	@echo "== linting: ruff, import-linter"
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/lint-imports

clean:
	rm -rf $(VENV)

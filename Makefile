# Everything runs in .venv, which is made when missing and made anew when requirements.txt changes.
# Tools are called as `python -m ...`, so that no shebang can point at another environment.

.DEFAULT_GOAL := help

PYTHON ?= python3
# Where AllenNLP's own pins are tested. pyenv has a command for every installed version, of which
# most fail, so candidates are tried, not only found.
PYENV_VERSIONS := $${PYENV_ROOT:-$$HOME/.pyenv}/versions
UPSTREAM_PYTHON ?= $(shell for python in python3.10 $(PYENV_VERSIONS)/3.10*/bin/python \
	python3.9 $(PYENV_VERSIONS)/3.9*/bin/python; do \
	if $$python -c 'import ensurepip' 2>/dev/null; then echo $$python; break; fi; done)

VENV := .venv
UPSTREAM_VENV := .venv-upstream
LOCK_VENV := .venv-lock
# Errors are shown, progress is not.
PIP := -m pip --disable-pip-version-check -qq

# A stamp in an environment is named after what went into it, so that no time stamp of a checkout
# makes a stale environment look fresh. The folder counts: the editable installation points to it.
fingerprint = $(shell (pwd; cat $(1)) | cksum | cut -d ' ' -f 1)
PINNED := pinned-$(call fingerprint,requirements.txt)
UPSTREAM_PINNED := pinned-$(call fingerprint,constraints/upstream.txt)
INSTALLED := installed-$(call fingerprint,setup.cfg pyproject.toml)

# An environment whose Python is gone, or was replaced by another version, is made anew.
works = $(shell $(1)/bin/python -c 'import pip; print("yes")' 2>/dev/null)
ifneq ($(call works,$(VENV)),yes)
$(VENV)/$(PINNED): FORCE
endif
ifneq ($(call works,$(UPSTREAM_VENV)),yes)
$(UPSTREAM_VENV)/$(UPSTREAM_PINNED): FORCE
endif

.PHONY: help
help:  ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: train
train: $(VENV)/$(INSTALLED)  ## Train the default NER tagger, print its F1, and tag a raw sentence
	rm -rf output/ner
	$(VENV)/bin/python -m allennlp train training_configs/tagging/ner.jsonnet \
		--serialization-dir output/ner --include-package elmo_components
	@$(VENV)/bin/python -c 'import json; \
	metrics = json.load(open("output/ner/metrics.json")); \
	end = "_f1-measure-overall"; \
	found = [f"{k[:-len(end)]} {v:.4f}" for k, v in metrics.items() if k.endswith(end)]; \
	print("NER span F1:", ", ".join(found))'
	echo 'Ms. Haag plays Elianti in New York .' | $(VENV)/bin/python -m allennlp predict \
		output/ner/model.tar.gz - --predictor elmo_tagger --include-package elmo_components

.PHONY: test
test: $(VENV)/$(INSTALLED)  ## Run the tests on today's stack
	$(VENV)/bin/python -m pytest --quiet

.PHONY: test-upstream
test-upstream: $(UPSTREAM_VENV)/$(INSTALLED)  ## Run the tests on AllenNLP's own pins (Python 3.10 or 3.9)
	$(UPSTREAM_VENV)/bin/python -m pytest --quiet

.PHONY: check
check: $(VENV)/$(INSTALLED)  ## Check formatting, lint and types
	$(VENV)/bin/python -m ruff format --check
	$(VENV)/bin/python -m ruff check
	$(VENV)/bin/python -m mypy elmo_components

.PHONY: format
format: $(VENV)/$(INSTALLED)  ## Format, and mend what the linter can
	$(VENV)/bin/python -m ruff format
	$(VENV)/bin/python -m ruff check --fix

# Pins that are already there are kept where they still fit; UPGRADE=--upgrade takes the newest.
# Today's stack needs the overrides in pyproject.toml; upstream's must not see them (--no-config).
UV_COMPILE := $(LOCK_VENV)/bin/python -m uv pip compile --quiet --universal --no-annotate \
	--custom-compile-command "make lock"
.PHONY: lock
lock: $(LOCK_VENV)/bin/uv  ## Write requirements.txt and constraints/upstream.txt anew
	$(UV_COMPILE) $(UPGRADE) --python-version 3.10 --extra dev \
		--output-file requirements.txt setup.cfg
	$(UV_COMPILE) $(UPGRADE) --python-version 3.9 --no-config \
		--output-file constraints/upstream.txt setup.cfg constraints/upstream.in

.PHONY: clean
clean:  ## Remove environments, caches and build products; output/ stays
	rm -rf $(VENV) $(UPSTREAM_VENV) $(LOCK_VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: upstream-python
upstream-python:
	@test -n "$(UPSTREAM_PYTHON)" || { echo "make test-upstream needs Python 3.10 or 3.9, on PATH or in" \
		"pyenv. Name another place with UPSTREAM_PYTHON=..." >&2; exit 1; }

.PHONY: FORCE
FORCE:

# pins(python, environment, file of pins). --no-deps, since AllenNLP's metadata forbids today's pins;
# --no-compile, since few of the 18,000 modules are ever imported.
# allennlp-models downloads nltk's punkt at import unless it finds a folder of that name. Only its
# NarrativeQA metric reads what is inside, so an empty one spares everybody the attempt.
define pins
@echo "Making $(2) with $(1) and $(3): several GB and a few minutes"
@$(1) -m venv --clear $(2)
@$(2)/bin/python $(PIP) install --no-deps --no-compile --requirement $(3)
@mkdir -p $(2)/nltk_data/tokenizers/punkt
@touch $@
endef

$(VENV)/$(PINNED):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "requirements.txt is for Python 3.10 to 3.13, and $(PYTHON) is not that." \
		"Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(call pins,$(PYTHON),$(VENV),requirements.txt)

$(UPSTREAM_VENV)/$(UPSTREAM_PINNED): | upstream-python
	$(call pins,$(UPSTREAM_PYTHON),$(UPSTREAM_VENV),constraints/upstream.txt)

# setuptools comes from the pins, so that nothing is downloaded here.
$(VENV)/$(INSTALLED): $(VENV)/$(PINNED)
$(UPSTREAM_VENV)/$(INSTALLED): $(UPSTREAM_VENV)/$(UPSTREAM_PINNED)
%/$(INSTALLED):
	@$*/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f $*/installed-*
	@touch $@

$(LOCK_VENV)/bin/uv:
	@$(PYTHON) -m venv --clear $(LOCK_VENV)
	@$(LOCK_VENV)/bin/python $(PIP) install uv

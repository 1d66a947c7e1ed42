# `make demo` and `make test` do all of their own set-up; nothing else is needed first.
VENV ?= .venv
RUNS ?= runs/demo
OLDEST_PYTHON ?= /usr/bin/python3
PYTEST_ARGS ?= -n auto --dist loadfile

.PHONY: demo test oldest docs nightly adapters lint clean

demo:            ## the whole way once: intents, episodes, SFT, pass@1, report (about ten minutes on 2 cores)
	@./setup.sh $(VENV) train,llm
	@PATH="$(abspath $(VENV))/bin:$$PATH" ./demo.sh $(RUNS)

test:            ## lint, types and every test
	@./setup.sh $(VENV) train,llm,docker,claweval,embed,dev chromium
	@$(MAKE) --no-print-directory lint
	@PATH="$(abspath $(VENV))/bin:$$PATH" $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

# rooms that need no torch
OLDEST_TESTS = $(addprefix tests/,agents checks env episode evaluation/claweval models services tools trajectory workspace)

oldest:          ## the oldest supported Python (OLDEST_PYTHON) with the lowest versions allowed: every room without torch
	@PYTHON=$(OLDEST_PYTHON) LOWEST=1 ./setup.sh .venv-oldest docker,llm,claweval,dedup,test
	@.venv-oldest/bin/python -m pytest $(PYTEST_ARGS) -p no:cacheprovider $(OLDEST_TESTS)

docs:            ## the pages as a site, in build/site
	@./setup.sh $(VENV) docs
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict -q

nightly:         ## a real small model in every seat, through a real server (fetches and builds both; hours on 2 cores)
	@./setup.sh $(VENV) train,llm,dev
	@PATH="$(abspath $(VENV))/bin:$$PATH" ISE_REAL_MODELS=1 $(VENV)/bin/python -m pytest -m models
	@PATH="$(abspath $(VENV))/bin:$$PATH" $(VENV)/bin/python benchmarks/real_models.py
	@$(MAKE) --no-print-directory adapters ISE_REAL_MODELS=1

adapters:        ## other projects' packages, each in an environment of its own, play real episodes (minutes; fetches them)
	@./setup.sh $(VENV) train,llm,dev
	@PATH="$(abspath $(VENV))/bin:$$PATH" ISE_PEERS=1 $(VENV)/bin/python -m pytest -m peers tests/adapters

lint:
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check -q . && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports

clean:           ## remove what make made (never runs/)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

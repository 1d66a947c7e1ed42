# `make demo` and `make test` do all of their own set-up; nothing else is needed first.
VENV ?= .venv
OLDEST_VENV ?= .venv-oldest
OLDEST_PYTHON ?= /usr/bin/python3
# rooms that need no model library, each with what it has from outside: parsers, pages, servers, the command line, docker
OLDEST_TESTS ?= tests/env tests/episode tests/checks tests/tools tests/services tests/models tests/intents tests/trajectory \
  tests/evaluation tests/cli/test_command_voice.py tests/hostile/test_pages.py tests/hostile/test_hostile_mails.py \
  tests/workspace/test_behaviour.py tests/workspace/test_container.py
RUNS ?= runs/demo
PYTEST_ARGS ?= -n auto --dist loadfile

.PHONY: demo test oldest docs nightly adapters lint clean

demo:            ## the whole way once: intents, episodes, SFT, pass@1, report (about ten minutes on 2 cores)
	@./setup.sh $(VENV) train,llm
	@PATH="$(abspath $(VENV))/bin:$$PATH" ./demo.sh $(RUNS)

test:            ## lint, types and every test
	@./setup.sh $(VENV) train,llm,docker,claweval,embed,dev chromium
	@$(MAKE) --no-print-directory lint
	@PATH="$(abspath $(VENV))/bin:$$PATH" $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

oldest:          ## the oldest supported Python with the lowest allowed versions of core, llm, docker and claweval (minutes)
	@$(OLDEST_PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || { echo "$(OLDEST_PYTHON) is not Python 3.11: set OLDEST_PYTHON=/path/to/python3.11" >&2; exit 2; }
	@PYTHON=$(OLDEST_PYTHON) LOWEST=1 ./setup.sh $(OLDEST_VENV) llm,docker,claweval
	@PATH="$(abspath $(OLDEST_VENV))/bin:$$PATH" $(OLDEST_VENV)/bin/python -m pytest $(PYTEST_ARGS) $(OLDEST_TESTS)

docs:            ## the pages as a site, in build/site
	@./setup.sh $(VENV) docs
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict -q

nightly:         ## a real small model in every seat, through a real server (fetches and builds both; hours on 2 cores)
	@./setup.sh $(VENV) train,llm,dev
	@PATH="$(abspath $(VENV))/bin:$$PATH" ISE_REAL_MODELS=1 $(VENV)/bin/python -m pytest -m models
	@PATH="$(abspath $(VENV))/bin:$$PATH" $(VENV)/bin/python benchmarks/real_models.py
	@$(MAKE) --no-print-directory adapters

adapters:        ## other projects' packages, each in an environment of its own, play real episodes (minutes; fetches them)
	@./setup.sh $(VENV) train,llm,dev
	@PATH="$(abspath $(VENV))/bin:$$PATH" ISE_PEERS=1 $(VENV)/bin/python -m pytest -m peers tests/adapters

lint:
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check -q . && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports

clean:           ## remove what make made (never runs/)
	rm -rf $(VENV) $(OLDEST_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

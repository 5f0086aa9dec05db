# The commands of urlmon; `make help` lists them.  Nothing but Python 3.11+ with venv, make and git is
# needed: everything else goes into .tools/ and .venv/, and real servers come with it.

PYTHON ?= python3
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
UV_LOCAL := $(filter .tools/%,$(UV))
BIN := .venv/bin
# A development environment holds all that the demo needs: it is not reduced to that.
DEMO_READY := $(firstword $(wildcard .venv/.dev) .venv/.demo)

# As root on Debian the tools that build InfluxDB are installed where they are missing.
SYSTEM_TOOLS = if [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then sh tools/apt-install.sh; fi

.DEFAULT_GOAL := help
.PHONY: help demo test campaign lint influxd lock clean

help:  ## List these commands
	@sed -n 's/^\([a-z]*\):.*  ## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(DEMO_READY)  ## Run checkers and alerters on real servers: URLS="https://a https://b" CHECKERS=3 ALERTERS=2
	@$(BIN)/python examples/demo.py $(if $(URLS),--urls '$(URLS)') $(if $(CHECKERS),--checkers $(CHECKERS)) $(if $(ALERTERS),--alerters $(ALERTERS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(POSTGRES),--postgres $(POSTGRES))

test: .venv/.dev  ## Run all tests: ARGS="tests/unit -x"
	@$(SYSTEM_TOOLS)
	@$(BIN)/python -m urlmon_adapters.servers --if-possible
	@$(BIN)/pytest -n 2 $(ARGS)

campaign: .venv/.dev  ## Run the long tests in full, for hours: ARGS="tests/campaign -k locks"
	@$(SYSTEM_TOOLS)
	@$(BIN)/python -m urlmon_adapters.servers --if-possible
	@URLMON_CAMPAIGN=1 $(BIN)/pytest -n 0 -m campaign -v $(ARGS)

lint: .venv/.dev  ## Check style, types and imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

influxd: $(DEMO_READY)  ## Build InfluxDB 2 into the cache, which tests and demo take it from
	@$(SYSTEM_TOOLS)
	@$(BIN)/python -m urlmon_adapters.servers

lock: $(UV_LOCAL)  ## Lock the dependencies again
	UV=$(UV) requirements/lock.sh

clean:  ## Remove what these commands made, except built servers in the cache
	rm -rf .venv .tools .urlmon build dist logs .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.dev: requirements/dev.txt
.venv/.demo: requirements/demo.txt
.venv/.dev .venv/.demo: .venv/.%: pyproject.toml $(UV_LOCAL)
	@sh tools/check-python.sh $(PYTHON)
	@test -x $(BIN)/python || $(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/$*.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.tools/bin/uv: requirements/uv.txt
	@sh tools/check-python.sh $(PYTHON)
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt
	@touch $@

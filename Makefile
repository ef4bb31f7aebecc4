# `make help` lists the commands. Everything is installed into .venv on first use.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install demo up topology serve test check lint format lock clean

USERS ?= 600
DAYS ?= 60
SEED ?= 0
PORT ?= 8080
EXIT ?=
FEAST ?=

# A shell that forbids bytecode would make every start of Airflow three times slower.
unexport PYTHONDONTWRITEBYTECODE
RUN := .venv/bin/python

help: ## list the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

install: ## install everything into .venv; costs nothing the second time
	@bash deploy/install.sh

demo: install ## run a batch of the sample shop through the whole pipeline (USERS, DAYS, SEED, PORT; EXIT=1 ends by itself)
	@exec $(RUN) -m deploy demo --users $(USERS) --days $(DAYS) --seed $(SEED) --port $(PORT) $(if $(EXIT),--exit)

up: install ## start Airflow and its stores, and stay until Ctrl-C (PORT)
	@exec $(RUN) -m deploy up --port $(PORT)

topology: install ## the demo on Celery workers, with a running PostgreSQL (DATABASE_URL) and Redis (REDIS_URL)
	@exec $(RUN) -m deploy demo --topology --users $(USERS) --days $(DAYS) --seed $(SEED) --port $(PORT) $(if $(EXIT),--exit)

serve: install ## answer feature requests on 127.0.0.1:6566, without a token unless PENCHANT_READ_TOKENS is set (FEAST=1: Feast's own server)
	@exec $(RUN) -m deploy serve $(if $(FEAST),--feast,--open)

test: install ## all tests; those that need what is not there are skipped with a reason
	$(RUN) -m pytest -n 2 -m "not topology"
	$(RUN) -m pytest -m topology

check: install lint ## the daily command: lint, types and the fast tests
	.venv/bin/mypy -p tasks -p deploy
	$(RUN) -m pytest -n 2 -m "not slow and not airflow and not topology and not data"

lint: install ## ruff, with Airflow's rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: install ## put every file into shape
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# torch is locked without its local suffix (+cpu), so that each machine takes the build that fits it.
lock: install ## write requirements.lock anew from pyproject.toml; versions already locked stay
	cp requirements.lock .venv/locked
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" .venv/bin/uv pip compile pyproject.toml --extra dev --quiet \
	  --constraint .venv/locked --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file .venv/lock
	{ echo "# Exact versions of everything that a clean install takes; made by 'make lock'."; \
	  grep -vE '^(nvidia|triton)' .venv/lock | sed -E 's/^(torch==[^+]+)\+.*/\1/'; } > requirements.lock

clean: ## remove what was computed and kept (var/), caches and .venv
	rm -rf var .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

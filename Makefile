# Garrison. `make demo` shows the product at its main job; `make test` runs all tests. Both install what they need.
SHELL := /bin/sh
PYTHON := .venv/bin/python
KEEP ?=
# Real log lines, where the reference data lies beside the checkout; else the demo makes its own.
DEMO_LOG := $(wildcard ../shared/logs/OpenSSH_2k.log)

.PHONY: help demo test check format deps lock clean bench-analysis

help:
	@echo "make demo          three managers, agents, alerts, a failover: narrated, ends by itself"
	@echo "make demo KEEP=1   the same, and stays up to be explored"
	@echo "make test          all tests"
	@echo "make check         format, lint, strict types, then all tests"
	@echo "make bench-analysis   events per CPU-second of the analysis, with the reference data beside the checkout"
	@echo "make deps          Debian packages for the balancer part (as root)"
	@echo "make lock          renews requirements.lock from pyproject.toml"

.venv/.installed: requirements.lock pyproject.toml scripts/bootstrap
	@scripts/bootstrap

demo: .venv/.installed
	@$(PYTHON) -m garrison.cli.main demo $(if $(KEEP),--keep) $(if $(DEMO_LOG),--log $(DEMO_LOG))

test: .venv/.installed
	@scripts/debian-packages --if-root
	@$(PYTHON) -m pytest -n 2 --dist loadfile

check: .venv/.installed
	@$(PYTHON) -m ruff format --check src tests
	@$(PYTHON) -m ruff check src tests
	@$(PYTHON) -m mypy
	@$(MAKE) --no-print-directory test

bench-analysis: .venv/.installed
	@$(PYTHON) -m benchmarks.analysis

format: .venv/.installed
	@$(PYTHON) -m ruff format src tests
	@$(PYTHON) -m ruff check --fix src tests

deps:
	@scripts/debian-packages

lock:
	@python3 -m venv .venv-lock && .venv-lock/bin/pip install --quiet pip-tools
	@.venv-lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra dev \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --output-file requirements.lock pyproject.toml
	@rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lock build dist demo-home .mypy_cache .ruff_cache .pytest_cache .hypothesis

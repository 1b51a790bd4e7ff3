# Every target is a few lines that call a script or cargo. `make` prints this list.
.DEFAULT_GOAL := help
.PHONY: help up env down dev images logs lint test e2e
MAKEFLAGS += --no-print-directory

help: ## this list
	@echo "AuthStack: an authentication service on Kubernetes, from one manifest."; echo
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo; echo "  CLUSTER=testbed|kind|current chooses the cluster; unset: kind where Docker runs, else the testbed."

up: ## a cluster, the operator, a stack, and a login through it
	@scripts/up

env: ## the exports for a shell: eval "$(make env)"
	@scripts/cluster env

down: ## end the cluster that `make up` started
	@scripts/cluster down

dev: ## no cluster: PostgreSQL and the API on :8001, until Ctrl-C
	@scripts/dev

images: ## build the images; load them into the cluster if it is up
	@scripts/images

logs: ## the log lines of operator, API, nginx and database, as they come
	@scripts/logs

lint: ## format, clippy, docs, licences, shell scripts, generated files
	@scripts/lint

test: ## every tier of tests, each with what it needs (TIERS="unit api schemathesis control-plane e2e")
	@scripts/test

e2e: ## the end-to-end tests alone
	@TIERS=e2e scripts/test

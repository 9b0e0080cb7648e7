# Pulse: what there is to do. Whatever takes more than a line lives in scripts/.

.DEFAULT_GOAL := help
.PHONY: help up down setup services build build-worker run run-worker test kinds channels lint check
.PHONY: promises promises-release promises-mutations fuzz bench clean wipe

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Set up and run server and worker on real stores, with Docker or without (NATIVE=1)
	@NATIVE=$(NATIVE) scripts/up.sh

down: ## End what `up` or `services` started; the data stays
	@scripts/down.sh

setup: ## Install what building, testing and linting need
	@scripts/setup.sh

services: ## Start private stores in .pulse/services; for a shell: export $(make -s services)
	@scripts/setup.sh services
	@scripts/services.sh up .pulse/services
	@scripts/services.sh env .pulse/services

build: ## Build the server (release)
	cargo build --release --package pulse-server

build-worker: ## Build the worker (release)
	cargo build --release --package pulse-worker

run: ## Run the server; settings from the environment or .env
	cargo run --release --package pulse-server

run-worker: ## Run a worker; settings from the environment or .env
	cargo run --release --package pulse-worker

test: ## Run all tests on real stores (ARGS goes to cargo test)
	@scripts/test.sh $(ARGS)

kinds: ## Look at every kind of target on real servers, and tell what came of it
	@rm -f target/looks.jsonl
	@PULSE_LOOKS=$(CURDIR)/target/looks.jsonl scripts/test.sh --package pulse-worker --package pulse --test wire --test probe
	@python3 scripts/kinds.py target/looks.jsonl

channels: ## Tell every kind of channel of an incident, before real and faithful receivers
	@rm -f target/told.jsonl
	@PULSE_TOLD=$(CURDIR)/target/told.jsonl scripts/test.sh --package pulse-worker --test wire -- receivers:: mail::
	@python3 scripts/channels.py target/told.jsonl

bench: ## Measure Pulse on stores of its own, about 20 minutes (ARGS goes to pulse bench)
	@scripts/bench.sh --size full --save bench.json $(ARGS)

lint: ## Everything `check` does but the tests
	@scripts/lint.sh

check: lint test ## What CI does: fmt, clippy, docs, deny, Docker and shell linters, tests

promises: ## Play what each promise stands on, about 21 minutes; figures in target/promises.json (ARGS goes to pulse-lab)
	cargo build --release --workspace --bins
	cargo build --workspace --bins
	target/release/pulse-lab promises --json target/promises.json $(ARGS)

promises-release: ## The same at the length of a release, many hours
	@$(MAKE) --no-print-directory promises ARGS="--length release $(ARGS)"

promises-mutations: ## Take one mechanism after the other out of Pulse, and see its test go red (ONLY names some)
	@scripts/mutations.sh $(ONLY)

fuzz: ## Fuzz what reads what strangers write: SECONDS each, 60 when nobody says (ONLY names some targets)
	@scripts/fuzz.sh $(or $(SECONDS),60) $(ONLY)

clean: ## Delete what was built
	cargo clean

wipe: down ## Delete the data of the private stores as well
	@scripts/services.sh destroy .pulse/services
	rm -rf .pulse

# Every command that the README names. `make help` lists them.

PYTHON ?= python3
CARGO  ?= cargo
VENV   := $(CURDIR)/.venv
# Tools that are no part of a checkout, kept beside the build cache.
TOOLS  := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/pilothouse/tools
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/target)
CARGO_DENY := 0.20.2
# One build of all functions and of nothing else: another selection of packages has other features, and aws-sdk-ec2 would be
# compiled again.
PACKAGES := $(patsubst functions/%,--package %,$(wildcard functions/*))
LAMBDA_BUILD = PATH="$(VENV)/bin:$$PATH" $(VENV)/bin/cargo-lambda lambda build --release $(PACKAGES)
# Whatever begins like a shell script is one.
SCRIPTS = grep -rlE '^\#!.*[/ ](ba|da)?sh( |$$)' --exclude-dir=.git --exclude-dir=.venv --exclude-dir=target .
TEMPLATES := $(wildcard infra/*.yaml infra/examples/*.yaml)
# Those that samconfig.toml knows.
ENVIRONMENTS := $(shell sed -n 's/^\[\([a-z]*\)\.deploy\.parameters\]/\1/p' samconfig.toml)

# Where the emulated AWS notes, for all tests, what the functions call. Cargo runs each test in a folder of its own.
CALLS := $(abspath $(TARGET)/calls)

# What `make soak` runs: worlds of the watcher, of nodes, of which one takes as long as ten, and of restore points, as long as a hundred.
SEEDS         ?= 100000
NODE_SEEDS    ?= 10000
RESTORE_SEEDS ?= 1000
FROM          ?= 1
# Fleets that `make bench` measures, in clusters.
SIZES ?= 100,1000,3000

export PILOTHOUSE_VENV := $(VENV)

.DEFAULT_GOAL := help
.PHONY: help demo test soak mutations lint build bench status venv

help: ## list these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: venv ## show the main job end to end against an emulated AWS
	@$(CARGO) build --workspace --bins
	@$(TARGET)/debug/demo

test: venv ## run every test: pure, over the wire with real binaries, of the house itself, and the roles against all calls
	$(CARGO) build --workspace --bins
	rm -rf $(CALLS)
	PILOTHOUSE_CALLS=$(CALLS) CARGO=$(CARGO) $(VENV)/bin/python tests/run-all
	$(TARGET)/debug/permissions $(CALLS)

mutations: ## break what decides on purpose, one way at a time, and see that a test notices
	@$(CARGO) run --quiet --package mutations

soak: ## simulate many more worlds: make soak SEEDS=100000 NODE_SEEDS=10000 RESTORE_SEEDS=1000 FROM=1
	broken=0; \
	SIMULATION_SEEDS=$(SEEDS) SIMULATION_FROM=$(FROM) \
	    $(CARGO) test --workspace --test simulation -- --nocapture || broken=1; \
	SIMULATION_SEEDS=$(NODE_SEEDS) SIMULATION_FROM=$(FROM) \
	    $(CARGO) test --workspace --test lifecycle_simulation -- --nocapture || broken=1; \
	SIMULATION_SEEDS=$(RESTORE_SEEDS) SIMULATION_FROM=$(FROM) \
	    $(CARGO) test --workspace --test restore_simulation -- --nocapture || broken=1; \
	exit $$broken

lint: venv $(TOOLS)/bin/cargo-deny ## check format, lints, dependencies, shell scripts, the templates and their examples
	$(CARGO) fmt --all --check
	$(VENV)/bin/shellcheck $$($(SCRIPTS))
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(TOOLS)/bin/cargo-deny --offline --workspace check --hide-inclusion-graph bans licenses sources
	$(VENV)/bin/cfn-lint $(TEMPLATES)
	for template in $(TEMPLATES); do \
	    SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam validate --lint --template $$template --region us-east-1 || exit 1; done
	for environment in $(ENVIRONMENTS); do \
	    SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam validate --config-env $$environment --region us-east-1 || exit 1; done

build: venv ## build the functions' packages for Lambda into target/lambda, and show their sizes
	$(LAMBDA_BUILD) --lambda-dir target/lambda
	$(VENV)/bin/python infra/package-sizes target/lambda

# All in one build here too: the handler that starts are compared with needs nothing that the functions do not.
bench: build ## measure packages, starts, memory and whole fleets against their budgets: make bench SIZES=100,1000
	$(LAMBDA_BUILD) --package empty-handler --lambda-dir target/bench
	$(CARGO) build --workspace --bins
	@$(TARGET)/debug/bench --sizes $(SIZES) --packages target/bench

status: venv ## show a cluster's conditions: make status CLUSTER=acme-prod
	@infra/status "$(CLUSTER)" $(INVOKE_URL)

venv: $(VENV)/.made ## make the pinned Python environment that the other commands use

$(VENV)/.made: tests/requirements.txt tests/prepare
	@tests/prepare $(PYTHON)
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	touch $@

$(TOOLS)/bin/cargo-deny: Makefile
	$(CARGO) install --quiet --locked --debug --root $(TOOLS) --target-dir $(TOOLS)/target cargo-deny@$(CARGO_DENY)
	touch $@

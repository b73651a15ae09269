# The targets mirror CI one to one. `make demo` and `make test` share one profile and one target directory.
# Make's own output is kept quiet so that what the commands say is what you see.
MAKEFLAGS += --no-print-directory
CARGO ?= cargo
# `make demo DEMO="--attacks none"`: see `haechi demo --help`. Without --for it runs until Ctrl-C.
DEMO ?= --for 60s

.PHONY: demo test build check fmt bench setup

demo: build  ## The pizza shop behind Haechi, its channels and its attacks
	@$(CARGO) run --quiet --package haechi -- demo $(DEMO)

build:  ## The binary, in the profile of demo and test
	@scripts/setup build
	$(CARGO) build --locked --package haechi

test:  ## Everything CI runs
	@scripts/setup test
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked --workspace

check:  ## Format, lints, documentation, dependency policy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check; \
	else echo "cargo-deny is not installed: 'cargo install cargo-deny' to check licences and advisories"; fi

fmt:
	$(CARGO) fmt --all

bench:  ## CPU per request beside nginx, haproxy and Envoy (release profile)
	@bench/setup
	$(CARGO) build --locked --release --package haechi
	bench/proxy/run

setup:  ## Installs what tests and demo need on a fresh Debian machine
	@scripts/setup test

# What a person types; `make help` lists it. Every target gets what it lacks:
# it needs Rust, Go, Node 20, Python 3, a C compiler and the package registries.
# Times are those of a machine with two cores and empty caches.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test crash check bench launch scale compare crds generate docs build page controlplane clients previous toolchain apps

CARGO ?= cargo
PYTHON ?= python3
NODE ?= node
NPM ?= npm
# With the crash points compiled in, which do nothing until SANDBAR_CRASH_AT is set, and the simulation.
FEATURES ?= failpoints simulation
# Tests wait more than they compute, so more of them run than there are cores.
TEST_THREADS ?= 4
# Scripts that `make sim` runs; SANDBAR_SIM_SEED=n instead runs the one with this seed.
SEEDS ?= 500
# Lives that `make crash` plays side by side: they wait more than they compute.
CRASH_JOBS ?= 8
# Narrows `make test` down to what has this in its name.
T ?=

TARGET := $(or $(CARGO_TARGET_DIR),target)
SANDBAR := $(TARGET)/debug/sandbar
PAGE := web/dist/index.html
PACKAGES := web/node_modules/.package-lock.json
DEMO ?= $(SANDBAR) dev demo

# $(call step,what,how long the first time,command): says what it does, does it, says how long it took.
step = @printf '\n== %s (first time: %s)\n' '$(1)' '$(2)' >&2; started=$$SECONDS; $(3); \
	printf '== %s: %s s\n' '$(1)' "$$((SECONDS - started))" >&2

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: toolchain build controlplane ## Run the main job in a local world, told step by step (2 min; first time 15 min)
	@printf '\n== demo (about 2 min)\n' >&2
	@$(DEMO)

# Nothing is printed after the tests, so that their result is the last word. Without Chromium (CHROMIUM in tests/it/page.rs)
# the test that plays on the page says so and passes.
test: toolchain build controlplane clients previous ## Run every test (T=name for some of them; first time 44 min)
	$(call step,build the tests,3 min,$(CARGO) test --features '$(FEATURES)' --tests --no-run)
	$(call step,examples in the documentation,10 s,$(CARGO) test --quiet --features '$(FEATURES)' --doc $(T))
	$(call step,tests of the page,10 s,$(NPM) --prefix web test --silent)
	$(call step,links,1 s,$(PYTHON) .ci/links.py)
	@printf '\n== run the tests (about 12 min)\n' >&2
	@$(CARGO) test --features '$(FEATURES)' --no-fail-fast --tests -- --test-threads=$(TEST_THREADS) $(T)

# Optimized: ten times the scripts in the same time. The figures are the last word.
.PHONY: sim
sim: toolchain ## Simulate SEEDS=500 scripts of demand, faults and crashes (first time 12 min)
	$(call step,build the simulation,10 min,$(CARGO) test --profile sim --features '$(FEATURES)' --test sim --no-run)
	@printf '\n== simulate\n' >&2
	@SANDBAR_SIM_SEEDS=$(SEEDS) $(CARGO) test --profile sim --features '$(FEATURES)' --test sim every_script -- --nocapture \
		| awk '{ print } / scripts, / { figures = $$0 } END { print figures }'

apps: ## Test the example apps (20 s; needs Node 18)
	@for app in deploy/examples/apps/*/; do \
		printf '\n== %s\n' "$$app" >&2; \
		cd "$$app"; \
		test ! -e server.py || $(PYTHON) -B -m unittest discover -s tests; \
		$(NODE) --test; \
		cd - >/dev/null; \
	done

# What the Containerfile does, without a container engine; with one: docker buildx bake -f deploy/images/docker-bake.json
.PHONY: images
images: toolchain page controlplane ## Build the image's static program and run it in a folder with nothing else (25 min)
	$(call step,build what writes the list of parts,1 min,$(CARGO) install --quiet --locked --root $(TARGET)/tools cargo-auditable@0.7.7)
	$(call step,build the static program,20 min,PATH="$(abspath $(TARGET))/tools/bin:$$PATH" RUSTFLAGS="-C target-feature=+crt-static" \
		$(CARGO) auditable build --release --locked --bin sandbar --target "$$(rustc --print host-tuple)")
	@SANDBAR_IMAGE_PROGRAM="$(abspath $(TARGET))/$$(rustc --print host-tuple)/release/sandbar" \
		$(CARGO) test --features '$(FEATURES)' --test it install::images

.PHONY: sbom
sbom: toolchain ## List what program and page are made of, as CycloneDX, in target/sbom (2 min)
	$(call step,build what lists crates,2 min,$(CARGO) install --quiet --locked --root $(TARGET)/tools cargo-cyclonedx@0.5.9)
	@mkdir -p $(TARGET)/sbom
	$(call step,list what the program is made of,5 s,PATH="$(abspath $(TARGET))/tools/bin:$$PATH" $(CARGO) cyclonedx --format json \
		--spec-version 1.5 --no-build-deps --override-filename sandbar.cdx && mv sandbar.cdx.json $(TARGET)/sbom/)
	$(call step,list what the page is made of,2 s,$(NPM) --prefix web sbom --package-lock-only --omit dev --sbom-format cyclonedx > $(TARGET)/sbom/page.cdx.json)

crash: toolchain build controlplane ## Kill the operator at every call it makes, before and after (30 min)
	$(call step,build the tests,3 min,$(CARGO) test --features '$(FEATURES)' --test it --no-run)
	@printf '\n== crash points (about 25 min)\n' >&2
	@CRASH_JOBS=$(CRASH_JOBS) $(CARGO) test --quiet --features '$(FEATURES)' --test it -- --ignored crash::
	@cat $(TARGET)/tmp/crash.txt

check: toolchain page ## Formatting, lints, generated files, links (first time 5 min)
	$(call step,formatting,1 s,$(CARGO) fmt --check)
	$(call step,lints,3 min,$(CARGO) clippy --all-targets -- -D warnings)
	$(call step,lints with crash points and simulation,3 min,$(CARGO) clippy --all-targets --features '$(FEATURES)' -- -D warnings)
	$(call step,crds/ and references against the program,2 min,$(CARGO) test --quiet --lib -- api::crds reference::)
	$(call step,types and lints of the page,20 s,$(NPM) --prefix web run --silent check)
	$(call step,links,1 s,$(PYTHON) .ci/links.py)

# Not `release`: a benchmark and its program are built with other settings for panics.
bench: toolchain ## Measure, and print the table of the book (6 min; first time 25 min)
	$(call step,build the benchmark,10 min,$(CARGO) bench --bench claims --no-run)
	@printf '\n== benchmark (about 6 min)\n' >&2
	@$(CARGO) bench --bench claims

launch: toolchain ## Measure launches, listeners, commands and files through the agent (5 min; first time 25 min)
	$(call step,build the benchmark,10 min,$(CARGO) bench --bench launch --no-run)
	@printf '\n== launches (about 5 min)\n' >&2
	@$(CARGO) bench --bench launch

scale: toolchain ## Measure a restart over 10,000 members and a storm of claims (10 min; first time 30 min)
	$(call step,build the benchmark,10 min,$(CARGO) bench --bench scale --no-run)
	@printf '\n== scale (about 10 min)\n' >&2
	@$(CARGO) bench --bench scale

# A debug build: what is compared are counts and simulated time.
compare: toolchain build controlplane ## The library that people use today and Sandbar, the same bad day (6 min; needs doctl)
	@$(CARGO) bench --profile dev --features '$(FEATURES)' --bench side_by_side

crds: ## Write crds/ and the chart's copy of it anew from the types
	$(call step,write crds/,3 min,$(CARGO) run --quiet -- crds --write crds --write charts/sandbar/files/crds)

docs: toolchain page ## Build the book into target/book (first time 5 min)
	$(call step,build the book and look at its links,4 min,SANDBAR_BOOK=$(abspath $(TARGET)/book) $(CARGO) test --quiet --features '$(FEATURES)' --test it -- book::build)
	@echo "file://$(abspath $(TARGET)/book/index.html)"

generate: crds ## Write crds/, and the references of API and command line, anew from the program
	$(call step,write docs/src/reference/,5 s,$(CARGO) run --quiet -- reference api --to docs/src/reference && $(CARGO) run --quiet -- reference cli --to docs/src/reference)

page: $(PAGE) ## Build the page, which the program carries (1 min)

$(PACKAGES): web/package-lock.json
	$(call step,install what the page is built with,30 s,$(NPM) --prefix web ci --silent && touch $@)

# Cargo does not see that a folder came into being: the file that reads it is made newer.
$(PAGE): $(PACKAGES) web/index.html web/vite.config.ts $(shell find web/src web/public -type f)
	$(call step,build the page,10 s,$(NPM) --prefix web run --silent build -- --logLevel warn && touch src/gateway/page.rs)

build: page
	$(call step,build sandbar,4 min,$(CARGO) build --features '$(FEATURES)')

controlplane:
	$(call step,find or build the control plane and helm,12 min,$(SANDBAR) dev binaries)

clients:
	$(call step,find or build helm 4 and the clients of etcd,4 min,$(SANDBAR) dev binaries helm4 etcdctl etcdutl)

# After the build, so that most of what it needs is there. What cannot be built is said by the tests that want it.
previous: build
	$(call step,find or build the version before this one,3 min,CARGO='$(CARGO)' FEATURES='$(FEATURES)' .ci/previous --keep && CARGO='$(CARGO)' FEATURES='$(FEATURES)' .ci/previous --build >&2)

toolchain:
	@for tool in $(CARGO) go $(NODE) $(NPM) $(PYTHON) cc; do command -v "$$tool" >/dev/null || \
		{ echo "$$tool is missing: install Rust (rustup.rs), Go 1.26 (go.dev/dl), Node 20 with npm (nodejs.org), Python 3 and a C compiler" >&2; exit 1; }; done

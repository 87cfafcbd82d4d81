# The only entry. `make help` lists what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.SUFFIXES:

SWIFT      ?= swift
BUILD      := .build/debug
NODE_BUILD := .build-node
NODE_BIN   := $(NODE_BUILD)/release
BENCH_BUILD := .build-bench
# Every build also checks that no target imports what Package.swift does not list for it.
SWIFTFLAGS := --explicit-target-dependency-import-check error
LAB        ?= $(CURDIR)/.build/lab
DATA       := .build/mnist

.PHONY: help deps build build-node test check fmt demo demo-clean bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the Debian packages that are missing (with sudo when not root)
	@scripts/install-deps.sh

build: deps build-node ## build everything
	$(SWIFT) build $(SWIFTFLAGS)

# Without symbols: each node gets a copy.
build-node: deps ## build what runs on nodes: one file each, without Swift at run time
	$(SWIFT) build $(SWIFTFLAGS) --scratch-path $(NODE_BUILD) -c release --static-swift-stdlib -Xlinker -s --product baton-agent
	$(SWIFT) build $(SWIFTFLAGS) --scratch-path $(NODE_BUILD) -c release --static-swift-stdlib -Xlinker -s --product baton-train

test: deps build-node ## build and run every test
	$(SWIFT) build $(SWIFTFLAGS) --build-tests
	@# Entering another root file system takes root; without, the tests that do say that they were skipped.
	@[ "$$(id -u)" -ne 0 ] || scripts/stock-root.sh .build/stock-root
	@[ "$$(id -u)" -ne 0 ] || scripts/apptainer-root.sh .build/apptainer-root
	scripts/servers/install.sh .build/servers
	scripts/install-deps.sh frameworks
	scripts/python/install.sh .build/python
	BATON_NODE_BIN=$(CURDIR)/$(NODE_BIN) BATON_STATIC_AGENT=$(CURDIR)/$(NODE_BIN)/baton-agent \
	  BATON_TEST_ROOTFS="$$([ "$$(id -u)" -ne 0 ] || echo $(CURDIR)/.build/stock-root)" BATON_TEST_SERVERS=$(CURDIR)/.build/servers \
	  BATON_TEST_APPTAINER=$(CURDIR)/.build/apptainer-root BATON_TEST_PYTHON=$(CURDIR)/.build/python scripts/test.sh

check: deps ## format, lint and layering
	$(SWIFT) format lint --strict --recursive --configuration .swift-format Package.swift Sources Tests benchmarks
	scripts/check-sources.sh
	$(SWIFT) build $(SWIFTFLAGS) --build-tests

fmt: ## format the sources
	$(SWIFT) format format --in-place --recursive --configuration .swift-format Package.swift Sources Tests benchmarks

demo: build $(DATA)/mnist_5k.csv ## run the main job: one run over two leases, against one without interruption
	BATON_NODE_BIN=$(CURDIR)/$(NODE_BIN) $(BUILD)/baton lab demo --lab $(LAB) --data $(DATA) \
	  --job examples/mnist/job.yaml --result demo-result.json

demo-clean: ## take the demo's lab down; nothing is left
	@if [ -x $(BUILD)/baton ]; then $(BUILD)/baton lab down --lab $(LAB); fi
	rm -rf $(DATA) demo-result.json

$(DATA)/mnist_5k.csv: scripts/fetch-mnist.sh | deps
	scripts/fetch-mnist.sh $(DATA)

bench: build-node ## measure: make bench NAME=demo|staging|..., as benchmarks/README.md has them
	@test -n "$(NAME)" || { echo "say which, as in make bench NAME=demo: benchmarks/README.md has them"; exit 64; }
	$(SWIFT) build --scratch-path $(BENCH_BUILD) -c release
	benchmarks/run.sh $(NAME)

clean: demo-clean ## remove what was built
	rm -rf .build $(NODE_BUILD) $(BENCH_BUILD)

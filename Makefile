# HotLink's house: `make demo` and `make test` work on a bare Debian machine with Swift, make and git.
# SWIFT_FLAGS goes to every debug build, e.g. make test SWIFT_FLAGS='-Xswiftc -warnings-as-errors'.

SWIFT       ?= swift
SWIFT_FLAGS ?=
LINTED      := Package.swift Sources Tests Examples/own-mapper Examples/jit-compiler $(wildcard Benchmarks/Package.swift Benchmarks/Sources Benchmarks/adapter)
C_SOURCES    = $(wildcard Sources/CLoaderSupport/*.c)
EXAMPLE     := Examples/hot-plugin

.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-test-all setup-bench build demo run test test-all sweep archives lint format bench bench-json adapter clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup:  ## install the Debian packages that building needs, check Swift
	@scripts/setup.sh build

setup-test:  ## the same with what the tests need
	@scripts/setup.sh test

setup-test-all:  ## the same with what the long tests need
	@scripts/setup.sh test-all

setup-bench:  ## the same with what benchmarks are measured against; what cannot be had is left out there
	@scripts/setup.sh bench || scripts/setup.sh build

build: setup  ## the runner, optimised: .build/release/hotlink
	$(SWIFT) build -c release --product hotlink

demo: build  ## show it: edits the example's C, C++ and Swift units while it runs; ends by itself
	$(EXAMPLE)/demo.sh .build/release/hotlink

run: build  ## the example for you to edit by hand
	@$(MAKE) --no-print-directory -C $(EXAMPLE)
	@echo
	@echo "Edit a file of $(CURDIR)/$(EXAMPLE) (its README.md says what to try), then, in a second terminal:"
	@echo "    make -C $(CURDIR)/$(EXAMPLE)"
	@echo
	@cd $(EXAMPLE) && exec $(CURDIR)/.build/release/hotlink watch build/ --entry tick

test: setup-test  ## all tests but the long ones
	$(SWIFT) build --build-tests $(SWIFT_FLAGS)
	$(SWIFT) test --disable-xctest $(SWIFT_FLAGS)

test-all: export HOTLINK_LONG_TESTS = 1
test-all: setup-test-all test  ## all tests

lint:  ## formatting and style of the Swift sources, warnings of the C sources
	$(SWIFT) format lint --strict --parallel --recursive $(LINTED)
	$(CC) -fsyntax-only -std=gnu11 -Wall -Wextra -Werror -ISources/CLoaderSupport/include $(C_SOURCES)

format:  ## bring the Swift sources into form
	$(SWIFT) format --in-place --parallel --recursive $(LINTED)

sweep: setup-test build  ## compare with dlopen over all shared objects of the system; writes docs/sweep.md
	.build/release/hotlink check --against dlopen --table docs/sweep.md /usr/lib || [ $$? -ne 1 ]

archives: setup-test build  ## check every member of libc.a, libm.a and libgcc_eh.a; writes docs/archives.md
	scripts/archives.sh .build/release/hotlink docs/archives.md

bench: setup-bench  ## benchmarks against peers, for people
	cd Benchmarks && $(SWIFT) build -c release --product hotlink && $(SWIFT) run -c release bench

bench-json: setup-bench  ## the same, one JSON object a line
	@cd Benchmarks && $(SWIFT) build -c release --product hotlink >&2 && $(SWIFT) run -c release bench --json

adapter: setup  ## libhotlink_loader.so, LoaderEngine for C, and its test: Benchmarks/.build/adapter
	SWIFT=$(SWIFT) Benchmarks/adapter/build.sh
	Benchmarks/adapter/test/test.sh Benchmarks/.build/adapter/libhotlink_loader.so

clean:  ## remove what builds leave behind
	rm -rf .build Benchmarks/.build Benchmarks/adapter/.build
	$(MAKE) -C $(EXAMPLE) clean

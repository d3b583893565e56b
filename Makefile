# Thin targets over the CMake presets (CMakePresets.json). Everything is made below build/.
#
#   make          the optimised program, at build/bale        make test    every test
#   make demo     install, build, and watch it work           make bench   the benchmarks
#   make lint     format, style, clang-tidy, shellcheck       make format  clang-format all C++ files
#   make asan     tests under address and undefined-behaviour sanitizers
#   make tsan     tests under the thread sanitizer
#   make clang    Clang: thread-safety analysis, tests, and a short run of every fuzz target
#   make soak     ten minutes of services under load and faults: they must not grow
#   make campaign hours of kills, large files, slow lines and fuzzing
#   make clean    remove build/
.DEFAULT_GOAL := all
.PHONY: all demo test bench format lint asan tsan clang soak campaign clean configure
SHELL := /bin/bash
JOBS ?= $(shell nproc)

# Tests and benchmarks need more packages than the program; once asked for, they stay in the build directory's settings.
configure:
	@scripts/install-deps.sh --check build
	@[ -f build/release/build.ninja ] || cmake --preset release -DBALE_TESTS=OFF -DBALE_BENCH=OFF

all: configure
	@cmake --build --preset release --target bale -j $(JOBS)
	@ln -sfn release/src/cli/bale build/bale

demo:
	@scripts/install-deps.sh build
	@$(MAKE) --no-print-directory all
	@scripts/demo.sh build/bale

test:
	@scripts/install-deps.sh build test
	@cmake --preset release -DBALE_TESTS=ON
	@cmake --build --preset release -j $(JOBS)
	@ln -sfn release/src/cli/bale build/bale
	@scripts/test.sh

bench:
	@scripts/install-deps.sh build test bench
	@cmake --preset release -DBALE_BENCH=ON
	@cmake --build --preset release -j $(JOBS)
	@ln -sfn release/src/cli/bale build/bale
	@scripts/bench.sh

# Sanitized and Clang builds run the C++ tests: the black-box tests would say the same more slowly.
asan tsan:
	@scripts/install-deps.sh build test
	@cmake --preset $@
	@cmake --build --preset $@ -j $(JOBS)
	@ctest --test-dir build/$@ -j $(JOBS) --output-on-failure -LE style

clang:
	@scripts/install-deps.sh build test lint
	@cmake --preset clang
	@cmake --build --preset clang -j $(JOBS)
	@ctest --test-dir build/clang -j $(JOBS) --output-on-failure -LE style
	@scripts/fuzz.sh build/clang

soak: all
	@scripts/install-deps.sh test
	@BALE_BIN=$(CURDIR)/build/bale tests/servers/with_servers.py rgw moto dynalite -- /usr/bin/python3 tests/e2e/soak.py

FUZZ_SECONDS ?= 600
campaign:
	@scripts/install-deps.sh build test lint
	@cmake --preset release -DBALE_TESTS=ON
	@cmake --build --preset release -j $(JOBS)
	@ln -sfn release/src/cli/bale build/bale
	@cmake --preset clang
	@cmake --build --preset clang -j $(JOBS) --target fuzz_targets
	@scripts/campaign.sh $(FUZZ_SECONDS)

format:
	@scripts/install-deps.sh lint
	@git ls-files -z -co --exclude-standard '*.cpp' '*.hpp' | xargs -0 -r clang-format-14 -i

lint:
	@scripts/install-deps.sh build test lint
	@cmake --preset lint
	@scripts/lint.sh build/lint

clean:
	rm -rf build

# Tidegate. `make help` tells the targets; CONTRIBUTING.md tells the three tiers.
#
# FLAVOUR keeps builds apart in build/<flavour>: plain; asan (ASan + UBSan); tsan; fuzz (asan and coverage).
# Sources are found by wildcard: a new file needs no line here. What the machine lacks, tools/setup installs.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules --no-print-directory $(if $(filter 0,$(MAKELEVEL)),-j$(shell nproc))
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= halt_on_error=1

FLAVOUR ?= plain
SECONDS ?= 10
HOURS ?= 4
SWEEP_SECONDS ?= 180
PREFIX ?= /usr/local
OUT := build/$(FLAVOUR)

# -- what to build, and how ---------------------------------------------------------------------------------------
PACKAGES := libwebsockets libuv lmdb libcrypto libssl rdkafka hiredis
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wvla -Wundef \
  -Wcast-qual -Wwrite-strings -Wformat=2 -Werror
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_plain := -O2 -g
FLAGS_asan := -O1 -g $(SANITIZE)
FLAGS_tsan := -O1 -g -fsanitize=thread
FLAGS_fuzz := -O1 -g $(SANITIZE)
FLAGS := $(FLAGS_$(FLAVOUR))
COVERAGE := $(if $(filter fuzz,$(FLAVOUR)),-fsanitize-coverage=trace-pc)
# Asked once, and only by a recipe: on a bare machine pkg-config comes with the set-up.
PACKAGE_CFLAGS = $(eval PACKAGE_CFLAGS := $(shell pkg-config --cflags-only-I $(PACKAGES) | sed 's/-I/-isystem /g'))$(PACKAGE_CFLAGS)
PACKAGE_LIBS = $(eval PACKAGE_LIBS := $(shell pkg-config --libs $(PACKAGES)))$(PACKAGE_LIBS)
COMPILE = $(CC) -std=c11 -D_GNU_SOURCE $(FLAGS) $(WARNINGS) -I. $(PACKAGE_CFLAGS) -MMD -MP $(CFLAGS)
LIBS = $(PACKAGE_LIBS) -lpthread

SOURCES := $(wildcard core/*.c base/*.c backends/*.c backends/*/*.c gateway/*.c workers/*.c cli/*.c)
LIB := $(OUT)/libtidegate_server.a
LIB_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(filter-out cli/main.c,$(SOURCES))) $(OUT)/gen/demo.o $(OUT)/gen/namespaces.o $(OUT)/gen/redis.o
SUPPORT := $(OUT)/libsupport.a
SUPPORT_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/support/*.c tests/checker/*.c))
UNIT := $(patsubst tests/unit/%.c,$(OUT)/tests/%,$(wildcard tests/unit/test_*.c))
KAFKA := $(patsubst tests/kafka/%.c,$(OUT)/kafka/%,$(wildcard tests/kafka/test_*.c))
# Those with threads.
UNIT_TSAN := $(filter %log %log_refusals %link %registry %store %snapshot %worker,$(UNIT))
SIM := $(OUT)/sim
SIM_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/sim/*.c))
TOOLS := $(patsubst tests/tools/%.c,$(OUT)/tools/%,$(wildcard tests/tools/*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(OUT)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
NAMES := $(patsubst %.c,%,$(SOURCES) $(wildcard tests/support/*.c tests/checker/*.c tests/unit/*.c tests/kafka/*.c tests/fuzz/*.c tests/tools/*.c tests/sim/*.c))

# -- using it -----------------------------------------------------------------------------------------------------
all: tidegate ## build ./tidegate
run: tidegate ## a server with the demo on http://127.0.0.1:8080/, its data in build/data
	./tidegate serve --dev --listen 127.0.0.1:8080 --data build/data
cluster: tidegate build/setup-cluster ## Kafka, Redis, two gateways, two workers on this machine; Ctrl-C stops all
	@tools/cluster
install: tidegate ## binary, C library with its header, docs and namespaces under $(DESTDIR)$(PREFIX)
	install -D -m 755 tidegate $(DESTDIR)$(PREFIX)/bin/tidegate
	install -d $(DESTDIR)$(PREFIX)/share/doc/tidegate/docs $(DESTDIR)$(PREFIX)/share/tidegate/namespaces
	install -m 644 README.md ARCHITECTURE.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/tidegate
	install -m 644 docs/*.* $(DESTDIR)$(PREFIX)/share/doc/tidegate/docs
	install -m 644 schemas/namespaces/*.json $(DESTDIR)$(PREFIX)/share/tidegate/namespaces

# -- the three tiers ----------------------------------------------------------------------------------------------
CHECK := unit tidy tidy-test docs-check sabotage-check
WEB := web-unit web-build-check
SUITES := $(CHECK) $(WEB) scenarios sweep unit-asan unit-tsan sabotage-quick vectors-check fuzz schemas deploy-test kafka $(if $(wildcard tests/blackbox/test_*.py),blackbox cluster-test) \
  $(if $(wildcard tests/browser/package.json),browser browser-cluster) $(if $(wildcard tests/autobahn/run),autobahn)
include client/library.mk
check: tidegate ## tier 1, under a minute, for every edit: build, unit tests, the house's rules, docs
	+@MAKE='$(MAKE)' tests/run-suites $(CHECK)
# What is committed is tried from a seed of its own, its tree's name: a new one with every change, and whoever has the tree can try the same.
COMMIT_SEED = $(shell printf '%d' 0x$$(git rev-parse --short=12 'HEAD^{tree}' 2>/dev/null || echo 0))
test: tidegate ## tier 2, under half an hour: all tests
	+@FROM='$(or $(FROM),$(COMMIT_SEED))' SEEDS='$(or $(SEEDS),150000)' SEED='$(or $(SEED),$(COMMIT_SEED))' CLIENT_SEED="$${CLIENT_SEED:-$(COMMIT_SEED)}" \
	  TIDEGATE_SEED="$${TIDEGATE_SEED:-$(COMMIT_SEED)}" MAKE='$(MAKE)' tests/run-suites $(SUITES)
soak: tidegate ## tier 3, HOURS=4: fuzz, sanitizers and black-box tests again and again
	+@MAKE='$(MAKE)' tests/run-soak $(HOURS)

unit: unit-build ## unit tests (FLAVOUR=asan or tsan for the sanitizers)
	@tests/run-unit $(if $(filter tsan,$(FLAVOUR)),$(UNIT_TSAN),$(UNIT))
unit-asan: ## unit tests under ASan and UBSan
	@$(MAKE) FLAVOUR=asan unit
unit-tsan: ## those with threads under TSan
	@$(MAKE) FLAVOUR=tsan unit
fuzz: ## every fuzz target for SECONDS=10, guided by coverage
	@$(MAKE) FLAVOUR=fuzz fuzz-run
fuzz-run: $(FUZZ)
	@tests/run-fuzz $(SECONDS) $(FUZZ)
fuzz-clang: ## the same with libFuzzer, where clang is
	@$(MAKE) FLAVOUR=fuzz COVERAGE= CC=clang OUT=build/clang FLAGS='-O1 -g -fsanitize=address,undefined,fuzzer-no-link' \
	  FUZZ_MAIN=-fsanitize=fuzzer fuzz-clang-run
fuzz-clang-run: $(FUZZ)
	@for f in $(FUZZ); do n=$${f##*/fuzz_}; mkdir -p build/fuzz/$$n; \
	  $$f -max_total_time=$(SECONDS) -artifact_prefix=build/fuzz/$$n- build/fuzz/$$n tests/fuzz/corpus/$$n || exit 1; done
tidy: tidegate build/setup-test ## the house's rules: layers, owners of headers, purity, names, lengths, banned calls
	@tools/tidy
tidy-test: build/setup-test ## the rules themselves, on planted trees
	@/usr/bin/python3 -m unittest discover -q -s tests/tidy 2>&1 | tee build/tidy-test.log; [ $${PIPESTATUS[0]} -eq 0 ] && \
	  sed -n 's/^Ran \([0-9]*\) tests.*/\1 passed, 0 failed/p' build/tidy-test.log
sabotage: tidegate unit-build ## break the real code one line at a time: which suite notices, and who survives
	@tests/sabotage/run
sabotage-quick: tidegate unit-build ## some of them, on the unit tests that they name
	@tests/sabotage/run --quick
sabotage-check: build/setup-test ## is every line that they break still there?
	@tests/sabotage/run --check
vectors-check: build/setup-test ## a second reading of the protocol, in Python, against the golden vectors
	@set -o pipefail; /usr/bin/python3 tests/tools/check_vectors.py | sed 's/ vectors agree, / passed, /; s/ differ$$/ failed/'
schemas: tidegate build/venv/ready ## every frame's schema, and the examples beside it
	@build/venv/bin/python -m pytest -q tests/schemas
deploy-test: tidegate build/deploy/ready tests/deploy/node_modules/.ready build/setup-cluster ## what it is run with: image, compose file, chart, alerts, published schemas
	@build/venv/bin/python -m pytest -q tests/deploy
deploy-full: tidegate build/deploy/ready build/deploy/bin/helm3 ## by hand, with Go: Helm 3 too, kube-score, the operators' definitions
	@build/venv/bin/python -m pytest -q tests/deploy/full.py
blackbox: tidegate $(OUT)/tools/check_history build/venv/ready ## the protocol, against the running server
	@build/venv/bin/python -m pytest -q tests/blackbox
.PHONY: faults cluster blackbox-cluster cluster-test bench-cluster
bench-cluster: tidegate build/venv/ready build/setup-cluster ## push to delivery through Kafka beside the broker alone; changes a second through one worker
	@build/venv/bin/python bench/cluster
blackbox-cluster: tidegate $(OUT)/tools/check_history build/venv/ready build/setup-cluster ## the same, against gateways and workers on a real Kafka and Redis
	@TARGET=cluster TIDEGATE_FAULTS=$(or $(TIDEGATE_FAULTS),2) build/venv/bin/python -m pytest -q tests/blackbox
faults: tidegate $(OUT)/tools/check_history build/venv/ready build/setup-cluster ## by hand: each fault and each wire TIDEGATE_FAULTS=10 times, TIDEGATE_DEVICES=201 devices
	@TARGET=cluster TIDEGATE_FAULTS=$(or $(TIDEGATE_FAULTS),10) TIDEGATE_DEVICES=$(or $(TIDEGATE_DEVICES),201) TIDEGATE_PACE=$(or $(TIDEGATE_PACE),200) \
	  build/venv/bin/python -m pytest -q -rP tests/blackbox/test_faults.py tests/blackbox/test_wires.py
CLUSTER_TESTS := cluster faults wires disk scaling links keep first_steps operations policies members_access random_devices
cluster-test: tidegate $(OUT)/tools/check_history build/venv/ready build/setup-cluster ## a part of it, and what only a cluster can show: in make test
	@TARGET=cluster build/venv/bin/python -m pytest -q $(CLUSTER_TESTS:%=tests/blackbox/test_%.py)
kafka: $(KAFKA) build/setup-cluster ## log and journal on a real broker, started for it
	@tests/kafka/run $(KAFKA)
sim: $(SIM) ## replay SEED=n of the simulator, with its trace (or FILE=tests/sim/scenarios/X.sim)
	@$(SIM) $(if $(FILE),file $(FILE),run $(or $(SEED),1))
sim-small: $(SIM) ## a failing SEED=n (or FILE=) made small
	@$(SIM) small $(or $(FILE),$(SEED),1)
sweep: $(SIM) ## new seeds for SWEEP_SECONDS=180 on all cores; SEEDS=n: so many; FROM=seed (else the clock's)
	@$(SIM) sweep $(or $(FROM),0) $(or $(SEEDS),0) $(if $(SEEDS),0,$(SWEEP_SECONDS)) $(shell nproc)
sweep-libs: $(SIM) ## the same, of those seeds alone that have devices on the C client library
	@$(SIM) libs $(or $(FROM),0) $(or $(SEEDS),0) $(if $(SEEDS),0,$(SWEEP_SECONDS)) $(shell nproc)
scenarios: $(SIM) ## the simulator's scenarios against their traces
	@$(SIM) scenarios $(wildcard tests/sim/scenarios/*.sim)
scenarios-accept: $(SIM) ## writes those traces
	@$(SIM) scenarios accept $(wildcard tests/sim/scenarios/*.sim)
browser: tidegate tests/browser/node_modules/.ready web/client/node_modules/.ready ## demo and client in a real browser
	@cd web/client && node build.mjs --tests
	@cd tests/browser && node --test --test-concurrency=2
browser-shots: tidegate tests/browser/node_modules/.ready ## pictures of every state of the demo, to be looked at, into build/shots
	@cd tests/browser && node shots.js
browser-cluster: tidegate tests/browser/node_modules/.ready build/setup-cluster ## the client in real browsers on two gateways, with two workers, Kafka and Redis behind them
	@cd tests/browser && node --test cluster.js
web-unit: web/client/node_modules/.ready ## the client in TypeScript, its parts, in node
	@cd web/client && node node_modules/typescript/bin/tsc -p . --noEmit && node node_modules/typescript/bin/tsc -p tsconfig.test.json && node build.mjs --tests && timeout 300 node --test ../../build/web-unit/
web: web/client/node_modules/.ready ## build the client's package, and the demo that is committed in web/demo
	@cd web/client && node build.mjs
web-measure: tidegate tests/browser/node_modules/.ready ## a key press to pixels on another page, ten thousand messages opening and scrolling
	@cd tests/browser && node measure.js
web-build-check: web/client/node_modules/.ready ## is web/demo what its sources build, and the client within its size?
	@cd web/client && node build.mjs --check
autobahn: tidegate build/venv/ready ## RFC 6455, by Autobahn's cases
	@PATH="$(CURDIR)/build/venv/bin:$$PATH" tests/autobahn/run
bench-quick: tidegate $(OUT)/bench/load ## idle connections, a room beside a bare writer, durable acks
	@bench/quick

# -- pages made from the tables -----------------------------------------------------------------------------------
PAGES := settings errors metrics
vectors: $(OUT)/tools/make_vectors ## make schemas/vectors/*.jsonl again
	@$< schemas/vectors
docs: tidegate ## make docs/settings.md, errors.md and metrics.md again
	@for page in $(PAGES); do ./tidegate docs $$page > docs/$$page.md || exit; done
docs-check: tidegate ## are they as the tables say?
	@passed=0 failed=0; for page in $(PAGES); do \
	  if diff -u docs/$$page.md <(./tidegate docs $$page); then passed=$$((passed + 1)); \
	  else failed=$$((failed + 1)); echo "docs/$$page.md: not what the tables say; make docs mends it"; fi; done; \
	echo "$$passed passed, $$failed failed"; [ $$failed -eq 0 ]

clean: ## forget everything built, the demo's data too
	rm -rf build tidegate tests/browser/node_modules tests/crypt/node_modules tests/deploy/node_modules web/client/node_modules web/client/dist
help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile client/library.mk | awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: web web-measure $(WEB)
.PHONY: all run install check test soak sabotage sabotage-quick sabotage-check unit unit-asan unit-tsan unit-build fuzz fuzz-run fuzz-clang fuzz-clang-run tidy tidy-test \
  vectors vectors-check schemas deploy-test deploy-full blackbox kafka browser browser-shots browser-cluster autobahn sim sim-small sweep sweep-libs scenarios scenarios-accept bench-quick docs docs-check clean help tidegate tools

# -- rules --------------------------------------------------------------------------------------------------------
tidegate: $(OUT)/tidegate
	@cmp -s $< $@ || { cp -f $< $@.new && mv -f $@.new $@; }
$(OUT)/tidegate: $(OUT)/cli/main.o $(LIB)
	@echo "  link  $@"
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS)
$(LIB): $(LIB_OBJECTS)
	@rm -f $@ && ar rcs $@ $^
$(SUPPORT): $(SUPPORT_OBJECTS)
	@rm -f $@ && ar rcs $@ $^
$(OUT)/%.o: %.c | build/setup-build
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(COMPILE) $(COVERAGE) -c $< -o $@

build/embed: tools/embed.c | build/setup-build
	@$(CC) -O1 -o $@ $<
build/gen/demo.c: build/embed web/demo $(wildcard web/demo/*)
	@mkdir -p build/gen
	@build/embed asset_demo base/asset.h $(wildcard web/demo/*) > $@
build/gen/namespaces.c: build/embed schemas/namespaces $(wildcard schemas/namespaces/*.json)
	@mkdir -p build/gen
	@build/embed asset_namespaces base/asset.h $(wildcard schemas/namespaces/*.json) > $@
build/gen/redis.c: build/embed schemas/redis $(wildcard schemas/redis/*.lua)
	@mkdir -p build/gen
	@build/embed asset_redis base/asset.h $(wildcard schemas/redis/*.lua) > $@
web/demo schemas/namespaces schemas/redis:
	@mkdir -p $@
$(OUT)/gen/%.o: build/gen/%.c
	@mkdir -p $(@D)
	@$(COMPILE) -c $< -o $@

unit-build: $(UNIT) $(TOOLS)
tools: $(TOOLS)
$(SUPPORT_OBJECTS): | build/setup-test
$(OUT)/tests/unit/%.o: tests/unit/%.c | build/setup-test
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(COMPILE) -c $< -o $@
$(OUT)/tests/%: $(OUT)/tests/unit/%.o $(SUPPORT) $(LIB)
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS) -lcmocka
$(OUT)/kafka/%: $(OUT)/tests/kafka/%.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS) -lcmocka
$(OUT)/tests/kafka/%.o: tests/kafka/%.c | build/setup-test
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(COMPILE) -c $< -o $@
# Its own workers/store.h comes before the library, whose file then stays out.
$(SIM): $(SIM_OBJECTS) $(SUPPORT) $(LIB)
	@echo "  link  $@"
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS)
$(SIM_OBJECTS): | build/setup-test
$(OUT)/tools/%: $(OUT)/tests/tools/%.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS)
$(OUT)/bench/%: $(OUT)/bench/%.o $(LIB)
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS)
FUZZ_MAIN = $(OUT)/tests/fuzz/driver.o
$(OUT)/tests/fuzz/driver.o: tests/fuzz/driver.c | build/setup-build
	@mkdir -p $(@D)
	@$(COMPILE) -c $< -o $@
$(OUT)/fuzz/%: $(OUT)/tests/fuzz/%.o $(filter %.o,$(FUZZ_MAIN)) $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) $(filter -%,$(FUZZ_MAIN)) -o $@ $^ $(LIBS)

# -- what the machine must have -----------------------------------------------------------------------------------
build/setup-%: tools/setup
	@tools/setup $*
build/venv/ready: $(wildcard tests/*/requirements.txt) | build/setup-test
	@echo "  venv  build/venv"
	@test -x build/venv/bin/python || /usr/bin/python3 -m venv build/venv
	@build/venv/bin/pip install --quiet --disable-pip-version-check $(patsubst %,-r %,$^)
	@touch $@
tests/deploy/node_modules/.ready: tests/deploy/package-lock.json | build/setup-browser
	@echo "  npm   tests/deploy"
	@cd tests/deploy && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
build/deploy/bin/helm3: tests/deploy/helm3.txt build/deploy/ready
	@tools/deploy-tools full
build/deploy/ready: tools/deploy-tools tests/deploy/helm.txt build/venv/ready
	@tools/deploy-tools
tests/browser/node_modules/.ready: tests/browser/package-lock.json | build/setup-browser
	@echo "  npm   tests/browser"
	@cd tests/browser && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
web/client/node_modules/.ready: web/client/package-lock.json | build/setup-browser
	@echo "  npm   web/client"
	@cd web/client && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

-include $(NAMES:%=$(OUT)/%.d)

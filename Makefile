# Tidegate. `make help` tells the targets.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

FLAVOUR ?= plain
OUT := build/$(FLAVOUR)
PACKAGES := libwebsockets libuv lmdb libcjson libcrypto libssl
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wvla -Wundef \
  -Wcast-qual -Wwrite-strings -Wformat=2 -Werror
FLAGS_plain := -O2 -g
FLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan := -O1 -g -fsanitize=thread
CFLAGS_ALL = -std=c11 -D_GNU_SOURCE $(FLAGS_$(FLAVOUR)) $(WARNINGS) -I. $(shell pkg-config --cflags-only-I $(PACKAGES) | sed 's/-I/-isystem /g') -MMD -MP $(CFLAGS)
LIBS = $(shell pkg-config --libs $(PACKAGES)) -lpthread

SOURCES := $(wildcard core/*.c base/*.c backends/*.c backends/embedded/*.c gateway/*.c workers/*.c cli/*.c)
LIB_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(filter-out cli/main.c,$(SOURCES))) $(OUT)/gen/demo.o $(OUT)/gen/namespaces.o
LIB := $(OUT)/libtidegate_server.a
SUPPORT_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/support/*.c))
UNIT := $(patsubst tests/unit/%.c,$(OUT)/tests/%,$(wildcard tests/unit/test_*.c))
TOOLS := $(patsubst tests/tools/%.c,$(OUT)/tools/%,$(wildcard tests/tools/*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(OUT)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
SECONDS_EACH ?= 10

all: build/setup-build ## build ./tidegate
	@$(MAKE) --no-print-directory tidegate

tidegate: $(OUT)/tidegate
	@cp -f $< $@.new && mv -f $@.new $@

$(OUT)/tidegate: $(OUT)/cli/main.o $(LIB)
	@echo "  link  $@"
	@$(CC) $(FLAGS_$(FLAVOUR)) -o $@ $^ $(LIBS)

$(LIB): $(LIB_OBJECTS)
	@rm -f $@ && ar rcs $@ $^

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(CC) $(CFLAGS_ALL) -c $< -o $@

build/embed: tools/embed.c
	@mkdir -p build
	@$(CC) -O1 -o $@ $<
build/gen/demo.c: build/embed $(wildcard web/demo/*)
	@mkdir -p build/gen
	@build/embed asset_demo base/asset.h $(wildcard web/demo/*) > $@
build/gen/namespaces.c: build/embed $(wildcard schemas/namespaces/*.json)
	@mkdir -p build/gen
	@build/embed asset_namespaces base/asset.h $(wildcard schemas/namespaces/*.json) > $@
$(OUT)/gen/%.o: build/gen/%.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) -c $< -o $@

$(OUT)/tests/%: $(OUT)/tests/unit/%.o $(SUPPORT_OBJECTS) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS_$(FLAVOUR)) -o $@ $^ $(LIBS) -lcmocka
$(OUT)/tools/%: $(OUT)/tests/tools/%.o $(SUPPORT_OBJECTS) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS_$(FLAVOUR)) -o $@ $^ $(LIBS)
$(OUT)/fuzz/%: $(OUT)/tests/fuzz/%.o $(OUT)/tests/fuzz/driver.o $(SUPPORT_OBJECTS) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS_$(FLAVOUR)) -o $@ $^ $(LIBS)

.PHONY: all tidegate unit tools unit-build clean help
tools: $(TOOLS)
unit-build: $(UNIT) $(TOOLS)
unit: unit-build ## unit tests (FLAVOUR=asan or tsan for the sanitizers)
	@tests/run-unit $(UNIT)

clean: ## forget everything built
	rm -rf build tidegate
help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s'|'

build/setup-build:
	@mkdir -p build && touch $@

-include $(shell find build -name '*.d' 2>/dev/null)

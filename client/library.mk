# libtidegate: how it is built, installed and tested. Included by the Makefile, whose flags and folders it uses.
# What is in it: core and the client, with no name visible but those of client/abi.txt.
CLIENT_SOURCES := $(wildcard core/*.c client/*.c) base/clock.c
CLIENT_OBJECTS := $(patsubst %.c,$(OUT)/pic/%.o,$(CLIENT_SOURCES)) $(OUT)/pic/gen/namespaces.o $(OUT)/pic/gen/store.o
# The SQLite that the library is built on: CLIENT_SQLITE=sqlcipher (4 or later) encrypts files too.
CLIENT_SQLITE ?= sqlite3
CLIENT_PACKAGES := $(CLIENT_SQLITE) libwebsockets libcrypto libuv libsodium
CLIENT_VERSION = $(shell sed -n 's/^\#define TIDE_VERSION "\(.*\)"/\1/p' client/tidegate.h)
LIBTIDEGATE := $(OUT)/libtidegate.a $(OUT)/libtidegate.so.0
CLIENT_TESTS := $(filter-out %_dbg.c,$(wildcard tests/client/*.c))
# The command line's device is the same code.
PACKAGES += $(CLIENT_SQLITE) libsodium
SOURCES += $(wildcard client/*.c)
LIB_OBJECTS += $(patsubst %.c,$(OUT)/%.o,$(wildcard client/*.c)) $(OUT)/gen/store.o
NAMES += $(patsubst %.c,%,$(wildcard client/*.c tests/crypt/*.c) $(CLIENT_TESTS))
SUITES += client client-asan client-abi client-crypt examples bindings
EXAMPLES := $(patsubst examples/%.c,$(OUT)/examples/%,$(wildcard examples/*.c))

.PHONY: bindings client-crypt client-crypt-build examples libtidegate libtidegate-install client client-asan client-soak client-build client-abi bench-client valgrind bench-pouchdb
all: libtidegate
install: libtidegate-install
blackbox blackbox-cluster: client-build
libtidegate: $(LIBTIDEGATE) ## the C client library, static and shared
libtidegate-install: libtidegate
	install -D -m 644 client/tidegate.h $(DESTDIR)$(PREFIX)/include/tidegate.h
	install -D -m 644 $(OUT)/libtidegate.a $(DESTDIR)$(PREFIX)/lib/libtidegate.a
	install -D -m 755 $(OUT)/libtidegate.so.0 $(DESTDIR)$(PREFIX)/lib/libtidegate.so.0
	ln -sf libtidegate.so.0 $(DESTDIR)$(PREFIX)/lib/libtidegate.so
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(CLIENT_VERSION)|; s|@SQLITE@|$(CLIENT_SQLITE)|' client/tidegate.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/tidegate.pc
	chmod 644 $(DESTDIR)$(PREFIX)/lib/pkgconfig/tidegate.pc
client-build: $(patsubst tests/client/%.c,$(OUT)/client-tests/%,$(CLIENT_TESTS))
client: client-build ## devices on the C library: 500 random schedules of a new seed, and kills before every system call
	@tests/client/run 500
client-asan: ## fewer of them under ASan and UBSan
	@$(MAKE) FLAVOUR=asan client-build
	@tests/client/run 60 asan
client-soak: client-build ## by hand: SCHEDULES=10000 random schedules, on all cores; FLAVOUR=asan: under sanitizers
	@tests/client/schedules $(or $(SCHEDULES),10000) $(FLAVOUR)
client-abi: tidegate libtidegate build/setup-test ## the library as it is installed: its names, and programs that use it
	@MAKE='$(MAKE)' tests/client/abi
examples: tidegate $(EXAMPLES) build/setup-test ## the example programs, built on the library and run against a server
	@tests/examples/run $(OUT)/examples
# The same objects, with an SQLite that encrypts in front of the system's own.
CRYPT_SQLITE := tests/crypt/node_modules/better-sqlite3-multiple-ciphers/deps/sqlite3/sqlite3.c
CRYPT_PROGRAMS := $(OUT)/crypt/test_crypt $(OUT)/crypt/plays $(OUT)/crypt/kills $(OUT)/crypt/tidegate
client-crypt-build: $(CRYPT_PROGRAMS)
client-crypt: client-crypt-build ## encryption at rest: wrong keys, a change of key that is killed; random schedules on encrypted stores
	@tests/crypt/run $(OUT)/crypt
# Not what kills or forks processes on end, and not what Redis and TCP are tried with: unit-asan and unit-tsan run those.
UNIT_VALGRIND = $(filter-out %_crash %links_world %redis %redis_faults %tcp_faults,$(UNIT))
valgrind: unit-build client-build build/setup-valgrind ## unit tests and the C client library's own under valgrind: in make soak
	@tests/run-valgrind 20 $(OUT)/client-tests $(UNIT_VALGRIND)
bench-pouchdb: tidegate $(OUT)/bench/client bench/pouchdb/node_modules/.ready ## by hand: PouchDB on express-pouchdb beside the C client library, in one run
	@node bench/pouchdb/run.js $(or $(DOCUMENTS),100000) && bench/client-quick $(or $(DOCUMENTS),100000)
bench/pouchdb/node_modules/.ready: bench/pouchdb/package-lock.json | build/setup-browser
	@echo "  npm   bench/pouchdb"
	@cd bench/pouchdb && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
bindings: tidegate $(OUT)/bindings/libtidegate_jni.so ## the Java binding, compiled and run against a server
	@tests/bindings/run $(OUT)/bindings
bench-client: tidegate $(OUT)/bench/client ## the C client library: writes, first sync, queries, sight of another's edit
	@bench/client-quick

build/gen/store.c: build/embed schemas/client-store.sql
	@mkdir -p build/gen
	@build/embed asset_store base/asset.h schemas/client-store.sql > $@
$(OUT)/pic/%.o: %.c | build/setup-build
	@mkdir -p $(@D)
	@echo "  cc    $< (pic)"
	@$(COMPILE) -fPIC -fvisibility=hidden -ffunction-sections -c $< -o $@
$(OUT)/pic/gen/%.o: build/gen/%.c
	@mkdir -p $(@D)
	@$(COMPILE) -fPIC -fvisibility=hidden -ffunction-sections -c $< -o $@
$(OUT)/libtidegate.a: $(CLIENT_OBJECTS) client/abi.txt
	@ld -r -o $(OUT)/pic/tidegate.o $(CLIENT_OBJECTS) && objcopy --keep-global-symbols=client/abi.txt $(OUT)/pic/tidegate.o
	@rm -f $@ && ar rcs $@ $(OUT)/pic/tidegate.o
$(OUT)/libtidegate.so.0: $(CLIENT_OBJECTS) client/abi.txt
	@{ echo 'TIDEGATE_0 { global:'; sed 's/$$/;/' client/abi.txt; echo 'local: *; };'; } > $(OUT)/pic/tidegate.map
	@$(CC) $(FLAGS) -shared -Wl,-soname,libtidegate.so.0 -Wl,--version-script=$(OUT)/pic/tidegate.map -Wl,-z,defs -Wl,--gc-sections -o $@ $(CLIENT_OBJECTS) \
	  $$(pkg-config --libs $(CLIENT_PACKAGES)) -lpthread
$(OUT)/client-tests/%: $(OUT)/tests/client/%.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS)

# jni.h lies beside the compiler of Java, wherever that is. The prototypes are those that it makes of the Java sources.
$(OUT)/bindings/libtidegate_jni.so: client/bindings/jni/tide_jni.c $(wildcard client/bindings/java/dev/tidegate/*.java) client/tidegate.h $(OUT)/libtidegate.a | build/setup-java
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@java=$$(dirname "$$(dirname "$$(readlink -f "$$(command -v javac)")")")/include; \
	  javac -d $(@D)/classes -h $(@D) client/bindings/java/dev/tidegate/*.java && \
	  $(CC) -std=gnu11 $(FLAGS) $(WARNINGS) -Wno-unused-parameter -fPIC -shared -fvisibility=hidden -Wl,--exclude-libs,ALL -I. -isystem "$$java" -isystem "$$java/linux" \
	  -include $(@D)/dev_tidegate_Tide.h $< $(OUT)/libtidegate.a \
	  -o $@ $$(pkg-config --libs $(CLIENT_PACKAGES)) -lpthread
tests/crypt/node_modules/.ready: tests/crypt/package-lock.json | build/setup-browser
	@echo "  npm   tests/crypt"
	@cd tests/crypt && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
build/sqlite3mc/sqlite3mc.o: tests/crypt/node_modules/.ready
	@mkdir -p $(@D)
	@echo "  cc    SQLite3 Multiple Ciphers"
	@$(CC) -O0 -w -DSQLITE_THREADSAFE=2 -DSQLITE_DQS=0 -DSQLITE_OMIT_LOAD_EXTENSION -c $(CRYPT_SQLITE) -o $@
$(OUT)/tests/crypt/test_crypt.o: | build/setup-test
$(OUT)/crypt/test_crypt: $(OUT)/tests/crypt/test_crypt.o build/sqlite3mc/sqlite3mc.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS) -lcmocka -lm
$(OUT)/crypt/tidegate: $(OUT)/cli/main.o build/sqlite3mc/sqlite3mc.o $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS) -lm
$(OUT)/crypt/%: $(OUT)/tests/client/%.o build/sqlite3mc/sqlite3mc.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -o $@ $^ $(LIBS) -lm

$(OUT)/examples/%: examples/%.c client/tidegate.h $(OUT)/libtidegate.a
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(CC) -std=gnu11 $(FLAGS) $(WARNINGS) -Iclient $< $(OUT)/libtidegate.a -o $@ $$(pkg-config --libs $(CLIENT_PACKAGES)) -lpthread

-include $(CLIENT_OBJECTS:.o=.d)

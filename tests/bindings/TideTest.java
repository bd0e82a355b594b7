import dev.tidegate.Tide;
import dev.tidegate.TideException;
import java.util.ArrayList;
import java.util.List;

/** The Java binding against a running server: TideTest FOLDER URL TOKEN USER. Closes with "N passed, N failed". */
public final class TideTest {
    private static String folder, url, token, user;
    private static int passed, failed;

    interface Test {
        void run() throws Exception;
    }

    private static void test(String name, Test test) {
        try {
            test.run();
            passed++;
        } catch (Exception | AssertionError e) {
            failed++;
            System.out.println("FAILED " + name);
            e.printStackTrace(System.out);
        }
    }

    private static void same(Object a, Object b) {
        if (!java.util.Objects.equals(a, b)) throw new AssertionError(a + " is not " + b);
    }

    private static int codeOf(Runnable call) {
        try {
            call.run();
        } catch (TideException e) {
            if (e.getMessage().isEmpty()) throw new AssertionError("no message");
            return e.code;
        }
        return 0;
    }

    private static Tide open(String name, Tide.Listener listener) {
        return new Tide(folder + "/" + name + ".db", url, token, null, listener);
    }

    private static void aWriteOnOneDeviceIsOnTheOther() {
        String space = "notes:" + user, text = "{\"title\":\"caf\u00e9 \ud83c\udf0a\",\"n\":12345678901234567890}";
        try (Tide phone = open("phone", null); Tide laptop = open("laptop", null)) {
            phone.subscribe(space, 0, -1);
            laptop.subscribe(space, 0, -1);
            if (phone.put(space, "notes", "caf\u00e9", text) != 1) throw new AssertionError("not the first push");
            same(phone.pending(), 1L);
            same(phone.get(space, "notes", "caf\u00e9"), text);
            phone.sync(Tide.BOTH, 60000);
            laptop.sync(Tide.BOTH, 60000);
            same(phone.pending(), 0L);
            same(laptop.get(space, "notes", "caf\u00e9"), text);
            same(laptop.get(space, "notes", "none"), null);
            List<String> seen = new ArrayList<>();
            laptop.query(space, "notes", null, false, 0, (id, body, rev, pending, seal) -> seen.add(id + body + pending + seal));
            same(seen, List.of("caf\u00e9" + text + false + 0));
            laptop.patch(space, "notes", "caf\u00e9", "{\"n\":null}");
            laptop.delete(space, "notes", "none");
            same(codeOf(() -> laptop.put(space, "notes", "x", "{")), TideException.INVALID);
            same(codeOf(() -> laptop.put(space, "notes", "a\0b", "{}")), TideException.INVALID);
        }
    }

    private static void aConflictWaitsAndIsSettled() {
        String space = "notes:" + user + ":c";
        try (Tide phone = open("conflict-phone", null); Tide laptop = open("conflict-laptop", null)) {
            phone.subscribe(space, 0, -1);
            laptop.subscribe(space, 0, -1);
            phone.put(space, "notes", "n", "{\"text\":\"one\"}");
            phone.sync(Tide.BOTH, 60000);
            laptop.sync(Tide.BOTH, 60000);
            phone.patch(space, "notes", "n", "{\"text\":\"two\"}");
            laptop.patch(space, "notes", "n", "{\"text\":\"three\"}");
            phone.sync(Tide.BOTH, 60000);
            laptop.sync(Tide.BOTH, 60000);
            long[] id = {0};
            laptop.refused((refusal, where, code, message, ops, server) -> {
                same(where, space);
                same(code, "conflict");
                id[0] = refusal;
                return true;
            });
            laptop.retry(id[0], null);
            laptop.sync(Tide.BOTH, 60000);
            phone.sync(Tide.BOTH, 60000);
            same(phone.get(space, "notes", "n"), "{\"text\":\"three\"}");
            same(codeOf(() -> laptop.drop(id[0])), TideException.NOT_FOUND);
        }
    }

    private static void callbacksComeAndTheirExceptionsGoThrough() {
        String space = "todos:" + user;
        List<String> events = new ArrayList<>();
        Tide[] tide = new Tide[1];
        try (Tide made = new Tide(folder + "/events.db", url, null, null, new Tide.Listener() {
                 @Override
                 public void onToken() {
                     tide[0].setToken(token);
                 }

                 @Override
                 public void onEvent(int kind, String where, String code, String frame, long id, boolean purged) {
                     events.add(kind + " " + where);
                     if (kind == 1) throw new IllegalStateException("from a callback");
                 }
             })) {
            tide[0] = made;
            made.subscribe(space, 0, -1);
            made.append(space, "todos", "t1", "{}"); // refused by the server: `todos` is no append collection
            made.put(space, "todos", "t2", "{\"title\":\"x\"}");
            try {
                made.sync(Tide.BOTH, 60000);
                throw new AssertionError("the exception is lost");
            } catch (IllegalStateException e) {
                same(e.getMessage(), "from a callback");
            }
            same(codeOf(() -> made.query(space, "todos", null, false, 0, (id, body, rev, pending, seal) -> {
                tide[0].close();
                return true;
            })), TideException.MISUSE);
            if (!events.contains("1 " + space)) throw new AssertionError(events);
            made.put(space, "todos", "t3", "{}");
            same(made.get(space, "todos", "t3"), "{}");
        }
        try {
            tide[0].poll();
            throw new AssertionError("closed, and yet");
        } catch (IllegalStateException e) {
            same(e.getMessage(), "this Tide is closed");
        }
    }

    private static void aBodyIsSealedByTheListenersKey() {
        String space = "workouts:" + user;
        byte[] key = new byte[32];
        key[0] = 7;
        Tide.Key[] now = {new Tide.Key("k1", key)};
        Tide.Listener keys = new Tide.Listener() {
            @Override
            public Tide.Key onKey(String where, String collection, String keyId) {
                return now[0];
            }
        };
        try (Tide phone = open("sealed-phone", keys); Tide server = open("sealed-server", null)) {
            phone.subscribe(space, 0, -1);
            server.subscribe(space, 0, -1);
            phone.put(space, "workouts", "w", "{\"kind\":\"run\"}");
            phone.sync(Tide.BOTH, 60000);
            server.sync(Tide.BOTH, 60000);
            if (!server.get(space, "workouts", "w").startsWith("{\"sealed\":1,\"key\":\"k1\"")) throw new AssertionError("in the clear");
            same(phone.get(space, "workouts", "w"), "{\"kind\":\"run\"}");
            now[0] = Tide.Key.MISSING;
            same(codeOf(() -> phone.put(space, "workouts", "w2", "{}")), TideException.KEY);
        }
        try {
            new Tide.Key("k2", new byte[31]);
            throw new AssertionError("a short key, filled up with its id");
        } catch (IllegalArgumentException e) {
            same(e.getMessage(), "a key has 32 bytes");
        }
        same(codeOf(() -> new Tide(folder + "/at-rest.db", null, null, key, null)), TideException.KEY); // Debian's SQLite cannot encrypt
        same(codeOf(() -> new Tide(folder + "/at-rest.db", null, null, new byte[5], null)), TideException.INVALID);
    }

    private static void backgroundWorkRunsAndSaysWhyNot() {
        String space = "notes:" + user + ":w";
        try (Tide tide = open("work", null)) {
            tide.subscribe(space, 0, -1);
            tide.put(space, "notes", "n", "{}");
            tide.setConditions(1, 1, 1, 1, 1); // no network
            tide.addWork("upload", 0, Tide.NETWORK_ANY, false, Tide.KEEP);
            tide.runDue(30000);
            same(tide.pending(), 1L);
            if (tide.whyNot("upload").isEmpty()) throw new AssertionError("no reason");
            tide.setConditions(2, 2, 1, 1, 1);
            tide.runDue(60000);
            same(tide.pending(), 0L);
        }
    }

    public static void main(String[] arguments) {
        folder = arguments[0];
        url = arguments[1];
        token = arguments[2];
        user = arguments[3];
        test("a write on one device is on the other", TideTest::aWriteOnOneDeviceIsOnTheOther);
        test("a conflict waits and is settled", TideTest::aConflictWaitsAndIsSettled);
        test("callbacks come, and their exceptions go through", TideTest::callbacksComeAndTheirExceptionsGoThrough);
        test("a body is sealed by the listener's key", TideTest::aBodyIsSealedByTheListenersKey);
        test("background work runs, and says why not", TideTest::backgroundWorkRunsAndSaysWhyNot);
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }
}

package dev.tidegate;

import java.nio.charset.StandardCharsets;

/**
 * A device's data, offline first: libtidegate's handle. tidegate.h says what each call does; here is what differs.
 *
 * <p>A Tide belongs to one thread at a time: on Android give it a single-threaded dispatcher. Failures are {@link TideException}.
 * Callbacks come out of {@link #run}, {@link #runDue}, {@link #sync} and {@link #poll} alone, on the caller's thread; an exception that
 * one throws comes out of that call. Texts travel as UTF-8, so that no character is lost on the way (JNI's own strings lose some).
 */
public final class Tide implements AutoCloseable {
    /** What the library tells and asks. */
    public interface Listener {
        /** As struct tide_event; kinds are those of enum tide_event_kind. */
        default void onEvent(int kind, String space, String code, String frame, long id, boolean purged) {}

        /** A (fresh) token is wanted: {@link Tide#setToken}, now or when it is there. */
        default void onToken() {}

        /** End-to-end encryption: null: this collection is not encrypted. keyId null: the key to write with. Also called out of writes. */
        default Key onKey(String space, String collection, String keyId) {
            return null;
        }
    }

    /** A key of 32 bytes and its id; {@link #MISSING}: there is one, and it is not to be had now. */
    public static final class Key {
        public static final Key MISSING = new Key();
        final String id;
        final byte[] bytes;

        /** @param bytes exactly 32 */
        public Key(String id, byte[] bytes) {
            if (bytes.length != KEY_BYTES) throw new IllegalArgumentException("a key has 32 bytes");
            this.id = id;
            this.bytes = bytes;
        }

        private Key() {
            id = "";
            bytes = new byte[0];
        }
    }

    /** A document. */
    public interface Sink {
        /** seal as enum tide_seal. False: enough. */
        boolean document(String id, String body, long rev, boolean pending, int seal);
    }

    /** A push that took no effect, and waits to be settled. */
    public interface RefusalSink {
        boolean refusal(long id, String space, String code, String message, String ops, String server);
    }

    public static final int BOTH = 0, PUSH_ONLY = 1, PULL_ONLY = 2;
    public static final int KEEP = 0, REPLACE = 1, APPEND = 2;
    public static final int NETWORK_NOT_NEEDED = 0, NETWORK_ANY = 1, NETWORK_UNMETERED = 2;

    private static final int KEY_BYTES = 32;
    private static final int WRITE_PUT = 0, WRITE_PATCH = 1, WRITE_APPEND = 2, WRITE_DELETE = 3;

    private final Listener listener;
    private long handle;

    /**
     * @param url null: for work without a server
     * @param token null: asked for by {@link Listener#onToken}
     * @param storeKey 32 bytes that the file is encrypted with, or null; wipe it afterwards
     */
    public Tide(String path, String url, String token, byte[] storeKey, Listener listener) {
        this.listener = listener == null ? new Listener() {} : listener;
        this.handle = open(utf8(path), utf8(url), utf8(token), storeKey);
    }

    /** Not out of a callback: that is {@link TideException#MISUSE}. */
    @Override
    public void close() {
        if (handle == 0) return;
        close(handle);
        handle = 0;
    }

    // ---- writing ----

    public long put(String space, String collection, String id, String body) {
        return write(live(), WRITE_PUT, utf8(space), utf8(collection), utf8(id), utf8(body));
    }

    public long patch(String space, String collection, String id, String body) {
        return write(live(), WRITE_PATCH, utf8(space), utf8(collection), utf8(id), utf8(body));
    }

    public long delete(String space, String collection, String id) {
        return write(live(), WRITE_DELETE, utf8(space), utf8(collection), utf8(id), null);
    }

    /** id null: one is made. */
    public long append(String space, String collection, String id, String body) {
        return write(live(), WRITE_APPEND, utf8(space), utf8(collection), utf8(id), utf8(body));
    }

    public long increment(String space, String collection, String id, String field, long by) {
        return increment(live(), utf8(space), utf8(collection), utf8(id), utf8(field), by);
    }

    /** Several operations, a JSON array, as one. */
    public long push(String space, String ops) {
        return push(live(), utf8(space), utf8(ops));
    }

    // ---- reading ----

    /** The body; null: there is none. */
    public String get(String space, String collection, String id) {
        return text(get(live(), utf8(space), utf8(collection), utf8(id)));
    }

    /** order null: by id; limit 0: all. */
    public void query(String space, String collection, String order, boolean descending, long limit, Sink sink) {
        query(live(), utf8(space), utf8(collection), utf8(order), descending, limit, sink);
    }

    // ---- spaces and syncing ----

    public void subscribe(String space, int priority, long tail) {
        subscribe(live(), utf8(space), priority, tail);
    }

    public void unsubscribe(String space, boolean dropCopy) {
        unsubscribe(live(), utf8(space), dropCopy);
    }

    public void start(int mode) {
        start(live(), mode);
    }

    public void stop() {
        stop(live());
    }

    /** Once, and blocks at most so long. */
    public void sync(int mode, long timeoutMs) {
        sync(live(), mode, timeoutMs);
    }

    public void setToken(String token) {
        setToken(live(), utf8(token));
    }

    public void setReachable(boolean reachable) {
        setReachable(live(), reachable);
    }

    /** Moves along for so long. */
    public void run(long timeoutMs) {
        run(live(), timeoutMs);
    }

    public void poll() {
        poll(live());
    }

    /** Pushes without an outcome. */
    public long pending() {
        return pending(live());
    }

    /** Tries again to open what was locked, after a key came. */
    public void openSealed() {
        openSealed(live());
    }

    // ---- what was refused ----

    public void refused(RefusalSink sink) {
        refused(live(), sink);
    }

    /** ops null: the same once more. */
    public long retry(long id, String ops) {
        return retry(live(), id, utf8(ops));
    }

    public void drop(long id) {
        drop(live(), id);
    }

    // ---- background work ----

    /** Sync work of that name; everyMs 0: once. */
    public void addWork(String name, long everyMs, int network, boolean charging, int exists) {
        addWork(live(), utf8(name), everyMs, network, charging, exists);
    }

    /** What the system says, where it is not Linux's own files: 0 ask them, 1 no, 2 yes. */
    public void setConditions(int network, int unmetered, int charging, int batteryLow, int storageLow) {
        setConditions(live(), network, unmetered, charging, batteryLow, storageLow);
    }

    /** Runs what is due, within that time. In how many ms to call again: 0 there is more now, -1 nothing waits for a time alone. */
    public long runDue(long withinMs) {
        return runDue(live(), withinMs);
    }

    /** A sentence: why work of that name (null: the first of all) does not run now. */
    public String whyNot(String name) {
        return text(whyNot(live(), utf8(name)));
    }

    // ---- called by the library ----

    @SuppressWarnings("unused")
    private void event(int kind, byte[] space, byte[] code, byte[] frame, long id, boolean purged) {
        listener.onEvent(kind, text(space), text(code), text(frame), id, purged);
    }

    @SuppressWarnings("unused")
    private void tokenWanted() {
        listener.onToken();
    }

    /** null: plain; empty: missing; else the key, and behind it its id. */
    @SuppressWarnings("unused")
    private byte[] key(byte[] space, byte[] collection, byte[] keyId) {
        Key key = listener.onKey(text(space), text(collection), text(keyId));
        if (key == null) return null;
        if (key.bytes.length == 0) return new byte[0];
        byte[] id = utf8(key.id), both = java.util.Arrays.copyOf(key.bytes, key.bytes.length + id.length);
        System.arraycopy(id, 0, both, key.bytes.length, id.length);
        return both;
    }

    @SuppressWarnings("unused")
    private static boolean document(Sink sink, byte[] id, byte[] body, long rev, boolean pending, int seal) {
        return sink.document(text(id), text(body), rev, pending, seal);
    }

    @SuppressWarnings("unused")
    private static boolean refusal(RefusalSink sink, long id, byte[] space, byte[] code, byte[] message, byte[] ops, byte[] server) {
        return sink.refusal(id, text(space), text(code), text(message), text(ops), text(server));
    }

    private long live() {
        if (handle == 0) throw new IllegalStateException("this Tide is closed");
        return handle;
    }

    private static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] utf8) {
        return utf8 == null ? null : new String(utf8, StandardCharsets.UTF_8);
    }

    private native long open(byte[] path, byte[] url, byte[] token, byte[] storeKey);

    private native void close(long handle);

    private native long write(long handle, int kind, byte[] space, byte[] collection, byte[] id, byte[] body);

    private native long increment(long handle, byte[] space, byte[] collection, byte[] id, byte[] field, long by);

    private native long push(long handle, byte[] space, byte[] ops);

    private native byte[] get(long handle, byte[] space, byte[] collection, byte[] id);

    private native void query(long handle, byte[] space, byte[] collection, byte[] order, boolean descending, long limit, Sink sink);

    private native void subscribe(long handle, byte[] space, int priority, long tail);

    private native void unsubscribe(long handle, byte[] space, boolean dropCopy);

    private native void start(long handle, int mode);

    private native void stop(long handle);

    private native void sync(long handle, int mode, long timeoutMs);

    private native void setToken(long handle, byte[] token);

    private native void setReachable(long handle, boolean reachable);

    private native void run(long handle, long timeoutMs);

    private native void poll(long handle);

    private native long pending(long handle);

    private native void openSealed(long handle);

    private native void refused(long handle, RefusalSink sink);

    private native long retry(long handle, long id, byte[] ops);

    private native void drop(long handle, long id);

    private native void addWork(long handle, byte[] name, long everyMs, int network, boolean charging, int exists);

    private native void setConditions(long handle, int network, int unmetered, int charging, int batteryLow, int storageLow);

    private native long runDue(long handle, long withinMs);

    private native byte[] whyNot(long handle, byte[] name);

    static {
        System.loadLibrary("tidegate_jni");
    }
}

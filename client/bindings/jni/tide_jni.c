/* libtidegate for the Java virtual machine and Android: what dev.tidegate.Tide declares `native`.
 *
 * Texts come and go as bytes of UTF-8: JNI's own strings have a UTF-8 of their own, which knows no character past 0xFFFF as others
 * write it. A text with a NUL inside is refused. What is taken of Java's is freed before the call returns.
 *
 * A handle is a struct bridge: the library's own, and, during a call, whose call it is. Callbacks come within calls alone, so they use that
 * call's environment. An exception that a callback throws stays pending: no further callback is made in that call, and Java sees it when it
 * returns. */
#include <jni.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tidegate.h"

enum { TEXTS_MAX = 6, WHY_BYTES = 256 };
enum { WRITE_PUT = 0, WRITE_PATCH = 1, WRITE_APPEND = 2 }; /* else a delete; as in Tide.java */

struct bridge {
    struct tide *tide;
    JNIEnv *env; /* of the call at hand, */
    jweak self;  /* the Tide, which lives as long as a call on it does */
    jobject sink; /* of the query at hand */
    unsigned depth; /* of callbacks under way */
};

/* The texts of one call. */
struct texts {
    JNIEnv *env;
    size_t count;
    char *at[TEXTS_MAX];
    bool failed;
};

/* ---- texts ---- */

static void fail(JNIEnv *env, enum tide_code code, const char *message);

static const char *take(struct texts *texts, jbyteArray from)
{
    JNIEnv *env = texts->env;
    if (from == NULL || texts->failed) return NULL;
    jsize bytes = (*env)->GetArrayLength(env, from);
    char *text = malloc((size_t)bytes + 1);
    if (text == NULL) {
        texts->failed = true;
        fail(env, TIDE_MEMORY, "out of memory");
        return NULL;
    }
    (*env)->GetByteArrayRegion(env, from, 0, bytes, (jbyte *)text);
    text[bytes] = '\0';
    texts->at[texts->count++] = text;
    if (strlen(text) != (size_t)bytes) {
        texts->failed = true;
        fail(env, TIDE_INVALID, "a text with a NUL in it");
    }
    return text;
}

static void give_back(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) free(texts->at[i]);
}

/* NULL for NULL, and where an exception is pending. */
static jbyteArray bytes_of(JNIEnv *env, const char *text)
{
    if (text == NULL) return NULL;
    size_t bytes = strlen(text);
    jbyteArray made = (*env)->NewByteArray(env, (jsize)bytes);
    if (made != NULL) (*env)->SetByteArrayRegion(env, made, 0, (jsize)bytes, (const jbyte *)text);
    return made;
}

static void fail(JNIEnv *env, enum tide_code code, const char *message)
{
    if ((*env)->ExceptionCheck(env)) return;
    jclass kind = (*env)->FindClass(env, "dev/tidegate/TideException");
    jmethodID make = kind == NULL ? NULL : (*env)->GetMethodID(env, kind, "<init>", "(I[B)V");
    jbyteArray text = make == NULL ? NULL : bytes_of(env, message[0] == '\0' ? tide_code_text(code) : message);
    jobject made = text == NULL ? NULL : (*env)->NewObject(env, kind, make, (jint)code, text);
    if (made != NULL) (*env)->Throw(env, made);
}

/* ---- a call ---- */

static struct bridge *enter(JNIEnv *env, jlong handle)
{
    struct bridge *bridge = (struct bridge *)(intptr_t)handle;
    bridge->env = env;
    return bridge;
}

static void end(struct bridge *bridge, enum tide_code code)
{
    if (code != TIDE_OK) fail(bridge->env, code, tide_message(bridge->tide));
}

/* A method of the Tide's; NULL where none may be called. */
static jmethodID method(struct bridge *bridge, const char *name, const char *signature)
{
    JNIEnv *env = bridge->env;
    if ((*env)->ExceptionCheck(env) || (*env)->PushLocalFrame(env, 16) != 0) return NULL;
    jmethodID found = (*env)->GetMethodID(env, (*env)->GetObjectClass(env, bridge->self), name, signature);
    if (found == NULL) (*env)->PopLocalFrame(env, NULL);
    else bridge->depth++;
    return found;
}

static jmethodID static_method(struct bridge *bridge, jclass *ret_class, const char *name, const char *signature)
{
    JNIEnv *env = bridge->env;
    if ((*env)->ExceptionCheck(env) || (*env)->PushLocalFrame(env, 16) != 0) return NULL;
    *ret_class = (*env)->GetObjectClass(env, bridge->self);
    jmethodID found = (*env)->GetStaticMethodID(env, *ret_class, name, signature);
    if (found == NULL) (*env)->PopLocalFrame(env, NULL);
    else bridge->depth++;
    return found;
}

static void leave(struct bridge *bridge)
{
    bridge->depth--;
    (*bridge->env)->PopLocalFrame(bridge->env, NULL);
}

/* ---- callbacks ---- */

static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    struct bridge *bridge = ctx;
    JNIEnv *env = bridge->env;
    jmethodID call = method(bridge, "event", "(I[B[B[BJZ)V");
    (void)tide;
    if (call == NULL) return;
    (*env)->CallVoidMethod(env, bridge->self, call, (jint)event->kind, bytes_of(env, event->space), bytes_of(env, event->code), bytes_of(env, event->frame), (jlong)event->id,
                           (jboolean)event->purged);
    leave(bridge);
}

static void on_token(void *ctx, struct tide *tide)
{
    struct bridge *bridge = ctx;
    JNIEnv *env = bridge->env;
    jmethodID call = method(bridge, "tokenWanted", "()V");
    (void)tide;
    if (call == NULL) return;
    (*env)->CallVoidMethod(env, bridge->self, call);
    leave(bridge);
}

static enum tide_key_answer on_key(void *ctx, const char *space, const char *collection, const char *key_id, struct tide_key *ret_key)
{
    struct bridge *bridge = ctx;
    JNIEnv *env = bridge->env;
    enum tide_key_answer answer = TIDE_KEY_MISSING; /* where Java failed: nothing goes out in the clear */
    jmethodID call = method(bridge, "key", "([B[B[B)[B");
    if (call == NULL) return answer;
    jbyteArray key = (*env)->CallObjectMethod(env, bridge->self, call, bytes_of(env, space), bytes_of(env, collection), bytes_of(env, key_id));
    if (!(*env)->ExceptionCheck(env) && key == NULL) answer = TIDE_KEY_PLAIN;
    jsize bytes = key == NULL ? 0 : (*env)->GetArrayLength(env, key);
    if (bytes > TIDE_KEY_BYTES && (size_t)bytes - TIDE_KEY_BYTES < sizeof ret_key->id) {
        (*env)->GetByteArrayRegion(env, key, 0, TIDE_KEY_BYTES, (jbyte *)ret_key->bytes);
        (*env)->GetByteArrayRegion(env, key, TIDE_KEY_BYTES, bytes - TIDE_KEY_BYTES, (jbyte *)ret_key->id);
        answer = TIDE_KEY_HERE;
    }
    leave(bridge);
    return answer;
}

static bool on_document(void *ctx, const struct tide_doc *doc)
{
    struct bridge *bridge = ctx;
    JNIEnv *env = bridge->env;
    jclass kind;
    jmethodID call = static_method(bridge, &kind, "document", "(Ldev/tidegate/Tide$Sink;[B[BJZI)Z");
    if (call == NULL) return false;
    bool more = (*env)->CallStaticBooleanMethod(env, kind, call, bridge->sink, bytes_of(env, doc->id), bytes_of(env, doc->body), (jlong)doc->rev, (jboolean)doc->pending, (jint)doc->seal);
    bool thrown = (*env)->ExceptionCheck(env);
    leave(bridge);
    return more && !thrown;
}

static bool on_refusal(void *ctx, const struct tide_refusal *refusal)
{
    struct bridge *bridge = ctx;
    JNIEnv *env = bridge->env;
    jclass kind;
    jmethodID call = static_method(bridge, &kind, "refusal", "(Ldev/tidegate/Tide$RefusalSink;J[B[B[B[B[B)Z");
    if (call == NULL) return false;
    bool more = (*env)->CallStaticBooleanMethod(env, kind, call, bridge->sink, (jlong)refusal->id, bytes_of(env, refusal->space), bytes_of(env, refusal->code),
                                                bytes_of(env, refusal->message), bytes_of(env, refusal->ops), bytes_of(env, refusal->server));
    bool thrown = (*env)->ExceptionCheck(env);
    leave(bridge);
    return more && !thrown;
}

/* ---- opening and closing ---- */

static void let_go(struct bridge *bridge)
{
    tide_close(bridge->tide);
    if (bridge->self != NULL) (*bridge->env)->DeleteWeakGlobalRef(bridge->env, bridge->self);
    free(bridge);
}

JNIEXPORT jlong JNICALL Java_dev_tidegate_Tide_open(JNIEnv *env, jobject self, jbyteArray path, jbyteArray url, jbyteArray token, jbyteArray store_key)
{
    struct texts texts = {.env = env};
    unsigned char key[TIDE_KEY_BYTES];
    char why[WHY_BYTES] = "";
    struct bridge *bridge = calloc(1, sizeof *bridge);
    struct tide_options options = {.path = take(&texts, path), .url = take(&texts, url), .token = take(&texts, token), .background = true, .on_event = on_event,
                                   .on_token = on_token, .on_key = on_key, .ctx = bridge};
    enum tide_code code = bridge == NULL ? TIDE_MEMORY : TIDE_OK;
    if (!texts.failed && store_key != NULL && (*env)->GetArrayLength(env, store_key) != TIDE_KEY_BYTES) code = TIDE_INVALID;
    if (!texts.failed && code == TIDE_OK && store_key != NULL) {
        (*env)->GetByteArrayRegion(env, store_key, 0, TIDE_KEY_BYTES, (jbyte *)key);
        options.store_key = key;
    }
    if (code == TIDE_OK && !texts.failed) {
        bridge->env = env;
        bridge->self = (*env)->NewWeakGlobalRef(env, self);
        code = tide_open(&options, &bridge->tide, why, sizeof why);
    }
    explicit_bzero(key, sizeof key);
    give_back(&texts);
    if (code == TIDE_OK && !(*env)->ExceptionCheck(env)) return (jlong)(intptr_t)bridge;
    fail(env, code, why);
    if (bridge != NULL) let_go(bridge);
    return 0;
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_close(JNIEnv *env, jobject self, jlong handle)
{
    struct bridge *bridge = enter(env, handle);
    if (bridge->depth > 0) fail(env, TIDE_MISUSE, "not out of a callback: what called it is not done yet");
    else let_go(bridge);
}

/* ---- writing ---- */

JNIEXPORT jlong JNICALL Java_dev_tidegate_Tide_write(JNIEnv *env, jobject self, jlong handle, jint kind, jbyteArray space, jbyteArray collection, jbyteArray id, jbyteArray body)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    const char *s = take(&texts, space), *c = take(&texts, collection), *i = take(&texts, id), *b = take(&texts, body);
    enum tide_code code = TIDE_OK;
    uint64_t push = 0;
    if (!texts.failed) {
        if (kind == WRITE_PUT) code = tide_put(bridge->tide, s, c, i, b, &push);
        else if (kind == WRITE_PATCH) code = tide_patch(bridge->tide, s, c, i, b, &push);
        else if (kind == WRITE_APPEND) code = tide_append(bridge->tide, s, c, i, b, &push);
        else code = tide_delete(bridge->tide, s, c, i, &push);
    }
    give_back(&texts);
    end(bridge, code);
    return (jlong)push;
}

JNIEXPORT jlong JNICALL Java_dev_tidegate_Tide_increment(JNIEnv *env, jobject self, jlong handle, jbyteArray space, jbyteArray collection, jbyteArray id, jbyteArray field, jlong by)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    const char *s = take(&texts, space), *c = take(&texts, collection), *i = take(&texts, id), *f = take(&texts, field);
    uint64_t push = 0;
    enum tide_code code = texts.failed ? TIDE_OK : tide_incr(bridge->tide, s, c, i, f, by, NULL, NULL, &push);
    give_back(&texts);
    end(bridge, code);
    return (jlong)push;
}

JNIEXPORT jlong JNICALL Java_dev_tidegate_Tide_push(JNIEnv *env, jobject self, jlong handle, jbyteArray space, jbyteArray ops)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    const char *s = take(&texts, space), *o = take(&texts, ops);
    uint64_t push = 0;
    enum tide_code code = texts.failed ? TIDE_OK : tide_push(bridge->tide, s, o, &push);
    give_back(&texts);
    end(bridge, code);
    return (jlong)push;
}

/* ---- reading ---- */

JNIEXPORT jbyteArray JNICALL Java_dev_tidegate_Tide_get(JNIEnv *env, jobject self, jlong handle, jbyteArray space, jbyteArray collection, jbyteArray id)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    const char *s = take(&texts, space), *c = take(&texts, collection), *i = take(&texts, id);
    struct tide_doc *doc = NULL;
    enum tide_code code = texts.failed ? TIDE_OK : tide_get(bridge->tide, s, c, i, &doc);
    give_back(&texts);
    if (code != TIDE_NOT_FOUND) end(bridge, code);
    jbyteArray body = doc == NULL ? NULL : bytes_of(env, doc->body);
    tide_doc_free(doc);
    return body;
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_query(JNIEnv *env, jobject self, jlong handle, jbyteArray space, jbyteArray collection, jbyteArray order, jboolean descending, jlong limit,
                                                    jobject sink)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    struct tide_query query = {.space = take(&texts, space), .collection = take(&texts, collection), .order = take(&texts, order), .descending = descending, .limit = (uint64_t)limit};
    jobject before = bridge->sink; /* a callback may ask again */
    bridge->sink = sink;
    enum tide_code code = texts.failed ? TIDE_OK : tide_query(bridge->tide, &query, on_document, bridge);
    bridge->sink = before;
    give_back(&texts);
    end(bridge, code);
}

/* ---- spaces and syncing ---- */

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_subscribe(JNIEnv *env, jobject self, jlong handle, jbyteArray space, jint priority, jlong tail)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    struct tide_space_options options = {.priority = priority, .tail = tail};
    const char *s = take(&texts, space);
    enum tide_code code = texts.failed ? TIDE_OK : tide_subscribe(bridge->tide, s, &options);
    give_back(&texts);
    end(bridge, code);
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_unsubscribe(JNIEnv *env, jobject self, jlong handle, jbyteArray space, jboolean drop_copy)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    const char *s = take(&texts, space);
    enum tide_code code = texts.failed ? TIDE_OK : tide_unsubscribe(bridge->tide, s, drop_copy);
    give_back(&texts);
    end(bridge, code);
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_start(JNIEnv *env, jobject self, jlong handle, jint mode)
{
    struct bridge *bridge = enter(env, handle);
    end(bridge, tide_start(bridge->tide, (enum tide_mode)mode));
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_stop(JNIEnv *env, jobject self, jlong handle)
{
    tide_stop(enter(env, handle)->tide);
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_sync(JNIEnv *env, jobject self, jlong handle, jint mode, jlong timeout_ms)
{
    struct bridge *bridge = enter(env, handle);
    end(bridge, tide_sync(bridge->tide, (enum tide_mode)mode, timeout_ms));
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_setToken(JNIEnv *env, jobject self, jlong handle, jbyteArray token)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    const char *t = take(&texts, token);
    enum tide_code code = texts.failed ? TIDE_OK : tide_set_token(bridge->tide, t);
    give_back(&texts);
    end(bridge, code);
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_setReachable(JNIEnv *env, jobject self, jlong handle, jboolean reachable)
{
    tide_set_reachable(enter(env, handle)->tide, reachable);
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_run(JNIEnv *env, jobject self, jlong handle, jlong timeout_ms)
{
    tide_run(enter(env, handle)->tide, timeout_ms, NULL, NULL);
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_poll(JNIEnv *env, jobject self, jlong handle)
{
    tide_poll(enter(env, handle)->tide);
}

JNIEXPORT jlong JNICALL Java_dev_tidegate_Tide_pending(JNIEnv *env, jobject self, jlong handle)
{
    struct tide_status status;
    tide_status(enter(env, handle)->tide, &status);
    return (jlong)status.pending;
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_openSealed(JNIEnv *env, jobject self, jlong handle)
{
    struct bridge *bridge = enter(env, handle);
    end(bridge, tide_open_sealed(bridge->tide));
}

/* ---- what was refused ---- */

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_refused(JNIEnv *env, jobject self, jlong handle, jobject sink)
{
    struct bridge *bridge = enter(env, handle);
    jobject before = bridge->sink;
    bridge->sink = sink;
    end(bridge, tide_refused(bridge->tide, on_refusal, bridge));
    bridge->sink = before;
}

JNIEXPORT jlong JNICALL Java_dev_tidegate_Tide_retry(JNIEnv *env, jobject self, jlong handle, jlong id, jbyteArray ops)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    const char *o = take(&texts, ops);
    uint64_t push = 0;
    enum tide_code code = texts.failed ? TIDE_OK : tide_refused_retry(bridge->tide, id, o, &push);
    give_back(&texts);
    end(bridge, code);
    return (jlong)push;
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_drop(JNIEnv *env, jobject self, jlong handle, jlong id)
{
    struct bridge *bridge = enter(env, handle);
    end(bridge, tide_refused_drop(bridge->tide, id));
}

/* ---- background work ---- */

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_addWork(JNIEnv *env, jobject self, jlong handle, jbyteArray name, jlong every_ms, jint network, jboolean charging, jint exists)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    struct tide_work work = {.name = take(&texts, name), .every_ms = every_ms, .network = (enum tide_network)network, .charging = charging};
    enum tide_code code = texts.failed ? TIDE_OK : tide_work_add(bridge->tide, &work, (enum tide_exists)exists);
    give_back(&texts);
    end(bridge, code);
}

JNIEXPORT void JNICALL Java_dev_tidegate_Tide_setConditions(JNIEnv *env, jobject self, jlong handle, jint network, jint unmetered, jint charging, jint battery_low, jint storage_low)
{
    struct tide_conditions conditions = {(enum tide_known)network, (enum tide_known)unmetered, (enum tide_known)charging, (enum tide_known)battery_low, (enum tide_known)storage_low};
    tide_set_conditions(enter(env, handle)->tide, &conditions);
}

JNIEXPORT jlong JNICALL Java_dev_tidegate_Tide_runDue(JNIEnv *env, jobject self, jlong handle, jlong within_ms)
{
    struct bridge *bridge = enter(env, handle);
    struct tide_due due = {.next_ms = -1};
    end(bridge, tide_run_due(bridge->tide, within_ms, &due));
    return due.next_ms;
}

JNIEXPORT jbyteArray JNICALL Java_dev_tidegate_Tide_whyNot(JNIEnv *env, jobject self, jlong handle, jbyteArray name)
{
    struct bridge *bridge = enter(env, handle);
    struct texts texts = {.env = env};
    struct tide_reason reason = {.sentence = ""};
    const char *n = take(&texts, name);
    if (!texts.failed) tide_why_not(bridge->tide, n, &reason);
    give_back(&texts);
    return (*env)->ExceptionCheck(env) ? NULL : bytes_of(env, reason.sentence);
}

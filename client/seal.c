#include "client/seal.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/limits.h"

enum {
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    BOUND_BYTES_MAX = 32 + ENVELOPE_KEY_BYTES_MAX + LIMIT_SPACE_BYTES_MAX + LIMIT_COLLECTION_BYTES_MAX + LIMIT_ID_BYTES_MAX
};
static_assert((int)SEAL_KEY_BYTES == (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the algorithm's key");
static_assert((int)ENVELOPE_NONCE_BYTES == (int)crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "the algorithm's nonce");

bool seal_init(void) { return sodium_init() >= 0; }

void seal_wipe(struct seal_key *key) { sodium_memzero(key, sizeof *key); }

/* What a body is bound to. None of the names holds a NUL. */
static void add_bound(struct buf *out, struct span key_id, const struct seal_place *place)
{
    buf_add(out, "tidegate.sealed.1", sizeof "tidegate.sealed.1");
    buf_add_span(out, key_id);
    buf_add_char(out, '\0');
    buf_add_span(out, place->space);
    buf_add_char(out, '\0');
    buf_add_span(out, place->collection);
    buf_add_char(out, '\0');
    buf_add_span(out, place->id);
}

enum err seal_wants(const struct seal *seal, struct span space, struct span collection, enum seal_answer *ret_answer, struct seal_key *ret_key)
{
    *ret_key = (struct seal_key){.id = ""};
    *ret_answer = seal->key == NULL ? SEAL_ANSWER_PLAIN : seal->key(seal->ctx, space, collection, span_of("", 0), ret_key);
    return *ret_answer == SEAL_ANSWER_HERE && !envelope_is_key(span_text(ret_key->id)) ? ERR_KEY : ERR_OK;
}

enum err seal_close(const struct seal *seal, const struct seal_key *key, const struct seal_place *place, struct span body, struct buf *out)
{
    unsigned char nonce[ENVELOPE_NONCE_BYTES], *box = malloc(body.bytes + TAG_BYTES);
    unsigned long long bytes = 0;
    size_t before = out->bytes;
    struct buf bound;
    buf_init(&bound, BOUND_BYTES_MAX);
    add_bound(&bound, span_text(key->id), place);
    bool good = box != NULL && buf_ok(&bound);
    if (good) {
        seal->random(seal->ctx, nonce, sizeof nonce);
        crypto_aead_xchacha20poly1305_ietf_encrypt(box, &bytes, (const unsigned char *)body.at, body.bytes, (const unsigned char *)bound.at, bound.bytes, NULL, nonce, key->bytes);
        envelope_encode(out, span_text(key->id), span_of((const char *)nonce, sizeof nonce), span_of((const char *)box, (size_t)bytes));
    }
    free(box);
    buf_fini(&bound);
    if (!good) return ERR_MEMORY;
    return !buf_ok(out) || out->bytes - before > LIMIT_DOCUMENT_BYTES_MAX ? ERR_TOO_LARGE : ERR_OK;
}

/* By that key. What comes out must be a body too. */
static bool opens(const struct envelope *envelope, const struct seal_key *key, const struct seal_place *place, struct arena *arena, bool *ret_failed, struct span *ret_body)
{
    unsigned char nonce[ENVELOPE_NONCE_BYTES];
    unsigned long long bytes = 0;
    struct json_value object;
    struct buf bound;
    size_t room = envelope_base64_bytes(envelope->box), count;
    unsigned char *box = malloc(room + 1), *body = arena_take(arena, room + 1);
    buf_init(&bound, BOUND_BYTES_MAX);
    add_bound(&bound, envelope->key, place);
    *ret_failed = box == NULL || body == NULL;
    bool good = !*ret_failed && buf_ok(&bound) && envelope_base64(envelope->nonce, nonce, sizeof nonce) == sizeof nonce &&
                (count = envelope_base64(envelope->box, box, room)) != SIZE_MAX && count >= TAG_BYTES &&
                crypto_aead_xchacha20poly1305_ietf_decrypt(body, &bytes, NULL, box, count, (const unsigned char *)bound.at, bound.bytes, nonce, key->bytes) == 0 &&
                json_check(span_of((const char *)body, (size_t)bytes), &object, NULL) && object.type == JSON_OBJECT;
    if (good) {
        body[bytes] = '\0';
        *ret_body = object.raw;
    }
    free(box);
    buf_fini(&bound);
    return good;
}

/* Most bodies are told apart by a look. */
static bool may_be_sealed(struct span body)
{
    static const char key[] = "\"sealed\"";
    return memmem(body.at, body.bytes, key, sizeof key - 1) != NULL;
}

enum seal_state seal_open(const struct seal *seal, const struct seal_place *place, struct span body, struct arena *arena, struct span *ret_body)
{
    struct json_value object;
    struct envelope envelope;
    struct seal_key key = {.id = ""};
    bool failed = false;
    if (seal->key == NULL && !may_be_sealed(body)) return SEAL_NONE;
    if (!json_check(body, &object, NULL)) return SEAL_NONE;
    enum envelope_is what = envelope_decode(object, &envelope);
    /* Come to a handle without keys: for another, on the same store, that has them. */
    if (seal->key == NULL) return what == ENVELOPE_GOOD ? SEAL_LOCKED : SEAL_NONE;
    enum seal_answer answer = seal->key(seal->ctx, place->space, place->collection, what == ENVELOPE_GOOD ? envelope.key : span_of("", 0), &key);
    enum seal_state state = SEAL_BROKEN;
    /* Where the app knows nothing of a key, the body is sealed all the same. */
    if (what == ENVELOPE_GOOD && answer != SEAL_ANSWER_HERE) state = SEAL_LOCKED;
    else if (answer == SEAL_ANSWER_PLAIN) state = SEAL_NONE;
    else if (what == ENVELOPE_NONE) state = SEAL_BARE;
    else if (what == ENVELOPE_GOOD && opens(&envelope, &key, place, arena, &failed, ret_body)) state = SEAL_OPENED;
    seal_wipe(&key);
    return failed ? SEAL_LOCKED : state;
}

#include "core/envelope.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool envelope_is_key(struct span key)
{
    if (key.bytes == 0 || key.bytes > ENVELOPE_KEY_BYTES_MAX) return false;
    for (size_t i = 0; i < key.bytes; i++) {
        char c = key.at[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!good) return false;
    }
    return true;
}

/* ---- base64 ---- */

size_t envelope_base64_bytes(struct span text) { return text.bytes / 4 * 3; }

static int value_of(char c)
{
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

size_t envelope_base64(struct span text, unsigned char *ret_bytes, size_t room)
{
    size_t count = 0;
    if (text.bytes % 4 != 0) return SIZE_MAX;
    for (size_t at = 0; at < text.bytes; at += 4) {
        size_t padding = 0;
        uint32_t bits = 0;
        if (at + 4 == text.bytes) padding = text.at[at + 3] != '=' ? 0 : text.at[at + 2] != '=' ? 1 : 2;
        for (size_t i = 0; i < 4; i++) {
            int value = i < 4 - padding ? value_of(text.at[at + i]) : 0;
            if (value < 0) return SIZE_MAX;
            bits = bits << 6 | (uint32_t)value;
        }
        /* Bits behind the last byte are zero, so that there is one spelling. */
        if ((padding == 1 && (bits & 0xff) != 0) || (padding == 2 && (bits & 0xffff) != 0)) return SIZE_MAX;
        for (size_t i = 0; i < 3 - padding; i++) {
            if (count == room) return SIZE_MAX;
            ret_bytes[count++] = (unsigned char)(bits >> (16 - 8 * i));
        }
    }
    return count;
}

static void add_base64(struct buf *out, struct span bytes)
{
    for (size_t at = 0; at < bytes.bytes; at += 3) {
        size_t left = bytes.bytes - at;
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) bits = bits << 8 | (i < left ? (unsigned char)bytes.at[at + i] : 0u);
        for (size_t i = 0; i < 4; i++) buf_add_char(out, i <= left ? digits[bits >> (18 - 6 * i) & 63] : '=');
    }
}

/* ---- the envelope ---- */

enum envelope_is envelope_decode(struct json_value body, struct envelope *ret_envelope)
{
    struct json_value version = json_find(body, "sealed"), key = json_find(body, "key"), nonce = json_find(body, "nonce"), box = json_find(body, "box");
    unsigned char bytes[ENVELOPE_NONCE_BYTES];
    int64_t number;
    if (body.type != JSON_OBJECT || !json_integer(version, &number)) return ENVELOPE_NONE;
    if (number != ENVELOPE_VERSION || json_count(body) != 4) return ENVELOPE_BAD;
    if (key.type != JSON_STRING || nonce.type != JSON_STRING || box.type != JSON_STRING) return ENVELOPE_BAD;
    struct envelope envelope = {json_inside(key), json_inside(nonce), json_inside(box)};
    if (!envelope_is_key(envelope.key) || envelope_base64(envelope.nonce, bytes, sizeof bytes) != sizeof bytes) return ENVELOPE_BAD;
    *ret_envelope = envelope;
    return ENVELOPE_GOOD;
}

void envelope_encode(struct buf *out, struct span key, struct span nonce, struct span box)
{
    buf_add_text(out, "{\"sealed\":1,\"key\":\"");
    buf_add_span(out, key);
    buf_add_text(out, "\",\"nonce\":\"");
    add_base64(out, nonce);
    buf_add_text(out, "\",\"box\":\"");
    add_base64(out, box);
    buf_add_text(out, "\"}");
}

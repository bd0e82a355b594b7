/* Keys of a device on the command line: of the store (encryption at rest) and of bodies (end to end). They come out of files, of which
 * one may be /dev/fd/N: never out of an argument, which every user of the machine sees.
 *
 * FORMATS  a key is KEY_BYTES bytes, or twice as many hex digits with white space around them. Keys of bodies are lines
 *     SPACE/COLLECTION ID KEY       # workouts:ana/workouts 2026-11 00112233…
 * SPACE may end in `*`. Of the lines that fit a document's collection the first one's key is written with, any one's is read with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/device_parts.h"
#include "core/envelope.h"
#include "core/name.h"

enum { FILE_BYTES_MAX = 65536, KEY_DIGITS = 32 /* so many hex digits in a row look like a key, or most of one */ };

static int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* Where a key itself was given in the place of its file, it is not said again. */
static const char *said_of(const char *path)
{
    size_t digits = 0;
    for (const char *at = path; *at != '\0' && digits < KEY_DIGITS; at++) digits = digit(*at) < 0 ? 0 : digits + 1;
    return digits < KEY_DIGITS ? path : "(a key?)";
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* The whole of it, into FILE_BYTES_MAX of room. EXIT_WELL or a said failure. */
static int read_file(const char *setting, const char *path, char *room, size_t *ret_bytes)
{
    ssize_t got = 0;
    size_t bytes = 0;
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & (S_IROTH | S_IWOTH)) != 0)
        (void)cli_fail(EXIT_WELL, "--%s %s: every user of this machine can read or write it (chmod 600)", setting, path);
    while (fd >= 0 && bytes < FILE_BYTES_MAX && (got = read(fd, room + bytes, FILE_BYTES_MAX - bytes)) > 0) bytes += (size_t)got;
    int why = errno;
    if (fd >= 0) close(fd);
    if (fd < 0 || got < 0) return cli_fail(EXIT_CONFIG, "--%s %s: cannot be read: %s", setting, said_of(path), strerror(why));
    if (bytes == FILE_BYTES_MAX) return cli_fail(EXIT_CONFIG, "--%s %s: longer than any file of keys", setting, path);
    *ret_bytes = bytes;
    return EXIT_WELL;
}

static bool take_hex(struct span text, unsigned char ret_key[TIDE_KEY_BYTES])
{
    if (text.bytes != 2 * TIDE_KEY_BYTES) return false;
    for (size_t i = 0; i < TIDE_KEY_BYTES; i++) {
        int high = digit(text.at[2 * i]), low = digit(text.at[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        ret_key[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static struct span trimmed(struct span text)
{
    while (text.bytes > 0 && is_blank(text.at[0])) text = span_of(text.at + 1, text.bytes - 1);
    while (text.bytes > 0 && is_blank(text.at[text.bytes - 1])) text.bytes--;
    return text;
}

static int load_one(const struct config *config, const char *setting, char *room, unsigned char ret_key[TIDE_KEY_BYTES], bool *ret_there)
{
    const char *path = config_text(config, setting);
    size_t bytes;
    *ret_there = path != NULL;
    if (path == NULL) return EXIT_WELL;
    int code = read_file(setting, path, room, &bytes);
    if (code != EXIT_WELL) return code;
    if (take_hex(trimmed(span_of(room, bytes)), ret_key)) return EXIT_WELL;
    if (bytes != TIDE_KEY_BYTES) return cli_fail(EXIT_CONFIG, "--%s %s: must hold %d bytes, or %d hex digits", setting, path, TIDE_KEY_BYTES, 2 * TIDE_KEY_BYTES);
    memcpy(ret_key, room, TIDE_KEY_BYTES);
    return EXIT_WELL;
}

/* ---- of bodies ---- */

static struct span take_word(struct span *line)
{
    struct span rest = trimmed(*line);
    size_t bytes = 0;
    while (bytes < rest.bytes && !is_blank(rest.at[bytes])) bytes++;
    *line = span_of(rest.at + bytes, rest.bytes - bytes);
    return span_of(rest.at, bytes);
}

static bool take_line(struct span line, struct device_key *ret_key)
{
    struct span place = take_word(&line), id = take_word(&line), key = take_word(&line);
    size_t slash = 0;
    while (slash < place.bytes && place.at[slash] != '/') slash++;
    if (slash == place.bytes || trimmed(line).bytes > 0) return false;
    struct span space = span_of(place.at, slash), collection = span_of(place.at + slash + 1, place.bytes - slash - 1);
    if (!name_is_pattern(space) || !name_is_collection(collection) || !envelope_is_key(id) || !take_hex(key, ret_key->key.bytes)) return false;
    if (space.bytes >= sizeof ret_key->space) return false;
    snprintf(ret_key->space, sizeof ret_key->space, "%.*s", (int)space.bytes, space.at);
    snprintf(ret_key->collection, sizeof ret_key->collection, "%.*s", (int)collection.bytes, collection.at);
    snprintf(ret_key->key.id, sizeof ret_key->key.id, "%.*s", (int)id.bytes, id.at);
    return true;
}

static int load_all(const char *path, struct span text, struct device_keys *keys)
{
    for (unsigned number = 1; text.bytes > 0; number++) {
        const char *end = memchr(text.at, '\n', text.bytes);
        size_t bytes = end == NULL ? text.bytes : (size_t)(end - text.at);
        struct span line = trimmed(span_of(text.at, bytes));
        text = span_of(text.at + bytes, text.bytes - bytes);
        if (text.bytes > 0) text = span_of(text.at + 1, text.bytes - 1);
        if (line.bytes == 0 || line.at[0] == '#') continue;
        if (keys->count == DEVICE_KEYS_MAX) return cli_fail(EXIT_CONFIG, "--keys %s: more than %d of them", path, DEVICE_KEYS_MAX);
        if (!take_line(line, &keys->all[keys->count++]))
            return cli_fail(EXIT_CONFIG, "--keys %s, line %u: must be SPACE/COLLECTION ID KEY, the key in %d hex digits", path, number, 2 * TIDE_KEY_BYTES);
    }
    return keys->count > 0 ? EXIT_WELL : cli_fail(EXIT_CONFIG, "--keys %s: holds no key", path);
}

static bool fits(const struct device_key *key, const char *space, const char *collection)
{
    size_t bytes = strlen(key->space);
    bool open_end = bytes > 0 && key->space[bytes - 1] == '*';
    return strcmp(key->collection, collection) == 0 && (open_end ? strncmp(key->space, space, bytes - 1) == 0 : strcmp(key->space, space) == 0);
}

enum tide_key_answer device_keys_ask(void *ctx, const char *space, const char *collection, const char *key_id, struct tide_key *ret_key)
{
    const struct device_keys *keys = &((struct device_told *)ctx)->keys;
    enum tide_key_answer answer = key_id == NULL ? TIDE_KEY_PLAIN : TIDE_KEY_MISSING; /* a body that names a key is sealed, whatever the lines say */
    for (size_t i = 0; i < keys->count; i++) {
        if (!fits(&keys->all[i], space, collection)) continue;
        answer = TIDE_KEY_MISSING;
        if (key_id != NULL && strcmp(key_id, keys->all[i].key.id) != 0) continue;
        *ret_key = keys->all[i].key;
        return TIDE_KEY_HERE;
    }
    return answer;
}

/* ---- all of them ---- */

int device_keys_load(const struct config *config, struct device_keys *ret_keys)
{
    const char *path = config_text(config, "keys");
    size_t bytes = 0;
    char *room = malloc(FILE_BYTES_MAX);
    memset(ret_keys, 0, sizeof *ret_keys);
    if (room == NULL) return cli_fail(EXIT_BUG, "out of memory");
    int code = load_one(config, "store-key", room, ret_keys->store, &ret_keys->has_store);
    if (code == EXIT_WELL) code = load_one(config, "new-store-key", room, ret_keys->new_store, &ret_keys->has_new_store);
    if (code == EXIT_WELL && path != NULL) code = read_file("keys", path, room, &bytes);
    if (code == EXIT_WELL && path != NULL) code = load_all(path, span_of(room, bytes), ret_keys);
    explicit_bzero(room, FILE_BYTES_MAX);
    free(room);
    return code;
}

void device_keys_wipe(struct device_keys *keys) { explicit_bzero(keys, sizeof *keys); }

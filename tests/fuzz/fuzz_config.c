/* Hostile command lines: whatever the arguments, they are read or refused with a code of the list, and what was read
 * is within what its row says.
 *
 * FORMAT of an input: its first byte chooses the command; arguments follow, each ended by a line end. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"

enum { ARGUMENTS_MAX = 80 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_serve(const struct config *config)
{
    const char *const *items;
    if (config_text(config, "partitions") != NULL) /* else as many as the data directory has */
        assert(config_number(config, "partitions") >= 1 && config_number(config, "partitions") <= 256);
    assert(config_number(config, "heartbeat") >= 1 && config_number(config, "heartbeat") <= 3600);
    assert(config_number(config, "drain") <= 3600);
    assert(strcmp(config_text(config, "fsync"), "on") == 0 || strcmp(config_text(config, "fsync"), "off") == 0);
    size_t count = config_list(config, "listen", &items);
    assert(count >= 1 && count <= CONFIG_LIST_MAX);
    for (size_t i = 0; i < count; i++) assert(items[i] != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned commands[] = {CONFIG_SERVE, CONFIG_TOKEN, CONFIG_CHECK};
    static FILE *quiet;
    char *argv[ARGUMENTS_MAX], *text, *at;
    int argc = 0;
    bool help = false;
    struct config *config = NULL;
    if (size == 0) return 0;
    if (quiet == NULL) quiet = fopen("/dev/null", "w");
    assert(quiet != NULL);
    text = malloc(size);
    assert(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    for (at = text; argc < ARGUMENTS_MAX && at != NULL && *at != '\0';) {
        char *line_end = strchr(at, '\n');
        argv[argc++] = at;
        if (line_end != NULL) *line_end++ = '\0';
        at = line_end;
    }
    unsigned command = commands[data[0] % 3];
    FILE *kept = stderr;
    stderr = quiet; /* its one line for a person would be a million lines here */
    int code = config_read(command, argc, argv, &config, &help);
    stderr = kept;
    assert(code == EXIT_WELL || code == EXIT_USAGE || code == EXIT_CONFIG);
    assert((config != NULL) == (code == EXIT_WELL));
    if (code == EXIT_WELL && !help && command != CONFIG_TOKEN) check_serve(config);
    config_free(config);
    free(text);
    return 0;
}

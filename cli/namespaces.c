/* Namespaces from a folder, or those that the build put in. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/asset.h"
#include "cli/cli.h"

void namespaces_fini(struct namespaces_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        union { const char *lent; char *owned; } text = {.lent = texts->texts[i].at};
        free(text.owned);
    }
    texts->count = 0;
}

/* A text that compiles is kept; `where` is for the message. */
static int add(struct namespaces_texts *texts, const char *where, const void *at, size_t bytes)
{
    struct namespace *ns = NULL;
    char why[256];
    char *text = malloc(bytes + 1);
    if (text == NULL) return cli_fail(EXIT_BUG, "out of memory");
    memcpy(text, at, bytes);
    text[bytes] = '\0';
    for (size_t i = 0; i < bytes; i++)
        if (text[i] == '\n' || text[i] == '\r') text[i] = ' ';
    if (texts->count == LIMIT_NAMESPACES_MAX) {
        free(text);
        return cli_fail(EXIT_CONFIG, "--namespaces: more than %d of them", LIMIT_NAMESPACES_MAX);
    }
    if (namespace_compile(span_of(text, bytes), &ns, why, sizeof why) != ERR_OK) {
        free(text);
        return cli_fail(EXIT_CONFIG, "%s: %s", where, why);
    }
    namespace_free(ns);
    texts->texts[texts->count++] = span_of(text, bytes);
    return EXIT_WELL;
}

static int add_file(struct namespaces_texts *texts, const char *path)
{
    char *room = malloc(LIMIT_NAMESPACE_BYTES_MAX + 1);
    FILE *file = fopen(path, "rb");
    int code = EXIT_WELL;
    if (room == NULL || file == NULL) {
        code = cli_fail(EXIT_CONFIG, "--namespaces: %s cannot be read", path);
    } else {
        size_t bytes = fread(room, 1, LIMIT_NAMESPACE_BYTES_MAX + 1, file);
        code = bytes > LIMIT_NAMESPACE_BYTES_MAX ? cli_fail(EXIT_CONFIG, "%s: longer than 64 KiB", path) : add(texts, path, room, bytes);
    }
    if (file != NULL) fclose(file);
    free(room);
    return code;
}

static int is_json(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);
    return entry->d_name[0] != '.' && bytes > 5 && strcmp(entry->d_name + bytes - 5, ".json") == 0;
}

int namespaces_load(const char *dir, struct namespaces_texts *ret_texts)
{
    struct dirent **names = NULL;
    int code = EXIT_WELL;
    *ret_texts = (struct namespaces_texts){0};
    if (dir == NULL) {
        for (size_t i = 0; i < asset_namespaces_count && code == EXIT_WELL; i++)
            code = add(ret_texts, asset_namespaces[i].path, asset_namespaces[i].data, asset_namespaces[i].data_bytes);
        return code;
    }
    int count = scandir(dir, &names, is_json, alphasort);
    if (count < 0) return cli_fail(EXIT_CONFIG, "--namespaces %s: cannot be read", dir);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (code == EXIT_WELL) code = add_file(ret_texts, path);
        free(names[i]);
    }
    free(names);
    if (code == EXIT_WELL && ret_texts->count == 0) code = cli_fail(EXIT_CONFIG, "--namespaces %s: holds no *.json", dir);
    if (code != EXIT_WELL) namespaces_fini(ret_texts);
    return code;
}

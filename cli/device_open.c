/* A device's store, opened with what the settings say of keys and namespaces. */
#include "cli/cli.h"
#include "cli/device_parts.h"

static int open_with(const struct config *config, const struct namespaces_texts *texts, void (*on_event)(void *ctx, struct tide *tide, const struct tide_event *event),
                     struct device_told *told, struct tide **ret_tide)
{
    const char *namespaces[LIMIT_NAMESPACES_MAX];
    const struct device_keys *keys = &told->keys;
    char why[512];
    for (size_t i = 0; i < texts->count; i++) namespaces[i] = texts->texts[i].at;
    struct tide_options options = {.path = config_text(config, "db"), .url = config_text(config, "url"), .token = config_text(config, "token"),
        .ca_file = config_text(config, "ca"), .pinned_key = config_text(config, "pin"), .system_root = config_text(config, "root"), .background = !told->watches,
        .namespaces = texts->count > 0 ? namespaces : NULL, .namespaces_count = texts->count, .store_key = keys->has_store ? keys->store : NULL,
        .store_new_key = keys->has_new_store ? keys->new_store : NULL, .on_key = keys->count > 0 ? device_keys_ask : NULL, .on_event = on_event, .ctx = told};
    enum tide_code code = tide_open(&options, ret_tide, why, sizeof why);
    if (code == TIDE_OK) return EXIT_WELL;
    return code == TIDE_KEY ? cli_fail(EXIT_CONFIG, "--store-key: %s", why) : cli_fail(EXIT_MISSING, "--db: %s", why);
}

int device_open(const struct config *config, void (*on_event)(void *ctx, struct tide *tide, const struct tide_event *event), struct device_told *told, struct tide **ret_tide)
{
    struct namespaces_texts texts = {.count = 0};
    const char *folder = config_text(config, "namespaces");
    int code = device_keys_load(config, &told->keys);
    if (code == EXIT_WELL && folder != NULL) code = namespaces_load(folder, &texts);
    if (code == EXIT_WELL) code = open_with(config, &texts, on_event, told, ret_tide);
    namespaces_fini(&texts);
    return code;
}

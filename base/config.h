/* Settings: one table of all of them; a flag beats the environment, the environment beats the default.
 *
 * `--jwt-key FILE` is `TIDEGATE_JWT_KEY`. An empty variable is an unset one. An unknown flag is a usage error with a
 * guess at what was meant; a value of the wrong kind is a configuration error that names the setting. */
#ifndef TIDEGATE_BASE_CONFIG_H
#define TIDEGATE_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type { CONFIG_TEXT, CONFIG_FLAG, CONFIG_COUNT, CONFIG_SECONDS, CONFIG_CHOICE /* one of `value`'s, split at | */, CONFIG_LIST };
enum { CONFIG_SERVE = 1, CONFIG_TOKEN = 2, CONFIG_CHECK = 4, CONFIG_GATEWAY = 8, CONFIG_WORKER = 16, CONFIG_TOPICS = 32, CONFIG_HEALTH = 256, CONFIG_DEVICE = 512 };
enum { CONFIG_LIST_MAX = 32 };

struct config_setting {
    const char *name;      /* without the dashes */
    enum config_type type;
    unsigned commands;     /* bits of CONFIG_SERVE.. */
    const char *value;     /* what stands for it in help: "ADDR" */
    const char *otherwise; /* the default as text; NULL none */
    const char *help;
    uint64_t least, most;  /* of a COUNT or SECONDS; most 0: no bound */
    unsigned bare;         /* commands for which `otherwise` does not hold */
};

struct config;

/* Exit codes of every command (sysexits.h's numbers). REFUSED: `device sync --strict` alone. */
enum { EXIT_WELL = 0, EXIT_USAGE = 64, EXIT_REFUSED = 65, EXIT_MISSING = 69, EXIT_BUG = 70, EXIT_CONFIG = 78 };

/* Reads argv[0..argc) (behind the subcommand's name) for one command. EXIT_WELL fills *ret_config; otherwise one line was
 * written to stderr and the exit code is returned. `--help` sets *ret_help. */
int config_read(unsigned command, int argc, char **argv, struct config **ret_config, bool *ret_help);
void config_free(struct config *config);
const char *config_text(const struct config *config, const char *name); /* NULL: neither given nor by default */
bool config_is_on(const struct config *config, const char *name);       /* FLAG, or the CHOICE `on` */
uint64_t config_number(const struct config *config, const char *name);  /* COUNT, SECONDS */
size_t config_list(const struct config *config, const char *name, const char *const **ret_items);
void config_print_help(FILE *out, unsigned command);
void config_print_markdown(FILE *out);

#endif

/* The subcommands: each reads its own settings and returns the process's exit code (base/config.h). */
#ifndef TIDEGATE_CLI_CLI_H
#define TIDEGATE_CLI_CLI_H

#include <stddef.h>

#include "base/config.h"
#include "base/jwt.h"
#include "base/metrics.h"
#include "core/namespace.h"

int serve_main(int argc, char **argv);
int token_main(int argc, char **argv);
int check_main(int argc, char **argv);
int health_main(int argc, char **argv);
int gateway_main(int argc, char **argv);
int worker_main(int argc, char **argv);
int topics_main(int argc, char **argv);
int docs_main(int argc, char **argv);
int device_main(int argc, char **argv);

/* One line on stderr, `tidegate: ...`; returns `code`. */
int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The namespaces of a folder (--namespaces), or those that ship. Texts are owned. EXIT_WELL or a said failure. */
struct namespaces_texts {
    size_t count;
    struct span texts[LIMIT_NAMESPACES_MAX];
};
int namespaces_load(const char *dir, struct namespaces_texts *ret_texts);
void namespaces_fini(struct namespaces_texts *texts);

/* What a setting's own row cannot say: those that go together. EXIT_WELL or a said failure. */
int settings_check(const struct config *config);

/* What --kafka and its kin say; strings are the configuration's. */
struct kafka_options;
void cluster_kafka_options(const struct config *config, struct kafka_options *ret_options);
/* --link-key; `bytes` 0 where there is none. */
struct tcp_key;
int cluster_link_key(const struct config *config, struct tcp_key *ret_key);
/* --kafka and --redis must be there. */
int cluster_check(const struct config *config);

/* The keys of --jwt-key, or of --dev: DIR/dev-key, made with mode 0600 when `make` and it is not there. */
int keys_load(const struct config *config, bool make, struct jwt_keys **ret_keys);

extern const struct metrics_row metrics_hub_rows[];
extern const size_t metrics_hub_rows_count;
extern const struct metrics_row metrics_edge_rows[];
extern const size_t metrics_edge_rows_count;
extern const struct metrics_row metrics_worker_rows[];
extern const size_t metrics_worker_rows_count;
extern const struct metrics_row metrics_kafka_rows[];
extern const size_t metrics_kafka_rows_count;
extern const struct metrics_row metrics_link_rows[];
extern const size_t metrics_link_rows_count;
extern const struct metrics_row metrics_redis_rows[];
extern const size_t metrics_redis_rows_count;

#endif

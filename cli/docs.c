/* tidegate docs NAME: the reference pages that are made from the tables, so that they cannot go stale. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/err.h"

static void print_errors(void)
{
    static const char *const kinds[] = {"", "retry", "refuse", "fatal"};
    puts("# Errors\n\nMade by `tidegate docs errors`. *retry*: the same again, later. *refuse*: not as it is. *fatal*: ends the\n"
         "process, with one line that says what to mend; never on the wire.\n\n| code | kind | what |\n| --- | --- | --- |");
    for (int i = ERR_OK + 1; i < ERR_COUNT; i++) printf("| `%s` | %s | %s |\n", err_name((enum err)i), kinds[err_kind((enum err)i)], err_text((enum err)i));
}

static void print_metrics(void)
{
    puts("# Metrics\n\nMade by `tidegate docs metrics`. `GET /metrics`, Prometheus text.\n\n| name | kind | what |\n| --- | --- | --- |");
    metrics_print_markdown(stdout, metrics_hub_rows, metrics_hub_rows_count);
    metrics_print_markdown(stdout, metrics_edge_rows, metrics_edge_rows_count);
    metrics_print_markdown(stdout, metrics_worker_rows, metrics_worker_rows_count);
    metrics_print_markdown(stdout, metrics_kafka_rows, metrics_kafka_rows_count);
    metrics_print_markdown(stdout, metrics_link_rows, metrics_link_rows_count);
    metrics_print_markdown(stdout, metrics_redis_rows, metrics_redis_rows_count);
}

int docs_main(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--help") == 0) puts("tidegate docs settings | errors | metrics\n\nPrints that page as Markdown: the same as docs/settings.md, errors.md and metrics.md.");
    else if (argc == 1 && strcmp(argv[0], "settings") == 0) config_print_markdown(stdout);
    else if (argc == 1 && strcmp(argv[0], "errors") == 0) print_errors();
    else if (argc == 1 && strcmp(argv[0], "metrics") == 0) print_metrics();
    else return cli_fail(EXIT_USAGE, "which page? tidegate docs settings, tidegate docs errors or tidegate docs metrics");
    return EXIT_WELL;
}

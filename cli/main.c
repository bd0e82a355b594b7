/* tidegate: one binary, a subcommand for each thing it does. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

#define VERSION "0.1.0"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", serve_main, "everything in one process on a directory: no server to install"},
    {"gateway", gateway_main, "devices' connections, before Kafka and Redis; several may share an address"},
    {"worker", worker_main, "the owner of some partitions; as many as you like"},
    {"topics", topics_main, "makes the topics on Kafka and writes the namespaces into them"},
    {"token", token_main, "prints a token (JWT) for a user"},
    {"check", check_main, "checks settings and namespaces, and says what to mend"},
    {"health", health_main, "is the server on this address ready? For containers' health checks"},
    {"device", device_main, "a device: writes and reads a local store, and keeps it in step"},
    {"docs", docs_main, "prints reference pages: settings, errors or metrics"},
};

int cli_fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("tidegate: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

static void help(FILE *out)
{
    fputs("tidegate keeps the data of many devices in step.\n\n"
          "  tidegate serve --dev --data ./data            a server with a demo at http://127.0.0.1:8080/\n"
          "  tidegate serve --listen 0.0.0.0:8080 --data /var/lib/tidegate --jwt-key key.pem\n"
          "  tidegate token --user ana --jwt-key secret    a token for ana, good for an hour\n"
          "  tidegate check --namespaces ./namespaces      is this configuration right?\n\ncommands:\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\n`tidegate COMMAND --help` tells its options.\n", out);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file past `ulimit -f` is a full disk like another */
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return EXIT_WELL;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tidegate " VERSION);
        return EXIT_WELL;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 2, argv + 2);
    return cli_fail(EXIT_USAGE, "'%.40s': no such command; tidegate --help lists them", argv[1]);
}

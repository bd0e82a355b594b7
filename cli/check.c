/* tidegate check: what serve, a gateway or a worker would stumble over, found before it is started. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/kafka/kafka.h"
#include "backends/tcp/tcp_key.h"
#include "cli/cli.h"
#include "core/namespace.h"
#include "gateway/edge.h"

static void help(void)
{
    puts("tidegate check [the options that serve, gateway or worker will be started with]\n\n"
         "  tidegate check --namespaces ./namespaces --jwt-key key.pem --data /var/lib/tidegate --listen 0.0.0.0:8080\n"
         "  tidegate check --kafka kafka-1:9092 --redis redis-1:6379 --link-key link --jwt-key key.pem\n\n"
         "Exit code 0: with these options it would start; 69: something needed is not there; 78: a setting is wrong.\n");
    config_print_help(stdout, CONFIG_CHECK);
}

static int check_namespaces(const char *dir)
{
    struct namespaces_texts texts;
    int code = namespaces_load(dir, &texts);
    if (code != EXIT_WELL) return code;
    for (size_t i = 0; i < texts.count; i++) {
        struct namespace *ns = NULL;
        char why[256];
        if (namespace_compile(texts.texts[i], &ns, why, sizeof why) != ERR_OK) continue; /* namespaces_load() compiled it */
        printf("namespace %s: version %llu, %zu collections\n", ns->name, (unsigned long long)ns->version, ns->collections_count);
        namespace_free(ns);
    }
    namespaces_fini(&texts);
    return EXIT_WELL;
}

static int check_address(const char *address)
{
    char host[64], port[16];
    int on = 1;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    if (!edge_listen_split(address, host, sizeof host, port, sizeof port) ||
        getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &found) != 0)
        return cli_fail(EXIT_CONFIG, "--listen %s: must be host:port", address);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool free_now = fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    if (fd >= 0) close(fd);
    freeaddrinfo(found);
    if (!free_now) return cli_fail(EXIT_MISSING, "--listen %s: the address is taken, or is not this machine's", address);
    printf("listen %s: free\n", address);
    return EXIT_WELL;
}

static int check_data(const char *dir)
{
    char parent[4096];
    if (dir == NULL) return EXIT_WELL;
    if (access(dir, F_OK) != 0) {
        snprintf(parent, sizeof parent, "%s", dir);
        char *slash = strrchr(parent, '/');
        if (slash == NULL) snprintf(parent, sizeof parent, ".");
        else if (slash == parent) parent[1] = '\0';
        else *slash = '\0';
        dir = parent;
    }
    if (access(dir, W_OK | X_OK) != 0) return cli_fail(EXIT_MISSING, "--data: %s cannot be written", dir);
    printf("data: %s can be written\n", dir);
    return EXIT_WELL;
}

static int check_tls(const char *cert, const char *key)
{
    char why[512];
    if (cert == NULL) return EXIT_WELL;
    if (edge_tls_check(cert, key, why, sizeof why) != ERR_OK) return cli_fail(EXIT_CONFIG, "%s", why);
    puts("tls-cert, tls-key: belong together");
    return EXIT_WELL;
}

static void say(void *ctx, const char *line)
{
    (void)ctx;
    puts(line);
}

static int check_kafka(const struct config *config)
{
    struct kafka_options options;
    char why[512] = "";
    cluster_kafka_options(config, &options);
    if (options.hosts == NULL) return EXIT_WELL;
    struct kafka_topics look = {.only_look = true, .say = say};
    enum err err = kafka_topics_make(&options, &look, why, sizeof why);
    if (err != ERR_OK) return cli_fail(err == ERR_CONFIG ? EXIT_CONFIG : EXIT_MISSING, "--kafka %s: %s", options.hosts, why);
    printf("kafka: %s answers, and its topics are as they must be\n", options.hosts);
    return EXIT_WELL;
}

/* Its own word for being there; with a password it says at least that it wants one. */
static bool answers_ping(const struct addrinfo *at)
{
    static const struct timeval patience = {.tv_sec = 3};
    char said[16] = "";
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    bool good = connect(fd, at->ai_addr, at->ai_addrlen) == 0 && send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && recv(fd, said, sizeof said - 1, 0) > 0;
    close(fd);
    return good && (strncmp(said, "+PONG", 5) == 0 || strncmp(said, "-NOAUTH", 7) == 0);
}

static int check_redis(const char *servers)
{
    char list[4096], *rest = NULL;
    if (servers == NULL) return EXIT_WELL;
    snprintf(list, sizeof list, "%s", servers);
    for (char *server = strtok_r(list, ",", &rest); server != NULL; server = strtok_r(NULL, ",", &rest)) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
        char *colon = strrchr(server, ':');
        if (colon == NULL) return cli_fail(EXIT_CONFIG, "--redis %s: must be host:port", server);
        *colon = '\0';
        int code = getaddrinfo(server, colon + 1, &hints, &found);
        if (code != 0) return cli_fail(EXIT_MISSING, "--redis %s:%s: %s", server, colon + 1, gai_strerror(code));
        bool good = answers_ping(found);
        freeaddrinfo(found);
        if (!good) return cli_fail(EXIT_MISSING, "--redis %s:%s: no Redis answers there", server, colon + 1);
        printf("redis: %s:%s answers\n", server, colon + 1);
    }
    return EXIT_WELL;
}

static int check_link_key(const struct config *config)
{
    struct tcp_key key;
    int code = cluster_link_key(config, &key);
    if (code == EXIT_WELL && key.bytes > 0) printf("link-key: %zu bytes\n", key.bytes);
    return code;
}

int check_main(int argc, char **argv)
{
    struct config *config = NULL;
    struct jwt_keys *keys = NULL;
    bool wants_help;
    const char *const *listen;
    int code = config_read(CONFIG_CHECK, argc, argv, &config, &wants_help);
    if (code != EXIT_WELL) return code;
    if (wants_help) {
        help();
        config_free(config);
        return EXIT_WELL;
    }
    code = settings_check(config);
    if (code == EXIT_WELL) code = check_namespaces(config_text(config, "namespaces"));
    if (code == EXIT_WELL) code = check_tls(config_text(config, "tls-cert"), config_text(config, "tls-key"));
    if (code == EXIT_WELL && config_text(config, "jwt-key") != NULL && (code = keys_load(config, false, &keys)) == EXIT_WELL)
        printf("jwt-key: %s%s\n", jwt_keys_can_sign(keys) ? "an HS256 secret" : "public keys",
               jwt_keys_secret_bytes(keys) < JWT_SECRET_BYTES_ADVISED ? ", shorter than the 32 bytes that RFC 7518 asks for" : "");
    if (code == EXIT_WELL && keys == NULL && !config_is_on(config, "dev")) puts("jwt-key: not given, so not checked: serve needs it");
    if (code == EXIT_WELL) code = check_data(config_text(config, "data"));
    if (code == EXIT_WELL) code = check_link_key(config);
    if (code == EXIT_WELL) code = check_kafka(config);
    if (code == EXIT_WELL) code = check_redis(config_text(config, "redis"));
    size_t count = config_list(config, "listen", &listen);
    for (size_t i = 0; i < count && code == EXIT_WELL; i++) code = check_address(listen[i]);
    jwt_keys_free(keys);
    config_free(config);
    if (code == EXIT_WELL) puts("all well");
    return code;
}

#include "base/config.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Whatever `serve`, `gateway` and `worker` take, `check` takes too: it is given the very same options. */
#define EDGE (CONFIG_SERVE | CONFIG_GATEWAY | CONFIG_CHECK)
#define CLUSTER (CONFIG_GATEWAY | CONFIG_WORKER | CONFIG_CHECK)
#define BROKER (CLUSTER | CONFIG_TOPICS)
#define ALL (EDGE | CLUSTER)
static const struct config_setting settings[] = {
    {"listen", CONFIG_LIST, ALL | CONFIG_HEALTH, "ADDR", "127.0.0.1:8080", "host:port to serve devices on, or a worker's health and metrics (by default nowhere); may be given several times; port 0 takes any", 0, 0, CONFIG_WORKER},
    {"data", CONFIG_TEXT, CONFIG_SERVE | CONFIG_WORKER | CONFIG_CHECK | CONFIG_TOKEN, "DIR", NULL, "the directory of log, store and registry (worker: of stores); made when it is not there", 0, 0, 0},
    {"namespaces", CONFIG_TEXT, CONFIG_SERVE | CONFIG_TOPICS | CONFIG_CHECK | CONFIG_DEVICE, "DIR", NULL, "namespaces (*.json) in place of those that ship", 0, 0, 0},
    {"kafka", CONFIG_TEXT, BROKER, "HOSTS", NULL, "host:port,host:port of Kafka", 0, 0, 0},
    {"kafka-config", CONFIG_TEXT, BROKER, "FILE", NULL, "properties for librdkafka, a name=value a line: TLS, SASL", 0, 0, 0},
    {"prefix", CONFIG_TEXT, BROKER, "TEXT", NULL, "before the names of topics, group and registry: several deployments on one Kafka", 0, 0, 0},
    {"redis", CONFIG_TEXT, CLUSTER, "HOSTS", NULL, "host:port,host:port of Redis: keys are spread over them", 0, 0, 0},
    {"name", CONFIG_TEXT, CONFIG_GATEWAY | CONFIG_CHECK, "N", NULL, "of this gateway, its own; made up unless given", 0, 0, 0},
    {"link", CONFIG_TEXT, CONFIG_WORKER | CONFIG_CHECK, "ADDR", "127.0.0.1:0", "host:port where gateways reach this worker", 0, 0, 0},
    {"link-listen", CONFIG_TEXT, CONFIG_WORKER | CONFIG_CHECK, "ADDR", NULL, "host:port that a worker's links listen on, where --link is that of a tunnel or a proxy", 0, 0, 0},
    {"link-key", CONFIG_TEXT, CLUSTER, "FILE", NULL, "a secret that gateways and workers share; without it links stay on loopback", 0, 0, 0},
    {"instance", CONFIG_TEXT, CONFIG_WORKER | CONFIG_CHECK, "NAME", NULL, "static membership: one that comes back within --session keeps its partitions", 0, 0, 0},
    {"session", CONFIG_SECONDS, CONFIG_WORKER | CONFIG_CHECK, "S", "10", "without a sign of life for so long, a worker's partitions go to others", 1, 1800, 0},
    {"keep", CONFIG_SECONDS, CONFIG_WORKER | CONFIG_CHECK, "S", "86400", "how long the log keeps what the journal has", 1, 3153600000, 0},
    {"replicas", CONFIG_COUNT, CONFIG_TOPICS, "N", NULL, "of each partition: 3 where there are three brokers, else 1; 3 set min.insync.replicas 2", 1, 9, 0},
    {"new-epoch", CONFIG_FLAG, CONFIG_TOPICS, NULL, NULL, "begin a new log beside the old one: devices reset, and push again what they hold", 0, 0, 0},
    {"jwt-key", CONFIG_TEXT, EDGE | CONFIG_TOKEN, "FILE", NULL, "an HS256 secret; to check tokens with, a PEM public key or a JWKS will do too", 0, 0, 0},
    {"jwt-issuer", CONFIG_TEXT, EDGE, "TEXT", NULL, "what a token's `iss` must be", 0, 0, 0},
    {"jwt-audience", CONFIG_TEXT, EDGE, "TEXT", NULL, "what a token's `aud` must hold", 0, 0, 0},
    {"dev", CONFIG_FLAG, CONFIG_SERVE | CONFIG_CHECK, NULL, NULL, "loopback only, a key of its own, and the demo at /", 0, 0, 0},
    {"fsync", CONFIG_CHOICE, CONFIG_SERVE | CONFIG_CHECK, "on|off", "on", "off: an ack survives kill -9 but not a power cut", 0, 0, 0},
    {"partitions", CONFIG_COUNT, CONFIG_SERVE | CONFIG_TOPICS | CONFIG_CHECK, "N", NULL, "partitions of a new data directory (1) or log (16); fixed for its life", 1, 256, 0},
    {"heartbeat", CONFIG_SECONDS, EDGE, "S", "25", "between pings; two without a byte end a connection", 1, 3600, 0},
    {"rate", CONFIG_COUNT, EDGE, "N", "2000", "frames a second of one connection, four seconds' worth at once; past it 4429", 1, 10000000, 0},
    {"drain", CONFIG_SECONDS, EDGE, "S", "10", "on TERM, how long connections may take to close", 0, 3600, 0},
    {"tls-cert", CONFIG_TEXT, EDGE | CONFIG_HEALTH, "FILE", NULL, "a PEM certificate chain: serve TLS", 0, 0, 0},
    {"tls-key", CONFIG_TEXT, EDGE, "FILE", NULL, "its PEM private key", 0, 0, 0},
    {"log-level", CONFIG_CHOICE, ALL, "debug|info|warn|error", "info", "the least that is logged", 0, 0, 0},
    {"db", CONFIG_TEXT, CONFIG_DEVICE, "FILE", NULL, "the device's store; made when it is not there", 0, 0, 0},
    {"url", CONFIG_TEXT, CONFIG_DEVICE, "URL", NULL, "where to sync with: http(s):// or ws(s)://host[:port]", 0, 0, 0},
    {"token", CONFIG_TEXT, CONFIG_DEVICE, "T", NULL, "a JWT, as `tidegate token` prints one", 0, 0, 0},
    {"ca", CONFIG_TEXT, CONFIG_DEVICE, "FILE", NULL, "a PEM file of whom to trust in place of the system's own", 0, 0, 0},
    {"pin", CONFIG_TEXT, CONFIG_DEVICE, "TEXT", NULL, "the base64 of the SHA-256 of the peer's public key: no other is taken", 0, 0, 0},
    {"store-key", CONFIG_TEXT, CONFIG_DEVICE, "FILE", NULL, "32 bytes or 64 hex digits: the key of a store that is encrypted at rest", 0, 0, 0},
    {"new-store-key", CONFIG_TEXT, CONFIG_DEVICE, "FILE", NULL, "likewise: the store is to have this key from now on; without --store-key it had none", 0, 0, 0},
    {"keys", CONFIG_TEXT, CONFIG_DEVICE, "FILE", NULL, "lines SPACE/COLLECTION ID KEY: bodies of that collection are encrypted end to end", 0, 0, 0},
    {"root", CONFIG_TEXT, CONFIG_DEVICE, "DIR", NULL, "/proc and /sys are read under it, for the constraints of background work", 0, 0, 0},
    {"user", CONFIG_TEXT, CONFIG_TOKEN, "U", NULL, "the token's `sub`", 0, 0, 0},
    {"ttl", CONFIG_SECONDS, CONFIG_TOKEN, "S", "3600", "how long the token is good for", 1, 3153600000, 0},
    {"grant", CONFIG_LIST, CONFIG_TOKEN, "'chat:*=rw'", NULL, "a grant beyond the namespaces' rules: r or rw; may be given several times", 0, 0, 0},
    {"admin", CONFIG_FLAG, CONFIG_TOKEN, NULL, NULL, "an owner everywhere", 0, 0, 0},
};
enum { SETTINGS = sizeof settings / sizeof settings[0], NAME_BYTES = 64 };

struct config {
    const char *values[SETTINGS]; /* argv's, the environment's, or the table's */
    const char *items[SETTINGS][CONFIG_LIST_MAX + 1];
    size_t counts[SETTINGS];
    char *copies[SETTINGS];       /* of the environment's lists */
};

static int index_of(const char *name)
{
    for (int i = 0; i < SETTINGS; i++)
        if (strcmp(settings[i].name, name) == 0) return i;
    return -1;
}

static int known(const char *name)
{
    int at = index_of(name);
    assert(at >= 0);
    return at;
}

static void environment_name(const char *name, char *room)
{
    size_t at = (size_t)snprintf(room, NAME_BYTES, "TIDEGATE_");
    for (; *name != '\0' && at + 1 < NAME_BYTES; name++) room[at++] = *name == '-' ? '_' : (char)toupper((unsigned char)*name);
    room[at] = '\0';
}

/* Edit distance, bounded: what was meant by a flag that is none. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES + 1], m = strlen(a), n = strlen(b);
    if (m > NAME_BYTES || n > NAME_BYTES) return NAME_BYTES;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j], cost = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            if (above + 1 < cost) cost = above + 1;
            if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1;
            diagonal = above;
            row[j] = cost;
        }
    }
    return row[n];
}

static int unknown_flag(const char *given, unsigned command)
{
    int best = -1;
    size_t least = 4;
    for (int i = 0; i < SETTINGS; i++) {
        size_t far = distance(given, settings[i].name);
        if ((settings[i].commands & command) == 0 || far >= least) continue;
        least = far;
        best = i;
    }
    if (best >= 0) fprintf(stderr, "tidegate: --%s: no such option; did you mean --%s?\n", given, settings[best].name);
    else fprintf(stderr, "tidegate: --%s: no such option; --help lists them\n", given);
    return EXIT_USAGE;
}

static bool is_number(const char *text)
{
    size_t bytes = strspn(text, "0123456789");
    return bytes > 0 && bytes <= 12 && text[bytes] == '\0';
}

static bool is_choice(const char *choices, const char *value)
{
    size_t bytes = strlen(value);
    if (bytes == 0 || strchr(value, '|') != NULL) return false;
    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (strncmp(at, value, bytes) == 0 && (at[bytes] == '|' || at[bytes] == '\0')) return true;
    }
    return false;
}

static int check_value(int at, const char *source, const char *value)
{
    const struct config_setting *setting = &settings[at];
    const char *wrong = NULL;
    char text[96];
    if (setting->type == CONFIG_COUNT || setting->type == CONFIG_SECONDS) {
        bool fits = is_number(value) && strtoull(value, NULL, 10) >= setting->least &&
                    (setting->most == 0 || strtoull(value, NULL, 10) <= setting->most);
        if (!fits) wrong = "a whole number";
        if (!fits && setting->most > 0) {
            snprintf(text, sizeof text, "%llu to %llu", (unsigned long long)setting->least, (unsigned long long)setting->most);
            wrong = text;
        }
    }
    if (setting->type == CONFIG_CHOICE && !is_choice(setting->value, value)) wrong = setting->value;
    if (setting->type == CONFIG_FLAG && !is_choice("on|off", value)) wrong = "on|off";
    if (wrong == NULL) return EXIT_WELL;
    fprintf(stderr, "tidegate: %.60s: must be %s, not '%.40s'\n", source, wrong, value);
    return EXIT_CONFIG;
}

static int set(struct config *config, int at, const char *source, const char *value)
{
    int code = check_value(at, source, value);
    if (code != EXIT_WELL) return code;
    config->values[at] = value;
    if (settings[at].type != CONFIG_LIST) return EXIT_WELL;
    if (config->counts[at] == CONFIG_LIST_MAX) {
        fprintf(stderr, "tidegate: %s: given more than %d times\n", source, CONFIG_LIST_MAX);
        return EXIT_CONFIG;
    }
    config->items[at][config->counts[at]++] = value;
    return EXIT_WELL;
}

static int read_flags(struct config *config, unsigned command, int argc, char **argv, bool *ret_help)
{
    for (int i = 0; i < argc; i++) {
        char name[NAME_BYTES], source[NAME_BYTES + 2];
        const char *equals = strchr(argv[i], '=');
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_help = true;
            return EXIT_WELL;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            fprintf(stderr, "tidegate: '%.60s': options begin with --; --help lists them\n", argv[i]);
            return EXIT_USAGE;
        }
        size_t bytes = equals == NULL ? strlen(argv[i] + 2) : (size_t)(equals - argv[i]) - 2;
        snprintf(name, sizeof name, "%.*s", (int)(bytes < sizeof name ? bytes : sizeof name - 1), argv[i] + 2);
        int at = index_of(name);
        if (at < 0 || (settings[at].commands & command) == 0) return unknown_flag(name, command);
        const char *value = equals == NULL ? NULL : equals + 1;
        if (settings[at].type == CONFIG_FLAG) value = value == NULL ? "on" : value;
        else if (value == NULL && i + 1 < argc) value = argv[++i];
        if (value == NULL) {
            fprintf(stderr, "tidegate: --%s: needs a value: --%s %s\n", name, name, settings[at].value);
            return EXIT_USAGE;
        }
        snprintf(source, sizeof source, "--%s", name);
        int code = set(config, at, source, value);
        if (code != EXIT_WELL) return code;
    }
    return EXIT_WELL;
}

static int read_environment(struct config *config, unsigned command)
{
    for (int i = 0; i < SETTINGS; i++) {
        char name[NAME_BYTES];
        if (config->values[i] != NULL || (settings[i].commands & command) == 0) continue;
        environment_name(settings[i].name, name);
        const char *value = getenv(name);
        int code = EXIT_WELL;
        if (value == NULL || value[0] == '\0') continue;
        if (settings[i].type == CONFIG_FLAG) {
            if (strcmp(value, "1") == 0 || strcmp(value, "true") == 0) value = "on";
            if (strcmp(value, "0") == 0 || strcmp(value, "false") == 0) value = "off";
            code = set(config, i, name, value);
        } else if (settings[i].type == CONFIG_LIST) {
            char *rest = NULL;
            config->copies[i] = strdup(value);
            if (config->copies[i] == NULL) return EXIT_BUG;
            for (char *item = strtok_r(config->copies[i], ",", &rest); item != NULL && code == EXIT_WELL; item = strtok_r(NULL, ",", &rest))
                code = set(config, i, name, item);
        } else {
            code = set(config, i, name, value);
        }
        if (code != EXIT_WELL) return code;
    }
    return EXIT_WELL;
}

int config_read(unsigned command, int argc, char **argv, struct config **ret_config, bool *ret_help)
{
    struct config *config = calloc(1, sizeof *config);
    *ret_help = false;
    if (config == NULL) return EXIT_BUG;
    int code = read_flags(config, command, argc, argv, ret_help);
    if (code == EXIT_WELL && !*ret_help) code = read_environment(config, command);
    if (code != EXIT_WELL) {
        config_free(config);
        return code;
    }
    for (int i = 0; i < SETTINGS; i++)
        if (config->values[i] == NULL && settings[i].otherwise != NULL && (settings[i].bare & command) == 0) (void)set(config, i, settings[i].name, settings[i].otherwise);
    *ret_config = config;
    return EXIT_WELL;
}

void config_free(struct config *config)
{
    if (config == NULL) return;
    for (int i = 0; i < SETTINGS; i++) free(config->copies[i]);
    free(config);
}

const char *config_text(const struct config *config, const char *name) { return config->values[known(name)]; }

bool config_is_on(const struct config *config, const char *name)
{
    const char *value = config->values[known(name)];
    return value != NULL && strcmp(value, "on") == 0;
}

uint64_t config_number(const struct config *config, const char *name)
{
    const char *value = config->values[known(name)];
    return value == NULL ? 0 : strtoull(value, NULL, 10);
}

size_t config_list(const struct config *config, const char *name, const char *const **ret_items)
{
    int at = known(name);
    *ret_items = config->items[at];
    return config->counts[at];
}

void config_print_help(FILE *out, unsigned command)
{
    int first = 0; /* of this command's, as the example */
    char variable[NAME_BYTES];
    while (first < SETTINGS - 1 && (settings[first].commands & command) == 0) first++;
    for (int i = 0; i < SETTINGS; i++) {
        char flag[NAME_BYTES + 32];
        if ((settings[i].commands & command) == 0) continue;
        snprintf(flag, sizeof flag, "--%s %s", settings[i].name, settings[i].value == NULL ? "" : settings[i].value);
        fprintf(out, "  %-24s %s", flag, settings[i].help);
        if (settings[i].otherwise != NULL) fprintf(out, " [%s]", settings[i].otherwise);
        fputc('\n', out);
    }
    environment_name(settings[first].name, variable);
    fprintf(out, "Every option is also an environment variable: --%s is %s; a list's items are split at commas.\n", settings[first].name, variable);
}

/* A bar would end the table's cell. */
static void print_choices(FILE *out, const char *choices)
{
    for (const char *at = choices; *at != '\0'; at++) {
        if (*at == '|') fputs(", ", out);
        else fputc(*at, out);
    }
}

void config_print_markdown(FILE *out)
{
    static const char *const types[] = {"text", "flag", "count", "seconds", "choice", "list"};
    static const struct { unsigned bit; const char *name; } commands[] = {
        {CONFIG_SERVE, "serve"}, {CONFIG_GATEWAY, "gateway"}, {CONFIG_WORKER, "worker"}, {CONFIG_TOPICS, "topics"}, {CONFIG_TOKEN, "token"}, {CONFIG_CHECK, "check"}, {CONFIG_HEALTH, "health"}, {CONFIG_DEVICE, "device"}};
    fprintf(out, "# Settings\n\nMade by `tidegate docs settings`. A flag beats the environment, the environment beats the default.\n\n"
                 "| flag | environment | type | default | commands | what |\n| --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < SETTINGS; i++) {
        const struct config_setting *s = &settings[i];
        char name[NAME_BYTES], range[48] = "";
        environment_name(s->name, name);
        if (s->most > 0) snprintf(range, sizeof range, ", %llu to %llu", (unsigned long long)s->least, (unsigned long long)s->most);
        fprintf(out, "| `--%s` | `%s` | ", s->name, name);
        if (s->type == CONFIG_CHOICE) print_choices(out, s->value);
        else fprintf(out, "%s%s", types[s->type], range);
        fprintf(out, " | %s |", s->otherwise == NULL ? "" : s->otherwise);
        for (size_t at = 0; at < sizeof commands / sizeof commands[0]; at++)
            if (s->commands & commands[at].bit) fprintf(out, " %s", commands[at].name);
        fprintf(out, " | %s |\n", s->help);
    }
}

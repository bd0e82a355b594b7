/* tidegate token: a JWT for trying things out, signed with an HS256 secret. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "core/name.h"

static void help(void)
{
    puts("tidegate token --user U [--ttl S] [--grant 'chat:*=rw'] [--admin] --jwt-key FILE\n\n"
         "  tidegate token --user ana --jwt-key secret                  ana, for an hour\n"
         "  tidegate token --user shop --admin --ttl 60 --jwt-key secret a backend that may do all, for a minute\n"
         "  tidegate token --user bob --grant 'chat:*=r' --data ./data  signed with a --dev server's own key\n\n"
         "--jwt-key is the HS256 secret that the server checks with. Where it has a PEM public key or a JWKS, whoever has the private key signs: not this command.\n");
    config_print_help(stdout, CONFIG_TOKEN);
}

static int add_grants(struct buf *payload, const struct config *config)
{
    const char *const *grants;
    size_t count = config_list(config, "grant", &grants);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strrchr(grants[i], '=');
        struct span pattern = span_of(grants[i], equals == NULL ? 0 : (size_t)(equals - grants[i]));
        if (equals == NULL || !name_is_pattern(pattern) || (strcmp(equals, "=r") != 0 && strcmp(equals, "=rw") != 0))
            return cli_fail(EXIT_CONFIG, "--grant '%.80s': must be like 'chat:*=rw' or 'cart:bob=r'", grants[i]);
        buf_add_text(payload, i == 0 ? ",\"spaces\":{" : ",");
        buf_add_json_string(payload, pattern);
        buf_add_text(payload, strcmp(equals, "=r") == 0 ? ":\"r\"" : ":\"rw\"");
    }
    if (count > 0) buf_add_char(payload, '}');
    return EXIT_WELL;
}

static int print_token(const struct config *config, const struct jwt_keys *keys)
{
    struct buf payload, token;
    const char *user = config_text(config, "user");
    int64_t now_s = clock_wall_ms() / 1000;
    buf_init(&payload, LIMIT_TOKEN_BYTES_MAX);
    buf_init(&token, 2 * LIMIT_TOKEN_BYTES_MAX);
    buf_add_text(&payload, "{\"sub\":");
    buf_add_json_string(&payload, span_text(user));
    buf_add_text(&payload, ",\"iat\":");
    buf_add_i64(&payload, now_s);
    buf_add_text(&payload, ",\"exp\":");
    buf_add_i64(&payload, now_s + (int64_t)config_number(config, "ttl"));
    if (config_is_on(config, "admin")) buf_add_text(&payload, ",\"admin\":true");
    int code = add_grants(&payload, config);
    buf_add_char(&payload, '}');
    if (code == EXIT_WELL && !jwt_keys_can_sign(keys)) code = cli_fail(EXIT_CONFIG, "--jwt-key: only an HS256 secret can sign here; this is a PEM key or a JWKS");
    if (code == EXIT_WELL && (!buf_ok(&payload) || jwt_sign(keys, buf_span(&payload), &token) != ERR_OK || token.bytes > LIMIT_TOKEN_BYTES_MAX))
        code = cli_fail(EXIT_CONFIG, "--grant: more than a token can hold");
    if (code == EXIT_WELL) printf("%.*s\n", (int)token.bytes, token.at);
    buf_fini(&payload);
    buf_fini(&token);
    return code;
}

int token_main(int argc, char **argv)
{
    struct config *config = NULL;
    struct jwt_keys *keys = NULL;
    bool wants_help;
    int code = config_read(CONFIG_TOKEN, argc, argv, &config, &wants_help);
    if (code != EXIT_WELL) return code;
    const char *user = config_text(config, "user");
    if (wants_help) help();
    else if (user == NULL) code = cli_fail(EXIT_USAGE, "--user U is needed");
    else if (!name_is_user(span_text(user))) code = cli_fail(EXIT_CONFIG, "--user: must be 1 to 128 bytes of UTF-8 without control characters");
    else if ((code = keys_load(config, false, &keys)) == EXIT_WELL) code = print_token(config, keys);
    jwt_keys_free(keys);
    config_free(config);
    return code;
}

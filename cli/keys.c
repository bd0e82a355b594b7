/* The keys that tokens are checked with: --jwt-key's, or a secret of --dev's own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

enum { SECRET_BYTES = 32 };

static int make_secret(const char *path)
{
    unsigned char bytes[SECRET_BYTES];
    char text[2 * SECRET_BYTES + 1];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return cli_fail(EXIT_BUG, "no randomness to be had");
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) return EXIT_WELL;
    if (fd < 0) return cli_fail(EXIT_MISSING, "--data: %s cannot be made: %s", path, strerror(errno));
    bool good = write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1 && fsync(fd) == 0;
    close(fd);
    return good ? EXIT_WELL : cli_fail(EXIT_MISSING, "--data: %s cannot be written", path);
}

int keys_load(const struct config *config, bool make, struct jwt_keys **ret_keys)
{
    char path[4096], why[512] = "";
    const char *file = config_text(config, "jwt-key"), *data = config_text(config, "data");
    if (file == NULL) {
        if (data == NULL) return cli_fail(EXIT_CONFIG, "--jwt-key FILE is needed (or --data DIR of a --dev server)");
        snprintf(path, sizeof path, "%s/dev-key", data);
        int code = make ? make_secret(path) : EXIT_WELL;
        if (code != EXIT_WELL) return code;
        file = path;
    }
    if (jwt_keys_load(file, ret_keys, why, sizeof why) != ERR_OK) return cli_fail(EXIT_CONFIG, "%s", why);
    return EXIT_WELL;
}

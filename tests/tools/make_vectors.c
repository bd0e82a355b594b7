/* Writes the golden vectors into the directory that it is given: `make vectors`. */
#include <stdio.h>

#include "tests/support/vectors.h"

static int write_file(const char *directory, size_t file)
{
    char path[4096];
    struct buf buf;
    int length = snprintf(path, sizeof path, "%s/%s", directory, vectors_name(file));
    if (length < 0 || (size_t)length >= sizeof path) return 64;
    buf_init(&buf, VECTORS_BYTES_MAX);
    vectors_write(file, &buf);
    FILE *out = buf_ok(&buf) ? fopen(path, "wb") : NULL;
    bool good = out != NULL && fwrite(buf.at, 1, buf.bytes, out) == buf.bytes;
    if (out != NULL && fclose(out) != 0) good = false;
    if (good) printf("%s: %zu bytes\n", path, buf.bytes);
    else perror(path);
    buf_fini(&buf);
    return good ? 0 : 70;
}

int main(int argc, char **argv)
{
    int worst = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: make_vectors DIRECTORY\n");
        return 64;
    }
    for (size_t file = 0; file < VECTORS_FILES; file++) {
        int code = write_file(argv[1], file);
        if (code > worst) worst = code;
    }
    return worst;
}

/* Writes files as a C table, so that the binary needs no files beside it.
 *     embed SYMBOL HEADER FILE.. > out.c
 * SYMBOL names `const struct asset SYMBOL[]` and `const size_t SYMBOL_count`; an asset's path is its file's base name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {{".html", "text/html; charset=utf-8"}, {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"}, {".svg", "image/svg+xml"}, {".json", "application/json"}, {".png", "image/png"}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(dot, types[i][0]) == 0) return types[i][1];
    return "application/octet-stream";
}

static int embed(const char *path, int number)
{
    FILE *file = fopen(path, "rb");
    int byte, count = 0;
    if (file == NULL) return -1;
    printf("static const unsigned char file_%d[] = {", number);
    while ((byte = fgetc(file)) != EOF) printf("%s%d,", count++ % 24 == 0 ? "\n" : "", byte);
    printf("0};\n");
    fclose(file);
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 64;
    int *bytes = calloc((size_t)argc, sizeof *bytes);
    if (bytes == NULL) return 70;
    printf("/* Made by tools/embed.c. */\n#include \"%s\"\n", argv[2]);
    for (int i = 3; i < argc; i++) {
        bytes[i] = embed(argv[i], i);
        if (bytes[i] < 0) {
            fprintf(stderr, "embed: cannot read %s\n", argv[i]);
            return 69;
        }
    }
    printf("const struct asset %s[] = {\n", argv[1]);
    for (int i = 3; i < argc; i++) {
        const char *slash = strrchr(argv[i], '/');
        printf("    {\"%s\", \"%s\", file_%d, %d},\n", slash == NULL ? argv[i] : slash + 1, type_of(argv[i]), i, bytes[i]);
    }
    printf("    {0, 0, 0, 0}};\nconst size_t %s_count = %d;\n", argv[1], argc - 3);
    free(bytes);
    return 0;
}

#include "core/err.h"

#include <string.h>

struct row {
    const char *name;
    enum err_kind kind;
    const char *text;
};

#define ROW_OF(symbol, name, kind, text) [symbol] = {name, ERR_KIND_##kind, text},
static const struct row rows[ERR_COUNT] = {[ERR_OK] = {"ok", ERR_KIND_NONE, "well"}, ERR_LIST(ROW_OF)};
#undef ROW_OF

static const struct row *row_of(enum err err) { return &rows[err < ERR_COUNT ? err : ERR_INTERNAL]; }

const char *err_name(enum err err) { return row_of(err)->name; }
const char *err_text(enum err err) { return row_of(err)->text; }
enum err_kind err_kind(enum err err) { return row_of(err)->kind; }

enum err err_find(const char *name, unsigned long name_bytes)
{
    for (int i = 0; i < ERR_COUNT; i++)
        if (strlen(rows[i].name) == name_bytes && memcmp(rows[i].name, name, name_bytes) == 0) return (enum err)i;
    return ERR_COUNT;
}

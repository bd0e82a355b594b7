/* Keys for the store, where SQLite cannot encrypt (Debian's own): `make client-crypt` has those where it can. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/tidegate.h"
#include "tests/support/rig.h"
#include "tests/support/unit.h"

static void a_key_that_would_be_ignored_is_refused(void **state)
{
    static const unsigned char key[TIDE_KEY_BYTES] = {1};
    char dir[RIG_PATH_BYTES], path[RIG_PATH_BYTES + 16], why[256] = "";
    struct tide *tide = NULL;
    (void)state;
    rig_dir_make(dir);
    snprintf(path, sizeof path, "%.200s/app.db", dir);
    assert_int_equal(tide_open(&(struct tide_options){.path = path, .store_key = key}, &tide, why, sizeof why), TIDE_KEY);
    assert_non_null(strstr(why, "cannot encrypt"));
    assert_int_equal(tide_open(&(struct tide_options){.path = path, .store_new_key = key}, &tide, why, sizeof why), TIDE_KEY);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(tide_open(&(struct tide_options){.path = path}, &tide, why, sizeof why), TIDE_OK);
    tide_close(tide);
    assert_int_equal(tide_open(&(struct tide_options){.path = path, .store_new_key = key}, &tide, why, sizeof why), TIDE_KEY);
    assert_int_equal(tide_open(&(struct tide_options){.path = path}, &tide, why, sizeof why), TIDE_OK);
    tide_close(tide);
    rig_dir_remove(dir);
}

static void a_file_that_is_something_else_is_not_touched(void **state)
{
    static const char text[] = "a letter, and no store at all; longer than any header is";
    char dir[RIG_PATH_BYTES], path[RIG_PATH_BYTES + 16], back[sizeof text] = "";
    struct tide *tide = NULL;
    (void)state;
    rig_dir_make(dir);
    snprintf(path, sizeof path, "%.200s/letter", dir);
    rig_file_write(dir, "letter", text);
    assert_int_equal(tide_open(&(struct tide_options){.path = path}, &tide, NULL, 0), TIDE_FOREIGN);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(back, 1, sizeof back, file), sizeof text - 1);
    fclose(file);
    assert_string_equal(back, text);
    rig_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_would_be_ignored_is_refused),
        cmocka_unit_test(a_file_that_is_something_else_is_not_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

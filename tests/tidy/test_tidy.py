#!/usr/bin/python3
"""tools/tidy on planted trees: each rule catches what it is for, and lets pass what only looks like it.

A tree is a few files over a clean one; a test names the rule and the place that must be found."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HOUSE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
CLEAN = {
    "core/add.h": "/* Adds. */\n#ifndef TIDEGATE_CORE_ADD_H\n#define TIDEGATE_CORE_ADD_H\n\nint add_two(int a, int b);\n\n#endif\n",
    "core/add.c": '#include "core/add.h"\n\nint add_two(int a, int b)\n{\n    return a + b;\n}\n',
    "cli/main.c": '/* Begins. */\n#include "core/add.h"\n\nint main(void)\n{\n    return add_two(0, 0);\n}\n',
}


def tidy(files, ret_status=None):
    """The findings of the clean tree with these files over it, as (path, line, rule)."""
    root = tempfile.mkdtemp(prefix="tidy-")
    try:
        for path, text in {**CLEAN, **files}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        for path in {**CLEAN, **files}:
            if path.endswith(".c") and path.split("/")[0] in ("core", "base", "backends", "gateway", "workers", "client", "cli"):
                made = os.path.join(root, "build/plain", path[:-1] + "o")
                os.makedirs(os.path.dirname(made), exist_ok=True)
                subprocess.run(["cc", "-w", "-O1", "-I", root, "-c", os.path.join(root, path), "-o", made], check=True)
        run = subprocess.run([os.path.join(HOUSE, "tools/tidy"), root], capture_output=True, text=True)
        if ret_status is not None:
            ret_status.append((run.returncode, run.stdout.splitlines()[-1] if run.stdout else run.stderr))
        return [(m.group(1), int(m.group(2)), m.group(3)) for m in re.finditer(r"^(\S+?):(\d+): .* \[(\w+)\]$", run.stdout, re.M)]
    finally:
        shutil.rmtree(root)


class Tidy(unittest.TestCase):
    def caught(self, rule, path, line, files):
        self.assertEqual(tidy(files), [(path, line, rule)])

    def passes(self, files):
        self.assertEqual(tidy(files), [])

    def test_a_clean_tree_has_no_findings_and_exits_0(self):
        status = []
        self.assertEqual(tidy({}, status), [])
        self.assertEqual(status[0][0], 0)
        self.assertRegex(status[0][1], r"^\d+ passed, 0 failed$")

    def test_a_finding_exits_1(self):
        status = []
        tidy({"core/add.c": CLEAN["core/add.c"] + "\n"}, status)
        self.assertEqual(status[0][0], 1)
        self.assertRegex(status[0][1], r"^\d+ passed, 1 failed$")

    def test_a_tree_without_sources_is_no_success(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertNotEqual(subprocess.run([os.path.join(HOUSE, "tools/tidy"), root], capture_output=True).returncode, 0)

    def test_an_object_that_is_not_built_is_no_success(self):
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(os.path.join(root, "core"))
            with open(os.path.join(root, "core/x.c"), "w", encoding="utf-8") as file:
                file.write("/* X. */\nint x_one(void);\n")
            self.assertNotEqual(subprocess.run([os.path.join(HOUSE, "tools/tidy"), root], capture_output=True).returncode, 0)

    def test_core_does_not_look_up(self):
        self.caught("layers", "core/two.c", 2, {"core/two.c": '/* Two. */\n#include "base/one.h"\n',
                                                "base/one.h": "/* One. */\n#ifndef TIDEGATE_BASE_ONE_H\n#define TIDEGATE_BASE_ONE_H\n#endif\n"})

    def test_the_gateway_does_not_know_the_worker(self):
        self.caught("layers", "gateway/two.c", 2, {"gateway/two.c": '/* Two. */\n#include "workers/one.h"\n',
                                                   "workers/one.h": "/* One. */\n#ifndef TIDEGATE_WORKERS_ONE_H\n#define TIDEGATE_WORKERS_ONE_H\n#endif\n"})

    def test_an_include_names_its_folder(self):
        self.caught("layers", "core/two.c", 2, {"core/two.c": '/* Two. */\n#include "add.h"\n'})

    def test_the_gateway_does_not_know_its_backend(self):
        inside = {"backends/embedded/e.h": "/* E. */\n#ifndef TIDEGATE_BACKENDS_EMBEDDED_E_H\n#define TIDEGATE_BACKENDS_EMBEDDED_E_H\n#endif\n"}
        self.caught("seams", "gateway/two.c", 2, {"gateway/two.c": '/* Two. */\n#include "backends/embedded/e.h"\n', **inside})
        self.passes({"cli/serve.c": '/* Serve. */\n#include "backends/embedded/e.h"\n', **inside})

    def test_the_inside_of_a_module_is_its_own(self):
        inside = {"gateway/hub_parts.h": "/* Inside. */\n#ifndef TIDEGATE_GATEWAY_HUB_PARTS_H\n#define TIDEGATE_GATEWAY_HUB_PARTS_H\n#endif\n"}
        self.caught("seams", "gateway/edge.c", 2, {"gateway/edge.c": '/* Edge. */\n#include "gateway/hub_parts.h"\n', **inside})
        self.passes({"gateway/hub_pull.c": '/* Pull. */\n#include "gateway/hub_parts.h"\n', **inside})

    def test_a_library_has_its_owner(self):
        self.caught("owners", "base/two.c", 2, {"base/two.c": "/* Two. */\n#include <lmdb.h>\n"})

    def test_a_library_that_nobody_knows_needs_one(self):
        self.caught("owners", "base/two.c", 2, {"base/two.c": "/* Two. */\n#include <elf.h>\n"})

    def test_core_has_no_clock(self):
        self.caught("owners", "core/two.c", 2, {"core/two.c": "/* Two. */\n#include <time.h>\n"})

    def test_core_calls_nothing_from_outside(self):
        self.caught("purity", "core/two.c", 1, {"core/two.c": "/* Two. */\nlong time(long *);\nlong two_now(void)\n{\n    return time(0);\n}\n"})

    def test_core_keeps_no_state(self):
        self.caught("purity", "core/two.c", 1, {"core/two.c": "/* Two. */\nint two_next(void)\n{\n    static int last;\n    return ++last;\n}\n"})
        self.caught("purity", "core/two.c", 1, {"core/two.c": "/* Two. */\nint two_next(void)\n{\n    static int last = 7;\n    return ++last;\n}\n"})

    def test_constant_tables_of_pointers_are_no_state(self):
        self.passes({"core/two.c": '/* Two. */\nconst char *two_name(int i)\n{\n    static const char *const names[] = {"a", "bb", "c"};\n    return names[i];\n}\n'})

    def test_core_calls_core(self):
        self.passes({"core/two.c": '/* Two. */\n#include "core/add.h"\nint two_sum(int a)\n{\n    return add_two(a, a);\n}\n'})

    def test_a_symbol_bears_its_files_name(self):
        self.caught("prefixes", "base/merge.c", 1, {"base/merge.c": "/* Merges. */\nint join(void)\n{\n    return 0;\n}\n"})
        self.passes({"base/hub_pull.c": "/* Pulls. */\nint hub_pull(void)\n{\n    return 0;\n}\nint hub_more(void)\n{\n    return 0;\n}\n"})

    def test_a_name_that_only_begins_alike_is_not_it(self):
        self.caught("prefixes", "base/merge.c", 1, {"base/merge.c": "/* Merges. */\nint merger(void)\n{\n    return 0;\n}\n"})

    def test_a_file_past_500_lines_is_two(self):
        self.caught("lengths", "base/long.c", 501, {"base/long.c": "/* Long. */\n" + "int;\n" * 500})
        self.passes({"base/long.c": "/* Long. */\n" + "int;\n" * 499})

    def test_a_function_past_70_lines_is_two(self):
        body = "/* Long. */\nvoid long_one(void)\n{\n%s}\n"
        self.caught("lengths", "base/long.c", 2, {"base/long.c": body % ("    ;\n" * 68)})
        self.passes({"base/long.c": body % ("    ;\n" * 67)})

    def test_a_long_table_is_no_function(self):
        self.passes({"base/table.c": "/* Table. */\nstatic const int table[] =\n{\n" + "    1,\n" * 80 + "};\n"})

    def test_banned_calls_are_named_with_what_to_use(self):
        for call in ("strcpy(a, b)", "strcat(a, b)", "sprintf(a, b)", "strtok(a, b)", "atoi(a)", "rand()", "gettimeofday(a, b)", "alloca(1)", "getenv(a)"):
            with self.subTest(call):
                self.caught("banned", "base/two.c", 4, {"base/two.c": f"/* Two. */\nvoid two_do(char *a, char *b)\n{{\n    {call};\n}}\n"})

    def test_the_environment_is_read_in_one_place(self):
        self.passes({"base/config.c": "/* Config. */\nchar *getenv(const char *);\nchar *config_get(void)\n{\n    return getenv(\"A\");\n}\n"})

    def test_names_in_comments_strings_and_members_are_no_calls(self):
        self.passes({"base/two.c": '/* Not strcpy(a, b). */\nstruct two {\n    int (*rand)(void);\n};\nconst char *two_do(struct two *t)\n{\n    t->rand();\n    return "atoi(x)";\n}\n'})

    def test_code_in_comments_is_dead(self):
        for dead in ("/* x = y + 1; */", "// free(x);", "/* if (x) return y; */", "// return x;", "/* struct a *b; */", "// #include <stdio.h>"):
            with self.subTest(dead):
                self.caught("dead", "base/two.c", 2, {"base/two.c": f"/* Two. */\n{dead}\nint;\n"})
        self.caught("dead", "base/two.c", 2, {"base/two.c": "/* Two. */\n#if 0\nint x;\n#endif\nint;\n"})

    def test_prose_and_examples_are_alive(self):
        self.passes({"base/two.c": "/* Frees nothing; the caller owns it: see two_free();\n * if it is not there, return is early;\n * how:\n *     struct two *t = two_new();\n"
                                   " *     two_free(t);\n * `from` = the cursor; then more. */\nint;\n"})

    def test_a_note_to_oneself_is_found(self):
        self.caught("dead", "base/two.c", 2, {"base/two.c": "/* Two. */\n/* TODO later */\nint;\n"})

    def test_a_file_tells_its_job(self):
        self.caught("jobs", "base/two.c", 1, {"base/two.c": "int;\n"})

    def test_a_header_is_guarded_by_its_own_name(self):
        self.caught("jobs", "base/two.h", 1, {"base/two.h": "/* Two. */\n#ifndef TWO_H\n#define TWO_H\n#endif\n"})

    def test_a_struct_is_called_struct(self):
        self.caught("shapes", "base/two.c", 2, {"base/two.c": "/* Two. */\ntypedef struct two { int x; } two;\n"})
        self.passes({"base/two.c": "/* Two. */\ntypedef int (*two_fn)(void);\n"})

    def test_one_label_out(self):
        body = "/* Two. */\nint two_do(int x)\n{\n    if (x) goto %s;\n    x = 2;\n%s:\n    return x;\n}\n"
        self.caught("shapes", "base/two.c", 6, {"base/two.c": body % ("fail", "fail")})
        self.passes({"base/two.c": body % ("out", "out")})

    def test_tabs_and_trailing_blanks_are_found(self):
        self.caught("space", "base/two.c", 2, {"base/two.c": "/* Two. */\nint; \n"})
        self.caught("space", "base/two.c", 2, {"base/two.c": "/* Two. */\n\tint;\n"})
        self.caught("space", "base/two.c", 1, {"base/two.c": "/* Two. */"})

    def test_scripts_are_checked(self):
        self.caught("scripts", "tools/go", 2, {"tools/go": "#!/bin/bash\ncat $1\n"})


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(bad > 0)

#!/usr/bin/python3
"""tests/run-suites and tests/run-unit: whatever a suite does, what it failed at is counted."""
import os
import stat
import subprocess
import sys
import tempfile
import unittest

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def program(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/bash\n" + text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def suites(*texts):
    """(exit status, closing line) of run-suites over suites that do this."""
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "tests"))
        with open(os.path.join(TESTS, "run-suites"), encoding="utf-8") as file:
            run = program(os.path.join(root, "tests"), "run-suites", file.read())
        for i, text in enumerate(texts):
            program(root, f"suite{i}", text)
        make = program(root, "make", f'exec "{root}/$2"\n')
        ran = subprocess.run([run, *(f"suite{i}" for i in range(len(texts)))], capture_output=True, text=True, env={**os.environ, "MAKE": make})
        return ran.returncode, (ran.stdout.splitlines() or [""])[-1]


def unit(*texts):
    with tempfile.TemporaryDirectory() as root:
        made = [program(root, f"test_{i}", text) for i, text in enumerate(texts)]
        ran = subprocess.run([os.path.join(TESTS, "run-unit"), *made], capture_output=True, text=True)
        return ran.returncode, ran.stdout.splitlines()[-1]


GOOD = "echo '[ RUN      ] a__b'; echo '[       OK ] a__b'; echo '[  PASSED  ] 1 test(s).'\n"


class Suites(unittest.TestCase):
    def test_sums_are_of_all_suites(self):
        self.assertEqual(suites("echo 3 passed, 0 failed", "echo 4 passed, 0 failed"), (0, "7 passed, 0 failed"))

    def test_pytest_is_understood(self):
        self.assertEqual(suites("echo '12 passed in 0.35s'"), (0, "12 passed, 0 failed"))
        self.assertEqual(suites("echo '2 failed, 10 passed, 1 skipped in 0.35s'; exit 1"), (1, "10 passed, 2 failed"))
        self.assertEqual(suites("echo '1 failed, 10 passed, 2 errors in 0.35s'; exit 1"), (1, "10 passed, 3 failed"))
        self.assertEqual(suites("echo '1 error in 0.35s'; exit 2"), (1, "0 passed, 1 failed"))

    def test_node_is_understood(self):
        self.assertEqual(suites("printf '# tests 5\\n# pass 5\\n# fail 0\\n# cancelled 0\\n'"), (0, "5 passed, 0 failed"))
        self.assertEqual(suites("printf 'ℹ pass 3\\nℹ fail 2\\nℹ cancelled 0\\n'; exit 1"), (1, "3 passed, 2 failed"))

    def test_one_bad_suite_among_good_ones_is_seen(self):
        self.assertEqual(suites("echo 3 passed, 0 failed", "echo 3 passed, 1 failed; exit 2", "echo 3 passed, 0 failed"), (1, "9 passed, 1 failed"))

    def test_failing_without_a_number_is_a_failure(self):
        self.assertEqual(suites("exit 2"), (1, "0 passed, 1 failed"))
        self.assertEqual(suites("echo 3 passed, 0 failed; exit 2"), (1, "3 passed, 1 failed"))

    def test_running_nothing_is_a_failure(self):
        self.assertEqual(suites("echo all well"), (1, "0 passed, 1 failed"))
        self.assertEqual(suites("echo 0 passed, 0 failed"), (1, "0 passed, 1 failed"))

    def test_no_suites_are_no_success(self):
        self.assertNotEqual(suites()[0], 0)


class Unit(unittest.TestCase):
    def test_good_programs_are_counted(self):
        self.assertEqual(unit(GOOD, GOOD), (0, "2 passed, 0 failed"))

    def test_a_failed_test_is_counted_once(self):
        bad = GOOD + "echo '[  FAILED  ] c__d'; echo '[  FAILED  ] 1 test(s), listed below:'; echo '[  FAILED  ] c__d'; exit 1\n"
        self.assertEqual(unit(GOOD, bad), (1, "2 passed, 1 failed"))

    def test_a_crash_is_a_failure(self):
        self.assertEqual(unit(GOOD + "kill -SEGV $$\n", GOOD), (1, "2 passed, 1 failed"))

    def test_a_program_that_tests_nothing_is_a_failure(self):
        self.assertEqual(unit("exit 0\n"), (1, "0 passed, 1 failed"))

    def test_no_programs_are_no_success(self):
        self.assertNotEqual(unit()[0], 0)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(bad > 0)

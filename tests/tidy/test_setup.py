#!/usr/bin/python3
"""tools/setup on machines made of stubs: it installs what is missing, only that, and says what to type where it may not."""
import os
import pathlib
import stat
import subprocess
import tempfile
import unittest

SETUP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/setup")
REAL = ("bash", "dirname", "mkdir", "touch", "tail", "env", "cat")


class Machine:
    """A PATH of stubs; every call of apt-get and sudo leaves a line in `calls`."""

    def __init__(self, installed=(), commands=(), user=0, sudo=True, apt=True, apt_status=0):
        self.root = tempfile.TemporaryDirectory(prefix="setup-")
        self.bin = os.path.join(self.root.name, "bin")
        os.makedirs(self.bin)
        os.makedirs(os.path.join(self.root.name, "tools"))
        for name in REAL:
            os.symlink(f"/usr/bin/{name}", os.path.join(self.bin, name))
        with open(SETUP, encoding="utf-8") as file:
            self.stub("../tools/setup", file.read().split("\n", 1)[1])
        self.stub("dpkg-query", f'case " {" ".join(installed)} " in *" ${{@: -1}} "*) echo -n installed;; *) exit 1;; esac\n')
        self.stub("id", f"echo {user}\n")
        for name in commands:
            self.stub(name, "exit 0\n")
        if apt:
            self.stub("apt-get", f'echo "apt-get $*" >> {self.root.name}/calls\n[ "$1" = update ] || exit {apt_status}\n')
        if sudo:
            self.stub("sudo", f'echo "sudo" >> {self.root.name}/calls\nexec "$@"\n')

    def stub(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/bash\n" + text)
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)

    def setup(self, group):
        ran = subprocess.run([os.path.join(self.root.name, "tools/setup"), group], capture_output=True, text=True, env={"PATH": self.bin})
        calls = os.path.join(self.root.name, "calls")
        self.calls = pathlib.Path(calls).read_text(encoding="utf-8").splitlines() if os.path.exists(calls) else []
        self.stamped = os.path.exists(os.path.join(self.root.name, f"build/setup-{group}"))
        self.said = ran.stdout + ran.stderr
        self.root.cleanup()
        return ran.returncode


BROWSER = ("chromium", "nodejs", "npm")


class Setup(unittest.TestCase):
    def test_where_all_is_there_nothing_is_installed(self):
        machine = Machine(installed=BROWSER)
        self.assertEqual((machine.setup("browser"), machine.calls, machine.stamped, machine.said), (0, [], True, ""))

    def test_only_what_is_missing_is_installed(self):
        machine = Machine(installed=("chromium", "npm"))
        self.assertEqual((machine.setup("browser"), machine.stamped), (0, True))
        self.assertEqual(machine.calls, ["apt-get update -qq", "apt-get install -y -qq --no-install-recommends nodejs"])

    def test_a_command_from_elsewhere_is_as_good_as_the_package(self):
        machine = Machine(installed=("chromium",), commands=("node", "npm"))
        self.assertEqual((machine.setup("browser"), machine.calls), (0, []))

    def test_who_is_not_root_goes_through_sudo(self):
        machine = Machine(user=1000)
        self.assertEqual(machine.setup("browser"), 0)
        self.assertEqual([call for call in machine.calls if call == "sudo"], ["sudo", "sudo"])

    def test_who_may_not_install_is_told_what_to_type(self):
        machine = Machine(user=1000, sudo=False, installed=("nodejs",))
        self.assertEqual((machine.setup("browser"), machine.calls, machine.stamped), (69, [], False))
        self.assertIn("apt-get install -y --no-install-recommends chromium npm\n", machine.said)

    def test_a_machine_without_apt_is_told_what_it_needs(self):
        machine = Machine(apt=False)
        self.assertEqual((machine.setup("browser"), machine.stamped), (69, False))
        self.assertIn("chromium nodejs npm", machine.said)

    def test_a_failed_install_leaves_no_stamp(self):
        machine = Machine(apt_status=100)
        self.assertEqual((machine.setup("browser"), machine.stamped), (69, False))

    def test_an_unknown_group_is_a_usage_error(self):
        machine = Machine()
        self.assertEqual(machine.setup("kitchen"), 64)


if __name__ == "__main__":
    unittest.main()

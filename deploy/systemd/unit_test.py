#!/usr/bin/env python3
"""holdfastd.service and .socket, and the updater's unit, judged by systemd itself: no unknown key, and shut off from what it does not need.

Usage:  unit_test.py HOLDFASTD    exit code 77 (skipped) without systemd-analyze
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
EXPOSURE_MAX = 2.0
SKIPPED = 77


class Unit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hf-unit-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def analyze(self, *args, change=("", ""), socket=False):
        """systemd-analyze on the unit with the program where it is now; `change`: old, new."""
        with open(os.path.join(HERE, "holdfastd.service"), encoding="ascii") as file:
            unit = file.read().replace("/usr/bin/holdfastd", PROGRAM, 1)
        self.assertIn(change[0], unit)
        unit = unit.replace(*change, 1) if change[0] else unit
        shutil.copy(os.path.join(HERE, "holdfastd.socket"), self.folder)
        path = os.path.join(self.folder, "holdfastd.service")
        with open(path, "w", encoding="ascii") as file:
            file.write(unit)
        if socket:
            path = os.path.join(self.folder, "holdfastd.socket")
        return subprocess.run(["systemd-analyze", *args, path], capture_output=True, text=True,
                              timeout=60)

    def exposure(self, **kwargs):
        done = self.analyze("security", "--offline=yes", "--no-pager", **kwargs)
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
        self.assertTrue(found, done.stdout[-500:] + done.stderr)
        return float(found.group(1))

    def test_every_key_and_value_is_known(self):
        done = self.analyze("verify", "--recursive-errors=no")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_every_key_and_value_of_the_socket_is_known(self):
        done = self.analyze("verify", "--recursive-errors=no", socket=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_every_key_and_value_of_the_updaters_unit_is_known(self):
        with open(os.path.join(HERE, "holdfast-updater.service"), encoding="ascii") as file:
            unit = file.read().replace("/usr/bin/holdfast-updater", PROGRAM, 1)
        path = os.path.join(self.folder, "holdfast-updater.service")
        with open(path, "w", encoding="ascii") as file:
            file.write(unit)
        done = subprocess.run(["systemd-analyze", "verify", "--recursive-errors=no", path],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_wrong_key_would_be_found(self):
        done = self.analyze("verify", "--recursive-errors=no",
                            change=("WatchdogSec=", "WatchdogSecs="))
        self.assertIn("WatchdogSecs", done.stderr)

    def test_the_exposure_is_small(self):
        self.assertLessEqual(self.exposure(), EXPOSURE_MAX)

    def test_the_exposure_depends_on_what_the_unit_says(self):
        self.assertGreater(self.exposure(change=("ProtectSystem=strict\n", "")), self.exposure())


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if shutil.which("systemd-analyze") is None:
        print("skipped: there is no systemd-analyze")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)

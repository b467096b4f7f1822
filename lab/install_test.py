#!/usr/bin/env python3
"""The lab as it is installed: under any prefix, without the source tree.

    install_test.py --build DIR --cmake PROGRAM
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest


class InstallTest(unittest.TestCase):
    build = cmake = None  # the main program sets them

    def setUp(self):
        self.prefix = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-install-"))
        self.addCleanup(shutil.rmtree, self.prefix)
        subprocess.run([self.cmake, "--install", self.build, "--prefix", self.prefix, "--component",
                        "lab"], check=True, stdout=subprocess.DEVNULL)
        # The command line, as its own component would put it there.
        shutil.copy(self.build / "bin" / "holdfast", self.prefix / "bin" / "holdfast")

    def lab(self, *words):
        done = subprocess.run([self.prefix / "bin" / "holdfast", "lab", *map(str, words)],
                              capture_output=True, text=True, timeout=90, check=False, cwd="/",
                              env={**os.environ, "HOLDFAST_LAB": str(self.prefix / "state")})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_it_runs_from_where_it_was_installed(self):
        for command in ("up", "advise", "torture", "aws", "fault", "relay"):
            self.lab(command, "--help")
        self.lab("up", "--detach")
        self.addCleanup(self.lab, "down")
        self.assertIn("eu-central-1", self.lab("status"))
        self.lab("device", "pump-17", "--out", self.prefix / "pump-17")
        self.assertTrue((self.prefix / "pump-17" / "device.toml").exists())
        self.assertIn("pump-17", self.lab("aws", "iot", "list-things"))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--build", type=pathlib.Path, required=True)
    arguments.add_argument("--cmake", default="cmake")
    known, rest = arguments.parse_known_args()
    InstallTest.build, InstallTest.cmake = known.build.resolve(), known.cmake
    unittest.main(argv=[sys.argv[0], *rest])

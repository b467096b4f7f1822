#!/usr/bin/env python3
"""The bill of materials of a build, against docs/dependencies.md and what Debian says of licences.

    sbom_test.py BUILD
"""
import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(sys.argv[1]).resolve()
# What a Debian copyright file calls a licence.
DEBIANS = {"MIT": "Expat|MIT", "Apache-2.0": "Apache", "BSL-1.0": "BSL-1.0", "curl": "License: curl",
           "EPL-2.0 OR BSD-3-Clause": "EPL-2.0 or EDL-1.0", "BSD-2-Clause": "BSD-2-clause",
           "BSD-3-Clause": "BSD-3-clause", "LGPL-2.1-or-later": r"LGPL-2.1\+|Lesser\s+General",
           "GPL-3.0-or-later WITH GCC-exception-3.1": "(?i)GCC runtime library exception",
           "GPL-2.0-only WITH Linux-syscall-note": "GPL-2|General Public License"}


def load():
    loader = importlib.machinery.SourceFileLoader("sbom", str(HERE / "sbom"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("sbom", loader))
    loader.exec_module(module)
    return module


sys.dont_write_bytecode = True
SBOM = load()


class Bill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bill = SBOM.bill(BUILD)
        cls.packages = {entry["name"]: entry for entry in cls.bill["components"] if "purl" in entry}

    def test_the_table_has_what_is_built_and_nothing_besides(self):
        for package in SBOM.licences():
            installed = subprocess.run(["dpkg-query", "-W", package], capture_output=True, check=False)
            if installed.returncode == 0:
                self.assertIn(package, self.packages, "in the table, but nothing takes it")

    def test_licences_are_those_that_debian_names(self):
        for name, entry in self.packages.items():
            text = pathlib.Path(f"/usr/share/doc/{name}/copyright").read_text(encoding="utf-8")
            self.assertRegex(text, DEBIANS[entry["licenses"][0]["expression"]], name)

    def test_versions_are_the_installed_ones_and_references_lead_somewhere(self):
        ssl = self.packages["libssl3"]
        version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libssl3"], check=True,
                                 capture_output=True, text=True).stdout
        self.assertEqual(ssl["version"], version)
        self.assertRegex(ssl["purl"], r"^pkg:deb/debian/libssl3@[^?+]+\?arch=\w+&distro=debian-12$")
        refs = [entry["bom-ref"] for entry in self.bill["components"]]
        self.assertEqual(len(refs), len(set(refs)))
        for each in self.bill["dependencies"]:
            self.assertTrue(each["dependsOn"], each["ref"])
            self.assertLessEqual(set(each["dependsOn"]), set(refs))

    def test_a_package_that_is_not_in_the_table_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            table = pathlib.Path(folder) / "table.md"
            text = SBOM.TABLE.read_text(encoding="utf-8")
            table.write_text(re.sub(r"`libssl3`, ", "", text), encoding="utf-8")
            with mock.patch.object(SBOM, "TABLE", table), mock.patch("sys.stderr") as told:
                with self.assertRaises(SystemExit):
                    SBOM.bill(BUILD)
        self.assertIn("libssl3; add them there", str(told.mock_calls))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

#!/usr/bin/env python3
"""Updates of Debian packages by holdfast-updater, with the real dpkg and a database of its own: good ones,
ill ones, ones whose scripts fail or hang, ones that are cut, and ones that are none.

    package_update_test.py --bin DIR      DIR: the programs of a build
"""
import hashlib
import os
import shutil
import signal
import subprocess
import unittest

from region_fixture import run
from tool.programs import Programs
from updater_fixture import PRESIGNED, UpdaterTest

SECTION = """
[application.packed]
package = "holdfast-test-pump"
check = ["{folder}/root/check"]
stable = "1s"
"""
VERSIONS = ("0", "1.0~~", "1.0~rc1-1", "1.0~rc1-1+b1", "1.0~rc2", "1.0", "1.0-1", "1.0-1a", "1.0-1+b1",
            "1.0-2", "1.0-10", "1.0a", "1.0+x", "1.0.1", "1.2", "1.10", "1:0.1", "2:0")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("dpkg-deb"), "dpkg installs as root only")
class PackageTest(UpdaterTest):
    def setUp(self):
        super().setUp()
        self.database = self.device / "dpkg"
        for folder in ("info", "updates", "triggers"):
            (self.database / folder).mkdir(parents=True)
        for file in ("status", "available"):
            (self.database / file).touch()
        # dpkg and dpkg-query: not the machine's packages.
        os.environ["DPKG_ADMINDIR"] = str(self.database)
        self.addCleanup(os.environ.pop, "DPKG_ADMINDIR")
        self.configure()

    def configure(self, timeout="60s"):
        self.settings(timeout=timeout)
        with open(self.device / "updater.toml", "a", encoding="utf-8") as file:
            file.write(SECTION.format(folder=self.device))

    def again(self, timeout):
        self.end_updater(self.updater)
        self.configure(timeout)
        self.start()

    def package(self, version, well=True, architecture="all", fields="", **scripts):
        """A package in the lab's bucket, whose only files are below the device's folder."""
        tree = self.device / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        inside = tree / self.device.relative_to("/") / "root"
        inside.mkdir(parents=True)
        (inside / "check").write_text(f"#!/bin/sh\nexit {0 if well else 1}\n", "ascii")
        (inside / "check").chmod(0o755)
        (inside / "version").write_text(version, "ascii")
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            f"Package: holdfast-test-pump\nVersion: {version}\nArchitecture: {architecture}\n"
            "Maintainer: Test <test@example.com>\nDescription: of a test\n" + fields, "ascii")
        for name, text in scripts.items():
            (tree / "DEBIAN" / name).write_text("#!/bin/sh\n" + text, "ascii")
            (tree / "DEBIAN" / name).chmod(0o755)
        folder = self.region.file("files") / "firmware"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.name}-{version}-{architecture}.deb".replace(":", "_")
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, folder / name], check=True,
                       stdout=subprocess.DEVNULL)
        content = (folder / name).read_bytes()
        update = {"application": "packed", "version": version, "url": PRESIGNED % name,
                  "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        update["signature"] = self.sign_update(update)
        return update

    def queued(self, *words, prove="30s", **scripts):
        return self.queue({"holdfast": 1, "update": self.package(*words, **scripts) |
                           {"prove_within": prove}})

    def installed(self):
        """As dpkg has it."""
        said = subprocess.run(
            ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Version}", "holdfast-test-pump"],
            capture_output=True, text=True, check=False).stdout
        file = self.device / "root" / "version"
        if said.startswith("ii "):
            self.assertEqual(file.read_text("ascii"), said[3:])
        return said

    def kept(self):
        folder = self.device / "updater" / "packages" / "holdfast-test-pump"
        return sorted(one.name for one in folder.glob("*.deb"))

    def test_good_ones_are_installed_and_ill_ones_taken_back(self):
        self.start()
        self.ends(self.queued("1.0-1"), "SUCCEEDED")
        self.assertEqual(self.installed(), "ii 1.0-1")
        self.ends(self.queued("1.0-2"), "SUCCEEDED")
        self.assertEqual(self.kept(), ["1.0-1.deb", "1.0-2.deb"])
        details = self.ends(self.queued("1:0.9~rc1", well=False, prove="5s"), "FAILED")
        self.assertIn("its check failed", details["reason"])
        self.assertIn("the version before is back", details["reason"])
        self.assertEqual(self.installed(), "ii 1.0-2")
        # A script that fails, and one that does not even let it be taken back.
        details = self.ends(self.queued("1.1", postinst="echo no luck >&2; exit 3\n"), "FAILED")
        self.assertIn("no luck", details["reason"])
        self.assertEqual(self.installed(), "ii 1.0-2")
        details = self.ends(self.queued("1.2", postinst="exit 3\n", prerm="exit 3\n",
                                        postrm="exit 3\n"), "FAILED")
        self.assertIn("the version before is back", details["reason"])
        self.assertEqual(self.installed(), "ii 1.0-2")
        # One that needs what is not installed.
        details = self.ends(self.queued("1.2.1", fields="Depends: holdfast-test-absent\n"), "FAILED")
        self.assertIn("the version before is back", details["reason"])
        self.assertEqual(self.installed(), "ii 1.0-2")
        self.ends(self.queued("1.3"), "SUCCEEDED")
        self.assertEqual(self.installed(), "ii 1.3")
        self.assertEqual(self.kept(), ["1.0-2.deb", "1.3.deb"])

    def test_the_first_one_is_removed_if_it_is_ill(self):
        self.start()
        self.ends(self.queued("1.0", postinst="exit 1\n"), "FAILED")
        self.assertNotIn("ii ", self.installed())
        self.assertFalse((self.device / "root" / "check").exists())

    def test_what_cannot_be_gone_back_from_or_is_no_such_package_is_refused(self):
        self.start()
        by_hand = self.package("1.0-1")
        file = self.region.file("files") / "firmware" / by_hand["url"].rpartition("/")[2].strip("}")
        subprocess.run(["dpkg", "--install", file], check=True, stdout=subprocess.DEVNULL)
        self.assertIn("there is no package of version 1.0-1",
                      self.ends(self.queued("2.0"), "REJECTED")["reason"])
        # What apt has kept of it is found.
        cache = self.device / "cache"
        cache.mkdir()
        shutil.copy(file, cache / "holdfast-test-pump_1.0-1_all.deb")
        new = self.package("2.0")
        subprocess.run(
            [self.bin / "holdfast-updater", "--package", "install", "holdfast-test-pump",
             self.device / "updater" / "packages" / "holdfast-test-pump", cache], check=True,
            env={**os.environ, "HOLDFAST_VERSION": "2.0", "HOLDFAST_ARTIFACT":
                 str(self.region.file("files") / "firmware" / f"{self.name}-2.0-all.deb")})
        self.assertEqual(self.kept(), ["1.0-1.deb", "2.0.deb"])
        self.ends(self.queue({"holdfast": 1, "update": new}), "SUCCEEDED")
        for update, words in ((self.package("1.9"), "older than 2.0"),
                              (self.package("2.1", architecture="hurd-i386"), "hurd-i386"),
                              (self.package("2.0~rc1"), "older than 2.0"),
                              (self.package("2.2") | {"version": "2.3"}, "it is no package"),
                              (self.artifact("2.4") | {"application": "packed"}, "it is no package")):
            update["signature"] = self.sign_update(update)
            with self.subTest(words=words):
                self.assertIn(words, self.ends(self.queue({"holdfast": 1, "update": update}),
                                               "REJECTED")["reason"])
        self.assertEqual(self.installed(), "ii 2.0")

    def test_a_script_that_hangs_is_ended_and_another_ones_lock_is_waited_for(self):
        self.start()
        self.ends(self.queued("1.0"), "SUCCEEDED")
        self.again(timeout="6s")
        details = self.ends(self.queued("1.1", postinst="sleep 985\n"), "FAILED", 120)
        self.assertIn("did not end in time", details["reason"])
        self.assertEqual(self.installed(), "ii 1.0")
        self.assertEqual(subprocess.run(["pgrep", "-f", "sleep 985"], check=False,
                                        stdout=subprocess.DEVNULL).returncode, 1)
        self.again(timeout="60s")
        # As apt does while it is at work.
        holder = subprocess.Popen(
            ["python3", "-c", "import fcntl, sys\nfile = open(sys.argv[1], 'w')\n"
             "fcntl.lockf(file, fcntl.LOCK_EX)\nprint('held', flush=True)\nsys.stdin.read()",
             self.database / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait, 20)
        self.addCleanup(holder.kill)
        self.assertEqual(holder.stdout.readline(), b"held\n")
        job = self.queued("1.2")
        self.wait(lambda: "lock" in self.words(), 90, "the lock")
        self.assertEqual(self.execution(job)["status"], "IN_PROGRESS")
        holder.stdin.close()
        self.ends(job, "SUCCEEDED")
        self.assertEqual(self.installed(), "ii 1.2")

    def test_one_that_is_cut_in_its_scripts_is_installed_all_the_same(self):
        self.start()
        self.ends(self.queued("1.0"), "SUCCEEDED")
        cut = self.device / "cut"
        job = self.queued("1.1", preinst=f"test -e {cut} && exit 0\ntouch {cut}\nsleep 984\n")
        self.wait(cut.exists, 30, "the script")
        os.killpg(self.updater.pid, signal.SIGKILL)
        self.updater.wait()
        self.start()
        self.ends(job, "SUCCEEDED")
        self.assertEqual(self.installed(), "ii 1.1")

    def test_versions_have_the_order_that_dpkg_has(self):
        for one, other in zip(VERSIONS, VERSIONS[1:]):
            subprocess.run([Programs.system("dpkg"), "--compare-versions", one, "lt", other], check=True)


if __name__ == "__main__":
    run(__doc__)

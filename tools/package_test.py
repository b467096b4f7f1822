#!/usr/bin/env python3
"""The Debian packages on a machine: installed, upgraded, removed and purged by the real dpkg.

Goal:   programs start, a project builds with the library, an upgrade and a removal keep what is the
        user's, and a purge leaves nothing.
Method: an overlay of this machine's file system in a mount namespace of its own, all in RAM.
Usage:  package_test.py FOLDER [TEST…]    exit code 77 (skipped) without root and overlays

FOLDER is where tools/package put the packages: build/packages.
"""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77
LIMIT = 300  # seconds for each command
INSIDE = "HOLDFAST_PACKAGE_TEST_INSIDE"
NAMES = ("holdfast", "holdfast-updater", "holdfast-fleet", "holdfast-lab", "libholdfast-dev")
# What dpkg, and the user that is left on purpose, leave behind after a purge.
LEFT = ("var/lib/dpkg/", "var/cache/", "var/log/", "var/lib/systemd/", "etc/ld.so.cache", "etc/.pwd.lock",
        "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "tmp/")


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          timeout=LIMIT, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def version_of(deb):
    return run("dpkg-deb", "-f", deb, "Version").strip()


def bumped(deb, folder):
    """The same package with a later version, without building it anew."""
    tree = folder / deb.stem
    run("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN" / "control"
    text = control.read_text(encoding="utf-8")
    old = version_of(deb)
    for line in ("Version: %s", "(= %s)"):
        text = text.replace(line % old, line % (old + "+1"))
    control.write_text(text, encoding="utf-8")
    made = folder / (deb.stem + "+1.deb")
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, made)
    return made


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-packages-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.debs = sorted(FOLDER.glob("*.deb"))
        names = {run("dpkg-deb", "-f", deb, "Package").strip() for deb in cls.debs}
        assert names >= set(NAMES), f"{FOLDER} has {names}: run tools/package"

    def setUp(self):
        memory = self.folder / self.id().rsplit(".", 1)[1]
        memory.mkdir()
        run("mount", "-t", "tmpfs", "tmpfs", memory)
        self.addCleanup(run, "umount", "--recursive", memory)
        self.root, self.upper = memory / "root", memory / "upper"
        for folder in (self.root, self.upper, memory / "work"):
            folder.mkdir()
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir=/,upperdir={self.upper},workdir={memory}/work", self.root)
        # No systemd runs there, as in an image that is being made.
        for kind, place in (("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "tmp")):
            run("mount", "-t", kind, kind, self.root / place)
        run("mount", "--bind", "/dev", self.root / "dev")
        self.install(self.debs)

    def inside(self, *command):
        return run("chroot", self.root, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                   "DEBIAN_FRONTEND=noninteractive", *command)

    def install(self, debs):
        place = self.root / "tmp" / "debs"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for deb in debs:
            shutil.copy(deb, place)
        self.inside("dpkg", "--install", *(f"/tmp/debs/{deb.name}" for deb in debs))

    def state(self, package):
        return self.inside("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package)

    def put(self, name, text="mine"):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def test_programs_start_and_dpkg_is_content(self):
        version = version_of(self.debs[0])
        for name in NAMES:
            self.assertEqual(self.state(name), f"installed {version}")
        self.assertEqual(self.inside("dpkg", "--verify", *NAMES), "")
        self.assertEqual(self.inside("dpkg", "--audit", *NAMES), "")
        self.assertIn("0.", self.inside("holdfast", "--version"))
        self.assertIn("--config", self.inside("holdfastd", "--help"))
        self.assertIn("--topic", self.inside("holdfast", "doctor", "--help"))
        self.assertIn("--check", self.inside("holdfast-updater", "--help"))
        self.assertIn("--presence", self.inside("holdfast", "fleet", "--help"))
        self.assertIn("AWS IoT Core", self.inside("holdfast", "lab", "--help"))
        for page in ("man1/holdfast.1", "man8/holdfastd.8", "man8/holdfast-updater.8",
                     "man1/holdfast-fleet.1", "man1/holdfast-lab.1"):
            text = run("zcat", self.root / "usr/share/man" / (page + ".gz"))
            self.assertIn(".SH NAME", text)

    def test_the_agents_user_and_the_folder_of_its_keys(self):
        user = self.inside("getent", "passwd", "holdfast").split(":")
        self.assertEqual(user[5:], ["/var/lib/holdfast", "/usr/sbin/nologin\n"])
        folder = (self.root / "etc/holdfast").stat()
        self.assertEqual((stat.S_IMODE(folder.st_mode), folder.st_uid, folder.st_gid),
                         (0o750, 0, int(user[3])))

    def test_the_example_and_the_units_are_good(self):
        self.inside("holdfastd", "--check", "--config",
                    "/usr/share/doc/holdfast/examples/loopback.toml")
        if shutil.which("systemd-analyze"):
            for unit in ("holdfastd.service", "holdfastd.socket", "holdfast-updater.service"):
                self.inside("systemd-analyze", "verify", "--man=no", f"/lib/systemd/system/{unit}")

    def test_a_project_builds_with_the_library(self):
        source = self.root / "tmp" / "consumer"
        shutil.copytree(ROOT / "examples" / "consumer", source)
        shutil.copy(ROOT / "examples" / "minimal.cpp", self.root / "tmp")
        self.inside("cmake", "-S", "/tmp/consumer", "-B", "/tmp/build")
        self.inside("cmake", "--build", "/tmp/build")
        self.inside("sh", "-c", "c++ -std=c++20 /tmp/minimal.cpp $(pkg-config --cflags --libs holdfast)"
                    " -o /tmp/build/by-pc")
        for program in ("minimal", "by-pc"):
            with self.assertRaisesRegex(AssertionError, "exit code 2\n(?s:.*)nothing.toml"):
                self.inside(f"/tmp/build/{program}", "/nothing.toml")

    def test_an_upgrade_and_a_removal_keep_what_is_the_users_and_a_purge_leaves_nothing(self):
        mine = [self.put(name) for name in (
            "etc/holdfast/holdfast.toml", "etc/holdfast/device.key", "etc/holdfast/updater.toml",
            "var/lib/holdfast/outbox/segment", "var/lib/holdfast-updater/job")]
        for unit in ("multi-user.target.wants/holdfastd.service",
                     "sockets.target.wants/holdfastd.socket",
                     "multi-user.target.wants/holdfast-updater.service"):
            link = self.root / "etc/systemd/system" / unit
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(f"/lib/systemd/system/{link.name}")
        # From here on there seems to be a systemd, which does not answer.
        (self.root / "run/systemd/system").mkdir(parents=True)
        self.install([bumped(deb, self.root / "tmp") for deb in self.debs])
        for name in NAMES:
            self.assertTrue(self.state(name).endswith("+1"), self.state(name))
        self.inside("holdfast", "--version")
        names = [run("dpkg-deb", "-f", deb, "Package").strip() for deb in self.debs]
        self.inside("dpkg", "--remove", *names)
        for program in ("holdfast", "holdfastd", "holdfast-updater", "holdfast-lab"):
            self.assertFalse((self.root / "usr/bin" / program).exists(), program)
        for file in mine:
            self.assertEqual(file.read_text(encoding="utf-8"), "mine")
        self.inside("dpkg", "--purge", "holdfast")
        self.assertEqual([file.exists() for file in mine], [False, False, True, False, True])
        self.inside("dpkg", "--purge", *(name for name in names if name != "holdfast"))
        left = [str(path.relative_to(self.upper)) for path in self.upper.rglob("*")
                if path.is_symlink() or path.is_file()]
        self.assertEqual([name for name in left if not name.startswith(LEFT)], [])
        self.assertFalse((self.root / "etc/holdfast").exists())


def missing():
    """Why this cannot run here, or None."""
    if os.geteuid() != 0:
        return "this needs root"
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return None if probe.returncode == 0 else "namespaces cannot be made here"


if __name__ == "__main__":
    if missing():
        print("skipped: " + missing())
        sys.exit(SKIPPED)
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "yes"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, "-B",
                              *sys.argv])
    FOLDER = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)

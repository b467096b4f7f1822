#!/usr/bin/env python3
"""The Debian package under a real systemd: installed, upgraded and removed while the agent runs.

Goal:   a first installation starts nothing, an upgrade restarts what runs and loses nothing of what
        waits, and a removal stops it in order.
Method: as deploy/systemd/boot_test.py: systemd boots on an overlay of this machine's file system.
Usage:  upgrade_test.py FOLDER    exit code 77 (skipped) without root, systemd or cgroup2

FOLDER is where tools/package put the packages.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE + "/../systemd", HERE + "/../../tools"]
import boot_test as machine  # pylint: disable=wrong-import-position


# ---- inside, started by systemd ------------------------------------------------------------------

def dpkg(*words):
    return subprocess.run(["dpkg", *words], timeout=machine.WAIT, check=False).returncode


def told(*words):
    return subprocess.run(words, timeout=machine.WAIT, check=False, capture_output=True,
                          text=True).stdout.strip()


def scene():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    seen = {"install": dpkg("--install", "/old.deb"),
            "fresh": [told("systemctl", "is-active", "holdfastd"),
                      told("systemctl", "is-enabled", "holdfastd")],
            "enable": machine.systemctl("enable", "--now", "holdfastd.socket", "holdfastd"),
            "running": machine.until(lambda now: now["ActiveState"] == "active"),
            "accepted": machine.holdfast("publish", "a/b", "kept", "--wait", "accepted")}
    seen["upgrade"] = dpkg("--install", "/new.deb")
    old = seen["running"]["MainPID"]
    seen["upgraded"] = machine.until(lambda now: now["ActiveState"] == "active" and
                                     now["MainPID"] not in ("0", old))
    seen["waiting"] = told("holdfast", "outbox", "ls", "--socket", machine.SOCKET)
    seen["remove"] = dpkg("--remove", "holdfast")
    seen["removed"] = [told("systemctl", "is-active", unit)
                       for unit in ("holdfastd.service", "holdfastd.socket")]
    seen["kept"] = os.path.exists("/etc/holdfast/holdfast.toml")
    seen["journal"] = told("journalctl", "-o", "cat", "--no-pager")
    with open("/scene.json", "w", encoding="utf-8") as file:
        json.dump(seen, file)


# ---- outside -------------------------------------------------------------------------------------

def furnish(root, folder):
    """Brings the package in two versions, and the scene, into the tree."""
    import package_test
    import pathlib
    for name, text in machine.FILES.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    deb = glob.glob(folder + "/holdfast_*.deb")[0]
    shutil.copy(deb, root + "/old.deb")
    shutil.move(package_test.bumped(pathlib.Path(deb), pathlib.Path(root)), root + "/new.deb")
    shutil.copy(__file__, root + "/boot_test.py")  # which the scene's unit starts
    os.makedirs(root + "/systemd")
    shutil.copy(machine.__file__, root + "/systemd")
    if os.path.exists(root + "/usr/sbin/policy-rc.d"):  # a container's, that forbids all starts
        os.remove(root + "/usr/sbin/policy-rc.d")


class Upgrade(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seen = machine.booted(os.path.abspath(__file__), FOLDER)

    def test_a_first_installation_starts_nothing(self):
        self.assertEqual((self.seen["install"], self.seen["fresh"]), (0, ["inactive", "disabled"]))

    def test_an_upgrade_restarts_what_runs_and_what_waits_goes_on(self):
        seen = self.seen
        self.assertEqual((seen["enable"], seen["accepted"], seen["upgrade"]), (0, 0, 0),
                         seen["journal"])
        self.assertEqual(seen["upgraded"]["ActiveState"], "active", seen["journal"])
        self.assertNotEqual(seen["upgraded"]["MainPID"], seen["running"]["MainPID"])
        self.assertIn("a/b", seen["waiting"])

    def test_a_removal_stops_agent_and_socket_and_keeps_the_configuration(self):
        seen = self.seen
        self.assertEqual((seen["remove"], seen["removed"]), (0, ["inactive", "inactive"]))
        self.assertTrue(seen["kept"])
        self.assertEqual(seen["journal"].count("stopped; messages waiting"), 2)


if __name__ == "__main__":
    if sys.argv[1] == "--scene":
        scene()
    elif sys.argv[1] == "--boot":
        machine.boot(lambda root: furnish(root, sys.argv[2]), *sys.argv[3:])
    else:
        FOLDER = os.path.abspath(sys.argv.pop(1))
        if machine.missing():
            print("skipped: " + machine.missing())
            sys.exit(machine.SKIPPED)
        unittest.main(verbosity=2)

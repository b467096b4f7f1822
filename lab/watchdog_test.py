#!/usr/bin/env python3
"""The agent and a hardware watchdog, for real: in a virtual machine with a kernel and a watchdog's driver.

Whatever of the agent stands still, or all of the machine, is reset, and named afterwards; an outage
of the cloud never is. The watchdog is QEMU's i6300ESB.

    watchdog_test.py --bin DIR      DIR: the programs of a build
Exit: 0 all passed, 1 something failed, 77 no virtual machine can be had here.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import torture_guest
from tool.programs import Programs

LIMIT = 6           # seconds: the watchdog's
BUDGET = 4          # seconds that a part may stand still
OUTAGE = 40         # seconds without a cloud, many times longer than both
PATIENCE = 240      # seconds for a whole test: the emulated processor is slow, and the machine shared
CONFIGURATION = f"""
[connection]
host = "127.0.0.1"
port = 1
client_id = "watched"
[tls]
enabled = false
[outbox]
directory = "/run/outbox"
[local]
socket = "/run/agent.sock"
[watchdog]
device = "/dev/watchdog0"
timeout = "{LIMIT}s"
loop = "{BUDGET}s"
storage = "{BUDGET}s"
callbacks = "{BUDGET}s"
"""
AGENT_SAYS_RESET = "the hardware watchdog has reset this machine before this start"


def agent_files(binaries, program="holdfastd", name=None):
    """A program, and the libraries that it loads under the paths that it loads them from."""
    agent = binaries / program
    with tempfile.NamedTemporaryFile() as small:
        subprocess.run([Programs.system("strip"), "-o", small.name, agent], check=True)
        files = {name or program: pathlib.Path(small.name).read_bytes()}
    listed = subprocess.run([Programs.system("ldd"), agent], capture_output=True, text=True,
                            check=True).stdout
    for word in listed.split():
        if word.startswith("/"):
            files[word.lstrip("/")] = pathlib.Path(word).read_bytes()
    return files


class WatchdogTest(unittest.TestCase):
    binaries = None

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="holdfast-watchdog-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.initrd = cls.folder / "initrd"
        torture_guest.make_initrd(cls.initrd, {
            "init": (cls.binaries / "hf_watchdog_guest").read_bytes(),
            "device.toml": CONFIGURATION.encode(), **agent_files(cls.binaries)},
            torture_guest.WATCHDOG)

    def live(self, *words):
        """A machine to whose agent this happens, until it is switched off; what it has said."""
        machine = torture_guest.Machine(
            self.folder, self._testMethodName, self.initrd, words, torture_guest.WATCHDOG,
            ("-device", "i6300esb", "-action", "watchdog=reset"))
        self.addCleanup(machine.kill)
        ended = machine.wait(lambda: False, time.monotonic() + PATIENCE)
        said = machine.console.read_text(encoding="utf-8", errors="replace").replace("\r", "")
        self.assertTrue(ended, said)
        self.assertIn("init: a first start", said)
        self.assertIn(f"hardware watchdog /dev/watchdog0 (i6300ESB timer) resets this machine when it is "
                      f"not fed for {LIMIT} s", said)
        self.assertIn("init: power off", said)
        return said

    def assert_reset(self, said, named=None,
                     reason="watchdog: said by watchdog0 (i6300ESB timer)"):
        before, reset, after = said.partition("init: the watchdog has reset the machine")
        self.assertTrue(reset, said)
        self.assertIn("init: done: ", before)
        self.assertIn(AGENT_SAYS_RESET, after)
        self.assertIn(f"this machine was started after: {reason}", after)
        self.assertIn("init: the agent has ended: 0", after)
        if named:
            self.assertRegex(before, rf"stuck: {named}, for \d s; in another \d s the watchdog is no longer fed")
            self.assertRegex(before, rf"stuck: {named}, for \d+ s; the watchdog is no longer fed, and "
                                     rf"resets this machine within {LIMIT} s")
        else:
            self.assertNotIn("stuck: ", before)

    def test_an_outage_of_the_cloud_resets_nothing_and_an_end_in_order_stops_it(self):
        said = self.live("outage", OUTAGE)
        self.assertIn("offline: tcp_refused", said)
        self.assertIn("init: the outage is over", said)
        self.assertIn("init: the agent has ended: 0", said)
        self.assertIn("init: the watchdog has been stopped", said)
        self.assertNotIn("stuck: ", said)
        self.assertNotIn("init: the watchdog has reset the machine", said)

    def test_a_loop_that_stands_still(self):
        self.assert_reset(self.live("thread", "hf-loop"), "the event loop")

    def test_a_storage_thread_that_stands_still(self):
        self.assert_reset(self.live("thread", "hf-storage"), "the storage thread")

    def test_a_callback_that_never_returns(self):
        self.assert_reset(self.live("thread", "hf-callbacks"), "the callbacks")

    def test_an_agent_that_stands_still(self):
        self.assert_reset(self.live("process"))

    def test_an_agent_that_is_killed_and_not_started_again(self):
        self.assert_reset(self.live("kill"))

    def test_a_kernel_that_hangs(self):
        self.assert_reset(self.live("kernel"), reason="kernel_panic: sysrq triggered crash")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("names", nargs="*", help="of tests; default: all")
    asked = parser.parse_args()
    WatchdogTest.binaries = asked.bin.resolve()
    why = torture_guest.missing(torture_guest.WATCHDOG)
    if why:
        print(f"skipped: {why}")
        return 77
    names = [f"WatchdogTest.{name}" for name in asked.names] or ["WatchdogTest"]
    suite = unittest.defaultTestLoader.loadTestsFromNames(names, sys.modules[__name__])
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

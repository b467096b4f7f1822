"""What tests beside a real NetworkManager or ModemManager have in common: daemons, and an agent."""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from tool.programs import start, wait_for

SKIPPED = 77


class Daemons:
    """Those of one world, by name; each with a log in its folder."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = {}

    def spawn(self, name, command):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = start(command, stdout=log, stderr=log)

    def kill(self, name):
        process = self.processes.pop(name)
        process.terminate()
        process.wait(20)

    def stop_still(self, name):
        """It is there, and does nothing."""
        self.processes[name].send_signal(signal.SIGSTOP)

    def go_on(self, name):
        self.processes[name].send_signal(signal.SIGCONT)

    def kill_hard(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait(20)

    def end(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


class AgentTest(unittest.TestCase):
    """An agent with the device.toml of `files`, in a world that all tests of a class share."""

    bin = None
    world_of: type[Daemons]
    files: pathlib.Path

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-world-"))  # a socket's path is short
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.world = cls.world_of(cls.folder)
        cls.addClassCleanup(cls.world.end)

    def run_agent(self):
        """A running agent, and what ends it before the test does."""
        with open(self.files / "agent.log", "ab") as log:
            process = subprocess.Popen([self.bin / "holdfastd", "--config", self.files / "device.toml"],
                                       stderr=log, stdin=subprocess.DEVNULL)

        def end():
            process.terminate()
            process.wait(30)
        self.addCleanup(end)
        wait_for((self.files / "agent.sock").exists, 20, "the agent's socket")
        return process, end

    def ask(self, *words):
        return subprocess.run(
            [self.bin / "holdfast", *map(str, words), "--socket", self.files / "agent.sock"],
            capture_output=True, text=True, timeout=60, check=False)

    def status(self):
        return json.loads(self.ask("status", "--json").stdout)

    def wait_state(self, condition, seconds, what):
        """The status when this is true of it."""
        def seen():
            now = self.status()
            if condition(now):
                return now
            time.sleep(0.1)  # each look starts a program
            return None
        try:
            return wait_for(seen, seconds, what)
        except Exception as trouble:
            raise AssertionError(f"{trouble}; {self.status()}\n{self.log()[-3000:]}") from trouble

    def log(self):
        return (self.files / "agent.log").read_text(encoding="utf-8", errors="replace")


def main(about, case, missing, enter):
    """The main program of such a test, in namespaces of its own; its exit code. `missing` and `enter` are
    those of network_world."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--require", action="store_true")
    parser.add_argument("names", nargs="*", help="of tests; default: all")
    asked = parser.parse_args()
    why = missing()
    if why:
        print(f"skipped: {why}")
        required = asked.require or os.environ.get("HOLDFAST_REQUIRE_NETWORKMANAGER") == "1"
        return 1 if required else SKIPPED
    enter()
    case.bin = asked.bin.resolve()
    names = [f"{case.__name__}.{name}" for name in asked.names] or [case.__name__]
    suite = unittest.defaultTestLoader.loadTestsFromNames(names, sys.modules[case.__module__])
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1

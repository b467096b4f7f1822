#!/usr/bin/env python3
"""Changes of the agent's configuration by jobs of a local IoT Core: judged by the agent's own check, tried,
proven by a connection, or else taken back and reported.

    configuration_job_test.py --bin DIR      DIR: the programs of a build
"""
import json
import os
import re
import signal
import subprocess
import time

from region_fixture import run
from updater_fixture import UpdaterTest, script

SECTION = """
[application.configuration]
file = "{folder}/device.toml"
validate = ["{bin}/holdfastd", "--check", "--config"]
restart = ["{folder}/reload"]
stable = "2s"
"""
READ = "configuration read again"    # the agent's word


class ConfigurationTest(UpdaterTest):
    def setUp(self):
        super().setUp()
        self.settings()
        with open(self.device / "updater.toml", "a", encoding="utf-8") as file:
            file.write(SECTION.format(folder=self.device, bin=self.bin))
        self.file = self.device / "device.toml"
        self.old = self.file.read_text("utf-8")
        self.file.chmod(0o640)
        script(self.device / "reload", f"kill -HUP {self.agent.pid}\n")
        self.start()

    def change(self, version, text, sign=True, prove="30s"):
        """The job, made as its author would."""
        fresh = self.device / "fresh.toml"
        fresh.write_text(text, "utf-8")
        key = ["--key", self.device / "sign.key"] if sign else []
        made = subprocess.run(
            [self.bin / "holdfast-updater", "job", "make", fresh, "--application", "configuration",
             "--release", version, "--text", *key], check=True, capture_output=True, text=True)
        document = json.loads(made.stdout)
        document["update"]["prove_within"] = prove
        return self.queue(document)

    def astray(self):
        """A configuration that is right, but leads nowhere."""
        return re.sub(r"(?m)^port = \d+", "port = 1", self.old)

    def unchanged(self):
        return self.file.read_text("utf-8") == self.old

    def test_a_good_change_stays_and_goes_on_from_there(self):
        good = self.old + "\n[log]\nlevel = \"debug\"\n"
        self.ends(self.change("1", good), "SUCCEEDED")
        self.assertEqual(self.file.read_text("utf-8"), good)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o640)
        self.assertIn(READ, self.log(self.name))
        self.assertIn("runs here already", self.ends(self.change("1", good), "REJECTED")["reason"])
        self.assertIn("older than 1", self.ends(self.change("0.9", self.old), "REJECTED")["reason"])
        self.ends(self.change("2", self.old), "SUCCEEDED")
        self.assertTrue(self.unchanged())
        # What somebody has changed by hand has no version, and is gone back to as it is.
        self.old += "# by hand\n"
        self.file.write_text(self.old, "utf-8")
        self.ends(self.change("3", self.astray(), prove="6s"), "FAILED")
        self.assertTrue(self.unchanged())

    def test_what_the_agent_does_not_take_is_rejected_with_its_words(self):
        details = self.ends(self.change("1", self.old + "\n[log]\nlevel = \"loud\"\n"), "REJECTED")
        self.assertRegex(details["reason"], r"log\.level: .*loud")
        self.assertTrue(self.unchanged())
        self.assertIn("signature is missing",
                      self.ends(self.change("1", self.old, sign=False), "REJECTED")["reason"])
        self.assertNotIn(READ, self.log(self.name))
        self.assertEqual(list(self.device.glob("*.candidate")), [])

    def test_one_that_cuts_the_device_off_is_taken_back_and_reported(self):
        details = self.ends(self.change("1", self.astray(), prove="6s"), "FAILED")
        self.assertIn("no answer from the cloud", details["reason"])
        self.assertIn("the version before is back", details["reason"])
        self.assertTrue(self.unchanged())
        self.ends(self.change("1.1", self.old + "# better\n"), "SUCCEEDED")

    def test_it_is_taken_back_after_kills_of_the_updater(self):
        job = self.change("1", self.astray(), prove="5s")
        self.wait(lambda: not self.unchanged(), 30, "the trial")
        deadline = time.monotonic() + 60
        while not self.unchanged() and time.monotonic() < deadline:
            os.killpg(self.updater.pid, signal.SIGKILL)
            self.updater.wait()
            self.start()
            time.sleep(0.7)
        self.assertTrue(self.unchanged(), self.words())
        self.ends(job, "FAILED", 90)
        self.assertTrue(self.unchanged())


if __name__ == "__main__":
    run(__doc__)

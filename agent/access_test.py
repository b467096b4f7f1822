#!/usr/bin/env python3
"""Programs of different users at the local API of one agent: each within its section [client.NAME].

Goal:   what docs/configuration.md says of [client.NAME], with real users and real sockets.
Method: `holdfast` as the user nobody, with and without the socket's group. Needs root.
Usage:  access_test.py BIN_DIR [unittest arguments]
"""
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import Lab  # noqa: E402

NOBODY = 65534
SECTION = """
[client.sensor]
user = "nobody"
publish = ["plant/+/rpm"]
subscribe = ["plant/command/#"]
lanes = ["normal"]
"""


@unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
class Access(Lab):
    def as_nobody(self, *args, group=True):
        """The command line of a user who is in the socket's group, or not."""
        def become():
            os.setgroups([os.getgid()] if group else [])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return subprocess.run([self.program_for_all("holdfast"), *args, "--socket", self.socket],
                              text=True, capture_output=True, timeout=60, preexec_fn=become)

    def test_a_user_does_what_its_section_allows(self):
        self.broker()
        self.agent(self.config(extra=SECTION))
        self.until_state("connected")
        done = self.as_nobody("publish", "plant/7/rpm", "1480", "--wait", "delivered")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.as_nobody("status").returncode, 0)
        for args, words in ((("publish", "plant/7/off", "1"), "to publish to \"plant/7/off\""),
                            (("publish", "plant/7/rpm", "1", "--lane", "urgent"), "the lane"),
                            (("subscribe", "plant/#"), "to subscribe to \"plant/#\""),
                            (("outbox", "ls"), "control = true")):
            done = self.as_nobody(*args)
            self.assertNotEqual(done.returncode, 0, done.stdout)
            self.assertIn("permission denied: [client.sensor] does not allow", done.stderr)
            self.assertIn(words, done.stderr)
        self.assertEqual(self.cli("publish", "plant/7/off", "1").returncode, 0, "root may")
        self.assertIn("permission denied: [client.sensor]", self.agent_log())

    def test_who_has_no_section_may_do_nothing(self):
        self.agent(self.config(extra=SECTION.replace('"nobody"', '"daemon"')))
        self.one_line_error(self.as_nobody("status"), 1, "no section [client.NAME]")

    def test_who_is_not_in_the_sockets_group_does_not_get_in(self):
        self.agent(self.config(extra=SECTION))
        self.assertEqual(self.as_nobody("status", group=False).returncode, 3)

    def test_a_user_that_does_not_exist_is_named(self):
        config = self.config(extra=SECTION.replace('"nobody"', '"no-such-user"'))
        done = subprocess.run([agent_test.BIN + "/holdfastd", "--config", config], text=True,
                              capture_output=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("client.sensor.user: \"no-such-user\" is not known to this machine",
                      done.stderr)


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main()

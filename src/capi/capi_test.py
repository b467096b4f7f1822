#!/usr/bin/env python3
"""The C interface, as a C program uses it: libholdfast.so and a real mosquitto.

Goal:   every call of holdfast.h does what the header says; what is wrong is refused with a code and a
        sentence; a message that was held when the program ended comes again.
Method: capi_test.c makes the calls and checks the results; here are its brokers and the other end.
Usage:  capi_test.py BIN_DIR [unittest arguments]
"""
import os
import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent.parent / "agent"))
import agent_test  # noqa: E402
from agent_test import Lab  # noqa: E402

LIMIT = 120  # seconds for a program; an upper bound


class CApi(Lab):
    def settings(self):
        return self.config(tls="false", ca="", cert="", key="", client_id="capi", socket="")

    def passes(self, child):
        said = child.communicate(timeout=LIMIT)[0]
        self.assertEqual(child.returncode, 0, said)
        self.assertRegex(said, r"[1-9][0-9]* checks, 0 failed\n$")

    def test_what_is_wrong_is_refused(self):
        self.passes(self.run_c("input"))

    def test_messages_requests_and_all_the_rest(self):
        self.broker(tls=False)
        self.passes(self.run_c("traffic"))

    def test_a_message_that_was_held_comes_again(self):
        self.broker(tls=False)
        first = self.run_c("held")
        self.assertEqual(first.stdout.readline(), "ready\n")
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "held/x", "-q", "1", "-m", "1"],
                       check=True, timeout=LIMIT)
        self.passes(first)
        second = self.run_c("again")
        self.assertEqual(second.stdout.readline(), "ready\n")
        self.passes(second)

    def run_c(self, mode):
        return self.start(os.path.join(agent_test.BIN, "capi_test"), mode, self.settings(),
                          stdout=subprocess.PIPE)


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv[1])
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])

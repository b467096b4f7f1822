#!/usr/bin/env python3
"""Heartbeats of programs at a real agent: given by real programs, which end, hang and are killed.

Goal:   a program that falls silent is told once, in log, status and the service manager's words, and
        holds the watchdog only if it is configured to; a restart of the agent is survived.
Method: `holdfast heartbeat` and clients of the socket; the test is the service manager.
Usage:  heartbeat_test.py BIN_DIR [unittest arguments]
"""
import json
import os
import signal
import socket
import sys
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import wait_until  # noqa: E402
from service_test import LIMIT, Managed  # noqa: E402

VITAL = """
[heartbeat.vital]
every = "300ms"
watchdog = true
"""
# A program that beats over one connection until it is killed.
BEATING = """
import json, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
while True:
    s.send(json.dumps({"op": "heartbeat", "name": sys.argv[2], "every_ms": 300}).encode() + b"\\n")
    time.sleep(0.05)
"""


class Heartbeats(Managed):
    def beat(self, *args):
        done = self.cli("heartbeat", *args)
        self.assertEqual(done.returncode, 0, done.stderr)

    def phase(self, name):
        return {one["name"]: one["phase"] for one in self.status()["heartbeats"]}.get(name)

    def until_phase(self, name, phase):
        wait_until("%s is %s" % (name, phase), lambda: self.phase(name) == phase)

    def ready(self, extra="", **environment):
        agent = self.managed(extra, **environment)
        self.until_told("READY", "1")
        return agent

    def program(self, name):
        child = self.start(sys.executable, "-c", BEATING, self.socket, name)
        self.until_phase(name, "beating")
        return child

    def test_one_that_stops_is_told_once_and_so_is_its_return(self):
        self.ready()
        events = socket.socket(socket.AF_UNIX)
        self.addCleanup(events.close)
        events.connect(self.socket)
        lines = events.makefile("rw")
        self.addCleanup(lines.close)
        lines.write('{"op":"events"}\n')
        lines.flush()
        self.beat("pump", "--every", "200ms")
        self.until_told("STATUS", "Missed heartbeats: pump.")
        event = next(e for e in map(json.loads, lines) if e.get("event") == "heartbeat")
        self.assertEqual((event["name"], event["phase"]), ("pump", "missed"))
        self.assertIn("heartbeat  pump: missed", self.cli("status").stdout)
        self.beat("pump", "--every", "1h")
        wait_until("it is back", lambda: "heartbeat pump is back" in self.agent_log())
        self.assertEqual(self.phase("pump"), "beating")
        self.assertEqual(self.status()["heartbeat_misses"], 1)
        self.assertEqual(self.agent_log().count("heartbeat pump is missed"), 1)

    def test_a_program_that_is_killed_is_missed_and_one_that_ends_in_order_is_not(self):
        self.ready()
        killed, hung = self.program("killed"), self.program("hung")
        self.beat("ends", "--every", "200ms")
        self.beat("ends", "--end")
        killed.kill()
        hung.send_signal(signal.SIGSTOP)
        self.until_phase("killed", "missed")
        self.until_phase("hung", "missed")
        self.assertIsNone(self.phase("ends"))
        hung.send_signal(signal.SIGCONT)
        self.until_phase("hung", "beating")

    def test_only_a_configured_one_holds_the_watchdog_and_is_named_before_the_bite(self):
        self.ready(VITAL, WATCHDOG_USEC=str(int(LIMIT * 1e6)))
        self.beat("other", "--every", "100ms")
        self.until_phase("other", "missed")
        self.until_told("WATCHDOG", "1")
        program = self.program("vital")
        self.assertEqual(self.cli("health").returncode, 0)
        program.kill()
        wait_until("it is named", lambda: "stuck: the applications: vital;" in self.agent_log())
        self.assertEqual(self.signs(LIMIT), 0)
        done = self.cli("health", "--timeout", "300ms")
        self.one_line_error(done, 1, "the applications' heartbeats")
        self.program("vital")
        self.until_told("WATCHDOG", "1")

    def test_a_restart_of_the_agent_waits_for_a_configured_one_but_does_not_bite_again(self):
        agent = self.ready(VITAL)
        self.beat("vital")
        self.beat("other", "--every", "1h")
        agent.kill()
        agent.wait()
        self.ready(VITAL, WATCHDOG_USEC=str(int(LIMIT * 1e6)))
        self.assertEqual(self.phase("vital"), "awaited")
        self.assertIsNone(self.phase("other"), "it begins anew with its next beat")
        self.assertGreater(self.signs(LIMIT), 0)

    def test_what_is_refused_says_why(self):
        self.ready()
        self.one_line_error(self.cli("heartbeat", "a b", "--every", "1s"), 1, "letters, digits")
        self.one_line_error(self.cli("heartbeat", "new"), 1, "say how often")
        self.one_line_error(self.cli("heartbeat", "new", "--every", "25h"), 1, "every_ms")
        self.one_line_error(self.cli("heartbeat", "new", "--end"), 1, "no heartbeat of this name")


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

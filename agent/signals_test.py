#!/usr/bin/env python3
"""What a signal changes while holdfastd runs, and what clients that go away may not change.

Goal:   SIGHUP takes over another pace at once, slower as well as faster; no reader that has closed
        its end, of the local API or of our standard error, ends the agent or harms another client.
Method: a real mosquitto and real clients; the pace is measured on what the broker has acknowledged.
Usage:  signals_test.py BIN_DIR [unittest arguments]
"""
import json
import os
import signal
import socket
import struct
import sys
import time
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import Lab, wait_until  # noqa: E402

BACKLOG = 400
SLOW = 2  # messages a second
LOOK = 3.0  # seconds


class Pace(Lab):
    def paced(self, rate):
        return self.config(extra="[flow]\nmessages_per_second = %d\n" % rate)

    def publish(self, count):
        lines = "".join("%d\n" % i for i in range(count))
        done = self.cli("publish", "a/b", "--stdin-lines", "--wait", "accepted", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)

    def delivered(self):
        return self.status()["ledger"]["delivered"]

    def grows_by(self, seconds):
        began, before = time.monotonic(), self.delivered()
        time.sleep(seconds)  # a rate is measured over a time
        grown = self.delivered() - before
        return grown, time.monotonic() - began

    def test_sighup_takes_another_pace_at_once_faster_and_slower(self):
        self.broker()
        agent = self.agent(self.paced(SLOW))
        self.until_state("connected")
        self.publish(BACKLOG)
        grown, took = self.grows_by(LOOK)
        self.assertLessEqual(grown, SLOW * took + 2)
        self.paced(0)
        agent.send_signal(signal.SIGHUP)
        # At the old pace this takes minutes.
        wait_until("the backlog is delivered", lambda: self.delivered() == BACKLOG)
        self.paced(SLOW)
        agent.send_signal(signal.SIGHUP)
        wait_until("the reload is through",
                   lambda: self.agent_log().count("configuration read again") == 2)
        self.publish(BACKLOG)
        grown, took = self.grows_by(LOOK)
        self.assertLessEqual(grown, SLOW * took + 2)
        self.assertEqual(self.status()["connects"], 1, "another pace needs no other connection")


class GoneReaders(Lab):
    def speaker(self):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(self.socket)
        return client

    def lives(self, agent):
        self.assertIsNone(agent.poll())
        done = self.cli("publish", "a/b", "x", "--wait", "accepted")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_clients_that_closed_their_reading_end_or_reset_are_no_harm(self):
        """They ask for answers and events, which the agent then writes to nobody (EPIPE)."""
        agent = self.agent()
        asked = b'{"op":"events","id":1}\n{"op":"status","id":2}\n' * 50
        for leave in ("reading end", "at once", "reset"):
            for _ in range(20):
                client = self.speaker()
                if leave == "reading end":
                    client.shutdown(socket.SHUT_RD)
                client.sendall(asked)
                if leave == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if leave != "reading end":
                    client.close()
            self.lives(agent)
        self.assertTrue(json.loads(self.cli("status", "--json").stdout)["ledger"]["balanced"])

    def test_a_subscriber_that_no_longer_reads_gets_messages_and_the_others_do_too(self):
        self.broker()
        agent = self.agent()
        self.until_state("connected")
        gone = self.speaker()
        gone.sendall(b'{"op":"subscribe","id":1,"filter":"a/#"}\n')
        self.assertIn(b'"ok":true', gone.recv(4096))
        gone.shutdown(socket.SHUT_RD)
        other = self.start(agent_test.BIN + "/holdfast", "subscribe", "a/#", "--count", "5",
                           "--socket", self.socket, stdout=-1)
        deadline = time.monotonic() + agent_test.WAIT
        while other.poll() is None and time.monotonic() < deadline:
            self.cli("publish", "a/b", "news", "--wait", "delivered")
        self.assertEqual(other.wait(1), 0)
        self.lives(agent)

    def test_a_standard_error_that_nobody_reads_any_more_is_no_harm(self):
        reading, writing = os.pipe()
        agent = self.start(agent_test.BIN + "/holdfastd", "--config", self.config(), stderr=writing)
        os.close(writing)
        wait_until("the local API answers", self.answering)
        os.close(reading)
        for _ in range(5):
            agent.send_signal(signal.SIGUSR1)  # each a line
            self.lives(agent)
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(30), 0)


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

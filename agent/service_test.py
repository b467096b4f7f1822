#!/usr/bin/env python3
"""holdfastd under a service manager: what it tells, and when it stops giving signs of life.

Goal:   systemd hears when messages are accepted, the verdict in words, reloads and the stop; signs of
        life come through any outage, and end when a part of the agent stands still, which is named.
Method: the test is the service manager: a real datagram socket in NOTIFY_SOCKET. A part stands still
        because ptrace(2) stops its thread.
Usage:  service_test.py BIN_DIR [unittest arguments]
"""
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import Lab, wait_until  # noqa: E402
from frozen import Frozen  # noqa: E402

LIMIT = 2.0  # seconds of the watchdog


class Managed(Lab):
    """A service manager of the test's own, and agents that it starts."""

    def setUp(self):
        super().setUp()
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(self.path("notify"))
        self.manager.setblocking(False)
        self.heard = []  # the fields of each datagram

    def tearDown(self):
        super().tearDown()
        self.manager.close()

    def managed(self, extra="", **environment):
        with open(self.path("agent.log"), "a") as log:
            return self.start(agent_test.BIN + "/holdfastd", "--allow-core-dumps", "--config",
                              self.config(extra=extra),
                              stderr=log, env={**os.environ, "NOTIFY_SOCKET": self.path("notify"),
                                               **environment})

    def watched(self, **environment):
        return self.managed(WATCHDOG_USEC=str(int(LIMIT * 1e6)), **environment)

    def collect(self):
        """Takes what has come; the datagrams of this call."""
        new = []
        while True:
            try:
                text = self.manager.recv(4096).decode("ascii")
            except BlockingIOError:
                self.heard += new
                return new
            new.append(dict(line.split("=", 1) for line in text.splitlines()))

    def until_told(self, field, words):
        """The first datagram not looked at yet whose `field` has `words`; forgets those before it."""
        def told():
            self.collect()
            while self.heard:
                datagram = self.heard.pop(0)
                if words in datagram.get(field, ""):
                    return datagram
            return None
        return wait_until("%s=%s is told" % (field, words), told)

    def signs(self, seconds):
        """How many signs of life come within so many seconds from now."""
        self.collect()
        time.sleep(seconds)
        return sum("WATCHDOG" in datagram for datagram in self.collect())


class Told(Managed):
    def test_ready_comes_offline_and_by_then_messages_are_accepted(self):
        self.managed()
        self.until_told("STATUS", "opening")
        self.until_told("READY", "1")
        done = self.cli("publish", "a/b", "x", "--wait", "accepted")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(any("WATCHDOG" in one for one in self.heard + self.collect()),
                         "nobody asked for signs of life")

    def test_the_status_is_the_verdict_and_follows_the_connection(self):
        self.managed()
        self.until_told("STATUS", "offline, tcp_refused: ")
        broker = self.broker()
        self.until_told("STATUS", "connected to 127.0.0.1:%d" % self.port)
        broker.kill()
        broker.wait()
        self.until_told("STATUS", "offline, ")

    def test_a_reload_begins_and_ends_also_when_the_configuration_is_wrong(self):
        agent = self.managed()
        self.until_told("READY", "1")
        for text in (None, "[connection]\nhos = 1\n"):
            if text:
                self.write("device.toml", text)
            began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            agent.send_signal(signal.SIGHUP)
            self.assertGreaterEqual(int(self.until_told("RELOADING", "1")["MONOTONIC_USEC"]), began)
            self.until_told("READY", "1")
        self.assertIn("hos", self.agent_log())

    def test_the_stop_is_told_with_its_time(self):
        agent = self.managed()
        self.until_told("READY", "1")
        agent.send_signal(signal.SIGTERM)
        told = self.until_told("STOPPING", "1")
        self.assertGreater(int(told["EXTEND_TIMEOUT_USEC"]), 5_000_000, "more than stop_deadline")
        self.assertEqual(agent.wait(timeout=agent_test.WAIT), 0)

    def test_a_service_manager_that_is_gone_changes_nothing(self):
        agent = self.watched()
        self.until_told("READY", "1")
        self.manager.close()
        os.unlink(self.path("notify"))
        self.broker()
        self.until_state("connected")
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(timeout=agent_test.WAIT), 0)


class PassedSocket(Managed):
    """The socket of the local API comes from the service manager, which keeps it when we end."""

    def setUp(self):
        super().setUp()
        self.passed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.passed.close)
        self.passed.bind(self.socket)
        os.chmod(self.socket, 0o660)
        self.passed.listen(16)

    def activated(self, path=None, names="holdfastd.socket"):
        """An agent with our socket as its descriptor 3, as systemd would start it."""
        def pass_on():
            os.dup2(self.passed.fileno(), 3)  # inheritable then, whatever its number was
        with open(self.path("agent.log"), "a") as log:
            return self.start(
                "sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", agent_test.BIN + "/holdfastd", "--config",
                self.config(socket=path or self.socket), stderr=log, close_fds=False,
                preexec_fn=pass_on, env={**os.environ, "NOTIFY_SOCKET": self.path("notify"),
                                         "LISTEN_FDS": "1", "LISTEN_FDNAMES": names})

    def test_who_connects_before_the_start_or_between_two_is_served_and_the_file_stays(self):
        identity = os.stat(self.socket).st_ino
        for _ in range(2):
            early = socket.socket(socket.AF_UNIX)
            self.addCleanup(early.close)
            early.connect(self.socket)
            early.settimeout(30)
            early.sendall(b'{"op":"publish","id":1,"topic":"a/b","payload":"x"}\n')
            agent = self.activated()
            self.assertIn(b'"receipt":"accepted"', early.recv(4096))
            self.until_told("READY", "1")
            agent.send_signal(signal.SIGTERM)
            self.assertEqual(agent.wait(30), 0)
            self.assertEqual(os.stat(self.socket).st_ino, identity, "the manager's file stays")
        self.assertIn("serves the service manager's socket holdfastd.socket (%s)" % self.socket,
                      self.agent_log())

    def test_one_that_leads_elsewhere_is_said_and_ours_is_made(self):
        ours = self.path("ours.sock")
        self.activated(path=ours)
        self.until_told("READY", "1")
        self.assertIn("socket holdfastd.socket (%s) is not served; give local.socket" % self.socket,
                      self.agent_log())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(ours)

    def test_children_and_a_second_agent_do_not_take_it_for_theirs(self):
        # $LISTEN_PID is the sh's that started it, not its own.
        with open(self.path("agent.log"), "a") as log:
            child = self.start("sh", "-c", 'LISTEN_PID=$$ "$@"; exit $?', "sh",
                               agent_test.BIN + "/holdfastd", "--config", self.config(),
                               stderr=log, env={**os.environ, "LISTEN_FDS": "1"})
        self.assertEqual(child.wait(30), 4)
        self.assertIn("is in use", self.agent_log())


def has_aws_crt():
    done = subprocess.run([agent_test.BIN + "/holdfastd", "--version"], capture_output=True, text=True,
                          check=True)
    return "aws_crt" in done.stdout.split("engines:")[1]


class SignsOfLife(Managed):
    def test_they_come_through_an_outage(self):
        self.watched()
        self.until_told("STATUS", "offline, tcp_refused: ")
        for _ in range(4):
            self.until_told("WATCHDOG", "1")
        self.assertNotIn("stuck", self.agent_log())

    def test_they_are_not_for_another_process(self):
        self.managed(WATCHDOG_USEC="100000", WATCHDOG_PID="1")
        self.until_told("READY", "1")
        self.assertEqual(self.signs(1), 0)

    def named_while_frozen(self, agent, thread, part):
        """False: it stands still where it holds a lock of all (malloc's, the log's), which no thread does
        that is stuck by itself. Then the others stand still as well, and nobody is there to name it."""
        self.until_told("WATCHDOG", "1")
        with Frozen(agent.pid, thread):
            try:
                wait_until(part + " is named", lambda: "stuck: " + part in self.agent_log())
                return True
            except AssertionError:
                return False
            finally:
                self.assertEqual(self.signs(LIMIT), 0)

    def test_they_end_when_a_part_stands_still_which_is_named_and_come_again_with_it(self):
        agent = self.watched()
        for thread, part in (("hf-loop", "the event loop"), ("hf-storage", "the storage thread"),
                             ("hf-callbacks", "the callbacks")):
            with self.subTest(part=part):
                self.assertTrue(any(self.named_while_frozen(agent, thread, part) for _ in range(3)))
                self.until_told("WATCHDOG", "1")
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(timeout=agent_test.WAIT), 0)

    def test_an_engine_whose_own_thread_stands_still_is_named(self):
        if not has_aws_crt():
            self.skipTest("this build has no engine with a thread of its own")
        self.broker()
        agent = self.watched(HOLDFAST_CONNECTION_ENGINE="aws_crt")
        self.until_told("STATUS", "connected to ")
        self.assertTrue(any(self.named_while_frozen(agent, "AwsEventLoop1", "the engine")
                            for _ in range(3)))
        self.assertNotIn("stuck: the event loop", self.agent_log())
        self.until_told("WATCHDOG", "1")


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

#!/usr/bin/env python3
"""Programs that acknowledge what they get, and what ends between getting and acknowledging.

Goal:   a message is dealt with when a program has said so: neither a program that is killed, nor an agent
        that is killed, nor a lost connection costs one; and a program that never says so harms no other.
Method: the real agent with a real mosquitto, MQTT 5 and 3.1.1, each engine that is compiled in. Programs are
        sockets here and, where they are to be killed, processes. mosquitto sends at most 20 messages without
        a PUBACK, and sends them again to a session that comes back.
Usage:  acknowledge_test.py BIN_DIR [unittest arguments]
"""
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import WAIT, Lab, wait_until  # noqa: E402

# Prints what comes and acknowledges nothing.
DEAF = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\\n")
for line in s.makefile():
    print(line, end="", flush=True)
"""


class Program:
    """A client of the local API."""

    def __init__(self, test):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT)
        self.socket.connect(test.socket)
        self.lines = self.socket.makefile("rb")
        self.events = []
        test.addCleanup(self.end)

    def end(self):
        self.lines.close()
        self.socket.close()

    def read(self):
        line = self.lines.readline()
        if not line:
            raise AssertionError("the agent has ended the connection")
        return json.loads(line)

    def ask(self, op, **fields):
        self.socket.sendall(json.dumps({"op": op, "id": 1, **fields}).encode() + b"\n")
        while True:
            line = self.read()
            if "ok" in line:
                return line
            self.events.append(line)

    def subscribe(self, filter, **fields):
        answer = self.ask("subscribe", filter=filter, acknowledge=True, **fields)
        assert answer["ok"], answer
        return answer["subscription"]

    def message(self):
        while not self.events:
            line = self.read()
            if "ok" not in line:
                self.events.append(line)
        return self.events.pop(0)

    def acknowledge(self, *messages):
        return self.ask("acknowledge", deliveries=[m["delivery"] for m in messages])


class Acknowledge(Lab):
    def begin(self, connection="", extra=""):
        self.broker(tls=False)
        with open(self.config(tls="false", ca="", cert="", key="", extra=extra), encoding="utf-8") as file:
            text = file.read().replace("[connection]", "[connection]\n" + connection)
        self.settings = self.write("device.toml", text)
        keeper = self.agent(self.settings)
        self.until_state("connected")
        return keeper

    def begin_again(self, keeper, how=signal.SIGKILL):
        keeper.send_signal(how)
        keeper.wait(timeout=WAIT)
        if how == signal.SIGKILL:
            os.unlink(self.socket)
        keeper = self.agent(self.settings)
        self.until_state("connected")
        return keeper

    def send(self, topic, *texts):
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", topic, "-q", "1", "-l"],
                       input="".join(text + "\n" for text in texts), text=True, check=True, timeout=60)

    def until_granted(self, filter):
        def granted():
            return any(one["filter"] == filter and "granted" in one for one in self.status()["filters"])
        wait_until(filter + " is granted", granted)

    def counts(self):
        return self.status()["acknowledgements"]

    def nothing_comes_again(self, keeper):
        """Of what was acknowledged, when the agent has ended: a mark is the first that comes."""
        self.begin_again(keeper, signal.SIGTERM)
        program = Program(self)
        program.subscribe("work/+")
        self.until_granted("work/+")
        self.send("work/mark", "mark")
        self.assertEqual(program.message()["payload"], "mark")

    def test_what_a_killed_program_had_is_given_to_the_next(self):
        keeper = self.begin()
        first = self.start(sys.executable, "-c", DEAF, self.socket,
                           json.dumps({"op": "subscribe", "filter": "work/+", "acknowledge": True}),
                           stdout=subprocess.PIPE)
        self.assertTrue(json.loads(first.stdout.readline())["ok"])
        self.until_granted("work/+")
        self.send("work/a", "one", "two")
        had = [json.loads(first.stdout.readline()) for _ in range(2)]
        self.assertEqual([m["payload"] for m in had], ["one", "two"])
        self.assertNotIn("duplicate", had[0])
        first.send_signal(signal.SIGKILL)
        first.wait()
        second = Program(self)
        second.subscribe("work/+")
        got = [second.message() for _ in range(2)]
        self.assertEqual([m["payload"] for m in got], ["one", "two"])
        self.assertEqual([m["duplicate"] for m in got], [True, True])
        self.assertEqual([m["delivery"] for m in got], [m["delivery"] for m in had])
        self.assertEqual(second.acknowledge(*got)["acknowledged"], 2)
        self.assertEqual(second.acknowledge(*got)["acknowledged"], 0)
        counts = self.counts()
        self.assertEqual((counts["waiting"], counts["acknowledged"], counts["repeated"]), (0, 2, 2))
        self.nothing_comes_again(keeper)

    def test_a_program_that_comes_before_the_end_of_the_other_is_noticed_gets_its_messages(self):
        self.begin()
        first, second = Program(self), Program(self)
        first.subscribe("work/+")
        self.until_granted("work/+")
        self.send("work/a", "one")
        first.message()
        second.subscribe("work/+")
        first.end()
        got = second.message()
        self.assertEqual((got["payload"], got["duplicate"]), ("one", True))
        self.assertEqual(second.acknowledge(got)["acknowledged"], 1)

    def kill_the_agent(self, connection):
        keeper = self.begin(connection)
        program = Program(self)
        program.subscribe("work/+")
        self.until_granted("work/+")
        self.send("work/a", "one", "two", "three")
        got = [program.message() for _ in range(3)]
        self.assertEqual(program.acknowledge(got[0])["acknowledged"], 1)
        self.send("work/a", "four")      # its PUBLISH goes behind the PUBACK of the first
        program.message()
        keeper = self.begin_again(keeper)
        wait_until("the broker has sent again what it has no PUBACK of",
                   lambda: self.counts()["waiting"] == 3)
        program = Program(self)
        program.subscribe("work/+")
        again = [program.message() for _ in range(3)]
        self.assertEqual([m["payload"] for m in again], ["two", "three", "four"])
        self.assertTrue(all(m["duplicate"] for m in again), again)
        self.assertEqual(program.acknowledge(*got)["acknowledged"], 0, "of the run before")
        self.assertEqual(program.acknowledge(*again)["acknowledged"], 3)
        self.nothing_comes_again(keeper)

    def test_the_broker_sends_again_what_a_killed_agent_had_given(self):
        self.kill_the_agent('mqtt_version = "5"')

    def test_with_mqtt_3_1_1_too(self):
        self.kill_the_agent('mqtt_version = "3.1.1"')

    def test_with_the_other_engine_too(self):
        engines = subprocess.run([agent_test.BIN + "/holdfastd", "--version"], capture_output=True,
                                 text=True, check=True, timeout=60).stdout
        if "aws_crt" not in engines:
            self.skipTest("one engine is compiled in")
        self.kill_the_agent('engine = "aws_crt"')

    def test_a_lost_connection_costs_no_message_and_gives_none_twice_that_is_worked_on(self):
        keeper = self.begin()
        program = Program(self)
        program.subscribe("work/+", within_ms=60000)
        self.until_granted("work/+")
        self.send("work/a", "one", "two")
        got = [program.message() for _ in range(2)]
        # The broker ends the connection, since another has our name for a moment.
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-i", "agent-test", "-c", "-t", "x",
                        "-m", "y", "-q", "1"], check=True, timeout=60)
        wait_until("it is connected again", lambda: self.status()["connects"] >= 2)
        self.until_state("connected")
        self.send("work/a", "three")
        self.assertEqual(program.message()["payload"], "three")
        self.assertEqual(program.acknowledge(*got)["acknowledged"], 2)
        self.assertEqual(self.counts()["waiting"], 1)
        self.begin_again(keeper)
        program = Program(self)
        program.subscribe("work/+")
        self.assertEqual(program.message()["payload"], "three")

    def test_a_program_that_never_acknowledges_harms_no_other(self):
        self.begin()
        deaf, other = Program(self), Program(self)
        deaf.subscribe("work/+", within_ms=1000)
        other.ask("subscribe", filter="other/+")
        self.until_granted("work/+")
        self.until_granted("other/+")
        self.send("work/a", *[str(i) for i in range(500)])     # far above the broker's window
        begun = time.monotonic()
        self.send("other/a", "hello")
        self.assertEqual(other.message()["payload"], "hello")
        waited = time.monotonic() - begun
        self.assertLess(waited, 10, "held up for the second that one message may take, once")
        done = self.cli("publish", "elsewhere", "x", "--wait", "delivered")
        self.assertEqual(done.returncode, 0, done.stderr)
        begun = time.monotonic()
        self.send("work/a", *[str(i) for i in range(500, 1000)])
        self.send("other/a", "again")
        self.assertEqual(other.message()["payload"], "again")
        status = self.status()
        self.assertEqual((status["connects"], status["inbound_dropped"]), (1, 0))
        wait_until("all have come", lambda: self.counts()["waiting"] == 1000)
        self.assertGreater(self.counts()["overdue"], 900)
        self.assertIn('a message for "work/+" is not acknowledged within 1000 ms', self.agent_log())
        deaf.end()
        program = Program(self)
        program.subscribe("work/+", window=1000)
        got = [program.message() for _ in range(1000)]
        self.assertEqual([int(m["payload"]) for m in got], list(range(1000)))
        self.assertEqual(sum("duplicate" in m for m in got), 16, "the window of the one before")
        program.acknowledge(*got)
        self.assertEqual(self.counts()["waiting"], 0)

    def test_a_group_waits_for_its_program_and_ends_when_told_to(self):
        self.begin()
        program = Program(self)
        program.subscribe("work/+", group="pump", linger_ms=60000)
        self.until_granted("work/+")
        program.end()
        self.send("work/a", "while nobody is there")
        wait_until("it waits", lambda: self.counts()["waiting"] == 1)
        program = Program(self)
        number = program.subscribe("work/+", group="pump")
        self.assertEqual(program.message()["payload"], "while nobody is there")
        self.assertTrue(program.ask("unsubscribe", subscription=number)["ok"])
        counts = self.counts()
        self.assertEqual((counts["groups"], counts["waiting"], counts["abandoned"]), (0, 0, 1))
        self.assertEqual(self.status()["filters"], [])
        program.subscribe("work/+", group="pump", linger_ms=0)
        program.end()
        wait_until("a group that does not linger ends with its program",
                   lambda: self.counts()["groups"] == 0)

    def test_the_command_line_acknowledges_what_it_has_printed(self):
        keeper = self.begin()
        def subscribe(count):
            return self.start(agent_test.BIN + "/holdfast", "subscribe", "work/+", "--acknowledge",
                              "--count", str(count), "--socket", self.socket, stdout=subprocess.PIPE)
        first = subscribe(2)
        self.until_granted("work/+")
        self.send("work/a", "one", "two", "three", "four")
        self.assertEqual(first.communicate(timeout=WAIT)[0], "one\ntwo\n")
        wait_until("the rest waits", lambda: self.counts()["waiting"] == 2)
        second = subscribe(2)
        self.assertEqual(second.communicate(timeout=WAIT)[0], "three\nfour\n")
        self.assertEqual(self.counts()["waiting"], 0)
        self.nothing_comes_again(keeper)

    def work_for_a_while(self, seen):
        """Takes messages and acknowledges each, until its time is over, or the agent's."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(self.socket)
            wish = {"op": "subscribe", "filter": "work/+", "acknowledge": True,
                    "window": random.randint(1, 40)}
            client.sendall(json.dumps(wish).encode() + b"\n")
            over = time.monotonic() + random.uniform(0.05, 1)
            for line in client.makefile("rb"):
                message = json.loads(line)
                if "delivery" in message:
                    seen.append(int(message["payload"]))
                    done = {"op": "acknowledge", "deliveries": [message["delivery"]]}
                    client.sendall(json.dumps(done).encode() + b"\n")
                if time.monotonic() > over:
                    return

    def test_none_is_lost_while_agent_and_programs_end_again_and_again(self):
        count = 900
        keeper = self.begin(extra="[safe_mode]\ncrashes = 0\n")
        seen, through = [], threading.Event()

        def program():
            while not through.is_set():
                self.work_for_a_while(seen)
                time.sleep(0.02)
        programs = [threading.Thread(target=program, daemon=True) for _ in range(3)]
        for one in programs:
            one.start()
        self.until_granted("work/+")
        for first in range(0, count, 30):
            self.send("work/a", *[str(number) for number in range(first, first + 30)])
            if first % 90 == 0:
                keeper = self.begin_again(keeper)
        wait_until("all have come", lambda: len(set(seen)) == count, 60)
        wait_until("none waits any more", lambda: self.counts()["waiting"] == 0)
        through.set()
        for one in programs:
            one.join(WAIT)
        self.assertEqual(set(seen), set(range(count)))
        # One that was not acknowledged, or whose PUBACK had not left: at most what was on the way.
        self.assertLess(len(seen), 2 * count)

    def test_metrics_count_them(self):
        port = agent_test.free_port()
        self.begin(extra='[metrics]\nlisten = "127.0.0.1:%d"\n' % port)
        program = Program(self)
        program.subscribe("work/+")
        self.until_granted("work/+")
        self.send("work/a", "one", "two")
        program.acknowledge(program.message())
        with socket.create_connection(("127.0.0.1", port), WAIT) as page:
            page.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: page.recv(65536), b"")).decode()
        for name, value in (('messages_total{result="acknowledged"}', 1),
                            ('messages_total{result="overdue"}', 0), ("waiting", 1), ("groups", 1)):
            self.assertRegex(text, re.escape("holdfast_acknowledge_" + name) + " %d\n" % value)


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main()

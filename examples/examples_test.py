#!/usr/bin/env python3
"""Each example does what its first lines promise, run as a user runs it.

Goal:   what is shown works: offline, across restarts, with a broker that comes and goes.
Method: the real programs with a real mosquitto; what was published is read by an independent client,
        whose session is made before, so that nothing is missed.
Usage:  examples_test.py BIN_DIR [LIBRARY] [unittest arguments]    LIBRARY: libholdfast.so, for Python
"""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "agent"))
import agent_test  # noqa: E402
from agent_test import Lab, free_port, wait_until  # noqa: E402

LIBRARY = ""
LIMIT = 60  # seconds; an upper bound


class Reader:
    """The lines that a program prints, as they come."""

    def __init__(self, child):
        self.child, self.lines = child, []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait(self, text, count=1):
        wait_until(f"it prints {text!r}: {self.lines}",
                   lambda: sum(text in line for line in self.lines) >= count, LIMIT)

    def end(self):
        code = self.child.wait(LIMIT)
        self.thread.join(LIMIT)
        return code


class Programs(Lab):
    """Programs, and the other end of what they publish."""

    def setUp(self):
        super().setUp()
        self.readers = []

    def tearDown(self):
        for reader in self.readers:  # before their files are closed
            reader.child.kill()
            reader.thread.join(LIMIT)
        super().tearDown()

    def settings(self, name="device", extra="", **change):
        return self.config(name + ".toml", extra, **{"tls": "false", "ca": "", "cert": "", "key": "",
                                                     "client_id": name, "socket": "",
                                                     "outbox": self.path(name + ".outbox"), **change})

    def reads(self, child):
        reader = Reader(child)
        self.readers.append(reader)
        return reader

    def launch(self, program, *words, **more):
        return self.reads(self.start(
            os.path.join(agent_test.BIN, program), *words, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more))

    def run_through(self, program, *words, lines="", code=0):
        done = subprocess.run([os.path.join(agent_test.BIN, program), *words], input=lines, text=True,
                              capture_output=True, timeout=LIMIT)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def watch(self, topic, port=None):
        """From here on the broker keeps what is published; heard(N) gives it."""
        port = str(port or self.port)
        subprocess.run(["mosquitto_sub", "-p", port, "-i", "outside", "-c", "-q", "1", "-t", topic,
                        "-E"], check=True, timeout=LIMIT)

    def heard(self, topic, count, port=None):
        done = subprocess.run(["mosquitto_sub", "-p", str(port or self.port), "-i", "outside", "-c",
                               "-q", "1", "-t", topic, "-C", str(count), "-F", "%t %p"], text=True,
                              capture_output=True, timeout=LIMIT)
        return done.stdout.splitlines()


class Examples(Programs):
    def test_basic(self):
        self.broker(tls=False)
        self.watch("demo/#")
        self.assertIn("delivered", self.run_through("basic", self.settings(), "demo/x", "21.5"))
        self.assertEqual(self.heard("demo/#", 1), ["demo/x 21.5"])
        self.assertIn("invalid_topic", self.run_through("basic", self.settings(), "demo/#", "x",
                                                        code=1))
        self.assertIn("usage", self.run_through("basic", code=2))
        self.assertIn("nowhere.toml", self.run_through("basic", "nowhere.toml", "a", "b", code=2))

    def test_resilient(self):
        resilient = self.launch("resilient", self.settings(), "demo/time")
        resilient.wait("waiting: tcp_refused")
        broker = self.broker(tls=False)
        resilient.wait("connected: none")
        resilient.wait("delivered")
        broker.kill()
        broker.wait()
        resilient.wait("tcp_refused", 2)
        self.broker(tls=False)
        resilient.wait("connected: none", 2)
        resilient.child.send_signal(signal.SIGHUP)
        resilient.wait("configuration reloaded")
        resilient.child.send_signal(signal.SIGTERM)
        self.assertEqual(resilient.end(), 0)
        resilient.wait("wait for the next start")

    def test_lanes(self):
        readings = "".join(f"{i}\n" for i in range(40))
        said = self.run_through("lanes", self.settings(), "38.5", lines=readings)  # nobody is there
        self.assertIn("41 accepted, 0 delivered, 41 wait", said)
        self.broker(tls=False)
        self.watch("plant/#")
        self.run_through("offline_logger", self.settings(), "plant/none", "30")
        heard = self.heard("plant/#", 41)
        self.assertEqual(heard[0], "plant/alarm 39")
        self.assertEqual(heard[1:], [f"plant/telemetry {i}" for i in range(40)])

    def test_offline_logger(self):
        lines = [f"line {i}" for i in range(500)]
        half = "\n".join(lines[:250]) + "\n"
        said = self.run_through("offline_logger", self.settings(), "log", lines=half)
        self.assertEqual(said, "250 accepted, 250 wait\n")
        self.broker(tls=False)
        self.watch("log")
        said = self.run_through("offline_logger", self.settings(), "log", "30",
                                lines="\n".join(lines[250:]) + "\n")
        self.assertEqual(said, "250 accepted, 0 wait\n")
        self.assertEqual(self.heard("log", 500), ["log " + line for line in lines])

    def test_multi_region(self):
        first, second = self.port, free_port()
        self.port = second
        self.broker(tls=False)
        self.port = first
        broker = self.broker(tls=False)
        arrived = []
        for port in (first, second):
            outside = self.start("mosquitto_sub", "-p", str(port), "-t", "numbers", "-q", "1", "-i",
                                 "outside", "-c", stdout=subprocess.PIPE)
            reader = self.reads(outside)
            reader.lines = arrived
        settings = self.settings(extra='[failover]\nafter = "1s"\n')
        program = self.launch("multi_region", settings, "numbers", f"127.0.0.1:{second}")
        program.wait("connected to primary")
        wait_until("numbers arrive there", lambda: len(arrived) >= 10)
        broker.kill()
        broker.wait()
        program.wait(f"connected to second (127.0.0.1:{second})")
        before = len(arrived)
        wait_until("numbers arrive here", lambda: len(arrived) >= before + 10)
        program.child.stdin.close()
        self.assertEqual(program.end(), 0)
        self.assertRegex(program.lines[-1], r"second\* 100 none; [1-9] changes, 0 wait$")
        numbers = sorted(set(map(int, arrived)))
        self.assertEqual(numbers[-10:], list(range(numbers[-10], numbers[-1] + 1)))

    def test_request(self):
        self.broker(tls=False)
        serving = self.launch("request", self.settings("server"), "serve")

        def answered():  # the first question may come before the server has subscribed
            with contextlib.suppress(AssertionError):
                return self.run_through("request", self.settings("client"))
        said = wait_until("an answer", answered, LIMIT)
        self.assertRegex(said, r"^[0-9]{10}\n$")
        serving.child.stdin.close()
        self.assertEqual(serving.end(), 0)

    def test_coroutines(self):
        self.broker(tls=False)
        self.watch("demo/steps")
        said = self.run_through("coroutines", self.settings())
        self.assertEqual(said, "one: delivered\ntwo: delivered\nthree: delivered\n")
        self.assertEqual(self.heard("demo/steps", 3),
                         [f"demo/steps {text}" for text in ("one", "two", "three")])


@unittest.skipUnless(len(sys.argv) > 2 and sys.argv[2].startswith("/"), "no libholdfast.so was built")
class PythonBinding(Programs):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.environ["HOLDFAST_LIBRARY"] = LIBRARY
        sys.path.insert(0, str(HERE / "python-binding"))
        cls.holdfast = __import__("holdfast")

    def test_thermostat(self):
        self.broker(tls=False)
        self.watch("home/t1/temperature")
        program = self.reads(self.start(
            sys.executable, str(HERE / "python-binding" / "thermostat.py"), self.settings("any"),
            "t1", stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        program.wait("connected: none")

        def obeyed():
            subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "home/t1/wanted", "-q", "1",
                            "-m", "25"], check=True, timeout=LIMIT)
            return "wanted: 25.0" in program.lines
        wait_until("it obeys", obeyed)
        asked = subprocess.run(["mosquitto_rr", "-p", str(self.port), "-V", "5", "-t", "home/t1/get",
                                "-e", "answers/outside", "-m", "?", "-W", str(LIMIT)], text=True,
                               capture_output=True, timeout=2 * LIMIT)
        self.assertEqual(json.loads(asked.stdout), {"wanted": 25.0})
        program.child.send_signal(signal.SIGTERM)
        self.assertEqual(program.end(), 0)
        program.wait("left in order")
        self.assertRegex(self.heard("home/t1/temperature", 1)[0], r'\{"temperature": 18\.0\}$')

    def test_receipts_messages_and_errors(self):
        self.broker(tls=False)
        inbound, receipts, states = [], [], []
        with self.holdfast.Device(self.settings("py"), {"timing.backoff_cap": "2s"}) as device:
            device.on_connection(states.append)
            device.wait_connected(LIMIT)
            number = device.subscribe("all/+", inbound.append)
            receipt = device.publish("all/options", b"\0\xff", wait="delivered", timeout=LIMIT, lane="urgent",
                                     expiry=60, content_type="x/y", response_topic="answers/x",
                                     correlation=b"\0c", durability="spill",
                                     properties=[("unit", "Cel")])
            self.assertEqual((receipt.kind, receipt.last), ("delivered", True))
            wait_until("it comes back", lambda: inbound)
            message = inbound[0]
            self.assertEqual((message.topic, message.payload, message.content_type),
                             ("all/options", b"\0\xff", "x/y"))
            self.assertEqual((message.correlation, message.properties[0]), (b"\0c", ("unit", "Cel")))
            device.unsubscribe(number)
            device.publish("quiet", b"1", on_receipt=receipts.append)
            wait_until("both receipts", lambda: len(receipts) == 2)
            self.assertEqual([one.kind for one in receipts], ["accepted", "delivered"])
            self.assertFalse(self.holdfast._handlers.keys() - set(device._kept))
            device.heartbeat("loop", 60)
            self.assertEqual(device.status()["heartbeats"][0]["name"], "loop")
            with self.assertRaisesRegex(self.holdfast.Error, "invalid_topic") as caught:
                device.publish("all/#")
            self.assertEqual(caught.exception.name, "rejected")
            with self.assertRaises(TimeoutError):
                device.request("nobody/there", timeout=0.3)
            wait_until("connected is told", lambda: any(one.state == "connected" for one in states))
        with self.assertRaisesRegex(self.holdfast.Error, "device is NULL"):
            device.publish("a")
        with self.assertRaisesRegex(self.holdfast.Error, "did you mean connection.port"):
            self.holdfast.Device(self.settings("py"), {"connection.prot": "1"})

    def test_an_exception_in_a_handler_is_told_and_does_no_harm(self):
        self.broker(tls=False)
        told = []
        hook, sys.unraisablehook = sys.unraisablehook, told.append
        try:
            with self.holdfast.Device(self.settings("py")) as device:
                device.subscribe("a", lambda message: 1 / 0)
                wait_until("it is granted", lambda: any("granted" in one
                                                        for one in device.status()["filters"]))
                device.publish("a", wait="delivered", timeout=LIMIT)
                wait_until("it is told", lambda: told)
                device.publish("b", wait="delivered", timeout=LIMIT)
        finally:
            sys.unraisablehook = hook
        self.assertIs(told[0].exc_type, ZeroDivisionError)


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv[1])
    rest = sys.argv[2:]
    if rest and rest[0].startswith("/"):
        LIBRARY = rest.pop(0)
    unittest.main(argv=[sys.argv[0]] + rest)

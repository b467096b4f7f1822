#!/usr/bin/env python3
"""Goal:   hf_lab_relay stands between real MQTT clients and a real broker, and what it is told to do
        wrong is what they see, and what its trace says.
Method: mosquitto and its clients on loopback; orders over the control socket. A second or two each.
"""

import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from tool.place import Trouble
from tool.programs import Programs, end, free_port, run, start, wait_for

RELAY = None
PATIENCE = 10
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Orders:
    """The control socket of a relay."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rw", encoding="utf-8")

    def ask(self, op, **members):
        self.lines.write(json.dumps({"op": op, **members}) + "\n")
        self.lines.flush()
        return json.loads(self.lines.readline())

    def do(self, op, **members):
        answer = self.ask(op, **members)
        if "ok" not in answer:
            raise AssertionError(f"{op}: {answer}")
        return answer["ok"]

    def close(self):
        self.lines.close()
        self.socket.close()


class RelayTest(unittest.TestCase):
    def setUp(self):
        if RELAY is None:
            self.skipTest("no --relay given")
        try:
            mosquitto = Programs.system("mosquitto")
        except Trouble as trouble:
            self.skipTest(str(trouble))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-relay-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.broker_port = free_port()
        broker = start([mosquitto, "-p", self.broker_port],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(end, broker)
        wait_for(self.broker_answers, PATIENCE, "the broker")

    def broker_answers(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.broker_port), 1).close()
            return True
        return False

    # -- the relay --

    def relay(self, *options):
        command = [RELAY, "--upstream", f"127.0.0.1:{self.broker_port}",
                   "--control", self.folder / "control", "--trace", self.folder / "trace", *options]
        process = start(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(end, process)
        self.port = json.loads(process.stdout.readline())["listening"]
        self.orders = Orders(self.folder / "control")
        self.addCleanup(self.orders.close)
        return process

    def trace(self, event=None):
        lines = (self.folder / "trace").read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        return [each for each in events if event in (None, each["ev"])]

    def wait_for_event(self, event, **members):
        def found():
            return [each for each in self.trace(event)
                    if all(each.get(key) == value for key, value in members.items())]
        wait_for(found, PATIENCE, f"{event} {members}")
        return found()[0]

    # -- clients --

    def publish(self, *options, port=None, timeout=PATIENCE):
        command = ["mosquitto_pub", "-h", "localhost", "-p", str(port or self.port), "-i", "pump",
                   "-t", "pumps/1", "-m", "hello", "-q", "1", *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)

    def subscriber(self, *options, port=None):
        command = ["mosquitto_sub", "-h", "localhost", "-p", str(port or self.port), "-i", "ear",
                   "-t", "pumps/#", "-q", "1", "-C", "1", *map(str, options)]
        process = start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(end, process)
        return process


class Plain(RelayTest):
    def test_passes_a_message_and_writes_down_every_packet(self):
        self.relay()
        ear = self.subscriber("-V", "5")
        self.wait_for_event("packet", type="SUBACK")
        self.assertEqual(self.publish("-V", "5").returncode, 0)
        self.assertEqual(ear.communicate(timeout=PATIENCE)[0], "hello\n")
        self.wait_for_event("close", client="ear")
        published = self.wait_for_event("packet", type="PUBLISH", way="up")
        self.assertEqual((published["topic"], published["qos"], published["payload"]),
                         ("pumps/1", 1, "hello"))
        self.assertTrue(published["passed"])
        types = [each["type"] for each in self.trace("packet")
                 if each["conn"] == published["conn"]]
        self.assertEqual(types, ["CONNECT", "CONNACK", "PUBLISH", "PUBACK", "DISCONNECT"])
        first_end = [each for each in self.trace("end") if each["conn"] == published["conn"]][0]
        self.assertEqual(first_end["by"], "peer")

    def test_black_hole_holds_everything_until_it_is_over(self):
        self.relay()
        ear = self.subscriber()
        self.wait_for_event("packet", type="SUBACK")
        self.orders.do("faults.set", faults="black-hole")
        self.assertEqual(self.publish(port=self.broker_port).returncode, 0)
        with self.assertRaises(subprocess.TimeoutExpired):
            ear.communicate(timeout=0.5)
        self.orders.do("faults.clear")
        self.assertEqual(ear.communicate(timeout=PATIENCE)[0], "hello\n")

    def test_refuses_connections(self):
        self.relay("--faults", '"refuse"')
        self.assertNotEqual(self.publish().returncode, 0)
        self.assertTrue(self.trace("refused"))
        self.assertFalse(self.trace("accept"))
        self.orders.do("faults.clear")
        self.assertEqual(self.publish().returncode, 0)

    def test_withholds_acknowledgements_and_counts_them(self):
        self.relay("--faults", '"no-puback"')
        with self.assertRaises(subprocess.TimeoutExpired):
            self.publish(timeout=1)
        withheld = self.wait_for_event("packet", type="PUBACK")
        self.assertFalse(withheld["passed"])
        self.assertTrue(withheld["notes"])
        self.orders.do("faults.set", faults={"rules": [
            {"name": "all", "packets": "PUBACK", "scope": "all", "drop": True}]})
        with self.assertRaises(subprocess.TimeoutExpired):
            self.publish(timeout=1)
        self.assertEqual(self.orders.do("faults.get")["rules"]["all"]["applied"], 1)

    def test_kicks_with_a_reason(self):
        self.relay()
        self.subscriber("-V", "5")
        self.wait_for_event("packet", type="SUBACK")
        (connection,) = self.orders.do("connections")
        self.assertEqual((connection["client"], connection["state"]), ("ear", "open"))
        self.assertEqual(self.orders.do("kick", client="nobody")["kicked"], 0)
        self.assertEqual(self.orders.do("kick", client="ear", how="disconnect",
                                        reason=0x8E)["kicked"], 1)
        self.assertEqual(self.wait_for_event("packet", type="DISCONNECT", by="lab")["reason"], 0x8E)

    def test_a_broker_that_is_away_is_a_reset_for_the_device(self):
        self.relay("--faults", '{"upstream": "refuse"}')
        self.assertNotEqual(self.publish().returncode, 0)
        self.wait_for_event("upstream_failed")

    def test_follows_a_scenario(self):
        file = self.folder / "scenario.toml"
        file.write_text('name = "short"\n[[steps]]\nafter = "1s"\nfaults = "refuse"\nfor = "1h"\n')
        self.relay("--scenario", file, "--time-scale", "10")
        self.wait_for_event("faults", by="scenario")
        self.assertNotEqual(self.publish().returncode, 0)

    def test_wrong_orders_are_answered(self):
        self.relay()
        self.assertIn("faults", self.orders.ask("faults.set", faults={"up": {"speed": 1}})["error"])
        self.assertIn("error", self.orders.ask("faults.set", faults="expired-server-certificate"))
        self.assertIn("faults.set", self.orders.ask("nonsense")["known"])
        self.assertEqual(self.publish().returncode, 0)

    def test_ends_in_order_at_sigterm(self):
        process = self.relay()
        self.subscriber("-E")
        self.wait_for_event("close", client="ear")  # else its end may come behind "stop"
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(self.trace()[-1]["ev"], "stop")
        self.assertFalse((self.folder / "control").exists())


class Tls(RelayTest):
    def setUp(self):
        super().setUp()
        run(Programs.system("openssl"), "req", "-x509", *NEW_KEY, "-days", "30", "-subj",
            "/CN=Test CA", "-keyout", self.folder / "ca.key", "-out", self.folder / "ca.crt")
        self.certify("localhost", "DNS:localhost", "server")
        self.certify("demo-device", "DNS:demo-device", "client")
        wrong = self.folder / "wrong"
        wrong.mkdir()
        self.certify("localhost", "DNS:localhost", "wrong/expired", "-days", "-1")

    def certify(self, common, names, base, *options):
        """Key and certificate of the test's CA."""
        openssl, folder = Programs.system("openssl"), self.folder
        (folder / f"{base}.ext").write_text(f"subjectAltName={names}\n")
        run(openssl, "req", *NEW_KEY, "-subj", f"/CN={common}", "-keyout", folder / f"{base}.key",
            "-out", folder / f"{base}.csr")
        run(openssl, "x509", "-req", "-in", folder / f"{base}.csr", "-CA", folder / "ca.crt",
            "-CAkey", folder / "ca.key", "-CAcreateserial", *(options or ("-days", "30")), "-out",
            folder / f"{base}.crt", "-extfile", folder / f"{base}.ext")

    def relay_with_tls(self, *options):
        return self.relay("--tls", "terminate", "--cert", self.folder / "server.crt",
                          "--key", self.folder / "server.key", "--certificates",
                          self.folder / "wrong", *options)

    def identity(self):
        return ["--cafile", self.folder / "ca.crt", "--cert", self.folder / "client.crt",
                "--key", self.folder / "client.key"]

    def test_terminates_tls_and_knows_the_device(self):
        self.relay_with_tls("--ca", self.folder / "ca.crt")
        self.assertEqual(self.publish(*self.identity()).returncode, 0)
        shaken = self.wait_for_event("tls")
        self.assertTrue(shaken["established"])
        self.assertEqual((shaken["subject"], shaken["chain_valid"], shaken["server_name"]),
                         ("CN=demo-device", True, "localhost"))
        self.assertEqual(len(shaken["certificate"]), 64)
        self.assertIn("suites", self.wait_for_event("client_hello"))
        self.assertEqual(self.wait_for_event("packet", type="PUBLISH")["payload"], "hello")

    def test_requires_a_client_certificate(self):
        self.relay_with_tls("--ca", self.folder / "ca.crt")
        self.assertNotEqual(self.publish(*self.identity()[:2]).returncode, 0)
        alerts = self.wait_for_event("tls", established=False)["alerts"]
        self.assertEqual([(each["by"], each["number"]) for each in alerts], [("lab", 116)])

    def test_shows_an_expired_certificate_and_the_devices_alert(self):
        self.relay_with_tls("--faults", '"expired-server-certificate"')
        self.assertNotEqual(self.publish(*self.identity()).returncode, 0)
        shaken = self.wait_for_event("tls")
        self.assertFalse(shaken["established"])
        self.assertEqual(shaken["alerts"][0]["by"], "peer")
        self.assertFalse(self.trace("packet"))
        self.orders.do("faults.clear")
        self.assertEqual(self.publish(*self.identity()).returncode, 0)

    def test_never_answers_a_client_hello(self):
        self.relay_with_tls("--faults", '"no-handshake"')
        with self.assertRaises(subprocess.TimeoutExpired):
            self.publish(*self.identity(), timeout=1)
        self.assertEqual(self.wait_for_event("client_hello")["server_name"], "localhost")
        self.wait_for_event("end", by="peer")
        self.assertFalse(self.trace("tls"))

    def test_a_certificate_that_is_not_there_is_an_error_at_once(self):
        self.relay_with_tls()
        self.assertIn("wrong-name.crt",
                      self.orders.ask("faults.set", faults="wrong-server-name")["error"])

    def test_speaks_tls_with_the_broker_and_passes_tls_through(self):
        port = free_port()
        conf = self.folder / "broker.conf"
        user = run("id", "-un").strip()
        conf.write_text(f"user {user}\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
                        f"require_certificate true\ncafile {self.folder}/ca.crt\n"
                        f"certfile {self.folder}/server.crt\nkeyfile {self.folder}/server.key\n")
        broker = start([Programs.system("mosquitto"), "-c", conf],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(end, broker)
        self.broker_port = port
        wait_for(self.broker_answers, PATIENCE, "the broker with TLS")
        first = self.relay("--upstream-tls", "--upstream-ca", self.folder / "ca.crt",
                           "--upstream-cert", self.folder / "client.crt", "--upstream-key",
                           self.folder / "client.key", "--upstream-name", "localhost")
        self.assertEqual(self.publish().returncode, 0)
        end(first)
        (self.folder / "trace").unlink()
        self.relay("--tls", "pass")
        self.assertEqual(self.publish(*self.identity()).returncode, 0)
        self.assertEqual(self.wait_for_event("client_hello")["server_name"], "localhost")
        self.assertGreater(self.wait_for_event("close")["up"], 500)
        self.assertFalse(self.trace("packet"))


class WebSocketTest(RelayTest):
    """A device that speaks MQTT over WebSocket (RFC 6455), by hand."""

    def upgrade(self, target="/mqtt"):
        self.peer = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(self.peer.close)
        self.stream = self.peer.makefile("rb")
        self.addCleanup(self.stream.close)
        self.peer.sendall((f"GET {target} HTTP/1.1\r\nHost: lab\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                           "Sec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        head = b"".join(iter(self.stream.readline, b"\r\n"))
        return head.decode()

    def send(self, data):
        """A binary frame, masked with zeros."""
        self.peer.sendall(bytes([0x82, 0x80 | len(data)]) + bytes(4) + data)

    def receive(self):
        head = self.stream.read(2)
        self.assertEqual((head[0], head[1] & 0x80), (0x82, 0))
        return self.stream.read(head[1])

    def test_mqtt_over_websocket_goes_to_the_broker_and_meets_the_faults(self):
        self.relay("--websocket")
        head = self.upgrade()
        self.assertTrue(head.startswith("HTTP/1.1 101"), head)
        self.assertIn("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)
        self.send(b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4pump")
        self.assertEqual(self.receive(), b"\x20\2\0\0")
        publish = b"\x32\x08\0\3a/b\0%cx"
        self.send(publish % 1)
        self.assertEqual(self.receive(), b"\x40\2\0\1")
        self.orders.do("faults.set", faults="no-puback")
        self.send(publish % 2)
        self.send(b"\xc0\0")
        self.assertEqual(self.receive(), b"\xd0\0")  # PINGRESP; the PUBACK was withheld
        self.assertTrue(any(each.get("type") == "PUBLISH" for each in self.trace("packet")))

    def test_what_is_no_upgrade_is_answered_by_http(self):
        self.relay("--websocket")
        self.assertTrue(self.upgrade("/elsewhere").startswith("HTTP/1.1 404"))


class Arguments(unittest.TestCase):
    def refused(self, code, *options):
        if RELAY is None:
            self.skipTest("no --relay given")
        done = subprocess.run([RELAY, *options], capture_output=True, text=True, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def test_are_checked(self):
        self.assertIn("--upstream", self.refused(2))
        self.assertIn("host:port", self.refused(2, "--upstream", "x"))
        self.assertIn("--cert", self.refused(2, "--upstream", "h:1", "--tls", "terminate"))
        self.assertIn("--tls", self.refused(2, "--upstream", "h:1", "--tls", "maybe"))
        self.assertIn("--faults", self.refused(2, "--upstream", "h:1", "--faults", "{"))
        self.assertIn("--scenario", self.refused(2, "--upstream", "h:1", "--scenario", "none"))
        self.assertIn("server.crt", self.refused(1, "--upstream", "h:1", "--tls", "terminate",
                                                 "--cert", "server.crt", "--key", "server.key"))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            self.assertIn("in use", self.refused(1, "--upstream", "h:1", "--listen", port))


if __name__ == "__main__":
    if "--relay" in sys.argv:
        at = sys.argv.index("--relay")
        RELAY = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    unittest.main()

"""The world of the demo: a Region of the lab as the broker, a path to it that can be cut, an
independent subscriber, and the device with a plain supervisor.

Every process started here is ended by close(), and by the kernel should the demo itself be killed.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

from tool import bench, device, fault
from tool.place import DEFAULT_REGION, Control, Place, Trouble
from tool.programs import Programs, guard, run, wait_for
from tool.up import Region

CLIENT_ID = "demo-device"
PREFIX = CLIENT_ID      # of its topics: what the policy of a lab's device allows
# The port that the device uses. The auditor's is the other one for MQTT, "mixed".
DEVICE_PORT = "mqtt"
AUDITOR_ALPN = "x-amzn-mqtt-ca"
AUDITOR_POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
# Quotas would be losses of the broker's making; see docs/demo.md.
SWITCHES = [f"{quota}=0" for quota in (
    "publishes_per_second", "bytes_per_second", "connects_per_client", "drained_per_second",
    "stored_per_second", "stored_per_second_all")]
ADMINISTRATIVE_ACTION = 0x98
# Of the messages that are on their way to the auditor when the broker is killed: so few that neither
# mosquitto nor the front door can have kept any back, because a socket was full or 100 messages were
# not acknowledged. See docs/demo.md.
SETTLED_BYTES = 8192


def process_state(pid):
    """The letter of proc(5): S asleep, T stopped, …; none when it has gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


class NamespacePath:
    """Device and broker in a network namespace each, joined by a veth pair; nftables drops every
    packet between them without a word. Needs root."""

    kind = "network namespaces, nftables drops every packet"
    silent_verdicts = {"silent_peer", "tcp_timeout"}
    device_host, listen = "10.213.77.1", "0.0.0.0"  # the auditor is on loopback
    cut = "table inet holdfast { chain in { type filter hook input priority 0; iifname \"hf0\" drop; }; }"

    def __init__(self):
        self.ip, self.nft = Programs.system("ip"), Programs.system("nft")
        self._sweep()
        stem = f"hf{os.getpid()}"
        self.device_ns, self.broker_ns = f"{stem}-device", f"{stem}-broker"
        try:
            for name in (self.device_ns, self.broker_ns):
                run(self.ip, "netns", "add", name)
                run(*self.on(name), self.ip, "link", "set", "lo", "up")
            run(self.ip, "link", "add", "hf0", "netns", self.device_ns, "type", "veth",
                "peer", "name", "hf0", "netns", self.broker_ns)
            for name, address in ((self.device_ns, "10.213.77.2/24"),
                                  (self.broker_ns, "10.213.77.1/24")):
                run(*self.on(name), self.ip, "address", "add", address, "dev", "hf0")
                run(*self.on(name), self.ip, "link", "set", "hf0", "up")
            self.silence()  # shows that nftables works here
            self.speak()
        except Exception:
            self.close()
            raise

    def on(self, name):
        return [self.ip, "netns", "exec", name]

    def device_side(self):
        return self.on(self.device_ns)

    def broker_side(self):
        return self.on(self.broker_ns)

    def silence(self, _broker=None):
        for name in (self.device_ns, self.broker_ns):
            run(*self.on(name), self.nft, "-f", "-", text=self.cut)

    def speak(self, _broker=None):
        for name in (self.device_ns, self.broker_ns):
            run(*self.on(name), self.nft, "delete", "table", "inet", "holdfast")

    def _sweep(self):
        """Namespaces of demos that were killed."""
        for line in run(self.ip, "netns", "list").splitlines():
            found = re.match(r"(hf(\d+)-(device|broker))\b", line)
            if found and not os.path.exists(f"/proc/{found[2]}"):
                run(self.ip, "netns", "delete", found[1])

    def close(self):
        for name in (self.device_ns, self.broker_ns):
            with contextlib.suppress(Trouble):
                run(self.ip, "netns", "delete", name)


class RelayPath:
    """The fault relay in the Region's front door holds back what comes and goes. Needs no root."""

    kind = "the lab's fault relay on loopback holds every byte back"
    # The kernel still answers for the relay, so the handshake is what fails next.
    silent_verdicts = {"silent_peer", "tcp_timeout", "tls_timeout"}
    device_host = listen = "127.0.0.1"

    def device_side(self):
        return []

    def broker_side(self):
        return []

    def silence(self, broker):
        broker.set_faults("black-hole")

    def speak(self, broker):
        broker.clear_faults()

    def close(self):
        pass


class Broker:
    """A Region of the lab: a real mosquitto, and before it a front door with mTLS and policies."""

    def __init__(self, folder, path, tools):
        self.place = Place(folder / "lab").region(DEFAULT_REGION)
        names = [] if path.device_host == path.listen else [path.device_host]
        self.arguments = argparse.Namespace(listen=path.listen, ports=None, name=names,
                                            switch=SWITCHES)
        # Should the demo be killed, a paused process ends at SIGKILL only.
        self.region = Region(self.place, tools, self.arguments,
                             around=[*guard(), *path.broker_side()])

    def start(self):
        self.region.start()
        self.arguments.ports = [self.region.ports[port] for port in fault.PORTS]

    def port(self, name):
        return self.region.ports[name]

    def make(self, name, folder, policy=None):
        """A thing, and its files in `folder`: ca.pem, device.pem, device.key."""
        device.create(self.place, name, folder, policy)

    def save(self):
        """Has mosquitto write its sessions to disk. The front door does so at each change."""
        store = self.place.file("mosquitto.db")
        before = store.stat().st_mtime_ns if store.exists() else 0
        self.region.broker.send_signal(signal.SIGUSR1)
        wait_for(lambda: store.exists() and store.stat().st_mtime_ns != before, 5,
                 "mosquitto saves its sessions")

    def kill(self):
        for process in (self.region.front, self.region.broker):
            process.kill()
        for process in (self.region.front, self.region.broker):
            process.wait()

    def pause(self):
        """Stops mosquitto; the front door goes on."""
        self.region.broker.send_signal(signal.SIGSTOP)
        wait_for(lambda: process_state(self.region.broker.pid) == "T", 5, "mosquitto pauses")

    def resume(self):
        self.region.broker.send_signal(signal.SIGCONT)

    def door_is_idle(self):
        return process_state(self.region.front.pid) == "S"

    def _order(self, name, **members):
        with Control(self.place.control_socket) as control:
            return control.ask(name, **members)

    def kick_all(self):
        for port in fault.PORTS:
            self._order(f"{port}.kick", how="disconnect", reason=ADMINISTRATIVE_ACTION)

    def set_faults(self, faults):
        """Between the device and the Region; the auditor's port is spared."""
        self._order("faults.set", faults=faults, ports=[DEVICE_PORT])

    def clear_faults(self):
        self._order("faults.clear")

    def close(self):
        self.region.close()


class Auditor:
    """mosquitto_sub with a session that the broker keeps; writes down every message. It is started
    again when it ends, as it does when TLS is cut."""

    def __init__(self, folder, path, broker):
        self.path, self.broker = path, broker
        self.files = folder / "auditor"
        self.record = folder / "record"
        self.record.touch()
        self.marks = 0
        self.log = folder / "auditor.log"
        self.program = None

    def client(self, name, *words):
        """A mosquitto client as the auditor: the command. Not our code."""
        return [*self.path.broker_side(), Programs.system(name), "-h", "127.0.0.1", "-p",
                str(self.broker.port("mixed")), "--tls-alpn", AUDITOR_ALPN, "--cafile",
                str(self.files / "ca.pem"), "--cert", str(self.files / "device.pem"), "--key",
                str(self.files / "device.key"), "-q", "1", *words]

    def start(self):
        self.broker.make("auditor", self.files, AUDITOR_POLICY)
        self.program = bench.Program(
            self.client("mosquitto_sub", "-i", "auditor-record", "-V", "mqttv311", "-c", "-k", "10",
                        "-t", f"{PREFIX}/#", "-t", "audit/#", "-F", "%U %t %p"),
            self.log, out=self.record)
        self.program.start()

    def publish(self, topic, text):
        """False when the broker did not take it."""
        done = subprocess.run(
            self.client("mosquitto_pub", "-i", f"auditor-{os.getpid()}", "-t", topic, "-m", text),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        return done.returncode == 0

    def caught_up(self, seconds=20):
        """Returns when a mark, sent through the broker after everything else, was recorded.
        The position in the record just behind it."""
        self.marks += 1
        mark = f" audit/mark {os.getpid()}-{self.marks}\n".encode()
        deadline = time.monotonic() + seconds
        again = 0.0
        while time.monotonic() < deadline:
            # Once a second: a mark sent before the very first subscription goes nowhere.
            if time.monotonic() >= again:
                self.publish(*mark.decode().strip().split(" ", 1))
                again = time.monotonic() + 1
            data = self.record.read_bytes()
            at = data.rfind(mark)
            if at >= 0:
                return at + len(mark)
            time.sleep(0.02)
        raise Trouble(f"the auditor did not get a mark within {seconds} s; see {self.log}")

    @property
    def pid(self):
        return self.program.process.pid

    def waiting_bytes(self):
        """Bytes in the kernel between front door and auditor; None when they are not connected."""
        port = f":{self.broker.port('mixed'):04X}"
        try:
            own = self._sockets()
            lines = pathlib.Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]
        except OSError:
            return None  # it has just ended
        table = [line.split() for line in lines]
        # Words: 1 local, 2 remote address, 3 state (01 established), 4 send:receive queue, 9 inode.
        for mine in table:
            if mine[2].endswith(port) and mine[3] == "01" and mine[9] in own:
                unread = int(mine[4].split(":")[1], 16)
                return unread + sum(int(other[4].split(":")[0], 16) for other in table
                                    if other[1] == mine[2] and other[2] == mine[1])
        return None

    def _sockets(self):
        """Inode numbers of the auditor's sockets."""
        found = set()
        for entry in pathlib.Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(entry)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
        return found

    def _has_all(self):
        """With mosquitto paused: nothing is left to do for the front door, then nothing between it
        and the auditor, then nothing for the auditor. What it has read is in the file. Also true when
        it is not connected."""
        if not self.broker.door_is_idle():
            return False
        waiting = self.waiting_bytes()
        return waiting is None or (waiting == 0 and process_state(self.pid) == "S")

    def settle_and_pause_broker(self):
        """Pauses the broker at a moment when nothing is held back from the auditor, and waits until
        it has read all: what the broker has PUBACKed so far is in the record."""
        for _ in range(50):
            behind_mark = self.caught_up()
            self.broker.pause()
            wait_for(self._has_all, 10, "the auditor reads")
            if (self.waiting_bytes() == 0 and
                    self.record.stat().st_size - behind_mark <= SETTLED_BYTES):
                return
            self.broker.resume()
        raise Trouble("the auditor cannot keep up at this rate; try a smaller --rate")

    def close(self):
        if self.program:
            self.program.close()


class Device:
    """host-telemetry, started again whenever it ends, until told not to."""

    def __init__(self, folder, path, broker, binary, rate, timing):
        self.socket = folder / "device.sock"
        self.journal = folder / "journal"
        self.log = folder / "device.log"
        self.config = folder / "device.toml"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
        self.program = bench.Program(
            [*path.device_side(), binary, "--config", self.config, "--rate", rate, "--prefix",
             PREFIX, "--journal", self.journal], self.log, environment)
        broker.make(CLIENT_ID, folder / "device")
        status = f"{PREFIX}/{CLIENT_ID}/status"
        self.config.write_text(f"""\
# Written by tools/demo.
[connection]
host = "{path.device_host}"
port = {broker.port(DEVICE_PORT)}
client_id = "{CLIENT_ID}"
[connection.will]
topic = "{status}"
payload = "gone"
[connection.birth]
topic = "{status}"
payload = "here"
[tls]
ca_file = "device/ca.pem"
cert_file = "device/device.pem"
key_file = "device/device.key"
server_name = "localhost"
[timing]
connect = "{timing.connect}s"
connack = "{timing.connect}s"
silent_after = "{timing.silent_after}s"
backoff_first = "1s"
backoff_cap = "{timing.backoff_cap}s"
stable_after = "5s"
[flow]
messages_per_second = 0
bytes_per_second = "0B"
[limits]
receipts = 1000000
[outbox]
directory = "outbox"
[local]
socket = "device.sock"
""")

    @property
    def starts(self):
        return self.program.starts

    @property
    def exits(self):
        """The exit statuses so far."""
        return [status for _, status in self.program.exits]

    def start(self):
        self.program.start()

    def kill(self):
        self.program.signal(signal.SIGKILL)

    def stop(self):
        """SIGTERM; the exit status and the seconds it took."""
        before, known = time.monotonic(), len(self.program.exits)
        self.program.hold()
        self.program.signal(signal.SIGTERM)
        ended = self.program.wait_exit(known, 20)
        if ended is None:
            raise Trouble(f"the device does not stop at SIGTERM; see {self.log}")
        return ended[1], ended[0] - before

    def close(self):
        self.program.close()


class LocalApi:
    """The device's local socket: one JSON object a line."""

    def __init__(self, path):
        self.path = str(path)
        self.connection = None
        self.reader = None

    def status(self):
        """The device's state, or None while it cannot be had."""
        try:
            if self.connection is None:
                self.connection = socket.socket(socket.AF_UNIX)
                self.connection.settimeout(2)
                self.connection.connect(self.path)
                self.reader = self.connection.makefile("rb")
            self.connection.sendall(b'{"op":"status","id":1}\n')
            answer = json.loads(self.reader.readline())
            return answer["status"] if answer.get("ok") else None
        except (OSError, ValueError, KeyError):
            self.close()
            return None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = self.reader = None


def make_path(kind):
    """The best path there is, and why not a better one."""
    if kind == "relay":
        return RelayPath(), "as asked"
    try:
        if os.geteuid() != 0:
            raise Trouble("not root")
        return NamespacePath(), ""
    except Trouble as trouble:
        if kind == "namespace":
            raise
        return RelayPath(), f"no network namespaces: {trouble}"


def make_folder():
    return pathlib.Path(tempfile.mkdtemp(prefix="holdfast-demo-"))

"""The world of the demo: certificates, a real mosquitto, a path to it that can be cut, an
independent subscriber, and the device with a plain supervisor.

Every process started here is ended by close(), and by the kernel should the demo itself be killed.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

PREFIX = "demo"
CLIENT_ID = "demo-device"
BROKER_NAME = "broker.demo"
# Of the messages that are on their way to the auditor when the broker is killed: so few that the
# broker cannot have kept any back because a socket was full. See docs/demo.md.
SETTLED_BYTES = 8192


class Trouble(Exception):
    """Something the demo needs does not work; the text says what."""


def program(name):
    """Daemons and network tools are not on everybody's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise Trouble(f"the program {name} is missing; tools/setup installs it")
    return path


def run(*command, text=None):
    """Runs a short command to its end; its output. Fails with its last words."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60,
                          **({} if text is not None else {"stdin": subprocess.DEVNULL}))
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Trouble(f"{' '.join(map(str, command[:4]))}…: {words[-1] if words else 'failed'}")
    return done.stdout


def start(command, **options):
    """Starts a process that ends when the calling thread does, and that Ctrl-C does not reach."""
    guard = [program("setpriv"), "--pdeathsig", "KILL", "--"]
    return subprocess.Popen(guard + [str(word) for word in command], start_new_session=True,
                            **{"stdin": subprocess.DEVNULL, **options})


def end(process, patience=3):
    """Asks, then insists."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Trouble(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_state(pid):
    """The letter of proc(5): S asleep, T stopped, …"""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def make_certificates(folder, addresses):
    """A CA of today, a server and a client certificate, all EC P-256."""
    openssl = program("openssl")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca = folder / "ca"
    run(openssl, "req", "-x509", *new, "-days", "30", "-subj", "/CN=Holdfast demo CA",
        "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
    alternatives = ",".join([f"DNS:{BROKER_NAME}"] + [f"IP:{a}" for a in addresses])
    for name, common, usage, names in (("server", BROKER_NAME, "serverAuth", alternatives),
                                       ("client", CLIENT_ID, "clientAuth", f"DNS:{CLIENT_ID}")):
        base = folder / name
        pathlib.Path(f"{base}.ext").write_text(
            f"subjectAltName={names}\nextendedKeyUsage={usage}\nkeyUsage=digitalSignature\n"
            "basicConstraints=CA:FALSE\n")
        run(openssl, "req", *new, "-subj", f"/CN={common}", "-keyout", f"{base}.key",
            "-out", f"{base}.csr")
        run(openssl, "x509", "-req", "-in", f"{base}.csr", "-CA", f"{ca}.crt", "-CAkey",
            f"{ca}.key", "-CAcreateserial", "-days", "30", "-out", f"{base}.crt",
            "-extfile", f"{base}.ext")


class NamespacePath:
    """Device and broker in a network namespace each, joined by a veth pair; nftables drops every
    packet between them without a word. Needs root."""

    kind = "network namespaces, nftables drops every packet"
    silent_verdicts = {"silent_peer", "tcp_timeout"}
    device_host, device_port = "10.213.77.1", 8883
    listen = ("10.213.77.1", 8883)
    cut = "table inet holdfast { chain in { type filter hook input priority 0; iifname \"hf0\" drop; }; }"

    def __init__(self):
        self.ip, self.nft = program("ip"), program("nft")
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

    def open(self, _broker_port):
        pass

    def silence(self):
        for name in (self.device_ns, self.broker_ns):
            run(*self.on(name), self.nft, "-f", "-", text=self.cut)

    def speak(self):
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
    """A relay between device and broker that stops accepting, reading and writing. Needs no root."""

    kind = "a relay on loopback that stops reading"
    # The kernel still answers for the relay, so the handshake is what fails next.
    silent_verdicts = {"silent_peer", "tcp_timeout", "tls_timeout"}
    device_host = "127.0.0.1"

    def __init__(self, binary):
        self.binary = binary
        self.listen = ("127.0.0.1", free_port())
        self.process = None
        self.device_port = 0

    def device_side(self):
        return []

    def broker_side(self):
        return []

    def open(self, broker_port):
        self.process = start([self.binary, broker_port], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, bufsize=1)
        words = self.process.stdout.readline().split()
        if len(words) != 2:
            raise Trouble("the relay did not start")
        self.device_port = int(words[1])

    def _order(self, word):
        self.process.stdin.write(word + "\n")
        if self.process.stdout.readline().strip() != f"ok {word}":
            raise Trouble("the relay does not obey")

    def silence(self):
        self._order("silence")

    def speak(self):
        self._order("speak")

    def close(self):
        end(self.process)
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()


class Broker:
    """A real mosquitto: mTLS for the device, a plain listener on loopback for the auditor."""

    def __init__(self, folder, path, plugin):
        self.folder, self.path = folder, path
        self.process = None
        self.kicks, self.refusing = 0, 0
        self.plain_port = free_port()
        self.store = folder / "broker" / "mosquitto.db"
        self.store.parent.mkdir()
        os.chmod(self.store.parent, 0o700)
        self._write_orders()
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        host, port = path.listen
        self.config = folder / "mosquitto.conf"
        self.config.write_text(f"""
user {user}
persistence true
persistence_location {self.store.parent}/
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
allow_anonymous true
log_dest stderr
log_type all
log_timestamp_format %H:%M:%S
plugin {plugin}
plugin_opt_control_file {folder}/control
listener {self.plain_port} 127.0.0.1
listener {port} {host}
require_certificate true
cafile {folder}/ca.crt
certfile {folder}/server.crt
keyfile {folder}/server.key
tls_version tlsv1.2
""")

    def start(self):
        log_name = self.folder / "broker.log"
        with open(log_name, "ab") as log:
            before = log.tell()
            self.process = start([*self.path.broker_side(), program("mosquitto"), "-c",
                                  self.config], stdout=log, stderr=log)

        def running():
            if self.process.poll() is not None:
                raise Trouble(f"mosquitto does not start; see {log_name}")
            with open(log_name, "rb") as log_now:
                log_now.seek(before)
                return b" running" in log_now.read()
        wait_for(running, 10, "mosquitto")

    def save(self):
        """Has mosquitto write its sessions to disk."""
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: self.store.exists() and self.store.stat().st_size > 0, 5,
                 "mosquitto saves its sessions")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: process_state(self.process.pid) == "T", 5, "mosquitto pauses")

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kick_all(self):
        self.kicks += 1
        self._write_orders()

    def refuse(self, yes):
        self.refusing = int(yes)
        self._write_orders()

    def _write_orders(self):
        new = self.folder / "control.new"
        new.write_text(f"refuse={self.refusing} kick={self.kicks}\n")
        os.replace(new, self.folder / "control")

    def publish(self, topic, text):
        """As a client that is not ours, with QoS 1. False when the broker did not take it."""
        done = subprocess.run([*self.path.broker_side(), program("mosquitto_pub"), "-h",
                               "127.0.0.1", "-p", str(self.plain_port), "-i",
                               f"auditor-{os.getpid()}", "-q", "1", "-t", topic, "-m", text],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        return done.returncode == 0

    def close(self):
        end(self.process)


class Auditor:
    """mosquitto_sub with a session that the broker keeps; writes down every message."""

    def __init__(self, folder, path, broker):
        self.path, self.broker = path, broker
        self.record = folder / "record"
        self.record.touch()
        self.marks = 0
        self.process = None
        self.log = folder / "auditor.log"

    def start(self):
        with open(self.record, "ab") as record, open(self.log, "ab") as log:
            self.process = start(
                [*self.path.broker_side(), program("mosquitto_sub"), "-h", "127.0.0.1", "-p",
                 self.broker.plain_port, "-i", "auditor-record", "-V", "mqttv311", "-c", "-q", "1",
                 "-k", "10", "-t", f"{PREFIX}/#", "-t", "audit/#", "-F", "%U %t %p"],
                stdout=record, stderr=log)

    def caught_up(self, seconds=20):
        """Returns when a mark, sent through the broker after everything else, was recorded.
        The position in the record just behind it."""
        self.marks += 1
        mark = f" audit/mark {os.getpid()}-{self.marks}\n".encode()
        deadline = time.monotonic() + seconds
        again = 0.0
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.start()  # mosquitto_sub gave up; its session is kept
            # Once a second: a mark sent before the very first subscription goes nowhere.
            if time.monotonic() >= again:
                self.broker.publish(*mark.decode().strip().split(" ", 1))
                again = time.monotonic() + 1
            data = self.record.read_bytes()
            at = data.rfind(mark)
            if at >= 0:
                return at + len(mark)
            time.sleep(0.02)
        raise Trouble(f"the auditor did not get a mark within {seconds} s; see {self.log}")

    def waiting_bytes(self):
        """Bytes in the kernel between broker and auditor; None when they are not connected."""
        port = f":{self.broker.plain_port:04X}"
        own = self._sockets()
        table = [line.split() for line in
                 pathlib.Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]]
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
        for entry in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(entry)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
        return found

    def settle_and_pause_broker(self):
        """Pauses the broker at a moment when it holds nothing back from the auditor, and waits
        until the auditor has read all: what the broker has PUBACKed so far is in the record."""
        for _ in range(50):
            behind_mark = self.caught_up()
            self.broker.pause()
            first = self.waiting_bytes()
            if first is not None and first <= SETTLED_BYTES:
                # Nothing unread, and asleep: what it has read is in the file.
                wait_for(lambda: self.waiting_bytes() in (0, None) and
                         process_state(self.process.pid) == "S", 10, "the auditor reads")
                if (self.waiting_bytes() == 0 and
                        self.record.stat().st_size - behind_mark <= SETTLED_BYTES):
                    return
            self.broker.resume()
        raise Trouble("the auditor cannot keep up at this rate; try a smaller --rate")

    def close(self):
        end(self.process)


class Device:
    """host-telemetry under a supervisor that restarts it whenever it ends, until told not to."""

    def __init__(self, folder, path, binary, rate, timing):
        self.folder, self.path, self.binary, self.rate = folder, path, binary, rate
        self.socket = folder / "device.sock"
        self.journal = folder / "journal"
        self.log = folder / "device.log"
        self.config = folder / "device.toml"
        self.process = None
        self.starts = []            # monotonic times
        self.exits = []
        self.wanted = True
        self.thread = None
        self.lock = threading.Lock()
        status = f"{PREFIX}/{CLIENT_ID}/status"
        self.config.write_text(f"""\
# Written by tools/demo.
[connection]
host = "{path.device_host}"
port = {path.device_port}
client_id = "{CLIENT_ID}"
[connection.will]
topic = "{status}"
payload = "gone"
[connection.birth]
topic = "{status}"
payload = "here"
[tls]
ca_file = "ca.crt"
cert_file = "client.crt"
key_file = "client.key"
server_name = "{BROKER_NAME}"
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

    def start(self):
        self.thread = threading.Thread(target=self._supervise, daemon=True)
        self.thread.start()

    def _supervise(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
        while True:
            with self.lock:
                if not self.wanted:
                    return
                with open(self.log, "ab") as log:
                    self.process = start([*self.path.device_side(), self.binary, "--config",
                                          self.config, "--rate", self.rate, "--prefix", PREFIX,
                                          "--journal", self.journal],
                                         stdout=log, stderr=log, env=environment)
                self.starts.append(time.monotonic())
            self.exits.append(self.process.wait())
            time.sleep(0.5)

    def kill(self):
        self.process.kill()

    def stop(self):
        """SIGTERM; the exit status and the seconds it took."""
        with self.lock:
            self.wanted = False
        before = time.monotonic()
        ended = len(self.exits)
        self.process.terminate()
        wait_for(lambda: len(self.exits) > ended or self.process.poll() is not None, 20,
                 "the device stops")
        return self.process.returncode, time.monotonic() - before

    def close(self):
        with self.lock:
            self.wanted = False
        end(self.process, 6)
        if self.thread:
            self.thread.join(5)


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


def make_path(kind, relay_binary):
    """The best path there is, and why not a better one."""
    if kind == "relay":
        return RelayPath(relay_binary), "as asked"
    try:
        if os.geteuid() != 0:
            raise Trouble("not root")
        return NamespacePath(), ""
    except Trouble as trouble:
        if kind == "namespace":
            raise
        return RelayPath(relay_binary), f"no network namespaces: {trouble}"


def make_folder():
    return pathlib.Path(tempfile.mkdtemp(prefix="holdfast-demo-"))

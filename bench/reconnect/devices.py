"""The devices that are measured side by side: Holdfast as it is by default, and others with their
own defaults, each by the program of lab/peers."""
import argparse
import dataclasses
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

from moments import Lines
from tool.bench import Program, fill_in

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("host-telemetry", "holdfastd", "hf_lab_region", "hf_lab_relay", "hf_lab_broker.so")
RATE = 10  # messages a second
LOOK_SECONDS = 0.03  # how often a device's output is read: how well a notice is known


def load_peers():
    """tools/peers, which knows how the other clients are built."""
    loader = importlib.machinery.SourceFileLoader("peers", str(ROOT / "tools" / "peers"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("peers", loader))
    sys.modules["peers"] = module  # for dataclasses
    loader.exec_module(module)
    return module


peers = load_peers()
HOLDFAST = "holdfast"


@dataclasses.dataclass(frozen=True)
class Kind:
    """`words`: beside those that tools/peers has for it. `notice`: a line of its own that says that
    its connection is gone."""
    title: str
    command: tuple
    settings: str
    notice: str
    ignore: str | None = None


def peer(name, title, cap, settings, notice):
    return Kind(title, (*peers.PEERS[name].command, "--backoff-cap", str(cap)), settings, notice)


# The caps are the libraries' own defaults. The other settings are the samples', in docs/peers.md.
KINDS = {
    HOLDFAST: Kind(
        "Holdfast", ("{build}/bin/host-telemetry", "--config", "{config}"),
        "every setting as it is by default: keep-alive 30 s, backoff 1 s (15 s where the server "
        "ended it) to 2 min with full jitter",
        r"warning: offline: "),
    "libmosquitto": peer(
        "libmosquitto", "libmosquitto: loop_forever in its own thread", 1,
        "mosquitto_loop_start, which runs loop_forever; a reconnect delay of 1 s, its default; "
        "keep-alive 30 s", r"^disconnected: "),
    "libmosquitto-again": peer(
        "libmosquitto-again", "libmosquitto: loop_forever, called again", 1,
        "the same, but loop_forever is called again whenever it returns",
        r"^(disconnected|the loop ended): "),
    "paho-c": peer(
        "paho-c", "Paho C", 60,
        "MQTTAsync with automaticReconnect, 1 s doubling to 60 s, its default; keep-alive 30 s",
        r"^connection lost: "),
    "aws-sdk-js": peer(
        "aws-sdk-js", "AWS SDK v2 JS", 120,
        "its MQTT 5 client with full jitter, 1 s to 2 min, and its ping time-out of 10 s; "
        "keep-alive 30 s", r"^disconnected: "),
}


class Output:
    """Reads what all devices print, on one thread."""

    def __init__(self):
        self.files = []  # of [file, rest, Lines]
        self.lock = threading.Lock()
        self.closed = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def follow(self, path, lines):
        path.touch()
        with self.lock:
            self.files.append([open(path, encoding="utf-8", errors="replace"), "", lines])

    def _read(self):
        while not self.closed:
            time.sleep(LOOK_SECONDS)
            with self.lock:
                for each in self.files:
                    self._read_one(each)

    @staticmethod
    def _read_one(followed):
        text = followed[0].read()
        if not text:
            return
        *lines, followed[1] = (followed[1] + text).split("\n")
        for line in lines:
            followed[2].take(time.monotonic(), line)

    def close(self):
        self.closed = True
        self.thread.join()
        for file, _, _ in self.files:
            file.close()


class Device:
    """One device program at its outlet, started again when it ends."""

    def __init__(self, yard, output, lives, kind, name, asked, rate=RATE):
        """`asked.build` and `asked.out`: where the programs are."""
        self.kind, self.name = kind, name
        self.outlet = yard.outlet()
        self.folder = yard.folder / name
        self.life = lives.life(name)
        about = KINDS[kind]
        self.lines = Lines(about.notice, about.ignore)
        words = yard.make_device(name, self.folder)
        command = fill_in(about.command, {**words, "build": asked.build, "out": asked.out})
        log = self.folder / "program.log"
        output.follow(log, self.lines)
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("HOLDFAST_")}
        self.program = Program([*self.outlet.inside(), *command, "--rate", str(rate)], log,
                               environment)

    def start(self):
        self.program.start()

    def restart(self):
        """The program does not come back by itself."""
        self.program.signal(signal.SIGKILL)

    @property
    def pid(self):
        return self.program.process.pid

    def cpu_seconds(self):
        """So far, of the program; what starts it has become it."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def retry_in(self):
        """Of Holdfast: the seconds until its next attempt, by its own account; None where it has
        none or makes one."""
        try:
            return ask(self.folder / "holdfast.sock", op="status")["status"].get(
                "retry_in_ms", 0) / 1000 or None
        except (OSError, ValueError, KeyError):
            return None

    def close(self):
        """At once: there are many of them."""
        self.program.hold()
        self.program.signal(signal.SIGKILL)
        self.program.close()


def ask(path, patience=2, **request):
    """A request of Holdfast's local API."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:  # the address of a Unix socket has 107 bytes
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        connection.sendall((json.dumps(request) + "\n").encode())
        with connection.makefile("r", encoding="utf-8") as lines:
            return json.loads(lines.readline())


def build(asked, kinds):
    """The lab and the sample devices."""
    others = [name for name in kinds if name != HOLDFAST]
    if others:
        peers.check_packages()
    if not all((asked.build / "bin" / name).exists() for name in PROGRAMS):
        for command in (["cmake", "--preset", "release", "-B", asked.build],
                        ["cmake", "--build", asked.build, "--target", "holdfastd",
                         "host-telemetry", "lab"]):
            subprocess.run(command, cwd=ROOT, check=True)
    peers.build(argparse.Namespace(build=asked.build, out=asked.out, peers=others))

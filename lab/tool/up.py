"""`holdfast lab up`, `down` and `status`: Regions of a local AWS IoT Core."""
import argparse
import contextlib
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time

from . import programs
from .place import ACCOUNT, DEFAULT_REGION, Place, Trouble

BROKER = """\
# Written by `holdfast lab up` at each start.
listener 0 {socket}
allow_anonymous false
plugin {plugin}
plugin_opt_password {password}
{quotas}
persistence true
persistence_location {folder}/
autosave_interval 5
# The front door minds windows and quotas; the plugin what is stored for those who are away.
max_inflight_messages 0
max_queued_messages 100000
persistent_client_expiration 7d
log_dest file {folder}/broker.log
log_type error
log_type warning
log_type notice
connection_messages false
{user}
"""


# Switches that the broker's plugin has, not the front door: they hold from the start on.
PLUGIN_SWITCHES = ("stored_per_second", "stored_per_second_all")


class Region:
    """The processes of one Region: a mosquitto, and the front door with the services."""

    def __init__(self, place, tools, arguments, faults=None, around=()):
        """`faults`: what holds from the start, as the order faults.set takes it. `around`: a command
        that runs others, such as `ip netns exec NAME`."""
        self.place, self.tools, self.arguments, self.faults = place, tools, arguments, faults
        self.around = list(around)
        self.switches = parse_switches(arguments.switch)
        self.quotas = {name: self.switches.pop(name) for name in PLUGIN_SWITCHES
                       if name in self.switches}
        self.broker = self.front = None

    def start(self):
        folder = self.place.folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.place.is_running():
            raise Trouble(f"Region {self.place.name} runs already; holdfast lab down ends it")
        self._start_broker(folder)
        self._start_front(folder)
        self._write_endpoint()

    def _start_broker(self, folder):
        password = secrets.token_hex(16)
        secret = folder / "broker.password"
        secret.unlink(missing_ok=True)
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w",
                  encoding="ascii") as file:
            file.write(password)
        # Relative names: the address of a Unix socket has 107 bytes at most.
        configuration = folder / "broker.conf"
        configuration.unlink(missing_ok=True)
        configuration.touch(mode=0o600)
        configuration.write_text(BROKER.format(
            socket="broker.sock", folder=".", password=password,
            plugin=self.tools.own("hf_lab_broker.so"),
            quotas="\n".join(f"plugin_opt_{name} {value}" for name, value in self.quotas.items()),
            user="user root" if os.geteuid() == 0 else ""), encoding="utf-8")
        (folder / "broker.sock").unlink(missing_ok=True)
        self.broker = programs.start(
            [*self.around, self.tools.system("mosquitto"), "-c", "broker.conf"], ending="TERM",
            cwd=folder, stderr=subprocess.DEVNULL)

        def ready():
            if self.broker.poll() is not None:
                raise Trouble(f"mosquitto ended with {self.broker.returncode}; see "
                              f"{folder / 'broker.log'}")
            return (folder / "broker.sock").exists()
        programs.wait_for(ready, 10, "mosquitto")

    def _start_front(self, folder):
        asked = self.arguments
        command = [*self.around, self.tools.own("hf_lab_region"), "--region", self.place.name,
                   "--pki", self.place.place.pki, "--broker", "broker.sock",
                   "--broker-password-file", "broker.password", "--listen", asked.listen,
                   "--trace", "trace.ndjson"]
        for name, port in zip(("mqtt", "mixed", "https"), asked.ports or ()):
            command += [f"--{name}-port", port]
        for name in asked.name:
            command += ["--name", name]
        if self.switches:
            command += ["--switches", json.dumps(self.switches)]
        if self.faults:
            command += ["--faults", json.dumps(self.faults)]
        self.place.file("trace.ndjson").unlink(missing_ok=True)
        self.front = programs.start(command, ending="TERM", cwd=folder, stdout=subprocess.PIPE,
                                    text=True)
        with self.front.stdout as out:  # it says no more
            line = out.readline()
        if not line:
            raise Trouble(f"Region {self.place.name} did not start")
        self.ports = json.loads(line)

    def _write_endpoint(self):
        about = {"region": self.place.name, "account": ACCOUNT, "host": "localhost",
                 "mqtt": self.ports["mqtt"], "mixed": self.ports["mixed"],
                 "https": self.ports["https"], "ca": str(self.place.place.ca_file),
                 "control": str(self.place.control_socket),
                 "trace": str(self.place.file("trace.ndjson"))}
        # Whoever waits for the file must not find half of it.
        fresh = self.place.file("endpoint.json.new")
        fresh.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        fresh.rename(self.place.file("endpoint.json"))

    def fallen(self):
        """Which of its processes has ended, if one has."""
        for name, process in (("mosquitto", self.broker), ("the front door", self.front)):
            if process is not None and process.poll() is not None:
                return f"Region {self.place.name}: {name} ended with {process.returncode}"
        return None

    def close(self):
        programs.end(self.front)
        programs.end(self.broker)
        with contextlib.suppress(OSError):
            self.place.file("endpoint.json").unlink()


def parse_switches(words):
    """NAME=VALUE words to what the Region takes."""
    switches = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Trouble(f"--switch {word}: write NAME=VALUE")
        if value in ("true", "false"):
            switches[name] = value == "true"
        else:
            switches[name] = int(value) if value.isdigit() else value
        if name in PLUGIN_SWITCHES and type(switches[name]) is not int:
            raise Trouble(f"--switch {word}: the value is a whole number")
    return switches


def describe(regions):
    lines = [f"{'Region':<16} {'MQTT':>6} {'443-like':>9} {'8443-like':>10}   endpoint localhost"]
    for region in regions:
        ports = region.endpoint()
        lines.append(f"{region.name:<16} {ports['mqtt']:>6} {ports['mixed']:>9} "
                     f"{ports['https']:>10}")
    return "\n".join(lines)


def parser():
    up = argparse.ArgumentParser(
        prog="holdfast lab up", description="Starts a local AWS IoT Core, one Region or several.",
        epilog="Ends at Ctrl-C or SIGTERM; with --detach at `holdfast lab down`. State is kept in the "
               "lab's directory and is there again at the next start. docs/lab.md has the rest.")
    up.add_argument("--region", action="append", metavar="NAME",
                    help=f"may be given several times (default {DEFAULT_REGION})")
    up.add_argument("--ports", nargs=3, type=int, metavar="N",
                    help="ports like AWS's 8883, 443 and 8443, with one Region only (default: free)")
    up.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS",
                    help="where devices reach it (default 127.0.0.1)")
    up.add_argument("--name", action="append", default=[], metavar="HOST",
                    help="one more name or address in the endpoint's certificate")
    up.add_argument("--switch", action="append", default=[], metavar="NAME=VALUE",
                    help="changes a switch of docs/lab.md")
    up.add_argument("--detach", action="store_true", help="returns once it runs")
    return up


def detach(place, words, names):
    """Starts ourselves once more, without a terminal."""
    log = place.root / "up.log"
    place.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(log, "w", encoding="utf-8") as out:
        child = subprocess.Popen([*sys.orig_argv[:sys.orig_argv.index("up")], *words],
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 start_new_session=True)

    def ready():
        if child.poll() is not None:
            raise Trouble(log.read_text(encoding="utf-8").strip() or f"see {log}")
        return all(place.region(name).file("endpoint.json").exists() and
                   place.region(name).is_running() for name in names)
    programs.wait_for(ready, 30, "the lab")
    print(describe([place.region(name) for name in names]))
    return 0


def run_up(place, tools, words):
    asked = parser().parse_args(words)
    names = asked.region or [DEFAULT_REGION]
    if asked.ports and len(names) > 1:
        raise Trouble("--ports goes with one Region; several get free ports")
    if asked.detach:
        return detach(place, ["up", *(word for word in words if word != "--detach")], names)
    regions = [Region(place.region(name), tools, asked) for name in names]
    stopped = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.append(True))
    place.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    own = place.root / f"up-{os.getpid()}.pid"  # there may be several, each with Regions of its own
    own.write_text("", encoding="ascii")
    try:
        for region in regions:
            region.start()
        print(describe([region.place for region in regions]))
        print(f"CA: {place.ca_file}\n\nA device:  holdfast lab device NAME\nOrders:    holdfast lab "
              "aws iot help\nEnd:       Ctrl-C", flush=True)
        while not stopped:
            time.sleep(0.1)
            fallen = next(filter(None, (region.fallen() for region in regions)), None)
            if fallen:
                raise Trouble(fallen)
    finally:
        for region in regions:
            region.close()
        own.unlink(missing_ok=True)
    return 0


def run_down(place, words):
    down = argparse.ArgumentParser(prog="holdfast lab down",
                                   description="Ends all that `holdfast lab up` runs here.")
    down.parse_args(words)
    running = []
    for file in sorted(place.root.glob("up-*.pid")):
        pid = int(file.stem.removeprefix("up-"))
        try:
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            command = b""
        if b"\0up\0" not in command + b"\0":  # it was killed, and the number may be somebody else's
            file.unlink(missing_ok=True)
            continue
        os.kill(pid, signal.SIGTERM)
        running.append(file)
    if not running:
        raise Trouble("no lab is running here")
    programs.wait_for(lambda: not any(file.exists() for file in running), 20, "the end of the lab")
    return 0


def run_status(place, words):
    status = argparse.ArgumentParser(prog="holdfast lab status",
                                     description="Shows the Regions and who is connected.")
    status.add_argument("--json", action="store_true", help="for programs")
    asked = status.parse_args(words)
    running = [place.region(name) for name in place.running()]
    if asked.json:
        print(json.dumps({region.name: {**region.endpoint(), **region.call("ListConnections")}
                          for region in running}, indent=2))
        return 0 if running else 1
    if not running:
        print("no lab is running; holdfast lab up starts one")
        return 1
    print(describe(running))
    for region in running:
        for client in region.call("ListConnections")["connections"]:
            print(f"{region.name}: {client['clientId']}")
    return 0

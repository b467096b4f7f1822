"""Thousands of short faults against several agents side by side, each behind a relay of its own.
After each fault the agent has to deliver a new message by itself within a bound, or it hangs."""
import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import threading
import time

import faults
from tool.bench import Program
from tool.place import DEFAULT_REGION, Control, Place, Trouble
from tool.programs import Programs, end, start, wait_for
from tool.up import Region

# What the settings below allow: silence is noticed (2 s), a hopeless attempt is given up (resolve,
# TCP, TLS, CONNACK, 2 s each, 5 s more when none of them ends it), and then it waits for its turn:
# no more than ten connects a minute, whatever happens. Above all of them together it is a hang.
BOUND = 90
START_SECONDS = 30
TOLD_SECONDS = 30
CONFIGURATION = """\
profile = "generic"
[connection]
host = "localhost"
port = {port}
client_id = "{name}"
keep_alive = "2s"
[tls]
ca_file = "{ca}"
[timing]
resolve = "2s"
connect = "2s"
connack = "2s"
silent_after = "2s"
backoff_first = "200ms"
backoff_cap = "2s"
stable_after = "1s"
health_interval = "1s"
[outbox]
directory = "outbox"
max_size = "4MiB"
[local]
socket = "agent.sock"
"""


class LocalApi:
    """Orders to the agent; a line of JSON each."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:  # the address of a Unix socket has 107 bytes
            self.socket.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        self.rest, self.last = b"", 0

    def send(self, op, **members):
        self.last += 1
        self.socket.sendall((json.dumps({"op": op, "id": self.last, **members}) + "\n").encode())
        return self.last

    def answer(self, number, seconds):
        """None when it does not come in time."""
        deadline = time.monotonic() + seconds
        while True:
            while b"\n" in self.rest:
                line, _, self.rest = self.rest.partition(b"\n")
                found = json.loads(line)
                if found.get("id") == number:
                    return found
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                read = self.socket.recv(65536)
                if not read:
                    raise ConnectionError("the agent has ended")
                self.rest += read

    def close(self):
        self.socket.close()


class Agent:
    """One holdfastd and its relay."""

    def __init__(self, farm, number):
        self.farm, self.name = farm, f"agent{number}"
        self.folder = farm.folder / self.name
        self.folder.mkdir()
        self.chance = random.Random(f"{farm.seed}.{number}")
        self.api = None
        trace = ["--trace", self.folder / "trace"] if farm.keep else []
        self.relay = start([farm.tools.own("hf_lab_relay"), "--listen", "127.0.0.1:0", "--upstream",
                            f"127.0.0.1:{farm.port}", "--tls", "terminate", "--cert",
                            farm.pki / "server.pem", "--key", farm.pki / "server.key",
                            "--certificates", farm.pki / "faults", "--control",
                            self.folder / "relay.sock", *trace],
                           stdout=subprocess.PIPE, text=True)
        with self.relay.stdout as out:
            port = json.loads(out.readline())["listening"]
        config = self.folder / "agent.toml"
        config.write_text(CONFIGURATION.format(
            port=port, name=self.name, ca=farm.pki / "ca.pem"), encoding="utf-8")
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("HOLDFAST_")}
        self.program = Program([farm.tools.own("holdfastd"), "--config", config],
                               self.folder / "agent.log", environment)
        self.control = Control(self.folder / "relay.sock")

    def start(self):
        self.program.start()

    def open_api(self):
        def opened():
            with contextlib.suppress(OSError):
                self.api = LocalApi(self.folder / "agent.sock")
                return True
            return False
        wait_for(opened, START_SECONDS, f"{self.name}'s local API")

    def publish(self, receipt):
        return self.api.send("publish", topic=f"hangs/{self.name}", payload="fault",
                             receipt=receipt)

    def suffer(self, fault):
        """The fault from its begin to its end."""
        for _ in range(self.chance.randint(0, 4)):
            self.publish("none")
        if fault.faults:
            self.control.ask("faults.set", faults=fault.faults)
        if fault.kick:
            self.control.ask("kick", how=fault.kick, **fault.members)
        time.sleep(fault.seconds)
        self.control.ask("faults.clear")

    def one(self):
        """(fault, seconds until it was back or None, what the agent said of itself)."""
        fault = faults.draw(self.chance)
        self.suffer(fault)
        begin = time.monotonic()
        answer = self.api.answer(self.publish("delivered"), BOUND)
        if answer and answer.get("ok"):
            return fault, time.monotonic() - begin, None
        return fault, None, {"answer": answer, "status": self.status()}

    def status(self):
        with contextlib.suppress(OSError, KeyError, TypeError):
            return self.api.answer(self.api.send("status"), 5)["status"]
        return None

    def close(self):
        if self.api:
            self.api.close()
        self.control.__exit__()
        self.program.close()
        end(self.relay)


class Farm:
    """The agents, and a mosquitto behind their relays."""

    def __init__(self, folder, bin_folder, count, seed, keep):
        self.folder, self.tools, self.seed, self.keep = folder, Programs(bin_folder), seed, keep
        self.count, self.agents, self.broker = count, [], None
        self.lock = threading.Lock()
        self.left, self.hangs, self.ended = 0, [], 0
        self.took, self.drawn = [], collections.Counter()

    def start(self):
        self.pki = make_certificates(self.folder, self.tools)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.folder / "broker.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n",
            encoding="ascii")
        self.broker = start([self.tools.system("mosquitto"), "-c", self.folder / "broker.conf"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for number in range(self.count):
            self.agents.append(Agent(self, number))
        for each in self.agents:
            each.start()
        for each in self.agents:
            each.open_api()
            if each.api.answer(each.publish("delivered"), START_SECONDS) is None:
                raise Trouble(f"{each.name} delivers nothing; see {each.folder / 'agent.log'}")

    def run(self, total, say):
        """So many faults, over all agents; a summary."""
        self.left, begin = total, time.monotonic()
        pool = concurrent.futures.ThreadPoolExecutor(self.count)
        jobs = [pool.submit(self._run_one, each, say) for each in self.agents]
        while concurrent.futures.wait(jobs, TOLD_SECONDS).not_done:
            say(f"{len(self.took):,} faults, {len(self.hangs)} hangs")
        for each in jobs:
            each.result()
        return self.summary(round(time.monotonic() - begin))

    def _run_one(self, agent, say):
        while True:
            with self.lock:
                if self.left == 0:
                    return
                self.left -= 1
            try:
                fault, seconds, words = agent.one()
            except OSError as error:  # it has ended: no hang, but no better
                fault, seconds, words = None, None, {"error": str(error)}
            with self.lock:
                if fault:
                    self.drawn[fault.name] += 1
                if seconds is None:
                    self.hangs.append({"agent": agent.name, "fault": fault and vars(fault),
                                       **words})
                    say(f"{agent.name} hangs after {fault}: {words}")
                else:
                    self.took.append(seconds)
            if seconds is None:
                self._again(agent)

    @staticmethod
    def _again(agent):
        starts = len(agent.program.starts)
        agent.program.signal(9)
        wait_for(lambda: len(agent.program.starts) > starts, START_SECONDS, agent.name)
        agent.api.close()
        agent.open_api()

    def ledgers(self):
        """Once nothing waits any more, or the bound has passed."""
        deadline = time.monotonic() + BOUND
        while True:
            found = [each.status()["ledger"] for each in self.agents]
            if time.monotonic() > deadline or not any(each["pending"] for each in found):
                return found
            time.sleep(1)

    def summary(self, seconds):
        ledgers = self.ledgers()
        accepted, delivered, pending = (sum(each[name] for each in ledgers)
                                        for name in ("accepted", "delivered", "pending"))
        dropped = sum(sum(each["dropped"].values()) for each in ledgers)
        unbalanced = sum(not each["balanced"] for each in ledgers)
        took = sorted(self.took)
        return {"count": len(took) + len(self.hangs), "hangs": len(self.hangs), "bound": BOUND,
                "devices": self.count, "seed": self.seed, "seconds": seconds,
                "median": round(statistics.median(took), 3),
                "p99": round(took[int(len(took) * 0.99)], 3), "worst": round(took[-1], 3),
                "accepted": accepted, "delivered": delivered, "dropped": dropped,
                "lost": accepted - delivered - pending - dropped, "unbalanced": unbalanced,
                "ended": sum(len(each.program.exits) for each in self.agents) - len(self.hangs),
                "faults": dict(self.drawn), "stories": self.hangs}

    def close(self):
        for each in self.agents:
            each.close()
        end(self.broker)


def make_certificates(folder, tools):
    """The folder of what a Region has of them, also the wrong ones."""
    place = Place(folder / "lab").region(DEFAULT_REGION)
    region = Region(place, tools, argparse.Namespace(listen="127.0.0.1", ports=None, name=[],
                                                     switch=[]))
    try:
        region.start()
        with Control(place.control_socket) as control:
            for fault in ("expired", "wrong-name", "unknown-ca", "oversized-chain"):
                control.ask("faults.set", faults={"tls": {"fault": fault}})
    finally:
        region.close()
    return place.place.pki

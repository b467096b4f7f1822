#!/usr/bin/env python3
"""What holdfastd costs and how fast it comes and goes: memory, wake-ups, start, stop.

    footprint.py --bin DIR [--idle SECONDS] [--repeats N] [--json]

DIR holds holdfastd and first_delivery. Starts a mosquitto of its own with mutual TLS on loopback;
everything it makes is in a temporary directory that is removed. Python 3 standard library,
mosquitto, mosquitto_sub and openssl. The DNS case needs root (namespaces) and is skipped otherwise.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

STOP_PATIENCE = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say(words):
    print(words, file=sys.stderr, flush=True)


class World:
    """Certificates, a broker and the configurations, in one temporary directory."""

    def __init__(self, folder, bin_dir):
        self.folder, self.bin_dir = folder, bin_dir
        self.port, self.broker, self.number = free_port(), None, 0
        self.make_certificates()
        self.start_broker()

    def file(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.file(name)

    def make_certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, cwd=self.folder,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=bench CA", "-keyout", "ca.key",
                "-out", "ca.pem")
        self.write("san.txt", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        for name in ("server", "device"):
            openssl("req", *curve, "-subj", f"/CN={name}", "-keyout", name + ".key", "-out",
                    name + ".csr")
            openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                    "-CAcreateserial", "-days", "2", "-extfile", "san.txt", "-out", name + ".pem")
        # The broker drops to its own user when started by root; it must still read its files.
        os.chmod(self.folder, 0o755)
        os.chmod(self.file("server.key"), 0o644)

    def start_broker(self):
        self.write("mosquitto.conf", f"""\
listener {self.port} 127.0.0.1
cafile {self.file("ca.pem")}
certfile {self.file("server.pem")}
keyfile {self.file("server.key")}
require_certificate true
allow_anonymous true
persistence false
log_dest none
set_tcp_nodelay true
""")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.broker = subprocess.Popen([program, "-c", self.file("mosquitto.conf")])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise SystemExit("footprint: mosquitto does not start")

    def stop_broker(self):
        if self.broker:
            self.broker.send_signal(signal.SIGCONT)
            self.broker.kill()
            self.broker.wait()
            self.broker = None

    def config(self, host="127.0.0.1", port=None):
        """A new configuration with a new outbox; returns its path and its birth topic."""
        self.number += 1
        birth = f"bench/birth/{self.number}"
        path = self.write(f"device{self.number}.toml", f"""\
[connection]
host = "{host}"
port = {port or self.port}
client_id = "bench-{self.number}"
birth.topic = "{birth}"
birth.payload = "here"
birth.retain = false

[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"

[outbox]
directory = "outbox{self.number}"

[local]
socket = "{self.file(f'socket{self.number}')}"
""")
        return path, birth

    def start_agent(self, path, before=()):
        log = open(self.file("agent.log"), "a", encoding="utf-8")
        return subprocess.Popen([*before, os.path.join(self.bin_dir, "holdfastd"), "--config", path],
                                stdout=log, stderr=log)

    def connected_agent(self):
        """An agent whose birth message has been seen by an independent subscriber."""
        path, birth = self.config()
        watcher = subprocess.Popen(
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "--cafile",
             self.file("ca.pem"), "--cert", self.file("device.pem"), "--key",
             self.file("device.key"), "-t", birth, "-C", "1", "-W", "20", "-V", "5", "-q", "1"],
            stdout=subprocess.PIPE)
        time.sleep(0.5)  # the subscription must stand before the birth message
        agent = self.start_agent(path)
        if b"here" not in watcher.communicate()[0]:
            agent.kill()
            raise SystemExit("footprint: holdfastd does not connect; its log:\n" +
                             open(self.file("agent.log"), encoding="utf-8").read()[-2000:])
        return agent


def stop_time(agent):
    """Seconds from SIGTERM to exit, and the exit code."""
    begin = time.monotonic()
    agent.send_signal(signal.SIGTERM)
    try:
        agent.wait(STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.wait()
    return time.monotonic() - begin, agent.returncode


def rollup(pid):
    figures = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[0] in ("Rss:", "Pss:", "Pss_Anon:"):
                figures[words[0][:-1]] = int(words[1]) * 1024 / 1e6
    return figures


def wake_ups(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file
                         if line.startswith("voluntary_ctxt_switches"))
    return total


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_idle(world, seconds):
    agent = world.connected_agent()
    time.sleep(3)  # what start-up leaves to do is done
    wakes, cpu, begin = wake_ups(agent.pid), cpu_seconds(agent.pid), time.monotonic()
    time.sleep(seconds)
    span = time.monotonic() - begin
    memory = rollup(agent.pid)
    figures = {"idle_rss_mb": memory["Rss"], "idle_pss_mb": memory["Pss"],
               "idle_anon_mb": memory["Pss_Anon"],
               "idle_wakeups_per_second": (wake_ups(agent.pid) - wakes) / span,
               "idle_cpu_percent": 100 * (cpu_seconds(agent.pid) - cpu) / span,
               "idle_threads": len(os.listdir(f"/proc/{agent.pid}/task"))}
    figures["stop_connected_s"], figures["stop_connected_exit"] = stop_time(agent)
    return figures


def measure_start(world, repeats):
    inside, outside = [], []
    for _ in range(repeats):
        path, _ = world.config()
        begin = time.monotonic()
        program = subprocess.Popen([os.path.join(world.bin_dir, "first_delivery"), path],
                                   stdout=subprocess.PIPE, text=True)
        line = program.stdout.readline()
        outside.append(1000 * (time.monotonic() - begin))
        program.communicate()
        if not line:
            raise SystemExit("footprint: first_delivery failed")
        inside.append(float(line))
    return {"first_puback_from_main_ms": statistics.median(inside),
            "first_puback_from_spawn_ms": statistics.median(outside),
            "first_puback_from_spawn_worst_ms": max(outside)}


def measure_stop(world):
    figures = {}

    agent = world.connected_agent()
    world.broker.send_signal(signal.SIGSTOP)  # connected, and then nothing answers any more
    time.sleep(1)
    figures["stop_broker_frozen_s"], _ = stop_time(agent)
    world.broker.send_signal(signal.SIGCONT)

    with socket.socket() as silent:  # accepts, and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        agent = world.start_agent(world.config(port=silent.getsockname()[1])[0])
        silent.settimeout(10)
        peer, _ = silent.accept()
        time.sleep(1)
        figures["stop_tls_silent_s"], _ = stop_time(agent)
        peer.close()

    agent = world.connected_agent()
    world.stop_broker()
    time.sleep(2)  # it has noticed, and waits for its next attempt
    figures["stop_broker_down_s"], _ = stop_time(agent)
    world.start_broker()

    if os.geteuid() == 0 and shutil.which("unshare") and shutil.which("ip"):
        figures.update(measure_stop_dns(world))
    else:
        say("DNS black hole: skipped, needs root")
    return figures


def measure_stop_dns(world):
    """In a network namespace of its own the name server takes queries and never answers."""
    resolv = world.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:3\n")
    hole = world.write("hole.py", """\
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
open(sys.argv[1], "w").close()
while True:
    s.recv(4096)
    open(sys.argv[1] + ".asked", "w").close()
""")
    ready, script = world.file("ready"), world.file("inside.sh")
    path, _ = world.config(host="broker.example.org")
    world.write("inside.sh", f"""\
ip link set lo up
mount --bind {resolv} /etc/resolv.conf || exit 9
python3 {hole} {ready} & echo $! > {ready}.pid
while [ ! -e {ready} ]; do sleep 0.05; done
exec {os.path.join(world.bin_dir, "holdfastd")} --config {path}
""")
    log = open(world.file("agent.log"), "a", encoding="utf-8")
    agent = subprocess.Popen(["unshare", "--mount", "--net", "sh", script], stdout=log, stderr=log)
    deadline = time.monotonic() + 15
    while not os.path.exists(ready + ".asked") and time.monotonic() < deadline:
        time.sleep(0.05)
    asked = os.path.exists(ready + ".asked")
    time.sleep(1)
    seconds, code = stop_time(agent)
    with open(ready + ".pid", encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    if not asked or code == 9:
        say("DNS black hole: could not be set up here")
        return {}
    return {"stop_dns_black_hole_s": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--idle", type=float, default=60)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        world = World(folder, os.path.abspath(options.bin))
        try:
            say("cold start to first PUBACK")
            figures.update(measure_start(world, options.repeats))
            say(f"idle for {options.idle:.0f} s")
            figures.update(measure_idle(world, options.idle))
            say("SIGTERM to exit")
            figures.update(measure_stop(world))
        finally:
            world.stop_broker()
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<36} {value:10.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

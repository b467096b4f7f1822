#!/usr/bin/env python3
"""Agents at a cluster of three RabbitMQ nodes: each node in turn is killed under traffic, and comes back; the
agents find another, and every message that was accepted arrives.

    cluster_test.py --bin DIR [--require]      DIR: the programs of a build

--require: without RabbitMQ the test fails; else exit 77. HOLDFAST_REQUIRE_BROKERS=1 does the same.
"""
import argparse
import collections
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from tool.programs import Programs, end, free_port, start, wait_for

SKIPPED = 77
FOLDER = pathlib.Path("/usr/lib/rabbitmq/bin")
NODES = (1, 2, 3)
PATIENCE_S = 240  # Erlang on a busy machine
AFTER_S = 3
PAUSE_S = 0.05

NODE = """listeners.tcp = none
distribution.listener.interface = 127.0.0.1
mqtt.listeners.tcp.1 = 127.0.0.1:{port}
mqtt.allow_anonymous = false
mqtt.subscription_ttl = 86400000
default_user = device
default_pass = secret
cluster_partition_handling = ignore
"""
ENDPOINT = """[[endpoint]]
name = "node{n}"
host = "127.0.0.1"
port = {port}
"""
AGENT = """
[connection]
name = "node{first}"
host = "127.0.0.1"
port = {port}
client_id = "{name}"
mqtt_version = "3.1.1"
username = "device"
password_file = "password"
[tls]
enabled = false
{others}
[failover]
after = "{after}s"
[failback]
automatic = false
[timing]
stable_after = "1s"
silent_after = "4s"
connect = "3s"
connack = "5s"
backoff_first = "200ms"
backoff_cap = "2s"
[flow]
max_in_flight = 20
[outbox]
directory = "{name}.outbox"
[local]
socket = "{name}.sock"
"""


class Cluster:
    """Three nodes, each a process of its own; they know each other by Erlang's directory of nodes."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {n: free_port() for n in NODES}
        self.dist = {n: free_port() for n in NODES}
        self.epmd_port = free_port()
        self.nodes = {}
        (folder / ".erlang.cookie").write_text("holdfast", encoding="ascii")
        (folder / ".erlang.cookie").chmod(0o400)
        for n in NODES:
            (folder / f"n{n}").mkdir()
            (folder / f"n{n}/enabled").write_text("[rabbitmq_mqtt].\n", encoding="ascii")
            (folder / f"n{n}/rabbitmq.conf").write_text(NODE.format(port=self.ports[n]),
                                                        encoding="ascii")
        self.epmd = start([Programs.system("epmd"), "-address", "127.0.0.1"],
                          env=self.environment(1), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
        wait_for(self.epmd_answers, 30, "epmd")
        for n in NODES:
            self.start(n)
        for n in NODES:
            self.wait(n)
        for n in NODES[1:]:
            for words in (("stop_app",), ("join_cluster", "r1@localhost"), ("start_app",)):
                self.ctl(n, *words)
        # A session's queue is on each node, and outlives that of its first one.
        self.ctl(1, "set_policy", "all", ".*", '{"ha-mode":"all","ha-sync-mode":"automatic"}')
        wait_for(lambda: self.running() == len(NODES), PATIENCE_S, "the cluster")

    def epmd_answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.epmd_port), 1).close()
            return True
        except OSError:
            return False

    def environment(self, n):
        own = self.folder / f"n{n}"
        return {**os.environ, "HOME": str(self.folder), "ERL_EPMD_PORT": str(self.epmd_port),
                "ERL_EPMD_ADDRESS": "127.0.0.1", "RUNNING_UNDER_SYSTEMD": "true",
                "RABBITMQ_NODENAME": f"r{n}@localhost", "RABBITMQ_DIST_PORT": str(self.dist[n]),
                "RABBITMQ_CONFIG_FILE": str(own / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(own / "enabled"),
                "RABBITMQ_MNESIA_BASE": str(own / "db"), "RABBITMQ_LOG_BASE": str(own / "log"),
                "RABBITMQ_LOGS": "-", "RABBITMQ_PID_FILE": str(own / "pid"),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none"}

    def start(self, n):
        with open(self.folder / f"n{n}/output", "ab") as log:
            self.nodes[n] = start([FOLDER / "rabbitmq-server"], stdout=log, stderr=log,
                                  env=self.environment(n), cwd=self.folder)

    def wait(self, n):
        def listening():
            try:
                socket.create_connection(("127.0.0.1", self.ports[n]), 1).close()
                return True
            except OSError:
                return False
        wait_for(listening, PATIENCE_S, f"node {n}")

    def ctl(self, n, *words):
        done = subprocess.run([FOLDER / "rabbitmqctl", "-q", *words], env=self.environment(n),
                              cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S,
                              check=False)
        if done.returncode != 0:
            raise AssertionError(f"rabbitmqctl {words}: {done.stdout}{done.stderr}")
        return done.stdout

    def running(self):
        said = json.loads(self.ctl(1, "cluster_status", "--formatter", "json"))
        return len(said["running_nodes"])

    def kill(self, n):
        self.nodes[n].kill()
        self.nodes[n].wait()

    def back(self, n):
        """The node is in the cluster again, and its copies of all queues are complete."""
        self.start(n)
        self.wait(n)
        wait_for(lambda: self.running() == len(NODES), PATIENCE_S, f"node {n} in the cluster")

        def whole():
            queues = json.loads(self.ctl(n, "list_queues", "name", "slave_pids",
                                         "synchronised_slave_pids", "--formatter", "json"))
            return queues and all(len(one["synchronised_slave_pids"] or []) == len(NODES) - 1
                                  for one in queues)
        wait_for(whole, PATIENCE_S, "copies")

    def end(self):
        for node in self.nodes.values():
            end(node, 30)
        end(self.epmd)


class ClusterTest(unittest.TestCase):
    bin = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-cluster-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        (cls.folder / "password").write_text("secret", encoding="ascii")
        (cls.folder / "password").chmod(0o600)
        cls.cluster = Cluster(cls.folder)
        cls.addClassCleanup(cls.cluster.end)

    def agent(self, name, first):
        others = "".join(ENDPOINT.format(n=n, port=self.cluster.ports[n])
                         for n in NODES if n != first)
        config = self.folder / f"{name}.toml"
        config.write_text(AGENT.format(name=name, first=first, port=self.cluster.ports[first],
                                       others=others, after=AFTER_S), encoding="ascii")
        with open(self.folder / f"{name}.log", "ab") as log:
            process = start([self.bin / "holdfastd", "--config", config], stderr=log)
        self.addCleanup(end, process, 30)
        wait_for((self.folder / f"{name}.sock").exists, 30, "its socket")
        wait_for(lambda: self.at(name), PATIENCE_S, f"{name} connected")

    def ask(self, name, *words, **options):
        return subprocess.run([self.bin / "holdfast", *map(str, words), "--socket",
                               self.folder / f"{name}.sock"], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False, **options)

    def at(self, name):
        """The node at which this agent is connected, or None."""
        now = json.loads(self.ask(name, "status", "--json").stdout)
        return int(now["endpoint_name"][-1]) if now["state"] == "connected" else None

    def hear(self, name):
        """What the agent `name` is given of the topic, as it comes."""
        heard = collections.Counter()
        process = subprocess.Popen(
            [self.bin / "holdfast", "subscribe", "cluster/count", "--socket",
             self.folder / f"{name}.sock"], stdout=subprocess.PIPE, text=True)

        def read():
            for line in process.stdout:
                heard[line.strip()] += 1
        thread = threading.Thread(target=read)
        thread.start()
        for clean in (process.wait, thread.join, process.kill):  # the last one first
            self.addCleanup(clean)

        def granted():
            filters = json.loads(self.ask(name, "status", "--json").stdout)["filters"]
            return any("granted" in one for one in filters)
        wait_for(granted, PATIENCE_S, "the subscription")
        return heard

    def test_each_node_is_killed_in_turn_and_nothing_is_lost(self):
        self.agent("writer", 1)
        self.agent("reader", 2)
        heard = self.hear("reader")
        over, accepted = threading.Event(), []

        def write():
            while not over.is_set():
                said = self.ask("writer", "publish", "cluster/count", str(len(accepted)))
                if said.returncode == 0:
                    accepted.append(time.monotonic())
                over.wait(PAUSE_S)
        writer = threading.Thread(target=write)
        writer.start()
        self.addCleanup(writer.join)
        self.addCleanup(over.set)
        wait_for(lambda: len(heard) > 10, PATIENCE_S, "traffic")
        killed, moved = [], []
        for name in ("writer", "reader", "writer"):  # at whose node the axe falls
            node = self.at(name)
            killed.append(node)
            self.cluster.kill(node)
            began = time.monotonic()
            wait_for(lambda: self.at(name) not in (None, node), PATIENCE_S, f"{name} elsewhere")
            moved.append(time.monotonic() - began)
            before = len(heard)
            wait_for(lambda: len(heard) > before + 10, PATIENCE_S, "traffic goes on")
            self.cluster.back(node)
        over.set()
        writer.join()
        wait_for(lambda: len(heard) == len(accepted), PATIENCE_S, "all of them")
        self.assertEqual(set(heard), {str(n) for n in range(len(accepted))})
        repeated = sum(heard.values()) - len(heard)
        print(f"\nnodes {killed} killed, elsewhere within {', '.join(f'{s:.1f}' for s in moved)} s; "
              f"{len(accepted)} messages accepted, 0 lost, {repeated} heard more than once", flush=True)
        ledger = json.loads(self.ask("writer", "status", "--json").stdout)["ledger"]
        self.assertTrue(ledger["balanced"])
        self.assertEqual(sum(ledger["dropped"].values()), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--require", action="store_true")
    options, rest = parser.parse_known_args()
    if not (FOLDER / "rabbitmq-server").exists():
        print("skipped: RabbitMQ is missing (Debian: apt install rabbitmq-server)")
        required = options.require or os.environ.get("HOLDFAST_REQUIRE_BROKERS") == "1"
        sys.exit(1 if required else SKIPPED)
    ClusterTest.bin = options.bin.resolve()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()

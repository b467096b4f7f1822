#!/usr/bin/env python3
"""The fleet's collector as it is used: a real broker, many devices that come, go and are cut off, one real
agent among them, a real Prometheus that asks; dashboard and rules of deploy/ are judged by it.

    fleet_test.py --bin DIR [--devices N]      DIR: the programs of a build; default: 300

Devices are connections with a birth message and a will, each with a report and an outage to tell.
"""
import argparse
import asyncio
import contextlib
import json
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from region_fixture import RegionTest
from tool.programs import Programs, end, free_port, start, wait_for

ROOT = pathlib.Path(__file__).resolve().parent.parent
DASHBOARD = ROOT / "deploy/grafana/holdfast-fleet.json"
RULES = ROOT / "deploy/prometheus/holdfast-fleet.rules.yml"
RULES_TEST = ROOT / "deploy/prometheus/holdfast-fleet.rules.test.yml"
DOCUMENT = ROOT / "docs/fleet-view.md"
METRIC = re.compile(r"\bholdfast_fleet_\w+")
EVERYTHING = {"Version": "2012-10-17",
              "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
AT_ONCE = 200  # connections that are being made

CONFIGURATION = """
[connection]
host = "127.0.0.1"
port = {port}
client_id = "{name}"
[tls]
enabled = false
[timing]
backoff_first = "200ms"
backoff_cap = "2s"
[outbox]
directory = "{name}.outbox"
"""
AGENT = """
[connection.will]
topic = "plant/pump-real/status"
payload = "offline"
[connection.birth]
topic = "plant/pump-real/status"
payload = "online"
[history]
topic = "plant/pump-real/outages"
[metrics]
publish_every = "10s"
topic = "plant/pump-real/metrics"
format = "json"
[local]
socket = "agent.sock"
"""


def text(word):
    word = word.encode()
    return struct.pack(">H", len(word)) + word


def packet(first, body):
    size, length = len(body), b""
    while True:
        size, low = divmod(size, 128)
        length += bytes([low | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def connect(name, will_topic):
    """MQTT 3.1.1, clean, keep-alive 10 min, a retained will "offline"."""
    return packet(0x10, text("MQTT") + bytes([4, 0x26]) + struct.pack(">H", 600) + text(name) +
                  text(will_topic) + text("offline"))


def publish(topic, payload, retain=False):
    return packet(0x30 | retain, text(topic) + payload.encode())


class Devices:
    """Connections of devices in a thread of their own."""

    def __init__(self, port, count):
        self.port, self.names = port, [f"pump-{n}" for n in range(count)]
        self.writers = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(300)

    async def _come(self, name, gate):
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(connect(name, f"plant/{name}/status"))
            if (await reader.readexactly(4))[3] != 0:
                raise RuntimeError("refused")
            report = {"metrics": {"holdfast_messages_pending": 3,
                                  "holdfast_messages_dropped_total": {"expired": 1}}}
            outage = {"event": "outage", "over": True, "began_ms": int(time.time() * 1000),
                      "lasted_ms": 2000, "verdict": "dns_failed"}
            writer.write(publish(f"plant/{name}/status", "online", True) +
                         publish(f"plant/{name}/metrics", json.dumps(report)) +
                         publish(f"plant/{name}/outages", json.dumps(outage)))
            await writer.drain()
            self.writers[name] = writer

    async def _all_come(self, names):
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._come(name, gate) for name in names))

    async def _cut(self, names):
        gone = [self.writers.pop(name) for name in names]
        for writer in gone:
            writer.close()
        for writer in gone:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def come(self, names):
        self.do(self._all_come(names))

    def cut(self, names):
        """Without a word: their wills are published."""
        self.do(self._cut(names))

    def end(self):
        self.do(self._cut(list(self.writers)))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Collector:
    """A running `holdfast fleet`, connected, and its page."""

    def __init__(self, test, config, *words):
        self.page = free_port()
        with open(config.with_suffix(".log"), "ab") as log:
            self.process = start([test.bin / "holdfast", "fleet", "--listen",
                                  f"127.0.0.1:{self.page}", *words, config], stderr=log)
        test.addCleanup(end, self.process, 20)
        wait_for(lambda: self.value("holdfast_fleet_collector_connected") == 1, 30, "the collector")

    def text(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/metrics", timeout=30) as got:
                return got.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return ""

    def value(self, series, page=None):
        """Of one series; None when it is not there."""
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.text() if page is None else page,
                          re.M)
        return float(found[1]) if found else None


class FilesTest(unittest.TestCase):
    def promtool(self, *words):
        done = subprocess.run([Programs.system("promtool"), *map(str, words)], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_accepts_the_rules_and_they_do_what_they_are_for(self):
        self.promtool("check", "rules", RULES)
        self.promtool("test", "rules", RULES_TEST)
        rules = RULES.read_text(encoding="utf-8")
        silent, fires = RULES_TEST.read_text(encoding="utf-8").split("- name: each alert fires")
        for name in re.findall(r"- alert: (\w+)", rules):
            self.assertIn(f"alertname: {name}, exp_alerts: []", silent)
            self.assertRegex(fires, rf"alertname: {name}\n +exp_alerts:\n +- exp_labels")
        self.assertLessEqual(set(METRIC.findall(re.sub(r"#.*", "", rules))), documented())


def documented():
    return set(re.findall(r"^\| `(holdfast_fleet_\w+)", DOCUMENT.read_text(encoding="utf-8"), re.M))


def dashboard_queries():
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


class FleetTest(unittest.TestCase):
    bin = None
    count = 300

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-fleet-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.port = free_port()
        (self.folder / "broker.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_connections -1\n"
            f"persistence true\npersistence_location {self.folder}/\nuser root\n", encoding="ascii")
        self.broker = self.start_broker()
        self.devices = Devices(self.port, self.count)
        self.addCleanup(self.devices.end)

    def start_broker(self):
        with open(self.folder / "broker.log", "ab") as log:
            broker = start([Programs.system("mosquitto"), "-c", self.folder / "broker.conf"],
                           stdout=log, stderr=log)
        self.addCleanup(end, broker, 20)
        return broker

    def configure(self, name, more=""):
        path = self.folder / f"{name}.toml"
        path.write_text(CONFIGURATION.format(port=self.port, name=name) + more, encoding="ascii")
        return path

    def start_collector(self):
        self.collector = Collector(
            self, self.configure("collector"), "--presence", "plant/+/status", "--outages",
            "plant/+/outages", "--reports", "plant/+/metrics")
        return self.collector.process

    def text(self):
        return self.collector.text()

    def value(self, series, page=None):
        return self.collector.value(series, page)

    def online(self, count, seconds=120):
        """How long it takes until so many are online, and all others that are known are not."""
        began = time.monotonic()
        def seen():
            return self.value('holdfast_fleet_devices{presence="online"}') == count
        wait_for(seen, seconds, f"{count} online")
        return time.monotonic() - began

    def test_a_fleet_is_seen_coming_going_and_telling(self):
        collector = self.start_collector()
        names = self.devices.names
        began = time.monotonic()
        self.devices.come(names)
        came = time.monotonic() - began
        behind = self.online(len(names))
        wait_for(lambda: self.value('holdfast_fleet_messages_total{about="outage"}') == len(names),
                 60, "all outages")
        began = time.monotonic()
        page = self.text()
        took = time.monotonic() - began
        self.assertEqual(self.value('holdfast_fleet_device_pending{device="pump-7"}', page), 3)
        self.assertEqual(self.value('holdfast_fleet_device_dropped{device="pump-7"}', page), 1)
        self.assertEqual(self.value('holdfast_fleet_device_verdict{device="pump-7",verdict="dns_failed"}',
                                    page), 1)
        self.assertEqual(self.value('holdfast_fleet_outages_total{verdict="dns_failed"}', page),
                         len(names))
        self.assertEqual(len(re.findall(r"^holdfast_fleet_device_online\{", page, re.M)), len(names))
        self.assertEqual(set(re.findall(r"^# HELP (\w+)", page, re.M)), documented())
        half = names[:len(names) // 2]
        self.devices.cut(half)
        went = self.online(len(names) - len(half))
        self.assertEqual(self.value('holdfast_fleet_device_online{device="pump-0"}'), 0)
        with open(f"/proc/{collector.pid}/status", encoding="ascii") as status:
            memory = int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])
        print(f"\n{len(names)} devices connected in {came:.1f} s, all seen {behind:.1f} s later; half of "
              f"them cut, seen within {went:.1f} s; a page of {len(page) / 1e6:.2f} MB in {took:.2f} s; "
              f"the collector's RSS {memory / 1024:.0f} MiB", flush=True)
        # A collector that is started anew learns who is there, and who is not, from retained words.
        end(collector, 20)
        self.assertEqual(collector.returncode, 0)
        self.start_collector()
        self.online(len(names) - len(half))
        wait_for(lambda: self.value('holdfast_fleet_devices{presence="offline"}') == len(half), 30,
                 "those that are gone")

    def test_a_real_agent_tells_of_its_outage_and_the_collector_of_its_own(self):
        self.start_collector()
        with open(self.folder / "agent.log", "ab") as log:
            agent = subprocess.Popen(
                [self.bin / "holdfastd", "--config", self.configure("pump-real", AGENT)],
                stderr=log, stdin=subprocess.DEVNULL)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        self.online(1)
        end(self.broker, 20)
        wait_for(lambda: self.value("holdfast_fleet_collector_connected") == 0, 30, "its outage")
        self.broker = self.start_broker()
        wait_for(lambda: self.value('holdfast_fleet_device_outages_total{device="pump-real"}') == 1,
                 60, "the outage")
        self.assertEqual(self.value("holdfast_fleet_collector_connected"), 1)
        page = self.text()
        self.assertRegex(page, r'holdfast_fleet_device_verdict\{device="pump-real",verdict="\w+"\} 1')
        wait_for(lambda: self.value('holdfast_fleet_device_pending{device="pump-real"}') is not None,
                 60, "a report")
        agent.send_signal(signal.SIGKILL)
        self.online(0)
        self.assertEqual(self.value('holdfast_fleet_device_online{device="pump-real"}'), 0)

    def test_a_real_prometheus_answers_all_that_dashboard_and_rules_ask(self):
        self.start_collector()
        self.devices.come(self.devices.names[:20])
        self.online(20)
        port = free_port()
        (self.folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\n"
            f"rule_files: ['{RULES}']\n"
            "scrape_configs:\n- job_name: fleet\n  static_configs:\n"
            f"  - targets: ['127.0.0.1:{self.collector.page}']\n", encoding="ascii")
        with open(self.folder / "prometheus.log", "wb") as log:
            process = start([Programs.system("prometheus"), "--config.file",
                             self.folder / "prometheus.yml", "--storage.tsdb.path",
                             self.folder / "data", f"--web.listen-address=127.0.0.1:{port}"],
                            stderr=log, stdout=log)
        self.addCleanup(end, process)

        def query(expression):
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode(
                {"query": expression})
            try:
                with urllib.request.urlopen(url, timeout=10) as got:
                    return json.loads(got.read())["data"]["result"]
            except urllib.error.HTTPError as error:
                if error.code == 503:
                    return []
                self.fail(f"{expression}: {error.read().decode()}")
            except urllib.error.URLError:
                return []
        wait_for(lambda: query("increase(holdfast_fleet_messages_total[1m])"), 60, "two scrapes")
        asked = set()
        for title, expression in dashboard_queries():
            asked |= set(METRIC.findall(expression))
            self.assertTrue(query(expression), f"{title}: {expression} has no data")
        self.assertEqual(asked, documented())

    def test_bad_options_are_refused_with_a_word(self):
        for words, said in (
                ([], "nothing to hear"),
                (["--presence", "plant/status"], "has no level + for the device's name"),
                (["--lifecycle", "--listen", "0.0.0.0:9465"], "is reached by other machines"),
                (["--lifecycle", "--forget", "soon"], "soon is no time"),
                (["--presence", "a/+/#/b"], "a/+/#/b")):
            done = subprocess.run(
                [self.bin / "holdfast", "fleet", *words, self.configure("collector")],
                capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)


class AwsTest(RegionTest):
    def test_aws_iots_own_word_is_understood(self):
        for name in ("collector", "mortal"):
            self.make(name, EVERYTHING)
        collector = Collector(self, self.devices["collector"] / "device.toml", "--lifecycle")
        mortal = self.client("mortal", "sub", "-t", "mortal/any")
        online = 'holdfast_fleet_device_online{device="mortal"}'
        wait_for(lambda: collector.value(online) == 1, 30, "mortal is there")
        mortal.process.kill()
        wait_for(lambda: collector.value(online) == 0, 30, "mortal is gone")
        lost = 'holdfast_fleet_disconnects_total{reason="CONNECTION_LOST"}'
        self.assertEqual(collector.value(lost), 1, collector.text())
        self.assertEqual(collector.value('holdfast_fleet_ignored_total{reason="malformed"}'), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--devices", type=int, default=300)
    options, rest = parser.parse_known_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    FleetTest.bin = AwsTest.bin = options.bin.resolve()
    FleetTest.count = options.devices
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()

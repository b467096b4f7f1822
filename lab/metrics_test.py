#!/usr/bin/env python3
"""The agent's metrics as they are used: a real Prometheus scrapes a real agent while its cloud goes away
and comes back; the rules and the dashboard of deploy/ are judged by it, and reports by Device Defender.

    metrics_test.py --bin DIR      DIR: the programs of a build
"""
import json
import pathlib
import re
import shutil
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

from region_fixture import RegionTest, run
from tool.programs import Programs, end, free_port, start, wait_for

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus/holdfast.rules.yml"
RULES_TEST = DEPLOY / "prometheus/holdfast.rules.test.yml"
DASHBOARD = DEPLOY / "grafana/holdfast.json"

CONFIGURATION = """
[connection]
host = "localhost"
port = {port}
client_id = "{name}"
[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"
[timing]
backoff_cap = "2s"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
[metrics]
listen = "127.0.0.1:{page}"
{more}
"""
SECOND = """
[guards]
every = "1s"
[[endpoint]]
name = "other"
host = "localhost"
port = 1
"""
METRIC = re.compile(r"\b(?:holdfast|process)_\w+")
SELECTOR = re.compile(r"\b(?:holdfast|process)_\w+(?:\{[^}]*\})?")


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def documented():
    """The names in the table of docs/metrics.md."""
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `((?:holdfast|process)_\w+)", text, re.M))


def conditional():
    """Those of them that are not always there: a modem, a battery, a guard."""
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(holdfast_\w+)[^`]*` †", text, re.M))


def rule_queries():
    """Each alert's name and expression. No YAML library: promtool has read the file before us."""
    text = RULES.read_text(encoding="utf-8")
    found = re.findall(r"- alert: (\w+)\n +expr: (>-\n(?: {10}.*\n)+|.*\n)", text)
    return {name: " ".join(expression.removeprefix(">-").split()) for name, expression in found}


def dashboard_queries():
    """The title of its panel and each expression, as Grafana would send it."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], (target["expr"].replace("$job", "holdfast")
                                   .replace("$instance", ".*").replace("$__rate_interval", "1m"))


class FilesTest(unittest.TestCase):
    """What is in deploy/, without a device."""

    def promtool(self, *words):
        done = subprocess.run([Programs.system("promtool"), *map(str, words)], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_accepts_the_rules_and_they_do_what_they_are_for(self):
        self.promtool("check", "config", DEPLOY / "prometheus/prometheus.yml")
        self.promtool("check", "rules", RULES)
        self.promtool("test", "rules", RULES_TEST)

    def test_each_alert_is_tested_to_fire_and_to_be_silent(self):
        self.assertEqual(len(rule_queries()), RULES.read_text(encoding="utf-8").count("- alert:"))
        silent, fires = RULES_TEST.read_text(encoding="utf-8").split("- name: each alert fires")
        for name in rule_queries():
            self.assertIn(f"alertname: {name}, exp_alerts: []", silent)
            self.assertRegex(fires, rf"alertname: {name}\n +exp_alerts:\n +- exp_labels")

    def test_only_metrics_that_exist_are_asked_for_and_the_dashboard_has_them_all(self):
        asked = {name for _, query in dashboard_queries() for name in METRIC.findall(query)}
        self.assertEqual(asked, documented())
        for alert, query in rule_queries().items():
            self.assertLessEqual(set(METRIC.findall(query)), documented(), alert)


class MetricsTest(RegionTest):
    @classmethod
    def up(cls):
        if not hasattr(cls, "ports"):
            cls.ports = [str(free_port()) for _ in range(3)]
        subprocess.run([*cls.command, "up", "--detach", "--region", "eu-west-1", "--ports",
                        *cls.ports], check=True, stdout=subprocess.DEVNULL)
        cls.region = cls.place.choose()

    def agent(self, name, more=""):
        """A running agent with the files of device `name`; the port of its page."""
        if name not in self.devices:
            self.make(name)
        folder = self.devices[name]
        page = free_port()
        (folder / "device.toml").write_text(CONFIGURATION.format(
            name=name, port=self.region.endpoint()["mqtt"], page=page, more=more), encoding="utf-8")
        self.processes = {**getattr(self, "processes", {}), name: self.start_agent(folder)}
        wait_for(lambda: self.value(page, "holdfast_connected") == 1, 20, f"{name} connected")
        return page

    def page(self, port):
        try:
            return fetch(f"http://127.0.0.1:{port}/metrics")
        except urllib.error.URLError:
            return ""

    def value(self, port, series):
        """Of one series on the page; None when it is not there."""
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.page(port), re.M)
        return float(found[1]) if found else None

    def prometheus(self, page):
        """A real one that scrapes this page; it is patient for seconds where the rules are for
        minutes."""
        folder = self.folder / f"prometheus-{page}"
        folder.mkdir()
        config = (DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8")
        for before, after in (("127.0.0.1:9464", f"127.0.0.1:{page}"),
                              ("_interval: 30s", "_interval: 500ms"),
                              ("scrape_timeout: 5s", "scrape_timeout: 500ms")):
            self.assertIn(before, config)
            config = config.replace(before, after)
        rules = RULES.read_text(encoding="utf-8")
        self.assertIn("holdfast_offline_seconds > 900", rules)
        (folder / "prometheus.yml").write_text(config, encoding="utf-8")
        (folder / RULES.name).write_text(
            rules.replace("holdfast_offline_seconds > 900", "holdfast_offline_seconds > 2"),
            encoding="utf-8")
        port = free_port()
        with open(folder / "log", "wb") as log:
            process = start([Programs.system("prometheus"), "--config.file",
                             folder / "prometheus.yml", "--storage.tsdb.path", folder / "data",
                             f"--web.listen-address=127.0.0.1:{port}"], stderr=log, stdout=log)
        self.addCleanup(end, process)
        self.api = f"http://127.0.0.1:{port}/api/v1"
        wait_for(self.ready, 30, "Prometheus")

    def ready(self):
        """Whether it runs and has scraped once."""
        try:
            fetch(self.api.replace("/api/v1", "/-/ready"))
        except urllib.error.URLError:  # 503 while it starts
            return False
        up = self.query("up")
        return up and up[0]["value"][1] == "1"

    def query(self, expression):
        try:
            answer = json.loads(fetch(f"{self.api}/query?" +
                                      urllib.parse.urlencode({"query": expression})))
        except urllib.error.HTTPError as error:
            self.fail(f"{expression}: {error.read().decode()}")
        return answer["data"]["result"]

    def alert(self, name):
        """The alert, while it fires."""
        alerts = json.loads(fetch(f"{self.api}/alerts"))["data"]["alerts"]
        return next((a for a in alerts if a["labels"]["alertname"] == name and
                     a["state"] == "firing"), None)

    def test_prometheus_sees_an_outage_and_its_end(self):
        page = self.agent("seen")
        self.prometheus(page)
        self.assertIsNone(self.alert("HoldfastOffline"))
        self.down()
        try:
            alert = wait_for(lambda: self.alert("HoldfastOffline"), 30, "the alert")
            self.assertIn("tcp_refused", alert["annotations"]["summary"])
            self.assertEqual(self.value(page, "holdfast_connected"), 0)
        finally:
            self.up()
        wait_for(lambda: not self.alert("HoldfastOffline"), 30, "the end of the alert")
        # A Region that comes up may end the first connection that it takes: another short outage.
        wait_for(lambda: self.query("holdfast_connected")[0]["value"][1] == "1", 30, "connected")
        self.assertIn(self.query("holdfast_outages_total")[0]["value"][1], ("1", "2"))
        self.assertEqual(self.query("max_over_time(holdfast_offline_seconds[5m]) > bool 2")[0]
                         ["value"][1], "1")
        self.assertEqual(self.query('up{device="pump-7"}')[0]["value"][1], "1")

    def test_every_query_of_rules_and_dashboard_is_answered(self):
        page = self.agent("asked", SECOND)
        self.prometheus(page)
        wait_for(lambda: len(self.query("increase(holdfast_progress_total[1m])")) == 5, 20,
                 "two scrapes")
        for title, query in dashboard_queries():
            answer = self.query(query)
            if set(METRIC.findall(query)) & conditional():
                continue
            if not re.search(r"[<>=]=? 0|== 1", query):  # what only shows in trouble, or in use
                self.assertTrue(answer, f"{title}: {query} has no data")
        for alert, query in rule_queries().items():
            self.query(query)
            for selector in SELECTOR.findall(query):
                if METRIC.match(selector).group() in conditional():
                    continue
                self.assertTrue(self.query(selector), f"{alert}: {selector} has no data")

    def test_promtool_finds_nothing_to_say_of_the_page(self):
        text = self.page(self.agent("plain", SECOND))
        done = subprocess.run([Programs.system("promtool"), "check", "metrics"], input=text,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.assert_complete(set(re.findall(r"^# TYPE (\S+)", text, re.M)))

    def assert_complete(self, names):
        self.assertLessEqual(names, documented())
        self.assertGreaterEqual(names, documented() - conditional())
        guards = {name for name in conditional() if name.startswith("holdfast_guard_")}
        self.assertGreaterEqual(names, guards)  # they are configured

    def test_device_defender_takes_reports_and_its_answers_are_counted(self):
        reports = 'holdfast_metrics_reports_total{result="%s"}'
        page = self.agent("reporting", 'publish_every = "5m"')
        wait_for(lambda: self.value(page, reports % "accepted") == 1, 60, "an accepted report")
        self.assertEqual(self.value(page, reports % "published"), 1)
        kept = self.region.call("ListDeviceMetricReports", thingName="reporting")
        self.assertNotIn("lastRejection", kept)
        report = kept["reports"][0]["report"]
        self.assertEqual(report["custom_metrics"]["holdfast_connects_total"], [{"number": 1}])
        self.assertIn("bytes_in", report["metrics"]["network_stats"])
        # Another run within five minutes is too soon for AWS.
        end(self.processes["reporting"])
        page = self.agent("reporting", 'publish_every = "5m"')
        wait_for(lambda: self.value(page, reports % "rejected") == 1, 60, "a rejected report")
        self.assertIn("Device Defender rejected the metrics: Throttled: ", self.log("reporting"))

    def test_a_program_without_its_module_says_so(self):
        folder = self.folder / "alone"
        folder.mkdir()
        shutil.copy(self.bin / "holdfastd", folder)
        (folder / "device.toml").write_text(CONFIGURATION.format(
            name="alone", port=1, page=free_port(), more=""), encoding="utf-8")
        for more in (["--check"], []):
            done = subprocess.run([folder / "holdfastd", "--config", folder / "device.toml", *more],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertNotEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stderr, r"metrics.listen: .*holdfast_prometheus.so is not there; ")

    def test_plain_json_says_what_the_page_says(self):
        self.make("json")
        self.make("reader", {"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "iot:*", "Resource": "*"}})
        reader = self.subscribed("reader", "-t", "json/metrics", "-C", "1")
        page = self.agent("json", 'publish_every = "10s"\nformat = "json"' + SECOND)
        report = json.loads(reader.output(30))
        self.assertEqual(report["client_id"], "json")
        self.assert_complete(set(report["metrics"]))
        self.assertEqual(report["metrics"]["holdfast_connected"], 1)
        self.assertEqual(report["metrics"]["holdfast_outbox_limit_bytes"],
                         self.value(page, "holdfast_outbox_limit_bytes"))


if __name__ == "__main__":
    run(__doc__)

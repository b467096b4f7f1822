#!/usr/bin/env python3
"""The agent's log: forms, levels, floods, places that take nothing, and how it leaves the device.

Goal:   every line is one object or one line, holds no secret, and is written, or counted, wherever it
        goes; what is asked for locally or from afar comes.
Method: the real agent with a real mosquitto. Lines are read by Python's JSON parser, pipes are left
        full, a disk of 64 KiB (tmpfs, as root) fills, journald is a real one (as root) with a /run of
        its own.
Usage:  log_test.py BIN_DIR [unittest arguments]
"""
import fcntl
import glob
import json
import os
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import Lab, wait_until  # noqa: E402

JOURNALD = "/lib/systemd/systemd-journald"


class Logs(Lab):
    def log_config(self, log, extra="", **change):
        return self.config(extra="[log]\n" + log + "\n" + extra, **change)

    def objects(self):
        return [json.loads(line) for line in self.agent_log().splitlines()]

    def offline(self):
        wait_until("it has a verdict", lambda: self.status()["verdict"] == "tcp_refused")

    def test_json_lines_have_area_verdict_and_values(self):
        agent = self.agent(self.log_config('format = "json"'))
        self.offline()
        agent.send_signal(signal.SIGUSR1)
        wait_until("the state", lambda: '"message":"state: {' in self.agent_log())
        agent.terminate()
        self.assertEqual(agent.wait(timeout=20), 0)
        lines = self.objects()
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(line["level"], ("error", "warning", "info"))
        # Why the machine was started comes first, then the outbox.
        self.assertEqual([line["area"] for line in lines[:2]], ["health", "outbox"])
        refused = next(line for line in lines if line.get("verdict") == "tcp_refused")
        self.assertEqual((refused["level"], refused["area"], refused["fields"]["state"],
                          refused["fields"]["endpoint"], refused["fields"]["attempt"]),
                         ("warning", "connection", "waiting", "127.0.0.1:%d" % self.port, 1))
        state = next(line for line in lines if line["message"].startswith("state: "))
        log = json.loads(state["message"][len("state: "):])["status"]["log"]
        self.assertEqual(log["levels"]["outbox"], "info")
        self.assertTrue(lines[-1]["message"].startswith("stopped; "), lines[-1])

    def test_text_is_for_people(self):
        agent = self.agent()
        self.offline()
        agent.terminate()
        agent.wait(timeout=20)
        for line in self.agent_log().splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT[\d:.]{12}Z (error  |warning|info   ) [a-z-]+: ")

    def test_levels_of_areas_change_at_run_time_and_end_with_a_reload(self):
        agent = self.agent(self.log_config('level = "warning"\n[log.areas]\noutbox = "info"'))
        self.offline()
        self.assertIn("outbox: new store", self.agent_log())
        self.assertNotIn("agent: holdfastd", self.agent_log())
        shown = self.cli("log-level")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("outbox        info\n", shown.stdout)
        self.assertIn("connection    warning\n", shown.stdout)
        self.assertEqual(self.cli("log-level", "connection", "debug").stdout, "connection    debug\n")
        self.cli("reconnect")
        wait_until("each attempt is logged", lambda: "debug   connection: attempt" in self.agent_log())
        self.assertEqual(self.status()["log"]["levels"]["connection"], "debug")
        self.assertEqual(len(self.cli("log-level", "error").stdout.splitlines()), 10)
        self.assertEqual(set(self.status()["log"]["levels"].values()), {"error"})
        agent.send_signal(signal.SIGHUP)
        wait_until("the file's levels", lambda: self.status()["log"]["levels"]["outbox"] == "info")
        self.assertEqual(self.status()["log"]["levels"]["connection"], "warning")
        self.log_config('level = "debug"')
        agent.send_signal(signal.SIGHUP)
        wait_until("a changed file", lambda: self.status()["log"]["levels"]["flow"] == "debug")
        self.one_line_error(self.cli("log-level", "outbx", "info"), 1, "outbx", "outbox")
        self.one_line_error(self.cli("log-level", "outbox", "loud"), 1, "loud", "warning")
        self.one_line_error(self.cli("log-level", "loud"), 1, "loud")

    def test_the_last_lines_can_be_asked_for(self):
        self.agent()
        self.offline()
        last = self.cli("logs")
        self.assertEqual(last.returncode, 0, last.stderr)
        self.assertEqual(last.stdout.splitlines(), self.agent_log().splitlines()[:len(
            last.stdout.splitlines())])
        one = self.cli("logs", "-n", "1", "--json").stdout.splitlines()
        self.assertEqual(len(one), 1)
        # "holdfastd runs" comes from another thread than the first attempt's verdict: the last of the two.
        self.assertIn(json.loads(one[0])["area"], ("connection", "agent"))
        self.one_line_error(self.cli("logs", "-n", "0"), 2, "lines")
        self.one_line_error(self.cli("logs", "--send"), 1, "log.topic")

    def outside(self, topic):
        return self.start("mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic,
                          "-q", "1", "-C", "1", "-i", "outside", stdout=subprocess.PIPE)

    def test_the_last_lines_are_sent_on_demand_and_from_afar(self):
        self.broker(tls=False)
        self.agent(self.log_config('topic = "logs/here"\ncommand_topic = "cmd/logs"', tls="false"))
        self.until_state("connected")
        def sent_to(topic, ask):
            reader = self.outside(topic)
            wait_until(topic, lambda: ask() or reader.poll() is not None)
            return json.loads(reader.stdout.read())
        def send(*args):
            done = self.cli("logs", "--send", *args)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^accepted, message \d+\n$")
        for topic, args in (("logs/here", ()), ("logs/there", ("--topic", "logs/there", "-n", "3"))):
            got = sent_to(topic, lambda args=args: send(*args))
            self.assertEqual(got["client_id"], "agent-test")
            self.assertTrue(all({"time", "level", "area", "message"} <= set(line)
                                for line in got["lines"]))
        self.assertLessEqual(len(got["lines"]), 3)
        filters = lambda: [f for f in self.status()["filters"] if f["filter"] == "cmd/logs"]
        wait_until("it listens", lambda: filters() and "granted" in filters()[0])
        got = sent_to("logs/here", lambda: subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-t", "cmd/logs", "-m", ""],
            check=True) and None)
        self.assertTrue(got["lines"])

    def test_a_full_pipe_stops_nothing_and_costs_counted_lines(self):
        reading, writing = os.pipe()
        fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
        agent = self.start(agent_test.BIN + "/holdfastd", "--config",
                           self.log_config('format = "json"'), stderr=writing)
        os.close(writing)
        wait_until("the local API answers", lambda: os.path.exists(self.socket))
        self.offline()
        def flooded():
            agent.send_signal(signal.SIGUSR1)  # each line has about 3 KiB
            return self.status()["log"]["not_taken"] > 3
        wait_until("the pipe is full", flooded)
        self.assertEqual(self.cli("publish", "a/b", "c").returncode, 0)
        self.assertEqual(self.cli("health").returncode, 0)
        text = b""
        os.set_blocking(reading, False)
        def told():
            nonlocal text
            try:
                text += os.read(reading, 65536)
            except BlockingIOError:
                pass
            whole = text[:text.rfind(b"\n") + 1].decode().splitlines()
            said = sum(json.loads(line).get("fields", {}).get("dropped", 0) for line in whole)
            return said > 3 and said == self.status()["log"]["not_taken"]
        wait_until("each of them is said", told)
        agent.terminate()
        self.assertEqual(agent.wait(timeout=20), 0)
        os.close(reading)

    def test_a_file_rotates_within_its_bounds(self):
        agent = self.agent(self.log_config(
            'format = "json"\nfile = "%s"\nmax_size = "8KiB"\nkeep = 2' % self.path("device.log")))
        self.offline()
        for _ in range(20):
            agent.send_signal(signal.SIGUSR1)
            time.sleep(0.02)
        agent.terminate()
        self.assertEqual(agent.wait(timeout=20), 0)
        files = sorted(glob.glob(self.path("device.log*")))
        self.assertIn(self.path("device.log.1"), files)
        self.assertLessEqual(len(files), 3)
        with open(files[0]) as f:
            self.assertIn('"stopped; ', f.readlines()[-1])
        for name in files:
            with open(name) as f:
                for line in f:
                    json.loads(line)

    def test_a_file_that_cannot_be_written_is_said_once_and_harms_nothing(self):
        agent = self.agent(self.log_config('file = "%s"' % self.path("away/device.log")))
        self.offline()
        wait_until("it is said", lambda: "the log file is not written: " + self.path(
            "away/device.log") in self.agent_log())
        os.mkdir(self.path("away"))
        agent.send_signal(signal.SIGUSR1)
        wait_until("and that it is over", lambda: "the log file is written again" in self.agent_log())
        self.assertEqual(self.agent_log().count("the log file is not written"), 1)
        self.assertGreater(self.status()["log"]["file_lost"], 0)
        self.assertTrue(os.path.getsize(self.path("away/device.log")) > 0)

    def test_a_full_disk_is_said_and_harms_nothing(self):
        if os.geteuid() != 0:
            self.skipTest("this needs root, to mount a small disk")
        small = self.path("small")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", small],
                          capture_output=True).returncode != 0:
            self.skipTest("nothing can be mounted here")
        try:
            agent = self.agent(self.log_config('file = "%s/device.log"' % small))
            self.offline()
            def full():
                agent.send_signal(signal.SIGUSR1)
                return "the log file is not written: %s/device.log" % small in self.agent_log()
            wait_until("it is said", full)
            self.assertIn("No space left", self.agent_log())
            self.assertEqual(self.cli("publish", "a/b", "c").returncode, 0)
            agent.terminate()
            self.assertEqual(agent.wait(timeout=20), 0)
        finally:
            subprocess.run(["umount", "-l", small], check=True)

    def test_no_line_holds_a_secret(self):
        secrets = {"password": "pa55word-of-mqtt", "proxy": "pa55word-of-proxy",
                   "payload": "payl0ad-in-a-message"}
        self.broker(tls=False)
        self.write("password", secrets["password"] + "\n")
        self.write("proxy", secrets["proxy"] + "\n")
        with open(self.certs + "/device.key") as f:
            key = [line for line in f.read().splitlines() if line and "-----" not in line]
        secrets.update(("key %d" % i, line) for i, line in enumerate(key))
        config = self.log_config('level = "debug"\nfile = "%s"' % self.path("device.log"), tls="false")
        def change(**replaced):
            with open(config) as f:
                text = f.read()
            for old, new in replaced.items():
                text = text.replace("[%s]" % old, "[%s]\n%s" % (old, new))
            with open(config, "w") as f:
                f.write(text)
        change(connection='username = "u"\npassword_file = "%s"' % self.path("password"))
        agent = self.agent(config)
        self.until_state("connected")
        self.cli("publish", "a/b", secrets["payload"], "--wait", "delivered")
        change(log="", outbox="", tls="")  # the same again
        with open(config, "a") as f:
            f.write('[proxy]\nhost = "127.0.0.1"\nport = %d\nusername = "p"\npassword_file = "%s"\n'
                    % (self.port, self.path("proxy")))
        agent.send_signal(signal.SIGHUP)
        wait_until("the proxy fails", lambda: self.status()["verdict"] == "proxy_failed")
        self.config(tls="true")  # TLS towards a broker without it
        agent.send_signal(signal.SIGHUP)
        wait_until("TLS fails", lambda: self.status()["verdict"].startswith("tls_"))
        agent.send_signal(signal.SIGUSR1)
        wait_until("the state", lambda: "state: {" in self.agent_log())
        shown = self.cli("logs", "--json").stdout
        agent.terminate()
        agent.wait(timeout=20)
        with open(self.path("device.log")) as f:
            shown += f.read()
        for what, secret in secrets.items():
            self.assertNotIn(secret, shown + self.agent_log(), what)

    def test_wrong_keys_are_named(self):
        for log, words in (('format = "xml"', ('log.format', '"auto", "text", "json" or "journal"')),
                           ('lines_per_hour = 1', ("log.lines_per_hour", "20")),
                           ('max_size = "1KiB"', ("log.max_size", "4KiB")),
                           ('topic = "a/#"', ("log.topic", "a/#")),
                           ('command_topic = "a"', ("log.command_topic", "log.topic")),
                           ('[log.areas]\noutbx = "info"', ("log.areas.outbx", "outbox")),
                           ('[log.areas]\nflow = "loud"', ("log.areas.flow", '"debug"'))):
            done = self.cli("check-config", self.log_config(log))
            self.one_line_error(done, 2, *words)
        done = self.cli("check-config", self.log_config('file = "%s"' % self.path("no/where.log")))
        self.one_line_error(done, 2, "log.file", "no does not exist")

    # The agent's format is chosen by what standard error is, not by who started it.
    def test_an_inherited_journal_stream_that_is_not_standard_error_is_text(self):
        os.environ["JOURNAL_STREAM"] = "8:1"
        try:
            self.agent()
        finally:
            del os.environ["JOURNAL_STREAM"]
        self.offline()
        self.assertRegex(self.agent_log(), r"^\d{4}-")

    def test_without_journald_it_goes_to_standard_error_and_that_is_said_once(self):
        if os.path.exists("/run/systemd/journal/socket"):
            self.skipTest("there is a journald here")
        self.agent(self.log_config('format = "journal"'))
        self.offline()
        self.assertEqual(self.agent_log().count("journald is not there"), 1)
        self.assertIn("outbox: new store", self.agent_log())


class RealJournald(Lab):
    """A journald of the test's own: its /run and /var/log are empty directories."""

    def test_entries_have_their_fields(self):
        if os.geteuid() != 0 or not os.path.exists(JOURNALD):
            self.skipTest("this needs root and systemd-journald")
        config = self.config(extra='[log]\nformat = "journal"\n')
        script = self.write("scene.sh", """
set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir -p /run/systemd/journal /run/log/journal
%s >%s/journald.log 2>&1 &
journald=$!
for i in $(seq 100); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
%s/holdfastd --config %s &
agent=$!
for i in $(seq 100); do
  journalctl --no-pager -o json HOLDFAST_VERDICT=tcp_refused 2>/dev/null | grep -q MESSAGE && break
  sleep 0.1
done
kill $agent; wait $agent
journalctl --sync 2>/dev/null || sleep 1
journalctl --no-pager -o json SYSLOG_IDENTIFIER=holdfastd >%s/entries
kill $journald; wait $journald || true
""" % (JOURNALD, self.dir, agent_test.BIN, config, self.dir))
        done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", script],
                              capture_output=True, text=True, timeout=60)
        entries = []
        if os.path.exists(self.path("entries")):
            with open(self.path("entries")) as f:
                entries = [json.loads(line) for line in f]
        self.assertTrue(entries, done.stderr)
        self.assertEqual(done.stderr, "", "nothing goes to standard error")
        refused = next(e for e in entries if e.get("HOLDFAST_VERDICT") == "tcp_refused")
        self.assertEqual((refused["PRIORITY"], refused["HOLDFAST_AREA"], refused["HOLDFAST_STATE"],
                          refused["HOLDFAST_ENDPOINT"], refused["_TRANSPORT"]),
                         ("4", "connection", "waiting", "127.0.0.1:%d" % self.port, "journal"))
        self.assertTrue(refused["MESSAGE"].startswith("connection: offline: tcp_refused"))
        self.assertTrue(any(e["MESSAGE"].startswith("agent: stopped; ") for e in entries))


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

#!/usr/bin/env python3
"""The crash loop of a real agent, and its safe mode.

Goal:   after so many crashes the agent begins in safe mode: connected, delivering, to be looked at,
        and without the rest, which it says everywhere; stops, reboots and other agents are no crashes.
Method: agents that are killed by signals nobody can catch, or that crash them.
Usage:  safe_mode_test.py BIN_DIR [unittest arguments]
"""
import json
import os
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import WAIT, wait_until  # noqa: E402
from service_test import Managed  # noqa: E402

LOOP = """
[safe_mode]
crashes = 3
window = "10m"
lasts = "%s"
[history]
topic = "device/history"
[heartbeat.pump]
every = "100ms"
"""
REASON = "ended 3 times in 600 s without being stopped"


class SafeMode(Managed):
    def rules(self, lasts="1h", more=""):
        self.device = self.config(extra=LOOP % lasts + more)

    def begin(self):
        return self.agent(self.device)

    def crash(self, agent, number=signal.SIGKILL):
        agent.send_signal(number)
        self.assertNotEqual(agent.wait(timeout=WAIT), 0)  # a sanitizer has a code of its own

    def loop(self):
        """Three crashes, then an agent in safe mode."""
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
            agent = self.begin()
            self.assertEqual(self.status()["safe_mode"], "")
            self.crash(agent, number)
        agent = self.begin()
        self.assertEqual(self.status()["safe_mode"], REASON)
        return agent

    def stop(self, agent):
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(timeout=WAIT), 0)

    def page(self):
        done = subprocess.run(["curl", "-s", "--unix-socket", self.path("metrics.sock"),
                               "http://localhost/metrics"], capture_output=True, text=True,
                              timeout=WAIT)
        return done.stdout if done.returncode == 0 else ""

    def test_it_connects_delivers_and_is_seen_but_serves_no_programs(self):
        self.rules(more='[metrics]\nlisten = "unix:%s"\n' % self.path("metrics.sock"))
        agent = self.begin()
        self.assertIn("holdfast_safe_mode 0", self.page())
        self.assertEqual(self.cli("publish", "a/b", "before").returncode, 0)
        self.stop(agent)
        agent = self.loop()
        self.broker()
        told = self.start("mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "--cafile",
                          self.certs + "/ca.crt", "--cert", self.certs + "/device.crt", "--key",
                          self.certs + "/device.key", "-t", "device/history", "-W",
                          str(4 * WAIT), stdout=subprocess.PIPE)
        self.until_state("connected")
        wait_until("the backlog is gone", lambda: self.status()["backlog"] == 0)
        for refused in (("publish", "a/b", "x"), ("subscribe", "a/b"), ("request", "a/b", "x"),
                        ("heartbeat", "other", "--every", "1s")):
            self.one_line_error(self.cli(*refused), 1, "safe mode: the agent " + REASON)
        self.assertEqual(self.cli("health").returncode, 0)
        self.assertIn("safe mode: this program " + REASON, self.cli("logs").stdout)
        self.assertEqual(self.cli("logs", "--send", "--topic", "help").returncode, 0)
        self.assertIn("safe mode  " + REASON, self.cli("status").stdout)
        self.assertIn("; safe mode: it " + REASON, self.cli("history").stdout)
        self.assertEqual(self.page(), "")
        self.assertEqual(self.status()["heartbeats"], [])
        # The subscriber may have come too late for this start, but not for the next one. Before it
        # comes the first start since the machine's.
        self.crash(agent)
        self.begin()
        starts = map(json.loads, told.stdout)
        reason = next((start["safe_mode"] for start in starts if "safe_mode" in start), "none came")
        self.assertRegex(reason, "^ended [34] times in 600 s without")

    def test_it_is_ended_by_hand_without_a_restart_and_goes_on_as_usual(self):
        self.rules(more='[metrics]\nlisten = "unix:%s"\n' % self.path("metrics.sock"))
        self.loop()
        self.broker()
        self.until_state("connected")
        self.assertIn("safe mode: it " + REASON, self.cli("safe-mode").stdout)
        self.assertEqual(self.cli("safe-mode", "--end").returncode, 0)
        wait_until("it is over", lambda: self.cli("safe-mode").stdout == "not in safe mode\n")
        self.assertEqual(self.cli("publish", "a/b", "x", "--wait", "delivered").returncode, 0)
        wait_until("the page is there", lambda: "holdfast_safe_mode 0" in self.page())
        self.one_line_error(self.cli("safe-mode", "--end"), 1, "not in safe mode")
        agent = self.children[-2]  # before the broker
        self.crash(agent)
        self.begin()
        self.assertEqual(self.status()["safe_mode"], "", "the crashes are forgotten")

    def test_it_ends_by_itself_and_is_back_with_the_next_crash(self):
        self.rules("1s")
        for _ in range(3):
            self.crash(self.begin())
        agent = self.begin()
        wait_until("it is over", lambda: "safe mode is over" in self.agent_log())
        wait_until("it serves", lambda: self.cli("publish", "a/b", "x").returncode == 0)
        self.crash(agent)
        agent = self.begin()
        self.assertEqual(self.agent_log().count("safe mode: this program " + REASON), 2)

    def test_an_outbox_that_crashes_it_while_it_is_opened_is_moved_aside_and_kept(self):
        self.rules()
        agent = self.begin()
        self.assertEqual(self.cli("publish", "a/b", "POISON").returncode, 0)
        self.crash(agent)
        # From now on whoever reads that message crashes, as by a defect in recovery.
        preload = {**os.environ, "LD_PRELOAD": agent_test.BIN + "/hf_sabotage.so", "HF_SABOTAGE": "poison"}
        def begin():
            with open(self.path("agent.log"), "a", encoding="utf-8") as log:
                return self.start(agent_test.BIN + "/holdfastd", "--config", self.device, stderr=log,
                                  env=preload)
        # Two more make a loop; then two in safe mode.
        for _ in range(4):
            self.assertEqual(begin().wait(timeout=WAIT), -signal.SIGABRT)
        self.broker()
        begin()
        wait_until("the local API answers", self.answering)
        self.until_state("connected")
        self.assertEqual(self.status()["safe_mode"],
                         "ended 5 times in 600 s without being stopped, at last while it opened the "
                         "outbox, which is now set-aside-1")
        self.assertEqual(self.status()["ledger"]["accepted"], 1, "the history's message")
        self.assertIn("and what waits in them is not sent; a new one is begun", self.agent_log())
        aside = self.path("outbox/set-aside-1")
        done = subprocess.run([agent_test.BIN + "/holdfast", "outbox", "ls", aside], text=True,
                              capture_output=True, timeout=WAIT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("a/b", done.stdout)
        self.assertEqual(self.cli("safe-mode", "--end").returncode, 0)
        wait_until("it is over", lambda: self.cli("safe-mode").stdout == "not in safe mode\n")
        self.assertEqual(self.cli("publish", "a/b", "x", "--wait", "delivered").returncode, 0)

    def test_the_service_manager_is_told_and_sees_no_end(self):
        self.rules()
        for _ in range(3):
            self.crash(self.begin())
        with open(self.path("agent.log"), "a") as log:
            agent = self.start(agent_test.BIN + "/holdfastd", "--config", self.device, stderr=log,
                               env={**os.environ, "NOTIFY_SOCKET": self.path("notify")})
        self.until_told("STATUS", "Safe mode: it " + REASON)
        self.assertEqual(self.cli("safe-mode", "--end").returncode, 0)
        self.until_told("RELOADING", "1")
        self.until_told("READY", "1")
        self.stop(agent)

    def test_stops_are_no_crashes_however_early_they_come(self):
        self.rules()
        for _ in range(4):
            self.stop(self.begin())
        for i in range(12):
            with open(self.path("agent.log"), "a") as log:
                agent = self.start(agent_test.BIN + "/holdfastd", "--config", self.device,
                                   stderr=log)
            wait_until("it has begun", lambda: os.path.exists("/proc/%d/task" % agent.pid))
            agent.send_signal(signal.SIGTERM)
            if i % 2:
                agent.send_signal(signal.SIGTERM)
            agent.wait(timeout=WAIT)
        self.begin()
        self.assertEqual(self.status()["safe_mode"], "")

    def test_a_power_cut_is_no_crash(self):
        self.rules()
        for _ in range(5):
            self.crash(self.begin())
            with open(self.path("outbox/starts")) as f:
                record = f.read()
            # Another boot: the id in the record is not this one's any more.
            self.write("outbox/starts", record.replace("boot ", "boot f"))
        self.begin()
        self.assertEqual(self.status()["safe_mode"], "")

    def test_a_damaged_record_is_survived_and_said(self):
        self.rules()
        for _ in range(3):
            self.crash(self.begin())
        with open(self.path("outbox/starts"), "r+b") as f:
            f.truncate(30)
        self.begin()
        self.assertEqual(self.status()["safe_mode"], "")
        self.assertIn("starts is damaged; nothing is known of earlier starts", self.agent_log())

    def test_another_agent_on_the_same_outbox_leaves_the_record_alone(self):
        self.rules()
        agent = self.begin()
        other = self.config("other.toml", socket=self.path("other.sock"), extra=LOOP % "1h")
        for _ in range(4):
            done = subprocess.run([agent_test.BIN + "/holdfastd", "--config", other],
                                  capture_output=True, text=True, timeout=WAIT)
            self.assertEqual(done.returncode, 4, done.stderr)
        self.crash(agent)
        self.begin()
        self.assertEqual(self.status()["safe_mode"], "")
        with open(self.path("outbox/starts")) as f:
            self.assertEqual(f.read().count("crash"), 1)

    def test_nobody_has_it_who_does_not_want_it(self):
        self.device = self.config(extra="[safe_mode]\ncrashes = 0\n")
        for _ in range(6):
            self.crash(self.begin())
        self.begin()
        self.assertEqual(self.status()["safe_mode"], "")


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

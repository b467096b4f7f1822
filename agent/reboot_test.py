#!/usr/bin/env python3
"""Why the machine was started, as a real agent finds it out and tells it.

Goal:   each boot has one reason, which the log, status, history, metrics, the birth message and the
        first message to the cloud say; a restart of the agent is no boot.
Method: another boot is made by another id in the agent's record; how the agent ended before is real.
Usage:  reboot_test.py BIN_DIR [unittest arguments]
"""
import json
import os
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import WAIT, Lab, wait_until  # noqa: E402

MORE = """
[connection.birth]
topic = "device/birth"
payload = "here"
[history]
topic = "device/history"
[metrics]
listen = "unix:%s"
"""
CUT = "power_loss: the machine went down while the agent ran, without a word"


class Reboot(Lab):
    def begin(self):
        return self.agent(self.config(extra=MORE % self.path("metrics.sock")))

    def reboot(self):
        with open(self.path("outbox/boot")) as f:
            record = f.read()
        self.assertIn("\nboot ", record)
        self.write("outbox/boot", record.replace("\nboot ", "\nboot f"))

    def end(self, agent, number):
        agent.send_signal(number)
        agent.wait(timeout=WAIT)

    def outside(self, *args):
        child = self.start("mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "--cafile",
                           self.certs + "/ca.crt", "--cert", self.certs + "/device.crt", "--key",
                           self.certs + "/device.key", "-q", "1", *args, stdout=subprocess.PIPE)
        return child.communicate(timeout=WAIT)[0].splitlines()

    def test_a_power_cut_is_told_everywhere_and_to_the_cloud_once(self):
        agent = self.begin()
        first = self.status()["boot"]
        self.assertEqual((first["reason"], first["first_run"]), ("unknown", True))
        self.end(agent, signal.SIGKILL)
        self.reboot()
        agent = self.begin()
        boot = self.status()["boot"]
        self.assertEqual((boot["reason"], boot["first_run"]), ("power_loss", True))
        self.assertEqual(boot["boots"]["power_loss"], 1)
        self.assertIn("boot       " + CUT, self.cli("status").stdout)
        self.assertIn("a boot after: " + CUT, self.cli("history").stdout)
        self.assertIn("this machine was started after: " + CUT, self.agent_log())
        page = subprocess.run(["curl", "-s", "--unix-socket", self.path("metrics.sock"),
                               "http://localhost/metrics"], capture_output=True, text=True,
                              timeout=WAIT).stdout
        self.assertIn('holdfast_boot_info{reason="power_loss"} 1', page)
        self.assertIn('holdfast_boots_total{reason="power_loss"} 1', page)
        # Restarts of the agent are no boots, but know its reason.
        for number in (signal.SIGKILL, signal.SIGTERM):
            self.end(agent, number)
            agent = self.begin()
            self.assertEqual(self.status()["boot"], {**boot, "first_run": False})
        waiting = self.status()["backlog"]
        self.assertEqual(waiting, 2, "the reasons of two boots")
        self.broker()
        self.until_state("connected")
        told = self.outside("-V", "5", "-t", "device/birth", "-C", "1", "-F", "%P")
        self.assertEqual(told, ["hf-boot:power_loss"])

    def test_the_first_messages_to_the_cloud_have_the_reasons(self):
        agent = self.begin()
        self.end(agent, signal.SIGTERM)
        self.reboot()
        self.broker()
        session = ("-c", "-i", "cloud", "-t", "device/history")
        self.outside(*session, "-E")  # the broker keeps for it what comes
        self.begin()
        told = [json.loads(line) for line in self.outside(*session, "-C", "2")]
        self.assertEqual([one["boot_reason"] for one in told], ["unknown", "command"])
        self.assertIn("ended in order before", told[1]["boot_detail"])

    def test_a_damaged_record_is_said_and_costs_no_start(self):
        self.end(self.begin(), signal.SIGKILL)
        with open(self.path("outbox/boot"), "r+b") as f:
            f.truncate(30)
        self.begin()
        self.assertIn("boot is damaged; nothing is known of earlier boots", self.agent_log())
        self.assertEqual(self.status()["boot"]["reason"], "unknown")


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

#!/usr/bin/env python3
"""Power that goes and comes back, at a real agent: a real NUT server, a real broker, real batteries' files.

Goal:   on battery the first lanes go on; when it ends, publishers are refused, all that was accepted is
        safe, the broker has the last notice and an end in order, the command is run; and when the power is
        back all goes on. The ledger is exact at each end: what the broker has, waits or was dropped is
        what was accepted.
Method: upsd and its dummy-ups, told by upsrw how the mains is; a persistent session at the broker that
        counts what arrives; another boot is made by another id in the agent's record.
Usage:  power_test.py BIN_DIR [unittest arguments]
"""
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import WAIT, Lab, free_port, wait_until  # noqa: E402

UPSD, DRIVER = "/lib/nut/upsd", "/lib/nut/dummy-ups"
UPS_CONF = '[ups1]\n driver = dummy-ups\n port = ups1.dev\n desc = "of the test"\n'
UPS_DEV = "ups.status: OL\nbattery.charge: 100\nbattery.runtime: 1800\ndevice.mfr: Test\n"
USERS = "[admin]\n password = p\n actions = SET FSD\n instcmds = ALL\n upsmon primary\n"
POWER = """
[flow]
lanes = ["urgent", "normal", "bulk"]
[power]
topic = "device/power"
on_battery_after = "200ms"
back_after = "200ms"
farewell = "%s"
resume_after = "%s"
battery_lanes = ["urgent"]
command = ["touch", "%s"]
%s
"""


class Power(Lab):
    def rules(self, more, farewell="5s", resume_after="1h"):
        self.done = self.path("powered-off")
        return self.config(extra=POWER % (farewell, resume_after, self.done, more))

    # ---- NUT --------------------------------------------------------------------------------------

    def nut(self):
        os.mkdir(self.path("nut"), 0o755)
        os.chmod(self.dir, 0o755)
        self.ups_port = free_port()
        for name, text in (("ups.conf", UPS_CONF), ("ups1.dev", UPS_DEV), ("upsd.users", USERS),
                           ("upsd.conf", "LISTEN 127.0.0.1 %d\nSTATEPATH %s\n"
                                         % (self.ups_port, self.path("nut")))):
            self.write("nut/" + name, text)
            os.chmod(self.path("nut/" + name), 0o640)
        self.nut_user = pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            self.nut_user = "nut"
            for name in ("", "ups.conf", "ups1.dev", "upsd.users", "upsd.conf"):
                shutil.chown(self.path("nut/" + name), "nut", "nut")
        self.nut_environment = {**os.environ, **{name: self.path("nut") for name in (
            "NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH", "NUT_PIDPATH")}}
        self.driver = self.nut_program(DRIVER, "-a", "ups1")
        wait_until("the driver's socket", lambda: os.path.exists(self.path("nut/dummy-ups-ups1")))
        self.upsd()

    def nut_program(self, *command):
        with open(self.path("nut.log"), "a") as log:
            return self.start(*command, "-F", "-u", self.nut_user, env=self.nut_environment,
                              stdout=log, stderr=log)

    def upsd(self):
        self.server = self.nut_program(UPSD)
        wait_until("upsd answers", lambda: self.asked("GET VAR ups1 ups.status").startswith("VAR"))

    def asked(self, *lines):
        with socket.socket() as s:
            s.settimeout(WAIT)
            if s.connect_ex(("127.0.0.1", self.ups_port)) != 0:
                return ""
            with s.makefile("rw") as stream:
                for line in lines:
                    stream.write(line + "\n")
                    stream.flush()
                    answer = stream.readline().strip()
                return answer

    def ups(self, **values):
        for name, value in values.items():
            name = name.replace("_", ".")
            command = ["upsrw", "-s", "%s=%s" % (name, value), "-u", "admin", "-p", "p",
                       "ups1@127.0.0.1:%d" % self.ups_port]
            # Until the driver has told all of it, upsd takes each variable to be read-only.
            wait_until("upsd takes " + name, lambda: subprocess.run(
                command, capture_output=True, timeout=WAIT).returncode == 0)
            wait_until("upsd tells " + name,
                       lambda: '"%s"' % value in self.asked("GET VAR ups1 " + name))

    def nut_rules(self, **rules):
        return self.rules('nut = "ups1@127.0.0.1:%d"' % self.ups_port, **rules)

    # ---- the broker -------------------------------------------------------------------------------

    def cloud(self):
        """A broker, and one who hears all that it gets, from the first message on."""
        self.broker()
        heard = ("mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "--cafile",
                 self.certs + "/ca.crt", "--cert", self.certs + "/device.crt", "--key",
                 self.certs + "/device.key", "-q", "1", "-c", "-i", "cloud", "-t", "#", "-F", "%t %p")
        # The broker keeps for it what comes between these two.
        subprocess.run([*heard, "-E"], check=True, capture_output=True, timeout=WAIT)
        with open(self.path("heard"), "w") as file:
            self.start(*heard, stdout=file, stderr=subprocess.DEVNULL)

    def connected(self):
        self.cloud()
        agent = self.agent(self.device)
        self.until_state("connected")
        return agent

    def arrived(self, count):
        """All that the broker has got, once it is so much: topic and payload."""
        def heard():
            with open(self.path("heard")) as file:
                lines = file.read().splitlines()
            return lines if len(lines) >= count else None
        lines = wait_until("%d messages" % count, heard)
        self.assertEqual(len(lines), count, lines)
        return [line.split(" ", 1) for line in lines]

    def notices(self, lines):
        return [json.loads(text)["notice"] for topic, text in lines if topic == "device/power"]

    def ledger(self):
        ledger = self.status()["ledger"]
        self.assertEqual(ledger["accepted"], ledger["delivered"] + ledger["pending"] +
                         sum(ledger["dropped"].values()), ledger)
        return ledger

    def power(self):
        return self.status().get("power", {"phase": "unknown"})

    def until_phase(self, phase):
        return wait_until("the power is " + phase,
                          lambda: self.power() if self.power()["phase"] == phase else None)

    def publish(self, count, lane="normal", topic="data", wait="accepted"):
        lines = "".join("%s %d\n" % (lane, i) for i in range(count))
        done = self.cli("publish", topic, "--stdin-lines", "--lane", lane, "--wait", wait, stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)

    def refused(self):
        self.one_line_error(self.cli("publish", "data", "late"), 1, "power_failing",
                            "the machine's power goes")

    def reboot(self):
        with open(self.path("outbox/boot")) as f:
            record = f.read()
        self.write("outbox/boot", record.replace("\nboot ", "\nboot f"))

    # ---- scenarios --------------------------------------------------------------------------------

    def test_on_battery_alarms_go_on_and_the_rest_waits_until_the_power_is_back(self):
        self.nut()
        self.device = self.nut_rules()
        self.connected()
        self.until_phase("mains")
        self.ups(ups_status="OB DISCHRG", battery_charge="80")
        power = self.until_phase("on_battery")
        self.assertEqual((power["charge"], power["runtime_s"]), (80, 1800))
        self.assertIn("power      on_battery: ups1@", self.cli("status").stdout)
        self.publish(5, "normal")
        self.publish(5, "bulk")
        self.publish(5, "urgent", wait="delivered")
        lines = self.arrived(6)
        self.assertEqual(self.notices(lines), ["on_battery"])
        self.assertEqual(sum(text.startswith("urgent") for _, text in lines), 5)
        ledger = self.ledger()
        self.assertEqual((ledger["delivered"], ledger["pending"]), (6, 10))
        self.ups(ups_status="OL")
        self.until_phase("mains")
        wait_until("all is delivered", lambda: self.ledger()["pending"] == 0)
        self.assertEqual(self.notices(self.arrived(17)), ["on_battery", "power_back"])
        ledger = self.ledger()
        self.assertEqual((ledger["accepted"], ledger["delivered"]), (17, 17))
        self.assertFalse(os.path.exists(self.done))

    def test_a_low_battery_ends_in_order_and_the_next_boot_knows(self):
        self.nut()
        self.device = self.nut_rules()
        agent = self.connected()
        self.until_phase("mains")
        self.publish(20, "bulk", wait="delivered")
        self.ups(ups_status="OB LB", battery_charge="4")
        wait_until("the command is run", lambda: os.path.exists(self.done))
        power = self.until_phase("down")
        self.assertLess(power["saved_ms"], 5000)
        self.refused()
        status = self.status()
        self.assertEqual(status["state"], "waiting")
        self.assertEqual(status["detail"], "left on purpose, until the power is back")
        self.assertEqual(self.notices(self.arrived(21)), ["going_down"])
        ledger = self.ledger()
        self.assertEqual((ledger["accepted"], ledger["delivered"], ledger["rejected"]["power_failing"]),
                         (21, 21, 1))
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(timeout=WAIT), 0)
        self.reboot()
        self.ups(ups_status="OL")
        self.agent(self.device)
        boot = self.status()["boot"]
        self.assertEqual(boot["reason"], "low_power")
        self.assertIn("ups1@127.0.0.1", boot["detail"])
        self.until_state("connected")

    def test_power_that_comes_back_in_time_is_taken_and_nothing_was_lost(self):
        self.nut()
        self.device = self.nut_rules()
        self.connected()
        self.ups(ups_status="OB LB")
        self.until_phase("down")
        self.refused()
        self.ups(ups_status="OL")
        self.until_phase("mains")
        self.until_state("connected")
        self.publish(3, wait="delivered")
        self.assertEqual(self.notices(self.arrived(5)), ["going_down", "power_back"])
        ledger = self.ledger()
        self.assertEqual((ledger["accepted"], ledger["delivered"]), (5, 5))
        with open(self.path("outbox/boot")) as f:
            self.assertNotIn("\nnote ", f.read())

    def test_a_forced_shutdown_needs_no_low_battery(self):
        self.nut()
        self.device = self.nut_rules()
        self.connected()
        self.until_phase("mains")
        self.assertEqual(self.asked("USERNAME admin", "PASSWORD p", "PRIMARY ups1", "FSD ups1"),
                         "OK FSD-SET")
        wait_until("the command is run", lambda: os.path.exists(self.done))
        self.assertIn("FSD", self.until_phase("down")["detail"])

    def test_without_a_broker_the_end_waits_for_nobody_and_all_is_there_after_a_power_cut(self):
        self.nut()
        self.device = self.nut_rules(farewell="1m")
        agent = self.agent(self.device)
        self.until_phase("mains")
        lines = "".join("n %d\n" % i for i in range(100))
        done = self.cli("publish", "data", "--stdin-lines", "--durability", "spill", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.publish(50)
        self.ups(ups_status="OB LB")
        wait_until("the command is run", lambda: os.path.exists(self.done))
        agent.kill()
        agent.wait()
        self.cloud()
        self.ups(ups_status="OL")
        self.agent(self.device)
        self.until_state("connected")
        wait_until("all is delivered", lambda: self.ledger()["pending"] == 0)
        texts = [text for topic, text in self.arrived(151) if topic == "data"]
        self.assertEqual(len(texts), 150)
        self.assertEqual(len(set(texts)), 150)
        ledger = self.ledger()
        self.assertEqual(ledger["accepted"], ledger["delivered"], ledger)

    def test_a_server_that_is_away_is_named_and_found_again_and_what_it_said_holds(self):
        self.nut()
        self.device = self.nut_rules()
        self.agent(self.device)
        self.ups(ups_status="OB")
        self.until_phase("on_battery")
        self.server.kill()
        self.server.wait()
        wait_until("it is named", lambda: "ups1@127.0.0.1:" in self.power()["problem"])
        self.assertIn("how the power is cannot be asked", self.agent_log())
        self.assertEqual(self.power()["phase"], "on_battery")
        self.upsd()
        wait_until("it is found", lambda: self.power()["problem"] == "")
        self.driver.kill()
        self.driver.wait()
        wait_until("it is named", lambda: "upsd says" in self.power()["problem"], 60)

    def test_a_ups_that_is_not_there_is_named(self):
        self.nut()
        self.device = self.rules('nut = "other@127.0.0.1:%d"' % self.ups_port)
        self.agent(self.device)
        wait_until("it is named", lambda: "is [other] in upsd's ups.conf?" in self.agent_log())

    def test_any_program_may_say_that_the_power_goes_and_that_it_does_not(self):
        self.device = self.rules("")
        self.connected()
        done = self.cli("power-fail", "gpio 17")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^saved in \d+ ms\n$")
        self.refused()
        wait_until("the command is run", lambda: os.path.exists(self.done))
        self.assertEqual(self.cli("power-fail", "again").returncode, 0)
        self.assertEqual(self.power()["going_down"], 1)
        self.assertEqual(self.cli("power-fail", "--cancel").returncode, 0)
        self.until_state("connected")
        self.publish(1, wait="delivered")
        self.assertEqual(self.notices(self.arrived(3)), ["going_down", "power_back"])

    def test_a_word_that_was_wrong_is_forgotten_with_time(self):
        self.device = self.rules("", resume_after="1s")
        self.connected()
        self.assertEqual(self.cli("power-fail").returncode, 0)
        wait_until("it goes on", lambda: self.cli("publish", "data", "x").returncode == 0)
        self.assertIn("the machine is still on after power.resume_after", self.agent_log())
        self.until_state("connected")

    def test_a_command_that_cannot_be_run_is_said_and_holds_nothing_up(self):
        self.device = self.config(extra='[power]\ncommand = ["/no/such/program"]\nresume_after = "1s"\n')
        self.agent(self.device)
        self.assertEqual(self.cli("power-fail").returncode, 0)
        wait_until("it is said", lambda: "power.command: /no/such/program" in self.agent_log())
        wait_until("it goes on", lambda: self.cli("publish", "data", "x").returncode == 0)

    def test_batteries_of_the_kernel(self):
        def battery(status, capacity, online):
            for name, text in (("BAT0/type", "Battery"), ("BAT0/status", status),
                               ("BAT0/capacity", capacity), ("AC/type", "Mains"), ("AC/online", online)):
                os.makedirs(os.path.dirname(self.path("supply/" + name)), exist_ok=True)
                self.write("supply/" + name, text + "\n")
        battery("Charging", "90", "1")
        self.device = self.rules('supplies = "%s"\nlow_charge = 15' % self.path("supply"))
        self.agent(self.device)
        self.assertEqual(self.until_phase("mains")["charge"], 90)
        battery("Discharging", "80", "0")
        self.assertIn("AC: off; BAT0: Discharging", self.until_phase("on_battery")["detail"])
        battery("Discharging", "14", "0")
        wait_until("the command is run", lambda: os.path.exists(self.done))

    def test_a_hold_up_that_the_disk_cannot_keep_is_refused_and_says_what_to_change(self):
        impossible = self.config("impossible.toml", extra='[power]\nhold_up = "1ms"\n')
        done = subprocess.run([agent_test.BIN + "/holdfastd", "--config", impossible],
                              capture_output=True, text=True, timeout=WAIT)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, r"power.hold_up: 1 ms are too short: 2560 KiB may wait in RAM "
                         r"\(limits.memory\), and this disk takes \d+ ms")
        self.agent(self.config(extra='[power]\nhold_up = "1h"\n'))
        self.assertIn("power.hold_up of 3600000 ms can be kept", self.agent_log())

    def test_the_machines_limits_are_watched_and_told(self):
        guards = '[guards]\nevery = "1s"\nlasts = "0s"\ndisk = 1\ntopic = "device/machine"\n'
        self.device = self.config(extra=guards)
        self.connected()
        wait_until("there is an alarm", lambda: "disk: " in self.agent_log())
        one = next(g for g in self.status()["guards"] if g["guard"] == "disk")
        self.assertEqual((one["alarm"], one["limit"], one["alarms"]), (True, 1, 1))
        self.assertRegex(self.cli("status").stdout, r"guard      disk: \d+ of 1, ALARM")
        topic, text = self.arrived(1)[0]
        told = json.loads(text)
        self.assertEqual((topic, told["guard"], told["alarm"]), ("device/machine", "disk", True))

    def test_the_next_boot_knows_what_was_said_about_the_end(self):
        self.device = self.rules("")
        agent = self.agent(self.device)
        self.assertEqual(self.cli("going-down", "--reason", "update", "to 1.4").returncode, 0)
        agent.send_signal(signal.SIGTERM)
        agent.wait(timeout=WAIT)
        self.reboot()
        self.agent(self.device)
        boot = self.status()["boot"]
        self.assertEqual((boot["reason"], boot["detail"]), ("update", "to 1.4"))


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    absent = [name for name in (UPSD, DRIVER) if not os.path.exists(name)]
    absent += [] if shutil.which("upsrw") else ["upsrw"]
    if absent:
        sys.exit("%s: missing; run tools/setup test (packages nut-server and nut-client)" % ", ".join(absent))
    unittest.main(verbosity=2)

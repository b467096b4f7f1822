#!/usr/bin/env python3
"""The agent on a machine with a real ModemManager and a modem that is none: what is said of it is shown; and
what is done to it while the network stays away.

    modem_test.py --bin DIR [--require] [TEST…]      DIR: the programs of a build

--require     what is missing here (root, namespaces, ModemManager) fails; else exit 77.
              HOLDFAST_REQUIRE_NETWORKMANAGER=1 in the environment does the same.
"""
import json
import pathlib
import socket
import sys
import tempfile

import modem_world
import network_world
from managers_fixture import AgentTest, main
from modem_world import ModemWorld
from tool.programs import wait_for

AFTER_S = 5
LONG_S = 90
NOWHERE = "192.0.2.7"  # of documentation: there is no route to it here
DEVICE = f"""
[connection]
host = "{NOWHERE}"
client_id = "gateway"
port = 1883
[tls]
enabled = false
[timing]
backoff_cap = "2s"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
"""


class ModemTest(AgentTest):
    world_of = ModemWorld

    def start_agent(self, steps=(), hosts=(f"{NOWHERE}:443",), files=None):
        self.files = files or pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        escalation = "" if not steps else (
            f"[escalation]\nsteps = {json.dumps(steps)}\nreference_hosts = {json.dumps(hosts)}\n"
            f"after = \"{AFTER_S}s\"\n")
        (self.files / "device.toml").write_text(DEVICE + escalation, encoding="ascii")
        return self.run_agent()[1]

    def first_modem(self, condition, what):
        return self.wait_state(lambda s: s["network"]["modems"] and condition(s["network"]["modems"][0]),
                               LONG_S, what)["network"]["modems"][0]

    def test_a_modem_is_shown_as_modemmanager_sees_it(self):
        self.start_agent()
        modem = self.first_modem(lambda m: m["registration"] == "home" and m["signal_percent"]
                                 and m["technology"] and m["operator_code"] == "99899", "the modem")
        self.assertEqual((modem["name"], modem["state"], modem["operator_name"]),
                         ("Fake M1", "registered", "FakeNet"))
        self.assertEqual(modem["signal_percent"], 64)
        self.assertIn(f"Fake M1: FakeNet (home), {modem['technology']}, signal 64 %", self.ask("status").stdout)
        self.assertEqual(self.history_outage()["modem"]["operator"], "FakeNet")

    def history_outage(self):
        def told():
            lines = self.ask("history", "--json").stdout.splitlines()
            found = [one for one in map(json.loads, lines) if one["event"] == "outage"]
            return found[-1] if found and "modem" in found[-1] else None
        return wait_for(told, 30, "the outage of the start")

    def test_roaming_is_seen_as_it_begins(self):
        self.start_agent()
        self.first_modem(lambda m: m["registration"] == "home", "home")
        self.addCleanup(self.world.modem.roam, False)
        self.world.modem.roam(True)
        self.assertTrue(self.first_modem(lambda m: m["registration"] == "roaming", "roaming")["roaming"])

    def test_a_manager_that_ends_and_comes_back_is_found_again(self):
        self.start_agent()
        self.first_modem(lambda m: True, "the modem")
        self.world.kill("manager")
        self.wait_state(lambda s: not s["network"]["modems"], 20, "its end")
        self.assertIn("ModemManager does not run; nothing is known of modems", self.log())
        self.world.start_manager()
        self.first_modem(lambda m: m["registration"] == "home", "its return")

    def test_the_ladder_is_climbed_and_what_it_costs_is_kept(self):
        self.world.start_logind()
        self.addCleanup(self.world.kill, "logind")
        self.addCleanup(self.restart_manager)  # the modem was reset, or may have been
        end = self.start_agent(["reconnect", "bearer", "modem", "reboot"])
        self.first_modem(lambda m: True, "the modem")
        said = self.wait_state(lambda s: s["escalation"]["reboots"] == 1, LONG_S, "the last step")
        self.assertEqual([said["escalation"][step] for step in ("reconnects", "bearers", "modem_resets")],
                         [1, 1, 1])
        wait_for(lambda: "Reboot" in self.world.said("logind"), 20, "logind")
        log = self.log()
        # ModemManager's generic plugin, which this modem has, cannot reset one: that is said and counted.
        self.assertIn("the step modem was not taken: Cannot reset the modem: operation not supported", log)
        self.assertEqual(said["escalation"]["failed"], 1)
        self.assertIn("neither the broker nor a reference host can be reached", log)
        for step in ("reconnect", "bearer", "modem", "reboot"):
            self.assertIn(f"the network stays away; next step: {step}", log)
        kept = (self.files / "outbox" / "escalation").read_text(encoding="ascii")
        self.assertEqual([line.split()[0] for line in kept.splitlines()[1:]], ["modem", "reboot"])
        # As after the restart that was asked for: the same day has no second one.
        end()
        reboots = self.world.said("logind").count("Reboot")
        self.start_agent(["reboot"], files=self.files)
        self.wait_state(lambda s: s["escalation"]["asked"] >= 3, LONG_S, "three looks")
        self.assertEqual(self.status()["escalation"]["reboots"], 0)
        self.assertEqual(self.world.said("logind").count("Reboot"), reboots)

    def restart_manager(self):
        self.world.kill("manager")
        self.world.start_manager()

    def test_a_cloud_that_is_away_is_no_reason(self):
        with socket.create_server(("127.0.0.1", 0)) as reference:
            port = reference.getsockname()[1]
            self.start_agent(["reconnect", "bearer", "modem", "reboot"],
                             [f"{NOWHERE}:443", f"127.0.0.1:{port}"])
            said = self.wait_state(lambda s: s["escalation"]["asked"] >= 3, LONG_S, "three looks")
            done = said["escalation"]
            self.assertEqual({name: done[name] for name in done if name != "asked"},
                             dict.fromkeys(("reconnects", "bearers", "modem_resets", "reboots", "failed"),
                                           0))
            self.assertIn(f"127.0.0.1:{port} can be reached: the network is not what keeps the broker away",
                          self.log())


if __name__ == "__main__":
    sys.exit(main(__doc__, ModemTest, lambda: network_world.missing(modem_world.NEEDED),
                  network_world.enter))

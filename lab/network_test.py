#!/usr/bin/env python3
"""The agent on a machine with a real NetworkManager and two uplinks: one is pulled under traffic, the other
takes over; a captive portal, a metered network, a manager and a bus that go away are all lived with.

    network_test.py --bin DIR [--require] [TEST…]      DIR: the programs of a build

--require     what is missing here (root, namespaces, NetworkManager) fails; else exit 77.
              HOLDFAST_REQUIRE_NETWORKMANAGER=1 in the environment does the same.
HOLDFAST_GRACE: seconds from the kernel's event to the first PUBACK (default 3, the promise; CTest gives
a busy machine more).
"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

import network_world
from managers_fixture import AgentTest, main
from network_world import CLOUD, KernelEvents, World, inside
from tool.programs import Programs, wait_for

GRACE_S = float(os.environ.get("HOLDFAST_GRACE", "3"))
LONG_S = 90  # for what has no promise of ours: NetworkManager's own time
DEVICE = f"""
[connection]
host = "{CLOUD}"
client_id = "gateway"
port = 1883
[tls]
enabled = false
[network]
manager = "on"
[lane.bulk]
metered = "hold"
[timing]
silent_after = "6s"
stable_after = "2s"
connect = "3s"
backoff_cap = "20s"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
"""


class Traffic:
    """Publishes ten messages a second over the local API, one after another accepted, and notes when
    each was acknowledged by the broker."""

    def __init__(self, path):
        self.api = socket.socket(socket.AF_UNIX)
        self.api.connect(str(path))
        self.api.settimeout(0.1)
        self.accepted, self.delivered = set(), {}
        self.stopped = False
        self.next = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        rest, due = b"", 0.0
        while not self.stopped or (len(self.delivered) < self.next and time.monotonic() < self.until):
            if not self.stopped and time.monotonic() >= due:
                due = time.monotonic() + 0.1
                self.api.sendall(json.dumps({
                    "op": "publish", "id": self.next, "topic": "count", "payload": str(self.next),
                    "receipt": "delivered"}).encode() + b"\n")
                self.next += 1
            try:
                rest += self.api.recv(65536)
            except TimeoutError:
                continue
            *lines, rest = rest.split(b"\n")
            for line in lines:
                answer = json.loads(line)
                if answer.get("receipt") == "delivered":
                    self.delivered[answer["id"]] = time.monotonic()

    def first_after(self, moment):
        """When the first PUBACK came after this moment, or None."""
        times = [at for at in list(self.delivered.values()) if at > moment]
        return min(times) if times else None

    def end(self, patience=60):
        """Stops, and waits until all is delivered; how many there were."""
        self.until = time.monotonic() + patience
        self.stopped = True
        self.thread.join()
        self.api.close()
        return self.next


class NetworkTest(AgentTest):
    world_of = World

    def setUp(self):
        self.files = pathlib.Path(tempfile.mkdtemp(dir=self.folder))  # a socket's path is short
        (self.files / "device.toml").write_text(DEVICE, encoding="ascii")
        self.heal()
        self.heard = open(self.files / "heard", "w+", encoding="ascii")
        self.addCleanup(self.heard.close)
        self.watcher = subprocess.Popen(
            inside("cloud", Programs.system("mosquitto_sub"), "-h", CLOUD, "-q", "1", "-i",
                   f"watcher-{self._testMethodName}", "-t", "count"), stdout=self.heard)
        self.addCleanup(self.watcher.wait)
        self.addCleanup(self.watcher.kill)

    def heal(self):
        if "manager" not in self.world.processes:  # a test before this one failed
            self.world.start_manager()
        self.world.go_on("manager")
        self.world.portal(False)
        for n in (1, 2):
            self.world.silence(n, False)
            self.world.pull(n, False)
        self.world.wait_for_uplinks()

    def start_agent(self):
        process, _ = self.run_agent()
        self.wait_state(lambda s: s["state"] == "connected", 30, "connected")
        return process

    def all_heard(self, count):
        """Every message has reached the watcher; how many came more than once."""
        def numbers():
            self.heard.flush()
            return (self.files / "heard").read_text(encoding="ascii").split()
        wait_for(lambda: len(set(numbers())) >= count, 30, "all messages")
        self.assertEqual(set(numbers()), {str(n) for n in range(count)})
        return len(numbers()) - count

    def test_what_networkmanager_says_is_shown(self):
        self.start_agent()
        network = self.wait_state(lambda s: s["network"]["device"] == "up1", 20, "uplink 1")["network"]
        self.assertTrue(network["managed"])
        self.assertEqual((network["connection"], network["type"], network["connectivity"]),
                         ("wan1", "802-3-ethernet", "full"))
        self.assertIn("NetworkManager tells about the network", self.log())
        self.assertIn("wan1 (802-3-ethernet on up1), connectivity full", self.ask("status").stdout)

    def fail_over(self, event_of):
        """Uplink 1 is pulled under traffic; seconds from the kernel's event to the first PUBACK over the
        other one."""
        self.start_agent()
        self.wait_state(lambda s: s["network"]["device"] == "up1", 20, "uplink 1")
        events = KernelEvents()
        self.addCleanup(events.end)
        traffic = Traffic(self.files / "agent.sock")
        self.addCleanup(traffic.end, 1)
        wait_for(lambda: len(traffic.delivered) > 10, 20, "traffic")
        pulled = time.monotonic()
        self.world.pull(1)
        event = wait_for(lambda: min((at for at in event_of(events) if at > pulled), default=None),
                         LONG_S, "the kernel's event")
        # What was on its way when the cable went may still be answered for a moment.
        first = wait_for(lambda: traffic.first_after(event + 0.05), LONG_S, "a PUBACK")
        print(f"\n{self._testMethodName}: event {event - pulled:.2f} s after the cable was pulled, "
              f"first PUBACK {first - event:.2f} s after the event", flush=True)
        self.assertLessEqual(first - event, GRACE_S, self.log()[-3000:])
        self.wait_state(lambda s: s["network"]["device"] == "up2", LONG_S, "uplink 2")
        count = traffic.end()
        repeats = self.all_heard(count)
        print(f"{count} messages, 0 lost, {repeats} repeated", flush=True)
        self.assertLessEqual(repeats, 100)  # the window
        self.assertGreaterEqual(self.status()["network"]["changes"], 1)

    def test_traffic_moves_when_networkmanager_takes_the_route_away(self):
        self.fail_over(lambda events: events.route_lost)

    def test_traffic_moves_at_once_where_the_kernel_leaves_dead_links_alone(self):
        for device in ("all", "up1", "up2"):
            path = pathlib.Path(f"/proc/sys/net/ipv4/conf/{device}/ignore_routes_with_linkdown")
            path.write_text("1", encoding="ascii")
            self.addCleanup(path.write_text, "0", encoding="ascii")
        self.fail_over(lambda events: events.carrier_lost)

    def test_a_silent_uplink_is_looked_at_and_left(self):
        """The link stands, nothing comes through: NetworkManager, which looks every five minutes, is
        asked to look at once, and puts the other uplink first."""
        self.start_agent()
        self.wait_state(lambda s: s["network"]["device"] == "up1", 20, "uplink 1")
        traffic = Traffic(self.files / "agent.sock")
        self.addCleanup(traffic.end, 1)
        wait_for(lambda: len(traffic.delivered) > 10, 20, "traffic")
        self.world.silence(1)
        silenced = time.monotonic()
        self.wait_state(lambda s: s["network"]["checks"] >= 1, 30, "a look")
        first = wait_for(lambda: traffic.first_after(silenced + 2), LONG_S, "a PUBACK")
        print(f"\nfirst PUBACK {first - silenced:.1f} s after the uplink fell silent", flush=True)
        self.all_heard(traffic.end())

    def test_a_portal_is_named_spared_and_left_at_once(self):
        self.start_agent()
        self.world.portal(True)
        self.world.kill("broker")
        self.world.nmcli("networking", "connectivity", "check")
        self.wait_state(lambda s: s["network"]["connectivity"] == "portal", 30, "the portal")
        said = self.wait_state(lambda s: s["network"]["attempts_spared"] >= 1, LONG_S, "a spared attempt")
        self.assertEqual(said["verdict"], "captive_portal")
        self.assertIn("captive_portal: The network wants somebody to log in", self.log())
        attempts = said["attempts_total"]
        self.world.start_broker()
        self.world.portal(False)
        self.assertEqual(self.status()["attempts_total"], attempts)
        opened = time.monotonic()
        self.world.nmcli("networking", "connectivity", "check")
        self.wait_state(lambda s: s["state"] == "connected", 15, "connected")
        print(f"\nconnected {time.monotonic() - opened:.1f} s after the portal opened", flush=True)
        history = [json.loads(line) for line in self.ask("history", "--json").stdout.splitlines()]
        outage = [one for one in history if one["event"] == "outage"][-1]
        self.assertEqual(outage["connectivity"], "portal")
        self.assertEqual(outage["connection"], "wan1")

    def metered(self, how):
        self.world.nmcli("c", "modify", "wan1", "connection.metered", how)
        self.world.nmcli("device", "reapply", "up1")

    def test_a_metered_network_holds_telemetry_and_lets_alarms_go(self):
        self.start_agent()
        self.addCleanup(self.metered, "unknown")
        self.metered("yes")
        self.wait_state(lambda s: s["network"]["held_lanes"] == ["bulk"], 20, "held")
        self.assertEqual(self.ask("publish", "telemetry", "1", "--lane", "bulk").returncode, 0)
        alarm = self.ask("publish", "alarm", "1", "--lane", "urgent", "--wait", "delivered",
                         "--timeout", "20s")
        self.assertEqual(alarm.returncode, 0, alarm.stderr)
        self.assertEqual(self.status()["backlog"], 1)
        self.assertIn("bulk: while the network is metered", self.ask("status").stdout)
        self.metered("no")
        self.wait_state(lambda s: s["backlog"] == 0 and not s["network"]["held_lanes"], 20, "sent")

    def test_the_plan_of_the_profiles_is_checked_and_the_examples_are_accepted(self):
        real = subprocess.run([self.bin / "holdfast", "network", "plan", "--json"], capture_output=True,
                              text=True, timeout=60, check=False)
        plan = json.loads(real.stdout)
        self.assertEqual([one["id"] for one in plan["uplinks"]], ["wan1", "wan2"])
        self.assertEqual([one["ipv4_metric"] for one in plan["uplinks"]], [100, 200])
        self.assertEqual(real.returncode, 0, real.stdout)
        examples = self.files / "examples"
        written = subprocess.run([self.bin / "holdfast", "network", "plan", "--write", examples, "--ssid",
                                  "office", "--apn", "iot.example"], capture_output=True, text=True,
                                 timeout=60, check=False)
        self.assertEqual(written.returncode, 0, written.stderr)
        judged = subprocess.run([self.bin / "holdfast", "network", "plan", examples, "--json"],
                                capture_output=True, text=True, timeout=60, check=False)
        said = json.loads(judged.stdout)
        self.assertEqual([one["kind"] for one in said["uplinks"]], ["ethernet", "wifi", "cellular"])
        self.assertEqual(judged.returncode, 0, judged.stdout)
        again = subprocess.run([self.bin / "holdfast", "network", "plan", "--write", examples],
                               capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("is there; move it away", again.stderr)
        folder = pathlib.Path("/etc/NetworkManager/system-connections")
        for one in examples.iterdir():
            text = one.read_text(encoding="utf-8")
            (folder / one.name).write_text(text.replace("[connection]\n",
                                                        "[connection]\ninterface-name=none0\n"),
                                           encoding="utf-8")
            (folder / one.name).chmod(0o600)
            self.addCleanup(self.world.nmcli, "c", "delete", one.stem)
            self.world.nmcli("c", "load", folder / one.name)
        for one, kind, metric in (("uplink-1-ethernet", "802-3-ethernet", 100),
                                  ("uplink-2-wifi", "802-11-wireless", 600),
                                  ("uplink-3-cellular", "gsm", 700)):
            shown = self.world.nmcli("-f", "connection.type,ipv4.route-metric,"
                                     "connection.autoconnect-retries", "c", "show", one).stdout
            self.assertIn(f"connection.type:{kind}", shown)
            self.assertIn(f"ipv4.route-metric:{metric}", shown)
            self.assertIn("connection.autoconnect-retries:0", shown)

    def test_a_manager_that_ends_and_comes_back_is_said_and_costs_nothing(self):
        self.start_agent()
        connects = self.status()["connects"]
        self.world.kill("manager")
        gone = self.wait_state(lambda s: not s["network"]["managed"], 20, "its end")["network"]
        self.assertEqual((gone["problem"], gone["connectivity"]),
                         ("NetworkManager does not run", "unknown"))
        self.assertIn("NetworkManager does not run; the kernel alone", self.log())
        self.world.start_manager()
        self.wait_state(lambda s: s["network"]["managed"], 30, "its return")
        self.wait_state(lambda s: s["state"] == "connected", 30, "connected")
        self.assertLessEqual(self.status()["connects"], connects + 1)

    def test_a_stuck_manager_that_ends_is_said_to_have_ended(self):
        """The question under way ends with it, after its end was said: that answer is no news."""
        self.world.stop_still("manager")
        self.start_agent()  # and asks
        self.world.kill_hard("manager")
        self.wait_state(lambda s: s["network"]["problem"], 20, "its end")
        for _ in range(10):
            self.assertEqual(self.status()["network"]["problem"], "NetworkManager does not run")
        self.world.start_manager()
        self.wait_state(lambda s: s["network"]["managed"], 30, "its return")
        said = [line for line in self.log().splitlines() if "the kernel alone" in line]
        self.assertEqual(len(said), 1, said)
        self.assertIn("NetworkManager does not run; the kernel alone", said[0])

    def test_a_stuck_manager_is_said_asked_again_and_found_well(self):
        self.world.stop_still("manager")
        self.start_agent()
        stuck = self.wait_state(lambda s: s["network"]["problem"], LONG_S, "its silence")["network"]
        self.assertIn("NetworkManager does not answer: ", stuck["problem"])
        self.world.go_on("manager")
        self.wait_state(lambda s: s["network"]["managed"], LONG_S, "its return")

    def test_a_bus_that_ends_and_comes_back_is_found_again(self):
        self.start_agent()
        self.world.kill("bus")
        gone = self.wait_state(lambda s: not s["network"]["managed"], 20, "its end")["network"]
        self.assertIn("the system bus is", gone["problem"])
        if self.world.processes["manager"].poll() is None:
            self.world.kill("manager")
        self.world.processes.pop("manager", None)
        self.world.start_bus()
        self.world.start_manager()
        self.wait_state(lambda s: s["network"]["managed"], LONG_S, "its return")
        self.wait_state(lambda s: s["state"] == "connected", 30, "connected")


if __name__ == "__main__":
    sys.exit(main(__doc__, NetworkTest, network_world.missing,
                  network_world.enter))

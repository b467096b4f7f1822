#!/usr/bin/env python3
"""The agent follows a name that leads elsewhere: a real name server (dnsmasq) with a CNAME, two brokers
("Regions") at the addresses behind it.

    name_test.py --bin DIR [--require] [TEST…]      DIR: the programs of a build

--require: what is missing here (root, namespaces, dnsmasq) fails; else exit 77. HOLDFAST_REQUIRE_NETWORKMANAGER=1
does the same.
"""
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import network_world
from managers_fixture import AgentTest, Daemons, main
from tool.programs import Programs, run, wait_for

REGIONS = {"west.test": "10.77.0.1", "central.test": "10.77.0.2"}
EVERY_S = 2
CONFIRM_S = 5
LONG_S = 90
DEVICE = f"""
[connection]
host = "iot.test"
client_id = "pump-7"
port = 1883
[tls]
enabled = false
[failover]
follow_dns = "{EVERY_S}s"
[timing]
backoff_cap = "2s"
[network]
manager = "off"
modems = "off"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
"""


def missing():
    return network_world.missing(("dnsmasq", "ip", "unshare", "mosquitto", "mosquitto_sub"))


class World(Daemons):
    """Two Regions and the name server, which this process asks from now on."""

    def __init__(self, folder):
        super().__init__(folder)
        network_world.mount_copies()
        run("ip", "link", "add", "regions", "type", "veth", "peer", "name", "beyond")
        for link in ("regions", "beyond"):
            run("ip", "link", "set", link, "up")
        for name, address in REGIONS.items():
            run("ip", "addr", "add", f"{address}/24", "dev", "regions")
            conf = folder / f"{name}.conf"
            conf.write_text(f"listener 1883 {address}\nallow_anonymous true\nuser root\n",
                            encoding="ascii")
            self.spawn(name, [Programs.system("mosquitto"), "-c", conf])
        pathlib.Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1\n",
                                                    encoding="ascii")
        pathlib.Path("/etc/nsswitch.conf").write_text("hosts: files dns\n", encoding="ascii")
        self.lead_to("west.test")

    def lead_to(self, region):
        """The name leads there; None: the name server is gone."""
        if "names" in self.processes:
            self.kill("names")
        if region is None:
            return
        self.spawn("names", [
            Programs.system("dnsmasq"), "-k", "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1",
            "--bind-interfaces", "--local-ttl=1", f"--cname=iot.test,{region}", "--user=root",
            "--pid-file", *(f"--host-record={name},{address}" for name, address in REGIONS.items())])

        def leads():
            said = subprocess.run(["getent", "ahostsv4", "iot.test"], capture_output=True, text=True,
                                  check=False).stdout
            return said.startswith(REGIONS[region])
        wait_for(leads, 30, f"iot.test leads to {region}")


class NameTest(AgentTest):
    world_of = World

    def setUp(self):
        self.files = pathlib.Path(tempfile.mkdtemp(dir=self.folder))  # a socket's path is short
        (self.files / "device.toml").write_text(DEVICE, encoding="ascii")
        self.world.lead_to("west.test")
        self.run_agent()
        self.wait_state(lambda s: s["state"] == "connected", 30, "connected")

    def watch(self, region):
        """What comes to the broker of this Region, by and by."""
        with open(self.files / region, "w", encoding="ascii") as log:
            watcher = subprocess.Popen(
                [Programs.system("mosquitto_sub"), "-h", REGIONS[region], "-q", "1", "-t", "count"],
                stdout=log)
        self.addCleanup(watcher.wait)
        self.addCleanup(watcher.kill)
        return lambda: set((self.files / region).read_text(encoding="ascii").split())

    def test_a_name_that_leads_elsewhere_is_followed_under_traffic(self):
        heard = {region: self.watch(region) for region in REGIONS}
        over, accepted = threading.Event(), []

        def publish():
            while not over.wait(0.05):
                if self.ask("publish", "count", str(len(accepted))).returncode == 0:
                    accepted.append(len(accepted))
        publisher = threading.Thread(target=publish)
        publisher.start()
        self.addCleanup(publisher.join)
        self.addCleanup(over.set)
        wait_for(lambda: len(heard["west.test"]()) > 10, 30, "traffic in the west")
        connects = self.status()["connects"]
        self.world.lead_to("central.test")
        changed = time.monotonic()
        wait_for(lambda: len(heard["central.test"]()) > 10, LONG_S, "traffic in the centre")
        print(f"\ntraffic {time.monotonic() - changed:.1f} s after the name led elsewhere "
              f"(looked up every {EVERY_S} s, confirmed after {CONFIRM_S} s)", flush=True)
        over.set()
        publisher.join()
        everything = {str(n) for n in accepted}
        wait_for(lambda: heard["west.test"]() | heard["central.test"]() >= everything, 30, "all")
        self.assertEqual(self.status()["connects"], connects + 1)
        self.assertIn("iot.test leads to central.test now, no longer to west.test; the connection "
                      "follows (failover.follow_dns)", self.log())

    def test_a_name_service_that_fails_moves_nobody(self):
        connects = self.status()["connects"]
        self.world.lead_to(None)
        time.sleep(5 * EVERY_S)  # what must not happen has no sign that it did not
        self.world.lead_to("west.test")
        time.sleep(2 * EVERY_S)
        said = self.status()
        self.assertEqual((said["state"], said["connects"]), ("connected", connects))
        self.assertNotIn("follows", self.log())


if __name__ == "__main__":
    sys.exit(main(__doc__, NameTest, missing, network_world.enter))

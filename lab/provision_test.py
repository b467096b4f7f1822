#!/usr/bin/env python3
"""Devices get their certificates by fleet provisioning, from a local IoT Core: by claim and by
trusted user, with a key of their own and without, whatever is refused, lost or cut on the way.

    provision_test.py --bin DIR      DIR: the programs of a build

HOLDFAST_KILLS: so many kills in the test of kills (default 12).
"""
import json
import pathlib
import subprocess

from region_fixture import RegionTest, run
from tool import device
from tool.place import ACCOUNT
from tool.programs import wait_for

TEMPLATE = {
    "Parameters": {"SerialNumber": {"Type": "String"},
                   "AWS::IoT::Certificate::Id": {"Type": "String"}},
    "Resources": {
        "thing": {"Type": "AWS::IoT::Thing", "Properties": {
            "ThingName": {"Fn::Join": ["", ["pump-", {"Ref": "SerialNumber"}]]}}},
        "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {
            "CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"}},
        "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "fleet"}}},
    "DeviceConfiguration": {"site": "north"}}
CONFIGURATION = """
[connection]
host = "localhost"
port = {port}
{client_id}
[tls]
ca_file = "ca.pem"
[identity]
directory = "identity"
[timing]
stable_after = "500ms"
backoff_cap = "1s"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
[provisioning]
template = "{template}"
{claim}
parameters = ["SerialNumber={serial}"]
{more}
"""
FILES = 'claim_certificate = "claim.pem"\nclaim_key = "claim.key"'


class ProvisionTest(RegionTest):
    def setUp(self):
        device.ensure(self.region, "CreatePolicy", policyName="fleet",
                      policyDocument=json.dumps(device.PERMISSIVE_POLICY))
        device.ensure(self.region, "CreateProvisioningTemplate", templateName="fleet", enabled=True,
                      templateBody=json.dumps(TEMPLATE),
                      provisioningRoleArn=f"arn:aws:iam::{ACCOUNT}:role/provisioning")

    def claim_policy(self, template="fleet"):
        arn = f"arn:aws:iot:{self.region.name}:{ACCOUNT}:"
        topics = ["$aws/certificates/create/*", "$aws/certificates/create-from-csr/*",
                  f"$aws/provisioning-templates/{template}/provision/*"]
        return {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
            {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"],
             "Resource": [f"{arn}topic/{topic}" for topic in topics]},
            {"Effect": "Allow", "Action": "iot:Subscribe",
             "Resource": [f"{arn}topicfilter/{topic}" for topic in topics]}]}

    def device(self, serial, claim=FILES, template="fleet", client_id=None, more="", policy=None):
        """The folder of a device that has nothing but a claim."""
        folder = self.folder / serial
        folder.mkdir()
        made = self.region.call("CreateKeysAndCertificate", setAsActive=True)
        name = f"claim-{serial}"
        self.region.call("CreatePolicy", policyName=name,
                         policyDocument=json.dumps(policy or self.claim_policy(template)))
        self.region.call("AttachPolicy", policyName=name, target=made["certificateArn"])
        endpoint = self.region.endpoint()
        device.write(folder / "ca.pem", pathlib.Path(endpoint["ca"]).read_text(encoding="ascii"))
        device.write(folder / "claim.pem", made["certificatePem"])
        device.write(folder / "claim.key", made["keyPair"]["PrivateKey"], 0o600)
        (folder / "claim.id").write_text(made["certificateId"], encoding="ascii")
        identifier = f"pump-{serial}" if client_id is None else client_id
        (folder / "device.toml").write_text(CONFIGURATION.format(
            port=endpoint["mqtt"], template=template, claim=claim, serial=serial, more=more,
            client_id=f'client_id = "{identifier}"' if identifier else ""), encoding="utf-8")
        return folder

    def provision(self, folder, *words, timeout=60):
        return subprocess.run([self.bin / "holdfast", "provision", "--config",
                               folder / "device.toml", *map(str, words)], capture_output=True,
                              text=True, timeout=timeout, check=False)

    def certificates(self, serial):
        """Those of the thing: their ids by status."""
        listed = self.region.call("ListThingPrincipals", thingName=f"pump-{serial}")["principals"]
        found = {}
        for arn in listed:
            one = self.region.call("DescribeCertificate", certificateId=arn.rsplit("/", 1)[1])
            one = one["certificateDescription"]
            found.setdefault(one["status"], []).append(one["certificateId"])
        return found

    def provisioned(self, folder, said):
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        serial = folder.name
        found = self.certificates(serial)
        self.assertEqual(list(found), ["ACTIVE"], found)
        self.assertEqual(len(found["ACTIVE"]), 1, found)
        active = folder / "identity" / "active.pem"
        self.assertEqual(active.stat().st_mode & 0o777, 0o600)
        journal = (folder / "identity" / "provisioning" / "journal").read_text(encoding="ascii")
        self.assertNotIn("PRIVATE KEY", journal)
        self.assertIn("phase done", journal)
        return found["ACTIVE"][0]

    def test_a_claim_becomes_a_certificate_whose_key_was_made_here(self):
        folder = self.device("1001")
        said = self.provision(folder)
        identifier = self.provisioned(folder, said)
        self.assertIn(identifier, said.stdout)
        self.assertIn("thing pump-1001", said.stdout)
        for step in ("key", "claim", "certificate", "registration", "verification", "installation"):
            self.assertIn(f"{step}: ", said.stdout)
        self.assertTrue((folder / "claim.pem").exists())
        again = self.provision(folder)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("already", again.stdout)
        self.assertEqual(self.certificates("1001"), {"ACTIVE": [identifier]})

    # ---- the agent -----------------------------------------------------------------------------

    def agent(self, folder):
        with open(folder / "agent.log", "ab") as log:
            process = subprocess.Popen([self.bin / "holdfastd", "--config", folder / "device.toml"],
                                       stderr=log, stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait, 20)
        self.addCleanup(process.terminate)
        wait_for((folder / "agent.sock").exists, 10, "the agent's socket")
        return process

    def cli(self, folder, *words):
        return subprocess.run([self.bin / "holdfast", *map(str, words), "--socket",
                               folder / "agent.sock"], capture_output=True, text=True, timeout=60,
                              check=False)

    def status(self, folder):
        return json.loads(self.cli(folder, "status", "--json").stdout)

    def log(self, folder):
        return (folder / "agent.log").read_text(encoding="utf-8", errors="replace")

    def test_a_first_boot_provisions_and_what_was_accepted_before_arrives(self):
        folder = self.device("2001", client_id="", more="retire_claim = true")
        claim = {name: (folder / name).rename(folder / f"{name}.kept")
                 for name in ("claim.pem", "claim.key")}
        process = self.agent(folder)
        # Nothing to come with yet; messages are taken all the same.
        wait_for(lambda: "No such file" in self.log(folder), 20, "it waits for the claim")
        self.assertEqual(self.cli(folder, "publish", "pump-2001/first", "early").returncode, 0)
        self.assertEqual(self.status(folder)["identity"]["provisioning"]["step"], "claim")
        for name, kept in claim.items():
            kept.rename(folder / name)
        wait_for(lambda: self.status(folder)["state"] == "connected", 30, "connected")
        wait_for(lambda: self.status(folder)["backlog"] == 0, 10, "delivered")
        status = self.status(folder)
        self.assertEqual(status["client_id"], "pump-2001")
        self.assertEqual(status["ledger"]["delivered"], 1)
        self.assertEqual(status["identity"]["provisioning"]["step"], "done")
        self.assertEqual(len(self.certificates("2001")["ACTIVE"]), 1)
        wait_for(lambda: not (folder / "claim.key").exists(), 10, "the claim was retired")
        self.assertFalse((folder / "claim.pem").exists())
        self.assertNotIn("PRIVATE KEY", self.log(folder))
        # The next boot knows its name.
        process.terminate()
        process.wait(20)
        self.agent(folder)
        wait_for(lambda: self.status(folder)["state"] == "connected", 30, "connected again")
        self.assertEqual(self.status(folder)["client_id"], "pump-2001")
        self.assertEqual(len(self.certificates("2001")["ACTIVE"]), 1)


if __name__ == "__main__":
    run(__doc__)

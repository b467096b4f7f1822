#!/usr/bin/env python3
"""Devices get their certificates by fleet provisioning, from a local IoT Core: by claim and by
trusted user, with a key of their own and without, whatever is refused, lost or cut on the way.

    provision_test.py --bin DIR      DIR: the programs of a build

HOLDFAST_KILLS: so many kills in the test of kills (default 12).
"""
import json
import os
import pathlib
import random
import subprocess
import time

from region_fixture import RegionTest, run
from tool import device
from tool.place import ACCOUNT, Control
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
[safe_mode]
crashes = 0
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

    # Field lesson 52.
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

    def fault(self, *rules):
        """Rules between devices and the endpoint, to the test's end or till heal()."""
        with Control(self.region.control_socket) as control:
            control.ask("faults.set", faults={"rules": list(rules)})
        self.addCleanup(self.heal)

    def heal(self):
        with Control(self.region.control_socket) as control:
            control.ask("faults.set", faults={})

    def switch(self, **values):
        before = self.region.call("GetSwitches")
        self.region.call("PutSwitches", **values)
        self.addCleanup(lambda: self.region.call(
            "PutSwitches", **{name: before[name] for name in values}))

    def test_the_service_may_make_the_key(self):
        folder = self.device("1002", more="csr = false")
        said = self.provision(folder)
        self.provisioned(folder, said)
        self.assertNotIn("key: ", said.stdout)

    def test_each_engine_and_version_of_mqtt_provisions(self):
        engines = subprocess.run([self.bin / "holdfastd", "--version"], capture_output=True,
                                 text=True, check=True).stdout.splitlines()[1]
        ways = [("mosquitto", "3.1.1")]
        if "aws_crt" in engines:
            ways.append(("aws_crt", "5"))
        for number, (engine, version) in enumerate(ways):
            with self.subTest(engine=engine, version=version):
                folder = self.device(f"101{number}")
                file = folder / "device.toml"
                file.write_text(file.read_text(encoding="utf-8").replace(
                    "[connection]", f'[connection]\nengine = "{engine}"\n'
                    f'mqtt_version = "{version}"'), encoding="utf-8")
                self.provisioned(folder, self.provision(folder))

    def test_programs_get_lines_of_json(self):
        folder = self.device("1003")
        said = self.provision(folder, "--json")
        identifier = self.provisioned(folder, said)
        lines = [json.loads(line) for line in said.stdout.splitlines()]
        self.assertEqual(lines[-1]["result"], "done")
        self.assertEqual(lines[-1]["certificate_id"], identifier)
        self.assertEqual(lines[-1]["device_configuration"], {"site": "north"})
        self.assertIn("registration", [line["step"] for line in lines])
        self.assertNotIn("PRIVATE KEY", said.stdout)

    # ---- what is refused -----------------------------------------------------------------------

    def rejection(self, topic, status, code, first=1):
        return {"name": f"{code}-{topic}", "packets": "PUBLISH", "direction": "down",
                "topic": topic + "/accepted", "first": first, "scope": "all",
                "alter": {"topic": topic + "/rejected", "payload": json.dumps(
                    {"statusCode": status, "errorCode": code, "errorMessage": "by the test"})}}

    # Field lesson 53.
    def test_what_passes_is_tried_again_and_what_does_not_is_named(self):
        csr = "$aws/certificates/create-from-csr/json"
        register = "$aws/provisioning-templates/fleet/provision/json"
        serial = 1100
        for topic, step in ((csr, "certificate"), (register, "registration")):
            for status, code, passes in ((429, "ThrottlingException", True),
                                         (500, "InternalFailure", True),
                                         (503, "ServiceUnavailable", True),
                                         (409, "ConflictingResourceUpdate", True),
                                         (400, "InvalidParameters", False),
                                         (403, "AccessDenied", False),
                                         (404, "ResourceNotFoundException", False)):
                with self.subTest(topic=topic, code=code):
                    serial += 1
                    folder = self.device(str(serial))
                    self.fault(self.rejection(topic, status, code))
                    said = self.provision(folder, "--timeout", "20s")
                    if not passes:
                        self.assertEqual(said.returncode, 1, said.stdout + said.stderr)
                        self.assertIn(f"{step}: rejected: {status} {code}: by the test",
                                      said.stderr)
                        said = self.provision(folder)  # the rule has had its one time
                    self.assertIn(code if passes else "done", said.stdout)
                    self.provisioned(folder, said)

    def test_the_hook_the_template_and_the_policy_are_named(self):
        body = json.dumps(TEMPLATE)
        self.region.call("CreateProvisioningTemplate", templateName="denied", enabled=True,
                         templateBody=body,
                         provisioningRoleArn=f"arn:aws:iam::{ACCOUNT}:role/provisioning")
        self.region.call("SetProvisioningHook", templateName="denied", hook={"kind": "deny"})
        folder = self.device("1201", template="denied")
        said = self.provision(folder)
        self.assertEqual(said.returncode, 1, said.stdout)
        self.assertIn("registration: rejected: 403 AccessDenied", said.stderr)
        self.assertIn("hook", said.stderr)
        self.region.call("SetProvisioningHook", templateName="denied", hook={"kind": "allow"})
        kept = (folder / "identity/provisioning/journal").read_text(encoding="ascii")
        identifier = self.provisioned(folder, self.provision(folder))
        self.assertIn(identifier, kept)  # the certificate that waited
        said = self.provision(self.device("1202", template="nowhere"))
        self.assertEqual(said.returncode, 1, said.stdout)
        self.assertIn("registration: rejected: 400 InvalidTemplate", said.stderr)
        nothing = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}
        said = self.provision(self.device("1203", policy=nothing), "--timeout", "30s")
        self.assertEqual(said.returncode, 1, said.stdout + said.stderr)
        self.assertIn("does not allow to subscribe to $aws/certificates", said.stderr)

    def test_a_claim_that_was_revoked_is_named_and_another_one_goes_on(self):
        folder = self.device("1301")
        claim = (folder / "claim.id").read_text(encoding="ascii")
        self.region.call("UpdateCertificate", certificateId=claim, newStatus="REVOKED")
        said = self.provision(folder, "--timeout", "15s")
        self.assertIn(said.returncode, (1, 4), said.stdout)
        self.assertIn("claim: ", said.stderr)
        self.assertIn("is the claim certificate active?", said.stderr)
        other = self.device("1302")
        for name in ("claim.pem", "claim.key"):
            (folder / name).write_bytes((other / name).read_bytes())
        self.provisioned(folder, self.provision(folder))

    def test_throttled_it_waits_its_turn(self):
        self.switch(csrs_per_second=1, registers_per_second=1)
        folders = [self.device(str(1400 + i)) for i in range(4)]
        running = [subprocess.Popen([self.bin / "holdfast", "provision", "--config",
                                     folder / "device.toml"], stdout=subprocess.PIPE, text=True)
                   for folder in folders]
        said = [process.communicate(timeout=120)[0] for process in running]
        self.assertTrue(any("Throttling" in one for one in said), said)
        for folder, process in zip(folders, running):
            self.assertEqual(process.returncode, 0, said)
            self.assertEqual(len(self.certificates(folder.name)["ACTIVE"]), 1)

    # ---- what is lost --------------------------------------------------------------------------

    def test_a_registration_whose_answer_is_lost_stays_the_only_one(self):
        folder = self.device("1501")
        self.fault({"packets": "PUBLISH", "direction": "down", "first": 1, "scope": "all",
                    "topic": "$aws/provisioning-templates/fleet/provision/json/accepted",
                    "disconnect": {"how": "reset"}, "name": "lost"})
        said = self.provision(folder)
        self.provisioned(folder, said)
        self.assertIn("while asking", said.stdout)
        self.assertEqual(self.given_up(folder), [])

    def given_up(self, folder):
        journal = (folder / "identity/provisioning/journal").read_text(encoding="ascii")
        given_up = next(line for line in journal.splitlines() if line.startswith("given-up"))
        return given_up.split()[1:]

    def test_a_token_that_is_too_old_costs_the_certificate_and_not_the_key(self):
        self.switch(ownership_token_seconds=2)
        folder = self.device("1502")
        register = "$aws/provisioning-templates/fleet/provision/json"
        self.fault({"packets": "PUBLISH", "direction": "up", "first": 1, "scope": "all",
                    "topic": register, "drop": True, "name": "late"})
        process = subprocess.Popen([self.bin / "holdfast", "provision", "--config",
                                    folder / "device.toml"], stdout=subprocess.PIPE, text=True)
        journal = folder / "identity/provisioning/journal"
        wait_for(lambda: journal.exists() and "phase certificate" in journal.read_text(), 20,
                 "a certificate")
        process.kill()
        process.communicate()
        key = journal.read_text(encoding="ascii").split("-----BEGIN PRIVATE KEY-----")[1]
        time.sleep(3)  # the service's clock: the token's two seconds are over
        self.switch(ownership_token_seconds=3600)
        said = self.provision(folder)
        self.provisioned(folder, said)
        self.assertIn("never registered", said.stdout)
        self.assertEqual(len(self.given_up(folder)), 1)
        active = (folder / "identity/active.pem").read_text(encoding="ascii")
        self.assertEqual(active.split("-----BEGIN PRIVATE KEY-----")[1], key)

    def test_kills_at_any_instant_end_with_one_certificate(self):
        kills = int(os.environ.get("HOLDFAST_KILLS", "12"))
        chance = random.Random(7)
        cut = 0
        for serial in range(1600, 1600 + kills):
            folder = self.device(str(serial), more="csr = false" if serial % 4 == 0 else "")
            for _ in range(3):
                process = subprocess.Popen([self.bin / "holdfast", "provision", "--config",
                                            folder / "device.toml"], stdout=subprocess.DEVNULL)
                try:
                    process.wait(chance.uniform(0.02, 0.6))
                except subprocess.TimeoutExpired:
                    process.kill()
                    cut += 1
                process.wait()
            self.provisioned(folder, self.provision(folder))
        self.assertGreater(cut, kills)
        print(f"{kills} devices, {cut} kills")

    # Field lesson 51.
    def test_an_agent_that_is_killed_at_its_first_boot_goes_on_at_the_next(self):
        chance = random.Random(11)
        cut = 0
        for serial in ("1650", "1651", "1652", "1653"):
            # With a client id: a cut between a registration and its answer loses the thing's name,
            # and without one the device would be blocked then, as docs/provisioning.md says.
            folder = self.device(serial)
            for _ in range(8):
                if (folder / "identity" / "active.pem").exists():
                    break
                process = self.start_agent(folder)
                time.sleep(chance.uniform(0, 0.12))
                process.kill()
                process.wait()
                (folder / "agent.sock").unlink()
                cut += 1
            self.start_agent(folder)
            wait_for(lambda: self.status(folder)["state"] == "connected", 30, "connected")
            self.assertEqual(self.status(folder)["client_id"], f"pump-{serial}")
            self.assertEqual(len(self.certificates(serial)["ACTIVE"]), 1)
        self.assertGreater(cut, 4)
        print(f"{cut} kills of agents")

    def test_what_a_disk_has_damaged_is_set_aside_and_said(self):
        folder = self.device("1660")
        before = self.provisioned(folder, self.provision(folder))
        (folder / "identity/active.pem").write_text("damaged", encoding="ascii")
        said = self.provision(folder)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn(f"certificate {before}, which it had before, may still be in force",
                      said.stderr)
        (folder / "identity/active.pem").unlink()
        (folder / "identity/provisioning/journal").write_text("damaged", encoding="ascii")
        said = self.provision(folder)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("set aside as damaged/journal", said.stderr)
        self.assertEqual(len(self.certificates("1660")["ACTIVE"]), 3)

    # ---- a trusted user ------------------------------------------------------------------------

    def test_a_trusted_users_claim_is_handed_over(self):
        folder = self.device("1701", claim='claim_file = "handed-over.json"')
        said = self.provision(folder, "--timeout", "2s")
        self.assertEqual(said.returncode, 4, said.stdout)
        self.assertIn("no claim", said.stderr)
        process = subprocess.Popen([self.bin / "holdfast", "provision", "--config",
                                    folder / "device.toml"], stdout=subprocess.PIPE, text=True)
        claim = self.region.call("CreateProvisioningClaim", templateName="fleet")
        device.write(folder / "handed-over.json", json.dumps(claim), 0o600)
        out = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 0, out)
        self.assertEqual(len(self.certificates("1701")["ACTIVE"]), 1)
        self.assertEqual(sorted(path.name for path in (folder / "identity/provisioning").iterdir()),
                         ["LOCK", "journal"])
        folder = self.device("1702")
        claim = self.region.call("CreateProvisioningClaim", templateName="fleet")
        device.write(folder / "mine.json", json.dumps(claim), 0o600)
        (folder / "claim.pem").unlink()
        self.provisioned(folder, self.provision(folder, "--claim", folder / "mine.json"))

    # ---- the agent -----------------------------------------------------------------------------

    def status(self, folder):
        return json.loads(self.ask_agent(folder, "status", "--json").stdout)

    def test_a_first_boot_provisions_and_what_was_accepted_before_arrives(self):
        folder = self.device("2001", client_id="", more="retire_claim = true")
        claim = {name: (folder / name).rename(folder / f"{name}.kept")
                 for name in ("claim.pem", "claim.key")}
        process = self.start_agent(folder)
        # Nothing to come with yet; messages are taken all the same.
        wait_for(lambda: "No such file" in self.agent_log(folder), 20, "it waits for the claim")
        self.assertEqual(self.ask_agent(folder, "publish", "pump-2001/first", "early").returncode, 0)
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
        self.assertNotIn("PRIVATE KEY", self.agent_log(folder))
        # The next boot knows its name.
        process.terminate()
        process.wait(20)
        self.start_agent(folder)
        wait_for(lambda: self.status(folder)["state"] == "connected", 30, "connected again")
        self.assertEqual(self.status(folder)["client_id"], "pump-2001")
        self.assertEqual(len(self.certificates("2001")["ACTIVE"]), 1)

    def test_a_successor_is_asked_for_with_the_certificate_and_tried_by_the_agent(self):
        folder = self.device("3001")
        before = self.provisioned(folder, self.provision(folder))
        self.start_agent(folder)
        wait_for(lambda: self.status(folder)["state"] == "connected", 30, "connected")
        self.assertIn("nothing to do", self.provision(folder, "--renew", "--days-left",
                                                      "1").stdout)
        said = self.provision(folder, "--renew", "--days-left", "36500")
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        self.assertIn("is the next one; the agent tries it", said.stdout)
        wait_for(lambda: self.status(folder)["identity"]["kept"] == 1, 30, "it is kept")
        both = self.certificates("3001")["ACTIVE"]
        self.assertEqual(len(both), 2)
        self.assertIn(before, both)
        self.region.call("UpdateCertificate", certificateId=before, newStatus="INACTIVE")
        self.assertEqual(self.ask_agent(folder, "publish", "pump-3001/x", "y", "--wait",
                                  "delivered").returncode, 0)
        slots = self.status(folder)["identity"]["slots"]
        self.assertNotEqual(slots["active"]["fingerprint"], slots["previous"]["fingerprint"])
        # And once more, from there.
        self.assertEqual(self.provision(folder, "--renew").returncode, 0)
        wait_for(lambda: self.status(folder)["identity"]["kept"] == 2, 30, "it is kept, too")
        # Where nobody tries it, a second one would only be another certificate in force.
        alone = self.device("3003")
        self.provisioned(alone, self.provision(alone))
        self.assertEqual(self.provision(alone, "--renew").returncode, 0)
        said = self.provision(alone, "--renew")
        self.assertEqual(said.returncode, 1, said.stdout)
        self.assertIn("waits in the slot next already", said.stderr)
        self.assertEqual(len(self.certificates("3003")["ACTIVE"]), 2)
        nobody = self.device("3002")
        said = self.provision(nobody, "--renew")
        self.assertEqual(said.returncode, 1)
        self.assertIn("no active certificate", said.stderr)

    def test_the_agent_asks_for_a_successor_when_its_certificate_is_old_enough(self):
        folder = self.device("3004", more='renew_every = "1s"')
        before = self.provisioned(folder, self.provision(folder))
        self.start_agent(folder)
        wait_for(lambda: self.status(folder)["identity"]["kept"] == 1, 40, "it is kept")
        both = self.certificates("3004")["ACTIVE"]
        self.assertEqual(len(both), 2)
        self.assertIn(before, both)
        # It is kept before its file is gone, and both are looked at when they change.
        wait_for(lambda: self.status(folder)["identity"]["slots"]["next"]["condition"] == "missing",
                 20, "no next certificate")
        self.assertIn("successor: installation", self.agent_log(folder))
        # Old enough, too, and still not the next one: that takes a day.
        self.assertEqual(self.ask_agent(folder, "publish", "pump-3004/x", "y", "--wait",
                                        "delivered").returncode, 0)
        self.assertEqual(len(self.certificates("3004")["ACTIVE"]), 2)

    # ---- registered just in time ----------------------------------------------------------------

    def test_a_certificate_of_ones_own_ca_is_let_in_after_first_connects_that_fail(self):
        ca = self.make_ca("jitr")
        identity = self.register_ca(ca)
        self.make("registrar", device.PERMISSIVE_POLICY)
        topic = f"$aws/events/certificates/registered/{identity}"
        registrar = self.subscribed("registrar", "-t", topic, "-C", "3")
        self.sign(ca, "newcomer", "newcomer")
        folder = self.folder / "newcomer"
        (folder / "device.toml").write_text(f"""
[connection]
host = "localhost"
port = {self.region.endpoint()["mqtt"]}
client_id = "newcomer"
[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"
just_in_time = true
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
""", encoding="utf-8")
        self.start_agent(folder)
        # The rule that activates it is slow: three connects fail before.
        events = [json.loads(line) for line in registrar.output(40).splitlines()]
        self.assertEqual([event["certificateStatus"] for event in events],
                         3 * ["PENDING_ACTIVATION"])
        known = self.region.call("DescribeCertificate", certificateId=events[0]["certificateId"])
        self.region.call("AttachPolicy", policyName="fleet",
                         target=known["certificateDescription"]["certificateArn"])
        self.region.call("UpdateCertificate", certificateId=events[0]["certificateId"],
                         newStatus="ACTIVE")
        wait_for(lambda: self.status(folder)["state"] == "connected", 8, "let in soon after")


if __name__ == "__main__":
    run(__doc__)

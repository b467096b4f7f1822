#!/usr/bin/env python3
"""`holdfast doctor` beside a local IoT Core and a mosquitto: each thing that is wrong is named by
the check that it belongs to, with advice; what works is ok; a live agent is not disturbed.

    doctor_test.py --bin DIR      DIR: the programs of a build
"""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess

from region_fixture import RegionTest, run
from tool.programs import Programs, wait_for

CONFIGURATION = """
[connection]
host = "{host}"
port = {port}
client_id = "{name}"
{connection}
[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"
{tls}
[outbox]
directory = "{outbox}"
[local]
socket = "agent.sock"
{more}
"""


def allowed(name):
    """A policy for the device and its doctor, below the device's own name."""
    arn = "arn:aws:iot:eu-west-1:123456789012:"
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect",
         "Resource": [f"{arn}client/{name}", f"{arn}client/{name}-doctor"]},
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive", "iot:RetainPublish"],
         "Resource": f"{arn}topic/{name}/*"},
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": f"{arn}topicfilter/{name}/*"}]}


def closed_port():
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class DoctorTest(RegionTest):
    def device(self, name, policy=None, port="mqtt", host="localhost", connection="", tls="",
               outbox="outbox", more=""):
        """A device with its files and a configuration."""
        self.make(name, policy or allowed(name))
        folder = self.devices[name]
        (folder / "device.toml").write_text(CONFIGURATION.format(
            name=name, host=host, connection=connection, tls=tls, outbox=outbox, more=more,
            port=port if isinstance(port, int) else self.region.endpoint()[port]), encoding="utf-8")
        return folder

    def examine(self, name, *words, code):
        """The findings by check, of a doctor that ends so."""
        said = subprocess.run([self.bin / "holdfast", "doctor", self.devices[name] / "device.toml",
                               "--json", "--timeout", "5s", *words], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(said.returncode, code, said.stdout + said.stderr)
        self.assertNotIn("PRIVATE KEY", said.stdout + said.stderr)
        report = json.loads(said.stdout)
        self.assertEqual(report["version"], 1)
        for check in report["checks"]:
            trouble = check["result"] in ("warning", "failed")
            self.assertEqual("advice" in check, trouble, check)
        return {check["check"]: check for check in report["checks"]}

    def assert_found(self, found, check, result, words, advice=""):
        one = found[check]
        self.assertEqual(one["result"], result, one)
        self.assertIn(words, one["found"])
        self.assertIn(advice, one.get("advice", ""))

    def assert_only_failure(self, found, check):
        failed = [name for name, one in found.items() if one["result"] == "failed"]
        self.assertEqual(failed, [check], found)

    def agent(self, name):
        folder = self.devices[name]
        self.start_agent(folder)
        wait_for(lambda: self.status(name)["state"] == "connected", 15, "the agent's connection")

    def status(self, name):
        said = self.ask_agent(self.devices[name], "status", "--json")
        return json.loads(said.stdout) if said.returncode == 0 else {"state": said.stderr}

    # --- all is well ---

    def test_all_is_well(self):
        self.device("sound")
        found = self.examine("sound", code=0)
        for check in ("configuration", "files", "credentials", "chain", "dates", "clock", "dns",
                      "route", "tcp", "tls", "mqtt", "subscribe", "publish", "retain", "quotas",
                      "disk", "sync"):
            self.assertIn(found[check]["result"], ("ok", "warning"), found[check])
        for check in ("proxy", "alpn", "websocket", "agent"):
            self.assertEqual(found[check]["result"], "not_applicable", found[check])
        self.assertGreater(found["dates"]["figures"]["days_left"], 30)
        self.assertGreater(found["sync"]["figures"]["median_ms"], 0)
        self.assertEqual(found["route"]["figures"]["interfaces"][0], "lo")
        self.assertEqual(found["mqtt"]["figures"]["client_id"], "sound-doctor")
        self.assertFalse((self.devices["sound"] / "outbox").exists(), "it makes nothing")

    def test_the_retained_message_is_gone_again(self):
        self.device("tidy")
        found = self.examine("tidy", "--only", "retain", code=0)
        self.assert_found(found, "retain", "ok", "tidy/doctor")
        client = self.client("tidy", "sub", "-t", "tidy/#", "-W", "2", "-v")
        self.assertEqual([line for line in client.output().splitlines() if "tidy/" in line], [])

    def test_a_live_agent_is_not_disturbed(self):
        self.device("living")
        self.agent("living")
        before = self.status("living")
        found = self.examine("living", code=0)
        self.assert_found(found, "agent", "ok", "connected as living, 1 connect of 1 attempt")
        self.assert_found(found, "mqtt", "ok", "let in as living-doctor")
        after = self.status("living")
        for field in ("state", "connects", "attempts_total", "verdicts", "ledger"):
            self.assertEqual(before[field], after[field], field)
        found = self.examine("living", "--client-id", "living", "--only", "mqtt", code=1)
        self.assert_found(found, "mqtt", "failed", "not tried", "leave out --client-id")
        self.assertEqual(self.status("living")["attempts_total"], before["attempts_total"])

    def test_a_live_agent_proves_the_login_where_the_doctor_is_not_let_in(self):
        self.device("alone", policy={"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*",
             "Resource": ["arn:aws:iot:eu-west-1:123456789012:client/alone",
                          "arn:aws:iot:eu-west-1:123456789012:topic/alone/*"]}]})
        self.agent("alone")
        found = self.examine("alone", code=0)
        self.assert_found(found, "agent", "ok", "connected as alone")
        self.assert_found(found, "mqtt", "warning", "not_authorized", "client/alone-doctor")
        self.assertEqual(found["publish"]["result"], "skipped")

    def test_each_check_is_documented(self):
        said = subprocess.run([self.bin / "holdfast", "doctor", "--list"], capture_output=True,
                              text=True, timeout=30, check=True)
        page = pathlib.Path(__file__).parent.parent / "docs" / "doctor.md"
        documented = re.findall(r"^\| `(\w+)` \|.*\|.*\|.*\|$",
                                page.read_text(encoding="utf-8"), re.M)
        self.assertEqual([line.split()[0] for line in said.stdout.splitlines()], documented)

    # --- configuration and files ---

    def test_a_wrong_key_in_the_configuration(self):
        folder = self.device("typo")
        text = (folder / "device.toml").read_text(encoding="utf-8")
        (folder / "device.toml").write_text(text + "[flow]\nmax_in_fligth = 3\n", encoding="utf-8")
        found = self.examine("typo", code=2)
        self.assert_found(found, "configuration", "failed", "flow.max_in_fligth", "check-config")
        self.assert_found(found, "mqtt", "skipped", "needs configuration")
        self.assertIn(found["clock"]["result"], ("ok", "failed"), "it needs no configuration")

    def test_a_missing_file_and_one_that_everybody_may_read(self):
        folder = self.device("open")
        (folder / "device.key").chmod(0o644)
        found = self.examine("open", "--only", "files", code=0)
        self.assert_found(found, "files", "warning", "mode 0644: everybody may read it",
                          "chmod 600")
        (folder / "ca.pem").unlink()
        found = self.examine("open", "--only", "mqtt", code=1)
        self.assert_found(found, "files", "failed", "No such file", "tls.ca_file")
        self.assert_found(found, "mqtt", "skipped", "needs files")

    def test_the_key_of_another_certificate(self):
        folder = self.device("swapped")
        self.openssl("genrsa", "-out", folder / "device.key", "2048")
        found = self.examine("swapped", code=1)
        self.assert_found(found, "credentials", "failed", "does not fit the certificate",
                          "together")
        self.assert_only_failure(found, "credentials")
        self.assert_found(found, "tcp", "ok", "127.0.0.1")
        self.assert_found(found, "tls", "skipped", "needs credentials")

    def test_the_credential_in_the_active_slot_is_the_one_that_counts(self):
        folder = self.device("slotted", more='\n[identity]\ndirectory = "slots"\n')
        slot = folder / "slots" / "active.pem"
        slot.parent.mkdir(mode=0o700)
        slot.touch(mode=0o600)
        slot.write_bytes((folder / "device.pem").read_bytes() + (folder / "device.key").read_bytes())
        self.openssl("genrsa", "-out", folder / "device.key", "2048")  # no longer the one
        self.examine("slotted", code=0)
        slot.write_text("torn", encoding="utf-8")
        found = self.examine("slotted", code=1)
        self.assert_found(found, "credentials", "failed", "active.pem")

    def test_an_expired_certificate(self):
        folder = self.device("expired")
        (folder / "index.txt").touch()
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\n"
            "default_md = sha256\npolicy = p\nx509_extensions = x\n[p]\ncommonName = supplied\n"
            "[x]\n",
            encoding="utf-8")
        subprocess.run(f"""set -e
            cd {folder}
            openssl req -newkey rsa:2048 -nodes -keyout device.key -subj /CN=old -out old.csr
            openssl ca -batch -config ca.cnf -selfsign -keyfile device.key -in old.csr \
                -rand_serial -startdate 20200101000000Z \
                -enddate 20210101000000Z -notext -out device.pem
            """, shell=True, check=True, capture_output=True)
        found = self.examine("expired", "--only", "dates", code=1)
        self.assert_found(found, "dates", "failed", "CN=old has expired on 2021-01-01",
                          "new certificate")

    # --- the way ---

    def test_a_name_that_does_not_exist(self):
        self.device("nameless", host="no-such-host.invalid")
        found = self.examine("nameless", code=1)
        self.assert_found(found, "dns", "failed", "no-such-host.invalid", "name servers")
        self.assert_found(found, "tcp", "skipped", "needs dns")

    def test_a_closed_port(self):
        self.device("closed", port=closed_port())
        found = self.examine("closed", code=1)
        self.assert_found(found, "tcp", "failed", "tcp_refused", "connection.port")
        self.assert_only_failure(found, "tcp")

    def test_a_proxy_that_is_none(self):
        port = self.region.endpoint()["mqtt"]  # It speaks TLS.
        self.device("detour", more=f'[proxy]\nhost = "localhost"\nport = {port}')
        found = self.examine("detour", code=1)
        self.assert_found(found, "proxy", "failed", "localhost", "[proxy]")
        self.assert_found(found, "tls", "skipped", "needs proxy")

    def test_a_server_of_another_name(self):
        self.device("misnamed", tls='server_name = "other.example"')
        found = self.examine("misnamed", code=1)
        self.assert_found(found, "tls", "failed", "tls_server_name", "tls.server_name")

    def test_an_unknown_ca(self):
        folder = self.device("stranger")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Stranger",
                     "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
        found = self.examine("stranger", code=1)
        self.assert_found(found, "tls", "failed", "tls_server_untrusted", "tls.ca_file")
        self.assert_found(found, "chain", "ok", "the broker judges it")

    def test_a_certificate_that_the_server_does_not_know(self):
        folder = self.device("unknown")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=unknown",
                     "-keyout", folder / "device.key", "-out", folder / "device.pem")
        found = self.examine("unknown", code=1)
        self.assertEqual([one["check"] for one in found.values() if one["result"] == "failed"],
                         ["tls"], found)
        self.assertIn("ACTIVE", found["tls"]["advice"])

    def test_a_protocol_that_the_server_refuses(self):
        self.device("babel", port="mixed", tls='alpn = "no-such-protocol"')
        found = self.examine("babel", code=1)
        self.assert_found(found, "tls", "failed", "no application protocol", "tls.alpn")
        self.device("agreed", port="mixed", tls='alpn = "x-amzn-mqtt-ca"')
        self.assert_found(self.examine("agreed", code=0), "alpn", "ok", "x-amzn-mqtt-ca")

    def test_websocket_and_keys_that_are_wrong(self):
        everything = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
        key = self.make_user("webbed", everything)
        folder = self.device("webbed", port="mixed", connection='transport = "websocket"',
                             more='[sigv4]\ncredentials_file = "keys"\nregion = "eu-west-1"\n')
        text = (folder / "device.toml").read_text(encoding="utf-8")
        text = "\n".join(line for line in text.splitlines() if "device." not in line)
        (folder / "device.toml").write_text(text, encoding="utf-8")
        good = {"AccessKeyId": key["accessKeyId"], "SecretAccessKey": key["secretAccessKey"]}
        (folder / "keys").write_text(json.dumps(good), encoding="utf-8")
        (folder / "keys").chmod(0o600)
        found = self.examine("webbed", code=0)
        self.assert_found(found, "websocket", "ok", "upgrades")
        self.assert_found(found, "publish", "ok", "webbed/doctor")
        (folder / "keys").write_text(json.dumps({**good, "SecretAccessKey": "wrong"}),
                                     encoding="utf-8")
        found = self.examine("webbed", code=1)
        self.assert_found(found, "websocket", "failed", "403", "[sigv4]")
        self.assertNotIn(key["secretAccessKey"], json.dumps(found))
        self.assertNotIn("X-Amz-Signature", json.dumps(found))

    def test_temporary_keys_and_a_role_alias_that_is_wrong(self):
        alias = self.make_role("assumed", {"Effect": "Allow", "Action": "iot:*", "Resource": "*"})
        folder = self.device("assumed", port="mixed", connection='transport = "websocket"',
                             more=self.sigv4("assumed"))
        found = self.examine("assumed", code=1)
        self.assert_found(found, "keys", "failed", "403 Forbidden: Access Denied (not_authorized)",
                          "iot:AssumeRoleWithCertificate")
        self.assert_found(found, "websocket", "skipped", "needs keys")
        self.allow_role("assumed", alias)
        found = self.examine("assumed", code=0)
        self.assert_found(found, "keys", "ok", "role alias assumed, good for 900 s")
        self.assert_found(found, "publish", "ok", "assumed/doctor")
        self.assertNotIn("X-Amz-Signature", json.dumps(found))
        (folder / "device.toml").write_text((folder / "device.toml").read_text(
            encoding="utf-8").replace('role_alias = "assumed"', 'role_alias = "other"'),
            encoding="utf-8")
        found = self.examine("assumed", code=1)
        self.assert_found(found, "keys", "failed", "403", "sigv4.role_alias")

    # --- the broker's policy ---

    def test_a_client_id_that_the_policy_denies(self):
        self.device("single", policy={"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*",
             "Resource": "arn:aws:iot:eu-west-1:123456789012:client/single"}]})
        found = self.examine("single", code=1)
        self.assert_found(found, "mqtt", "failed", "as single-doctor: not_authorized",
                          "iot:Connect on client/single-doctor")
        self.assert_found(found, "publish", "skipped", "needs mqtt")
        found = self.examine("single", "--only", "mqtt", "--client-id", "single", code=0)
        self.assert_found(found, "mqtt", "ok", "let in as single")

    def assert_denied_topics_are_named(self, name, version):
        self.device(name, connection=f'mqtt_version = "{version}"')
        found = self.examine(name, "--topic", f"{name}/a", "--topic", "others/b", "--filter",
                             "others/#", code=1)
        self.assert_found(found, "publish", "failed", "others/b", "iot:Publish on topic/others/b")
        self.assertIn(f"but {name}/a in", found["publish"]["found"])
        self.assertEqual(found["publish"]["figures"]["denied"], ["others/b"])
        self.assert_found(found, "subscribe", "failed", "others/#",
                          "iot:Subscribe on topicfilter/others/#")
        self.assert_found(found, "retain", "ok", f"{name}/doctor")

    def test_topics_that_are_denied_with_a_word(self):
        self.assert_denied_topics_are_named("frank", "5")

    def test_topics_that_are_denied_by_a_hang_up(self):
        self.assert_denied_topics_are_named("curt", "3.1.1")

    def test_retain_that_the_policy_denies(self):
        policy = allowed("fleeting")
        policy["Statement"][1]["Action"].remove("iot:RetainPublish")
        self.device("fleeting", policy=policy,
                    more='[connection.birth]\ntopic = "fleeting/state"\npayload = "on"\n')
        found = self.examine("fleeting", code=1)
        self.assert_found(found, "publish", "ok", "fleeting/state/doctor")
        self.assert_found(found, "retain", "failed", "fleeting/state/doctor", "iot:RetainPublish")

    def test_a_broker_with_passwords(self):
        """A mosquitto without TLS, which says "not authorized" to a wrong password."""
        folder = self.device("simple", port=closed_port(), connection="""
username = "pump"
password_file = "password"
""")
        text = (folder / "device.toml").read_text(encoding="utf-8")
        port = int(re.search(r"port = (\d+)", text)[1])
        start, end = text.index("[tls]"), text.index("[outbox]")
        (folder / "device.toml").write_text(text[:start] + "[tls]\nenabled = false\n" + text[end:],
                                            encoding="utf-8")
        (folder / "users").write_text("pump:secret\n", encoding="utf-8")
        subprocess.run([Programs.system("mosquitto_passwd"), "-U", folder / "users"], check=True)
        (folder / "acl").write_text("topic readwrite simple/#\nuser pump\n"
                                    "topic readwrite simple/#\n", encoding="utf-8")
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous false\nuser root\n"
            f"password_file {folder}/users\nacl_file {folder}/acl\n", encoding="utf-8")
        broker = subprocess.Popen([Programs.system("mosquitto"), "-c", folder / "mosquitto.conf"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(broker.wait, 20)
        self.addCleanup(broker.terminate)

        def listens():
            with contextlib.closing(socket.socket()) as one:
                return one.connect_ex(("127.0.0.1", port)) == 0
        wait_for(listens, 10, "the broker's port")
        (folder / "password").write_text("secret\n", encoding="utf-8")
        (folder / "password").chmod(0o600)
        found = self.examine("simple", "--topic", "others/x", code=1)
        self.assert_found(found, "tls", "not_applicable", "tls.enabled is false")
        self.assert_found(found, "mqtt", "ok", "simple-doctor")
        self.assert_found(found, "publish", "failed", "others/x is refused (0x87)", "iot:Publish")
        self.assert_found(found, "retain", "ok", "simple/doctor")
        (folder / "password").write_text("wrong-secret\n", encoding="utf-8")
        found = self.examine("simple", code=1)
        self.assert_found(found, "mqtt", "failed", "not_authorized", "connection.password_file")
        self.assertNotIn("wrong-secret", json.dumps(found))

    # --- this machine ---

    def test_an_outbox_that_cannot_be_made(self):
        self.device("homeless", outbox="device.toml/outbox")
        found = self.examine("homeless", "--only", "disk", "--only", "sync", code=1)
        self.assert_found(found, "disk", "failed", "is not a directory", "outbox.directory")
        self.assert_found(found, "sync", "skipped", "needs disk")

    def test_an_outbox_in_ram(self):
        folder = self.device("volatile")
        text = (folder / "device.toml").read_text(encoding="utf-8")
        (folder / "device.toml").write_text(text.replace(
            'directory = "outbox"', f'directory = "/dev/shm/holdfast-doctor-{os.getpid()}"'),
            encoding="utf-8")
        found = self.examine("volatile", "--only", "disk", code=0)
        self.assert_found(found, "disk", "warning", "tmpfs", "RAM")

    def test_quotas_that_the_pace_exceeds(self):
        self.device("hasty", more="[flow]\nmessages_per_second = 500\n")
        found = self.examine("hasty", "--only", "quotas", code=0)
        self.assert_found(found, "quotas", "warning", "flow.messages_per_second is 500", "to 100")


if __name__ == "__main__":
    run(__doc__)

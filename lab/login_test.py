#!/usr/bin/env python3
"""The agent logs in to a local IoT Core in each way that AWS IoT Core offers, and notices at once
when what kept it out has been mended.

    login_test.py --bin DIR      DIR: the programs of a build
"""
import glob
import json
import os
import shutil
import subprocess
import unittest

from region_fixture import RegionTest, run
from tool import device
from tool.programs import wait_for

CONFIGURATION = """
[connection]
host = "localhost"
port = {port}
client_id = "{name}"
{connection}
[tls]
ca_file = "ca.pem"
{tls}
[timing]
# Longer than any test waits: who recovers has seen its files change.
backoff_first = "2m"
backoff_cap = "5m"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
{more}
"""
EVERYTHING = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
TPM_PROVIDER = glob.glob("/usr/lib/*/ossl-modules/tpm2.so")
SIGNED = '[sigv4]\ncredentials_file = "keys"\nregion = "eu-west-1"\n'


class LoginTest(RegionTest):
    def agent(self, name, port, connection="", tls="", more="", **environment):
        """A running agent with the files of device `name`."""
        folder = self.devices[name]
        (folder / "device.toml").write_text(CONFIGURATION.format(
            name=name, port=self.region.endpoint()[port], connection=connection, tls=tls, more=more),
            encoding="utf-8")
        self.start_agent(folder, **environment)

    def cli(self, name, *words):
        return self.ask_agent(self.devices[name], *words)

    def assert_delivers(self, name, topic=None):
        """A message is delivered, in reasonable time."""
        said = self.cli(name, "publish", topic or f"{name}/x", "hello", "--wait", "delivered",
                        "--timeout", "20s")
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr + self.log(name))

    def write_keys(self, name, keys):
        """Replaces the file of AWS keys as a renewing program does."""
        file = self.devices[name] / "keys"
        file.with_suffix(".new").write_text(json.dumps(keys), encoding="utf-8")
        file.with_suffix(".new").rename(file)

    def test_keys_of_a_user_sign_the_request_for_websocket(self):
        self.make("signing")
        key = self.make_user("signing", EVERYTHING)
        file = self.devices["signing"] / "keys"
        file.write_text(f"[default]\naws_access_key_id = {key['accessKeyId']}\n"
                        f"aws_secret_access_key = {key['secretAccessKey']}\n", encoding="utf-8")
        self.agent("signing", "mixed", 'transport = "websocket"', more=SIGNED)
        self.assert_delivers("signing")
        self.assertNotIn(key["secretAccessKey"], self.log("signing"))
        self.assertNotIn("X-Amz-Signature", self.log("signing"))

    def test_what_is_wrong_with_keys_is_named_and_new_ones_are_taken(self):
        self.make("renewing")
        key = self.make_user("renewing", EVERYTHING)
        wrong = {"AccessKeyId": key["accessKeyId"], "SecretAccessKey": "wrong"}
        self.write_keys("renewing", wrong)
        self.agent("renewing", "mixed", 'transport = "websocket"', more=SIGNED)
        self.assert_verdict("renewing", "not_authorized", "403")
        self.write_keys("renewing", {**wrong, "Expiration": "2020-01-01T00:00:00Z"})
        self.assert_verdict("renewing", "no_credentials", "have expired by this device's clock")
        self.write_keys("renewing", {"AccessKeyId": key["accessKeyId"]})
        self.assert_verdict("renewing", "no_credentials", "its field SecretAccessKey is missing")
        self.write_keys("renewing", {"AccessKeyId": key["accessKeyId"],
                                     "SecretAccessKey": key["secretAccessKey"]})
        self.assert_delivers("renewing")

    def test_credentials_of_the_provider_have_a_session_token(self):
        self.make("assuming")
        self.allow_role("assuming", self.make_role("assuming", EVERYTHING))
        status, body = self.https("mixed", "GET", "/role-aliases/assuming/credentials",
                                  device_name="assuming",
                                  headers={"x-amzn-iot-thingname": "assuming"})
        self.assertEqual(status, 200, body)
        self.write_keys("assuming", json.loads(body))
        self.agent("assuming", "mixed", 'transport = "websocket"', more=SIGNED)
        self.assert_delivers("assuming")

    def softhsm(self, folder, *words):
        subprocess.run(["softhsm2-util", *map(str, words)], check=True, capture_output=True,
                       env={**os.environ, "SOFTHSM2_CONF": str(folder / "softhsm2.conf")})

    def test_a_key_in_a_token_makes_the_connection(self):
        self.make("secured")
        folder = self.devices["secured"]
        (folder / "tokens").mkdir()
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n",
                                              encoding="utf-8")
        self.softhsm(folder, "--init-token", "--free", "--label", "device", "--pin", "12345",
                     "--so-pin", "4321")
        self.openssl("pkcs8", "-topk8", "-nocrypt", "-in", folder / "device.key", "-out",
                     folder / "device.p8")
        self.softhsm(folder, "--import", folder / "device.p8", "--token", "device", "--label",
                     "identity", "--id", "01", "--pin", "12345")
        for file in ("device.key", "device.p8"):
            (folder / file).unlink()
        (folder / "pin").write_text("wrong\n", encoding="utf-8")
        self.agent("secured", "mqtt", tls='cert_file = "device.pem"\npin_file = "pin"\n'
                   'key_uri = "pkcs11:token=device;object=identity"\n'
                   'pkcs11_module = "/usr/lib/softhsm/libsofthsm2.so"\n',
                   SOFTHSM2_CONF=str(folder / "softhsm2.conf"))
        self.assert_verdict("secured", "no_credentials", "the token refuses the PIN")
        (folder / "pin").touch()
        self.assert_verdict("secured", "no_credentials", "which is not tried again")
        (folder / "pin").write_text("12345\n", encoding="utf-8")
        self.assert_delivers("secured")

    def start_tpm(self, folder):
        """A TPM 2.0 in software; the process."""
        (folder / "tpm-state").mkdir(exist_ok=True)
        process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder / 'tpm-state'}",
             "--ctrl", f"type=unixio,path={folder / 'tpm.ctrl'}",
             "--server", f"type=unixio,path={folder / 'tpm'}",
             "--flags", "startup-clear,not-need-init"], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for((folder / "tpm").exists, 10, "the TPM")
        return process

    @unittest.skipUnless(TPM_PROVIDER and shutil.which("swtpm"),
                         "swtpm or tpm2-openssl is not installed")
    def test_a_key_in_a_tpm_makes_the_connection_also_after_the_tpm_was_away(self):
        self.make("sealed")
        folder = self.devices["sealed"]
        tpm = self.start_tpm(folder)
        environment = {"TPM2OPENSSL_TCTI": f"swtpm:path={folder / 'tpm'}"}
        provider = ["-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2"]

        def openssl(*words):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True,
                           env={**os.environ, **environment})
        openssl("genpkey", *provider, "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out",
                folder / "device.key")
        openssl("req", "-new", *provider, "-key", folder / "device.key", "-subj", "/CN=sealed",
                "-out", folder / "device.csr")
        made = self.region.call("CreateCertificateFromCsr", setAsActive=True,
                                certificateSigningRequest=(folder / "device.csr").read_text())
        device.allow(self.region, "sealed", made["certificateArn"])
        device.write(folder / "device.pem", made["certificatePem"])
        files = 'cert_file = "device.pem"\nkey_file = "device.key"\n'
        self.agent("sealed", "mqtt", tls=files, **environment)
        self.assert_delivers("sealed")
        tpm.kill()
        tpm.wait()
        (folder / "tpm").unlink()
        self.region.call("DeleteConnection", clientId="sealed")
        # A wish that comes before the agent has noticed is fulfilled: it is connected.
        wait_for(lambda: self.status("sealed")["state"] != "connected", 15, "the connection ends")
        self.cli("sealed", "reconnect")
        self.assert_verdict("sealed", "no_credentials", "no TPM answers")
        self.start_tpm(folder)
        self.cli("sealed", "reconnect")
        self.assert_delivers("sealed")
        for words in ("BEGIN TSS2", "ERROR:tcti"):
            self.assertNotIn(words, self.log("sealed"))


if __name__ == "__main__":
    run(__doc__)

#!/usr/bin/env python3
"""Goal:   `holdfast lab advise` tells good devices from bad ones, end to end.
Method: the quick cases against the example host-telemetry, against a device that trusts any server,
        and against programs that cannot run; exit codes and reports are read back.
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as xml

from report import model
from tool.device import default_policy
from tool.place import DEFAULT_REGION

LAB = pathlib.Path(__file__).resolve().parent
PATIENCE = 80  # seconds; a run takes about 20
WANTED = {}

# Shakes hands with every server, says CONNECT, and listens.
CARELESS = """
import contextlib, socket, ssl, sys, time
port, cert, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.load_cert_chain(cert, key)
name = b"careless"
connect = bytes([0x10, 12 + len(name), 0, 4, *b"MQTT", 4, 2, 0, 60, 0, len(name), *name])
while True:
    with contextlib.suppress(OSError):
        with socket.create_connection(("localhost", int(port)), 5) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as stream:
                stream.sendall(connect)
                while stream.recv(1000):
                    pass
    time.sleep(0.5)
"""


class Advise(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def file(self, name):
        return self.folder / name

    def start(self, options, device):
        forms = [word for form in ("html", "json", "junit")
                 for word in (f"--{form}", str(self.file(form)))]
        command = [sys.executable, "-B", LAB / "holdfast_lab.py", "--bin", WANTED["bin"], "advise",
                   *forms, *options, "--", *device]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "TMPDIR": str(self.folder)})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def advise(self, options, device, patience=PATIENCE):
        """Status, standard output and error; nothing is left of the run."""
        process = self.start(options, device)
        try:
            out, err = process.communicate(timeout=patience)
        finally:
            if process.poll() is None:
                process.terminate()  # it ends what it has started
                process.wait(20)
        self.assert_nothing_is_left()
        return process.returncode, out, err

    def assert_nothing_is_left(self):
        self.assertEqual(list(self.folder.glob("holdfast-advise-*")), [])
        mark, left = str(self.folder).encode(), []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes():
                    left.append(path.parent.name)
        self.assertEqual(left, [])

    def verdicts(self):
        """By name; all three reports tell the same."""
        document = model.load(self.file("json").read_bytes())
        told = {case.name: case.verdict.value for case in document.cases}
        root = xml.parse(self.file("junit")).getroot()
        self.assertEqual(sorted(case.get("name") for case in root.iter("testcase")), sorted(told))
        self.assertEqual(int(root.get("failures")), list(told.values()).count("FAIL"))
        page = self.file("html").read_text(encoding="utf-8")
        for name in told:
            self.assertIn(name.replace("_", "_<wbr>"), page)
        return told, document

    def test_a_good_device_passes(self):
        cases = ("TLS_Unsecure_Server_Cert", "MQTT_Connect", "MQTT_Client_Puback_Qos1",
                 "MQTT_Persistent_Session_Happy_Case")
        options = [word for case in cases for word in ("--case", case)]
        status, out, err = self.advise(options, [WANTED["device"], "--config", "{config}"])
        self.assertEqual(status, 0, out + err)
        told, document = self.verdicts()
        self.assertEqual(told, dict.fromkeys(cases, "PASS"))
        self.assertIn("PASSED: 4 passed", out)
        self.check_times(document)
        refused = document.cases[0]
        self.assertIn("TLS alert", [packet.kind for packet in refused.packets])
        self.assertIn("PUBACK", [packet.kind for packet in document.cases[2].packets])
        self.assertIn("--case TLS_Unsecure_Server_Cert -- ", refused.replay)
        self.assertLessEqual({"holdfast", "mosquitto", "OpenSSL", "Python"},
                             document.run.versions.keys())

    def test_a_good_device_passes_the_other_cases_too(self):
        cases = ("TLS_Connect", "TLS_Receive_Maximum_Size_Fragments", "TLS_Support_AWS_IoT_Cipher_Suites",
                 "TLS_Large_Size_Server_Cert", "TLS_Incorrect_Subject_Name_Server_Cert",
                 "TLS_Expired_Server_Cert", "MQTT_Publish", "MQTT_Subscribe", "MQTT_No_Ack_PingResp",
                 "MQTT_Publish_User_Property", "MQTT_Expired_Persistent_Session",
                 "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection")
        options = [word for case in cases for word in ("--case", case)]
        status, out, err = self.advise(options, [WANTED["device"], "--config", "{config}"],
                                       patience=400)
        self.assertEqual(status, 0, out + err)
        told, _ = self.verdicts()
        self.assertEqual(told, dict.fromkeys(cases, "PASS"))

    def test_shadow_job_and_retries_of_a_device_that_does_them(self):
        cases = ("Shadow_Publish_Reported_State", "Shadow_Update_Reported_State", "Job_Execution",
                 "MQTT_Publish_Retry_No_Puback", "MQTT_Subscribe_Retry_No_Suback")
        policy = self.file("policy.json")
        policy.write_text(json.dumps(default_policy("advised-device", DEFAULT_REGION)), encoding="utf-8")
        options = [word for case in cases + ("Security_Device_Policies",) for word in ("--case", case)]
        status, out, err = self.advise(
            options + ["--desired-state", '{"rpm": 900}', "--job-document", '{"do": "it"}',
                       "--retry-cases", "--policy", str(policy)],
            [sys.executable, "-B", str(LAB / "advise_device.py"), "{dir}", "{thing}", "{endpoint}",
             "{port}"])
        self.assertEqual(status, 0, out + err)
        told, document = self.verdicts()
        self.assertEqual(told, dict.fromkeys(cases + ("Security_Device_Policies",), "PASS"))
        self.assertIn('{"rpm": 1480}', document.cases[0].evidence[0].text)

    def test_a_policy_that_allows_too_much_fails_and_a_case_of_mqtt_5_says_so(self):
        policy = self.file("policy.json")
        policy.write_text('{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:*",'
                          '"Resource":"*"}}', encoding="utf-8")
        cases = {"Security_Device_Policies": "FAIL", "MQTT_Publish_User_Property": "NOT_APPLICABLE",
                 "MQTT_Connect": "PASS"}
        status, out, err = self.advise(
            [word for case in cases for word in ("--case", case)] + ["--policy", str(policy)],
            [sys.executable, "-B", str(LAB / "advise_device.py"), "{dir}", "{thing}", "{endpoint}",
             "{port}"])
        self.assertEqual(status, 1, out + err)
        self.assertEqual(self.verdicts()[0], cases)

    def check_times(self, document):
        """All within the run, and the timeline without a hole."""
        end = document.run.seconds + 0.01
        for case in document.cases:
            for item in case.evidence + case.packets:
                self.assertTrue(case.begin - 0.1 <= item.time <= end, (case.name, item))
        states, faults = document.timeline.states, document.timeline.faults
        self.assertEqual(states[0].begin, 0.0)
        self.assertEqual([span.begin for span in states[1:]], [span.end for span in states[:-1]])
        self.assertIn("connected", [span.state for span in states])
        series = {one.name: one.points for one in document.timeline.series}
        self.assertGreater(len(series["backlog"]), 5, "host-telemetry has a local API")
        self.assertIn("tls unknown-ca", [span.name for span in faults])

    def test_a_device_that_trusts_any_server_fails(self):
        device = self.file("careless.py")
        device.write_text(CARELESS, encoding="utf-8")
        status, out, err = self.advise(
            ["--case", "TLS_Unsecure_Server_Cert", "--case", "MQTT_Connect"],
            [sys.executable, str(device), "{port}", "{cert}", "{key}"])
        self.assertEqual(status, 1, out + err)
        told, document = self.verdicts()
        self.assertEqual(told, {"TLS_Unsecure_Server_Cert": "FAIL", "MQTT_Connect": "PASS"})
        self.assertIn("handshake complete", document.cases[0].evidence[0].text)
        self.assertIn("FAILED: 1 failed", out)

    def test_a_program_that_cannot_run_is_told_at_once(self):
        began = time.monotonic()
        status, _, err = self.advise([], ["sh", "-c", "echo no configuration >&2; exit 4"])
        self.assertEqual(status, 3)
        self.assertIn("no configuration", err)
        self.assertLess(time.monotonic() - began, 40)
        self.assertFalse(self.file("json").exists())
        status, _, err = self.advise([], ["no-such-program"])
        self.assertEqual((status, "no-such-program" in err), (3, True))

    def test_a_run_that_is_interrupted_leaves_nothing(self):
        process = self.start(["--case", "MQTT_Publish_Retained_Messages"],
                             [WANTED["device"], "--config", "{config}"])
        self.assertTrue(process.stderr.read(1))  # the case has begun
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 130)
        self.assert_nothing_is_left()

    def test_wrong_words_are_refused_before_anything_is_started(self):
        for words in (["--case", "Nothing"], ["--html", "/nonexistent/x"], ["--json", "-", "--html",
                                                                            "-"]):
            status, _, err = self.advise(words, ["true"])
            self.assertEqual(status, 2, err)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--device", required=True)
    WANTED.update(vars(parser.parse_args()))
    unittest.main(argv=sys.argv[:1])

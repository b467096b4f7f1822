#!/usr/bin/env python3
"""What AWS's documents leave open, as a user of the lab switches it: each switch acts, over the wire.

    switches_test.py --bin DIR      DIR: the programs of a build
"""
import contextlib
import io
import json
import pathlib
import re
import socket
import ssl
import subprocess
import time

from region_fixture import RegionTest, run
from tool import aws
from tool.place import ApiFailure
from tool.programs import Programs, wait_for
from trials_device import CONNACK, CONNECT, PUBLISH, QOS_1, SUBSCRIBE, packet, take, text

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs" / "lab.md"
OPEN_POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


class SwitchesTest(RegionTest):
    def setUp(self):
        before = self.region.call("GetSwitches")
        self.addCleanup(lambda: self.region.call("PutSwitches", **before))

    def put(self, **switches):
        self.region.call("PutSwitches", **switches)

    def arn(self, name):
        return self.region.call("DescribeThing", thingName=name)["thingArn"]

    def words(self, *words):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(aws.run(self.place, list(words)), 0)
        return json.loads(out.getvalue() or "{}")

    def answers(self, name, topic, payload, answers, wanted=1, seconds=15):
        """What comes on `answers` for a request of this device: so many, or all until the time is up.
        Such answers go to the connection that has asked, so it is one that does both."""
        files = self.devices[name]
        context = ssl.create_default_context(cafile=files / "ca.pem")
        context.load_cert_chain(files / "device.pem", files / "device.key")
        raw = socket.create_connection(("localhost", self.region.endpoint()["mqtt"]), 10)
        got, data, end = [], b"", time.monotonic() + seconds
        with context.wrap_socket(raw, server_hostname="localhost") as peer:
            peer.sendall(packet(CONNECT, text("MQTT") + bytes([4, 2, 0, 60]) + text(name)))
            self.assertEqual(peer.recv(4)[0], CONNACK)
            peer.sendall(packet(SUBSCRIBE, b"\0\1" + text(answers) + b"\0") +
                         packet(PUBLISH, text(topic) + payload.encode()))
            while len(got) < wanted and time.monotonic() < end:
                peer.settimeout(max(end - time.monotonic(), 0.01))
                try:
                    more = peer.recv(65536)
                except TimeoutError:
                    break
                self.assertTrue(more, "the connection was ended")
                data += more
                while taken := take(data):
                    head, body, data = taken
                    size = int.from_bytes(body[:2], "big")
                    if head & 0xF0 == PUBLISH and body[2:2 + size] == answers.encode():
                        got.append(json.loads(body[2 + size + (2 if head & QOS_1 else 0):]))
        time.sleep(1.1)  # one CONNECT a second and client id
        return got

    def asked(self, name, topic, answers, payload="{}"):
        return self.answers(name, topic, payload, answers)[0]

    def test_all_of_them_are_documented_with_their_defaults_and_nothing_else_is(self):
        text = DOCS.read_text(encoding="utf-8")
        table = text[text.index("| switch | default"):text.index("## Operations")]
        documented = {}
        for line in table.splitlines()[2:]:
            cells = [cell.strip() for cell in line.split("|")[1:3]] if line.startswith("|") else []
            if cells:
                documented.update(zip(re.findall(r"`(\w+)`", cells[0]),
                                      (value.strip(" `") for value in cells[1].split(","))))
        for name in ("stored_per_second", "stored_per_second_all"):  # of the broker's plugin
            documented.pop(name)
        self.assertEqual({name: str(value).lower() if isinstance(value, bool) else str(value)
                          for name, value in self.region.call("GetSwitches").items()}, documented)

    def test_a_value_that_does_not_fit_is_named_and_changes_nothing(self):
        for name, value, why in (("jobs_omitted_parameter", "gone", "one of: empty removed literal"),
                                 ("jobs_omitted_parameter", 1, "is a text"),
                                 ("shadow_depth", -1, "whole number from 0"),
                                 ("shadow_depth", 10 ** 12, "whole number from 0"),
                                 ("jobs_omitted_parameter", "move", "one of: empty removed"),
                                 ("refused_certificate", "revoked", "one of: by_state unknown_ca"),
                                 ("jobs_strict_details", "true", "true or false")):
            with self.assertRaisesRegex(ApiFailure, why):
                self.put(streams_shuffled=True, **{name: value})
        self.assertFalse(self.region.call("GetSwitches")["streams_shuffled"])

    def test_at_the_start_a_text_may_be_given_and_a_wrong_one_is_named(self):
        def up(word):
            return subprocess.run(
                [str(self.bin / "holdfast-lab"), "--directory", str(self.folder / "other"), "up",
                 "--detach", "--switch", word], capture_output=True, text=True, timeout=60, check=False)
        wrong = up("jobs_omitted_parameter=gone")
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("jobs_omitted_parameter is one of", wrong.stdout + wrong.stderr)
        self.assertEqual(up("jobs_omitted_parameter=literal").returncode, 0)
        down = [str(self.bin / "holdfast-lab"), "--directory", str(self.folder / "other")]
        try:
            said = subprocess.run([*down, "aws", "lab", "get-switches"], capture_output=True, text=True,
                                  check=True)
            self.assertEqual(json.loads(said.stdout)["jobs_omitted_parameter"], "literal")
        finally:
            subprocess.run([*down, "down"], check=True)

    def events(self, *enabled, kinds=("THING", "JOB", "JOB_EXECUTION")):
        self.words("iot", "update-event-configurations", "--event-configurations",
                   json.dumps({kind: {"Enabled": kind in enabled} for kind in kinds}))

    def test_events_of_things_and_jobs_come_when_they_are_switched_on(self):
        self.make("fleet", OPEN_POLICY)
        self.addCleanup(self.events)
        self.words("iot", "create-thing", "--thing-name", "unheard")
        listener = self.subscribed("fleet", "-t", "$aws/events/thing/#", "-t", "$aws/events/job/#", "-t",
                                   "$aws/events/jobExecution/#", "-C", "5", "-v")
        self.region.call("CreateJob", jobId="untold", document="{}", targets=[self.arn("unheard")])
        self.region.call("CancelJob", jobId="untold")
        self.events("THING", "JOB", "JOB_EXECUTION")
        self.words("iot", "create-thing", "--thing-name", "worker")
        self.region.call("UpdateThing", thingName="worker",
                         attributePayload={"attributes": {"site": "north"}})
        self.region.call("CreateJob", jobId="told", document="{}", targets=[self.arn("worker")])
        self.region.call("CancelJob", jobId="told")
        said = dict(line.split(" ", 1) for line in listener.output().splitlines())
        self.assertEqual(list(said), [
            "$aws/events/thing/worker/created", "$aws/events/thing/worker/updated",
            "$aws/events/job/told/cancellation_in_progress", "$aws/events/jobExecution/told/canceled",
            "$aws/events/job/told/canceled"])
        updated = json.loads(said["$aws/events/thing/worker/updated"])
        self.assertEqual((updated["operation"], updated["versionNumber"], updated["attributes"]),
                         ("UPDATED", 2, {"site": "north"}))
        self.down()
        self.up()
        described = self.words("iot", "describe-event-configurations")["eventConfigurations"]
        self.assertEqual({kind for kind, it in described.items() if it["Enabled"]},
                         {"THING", "JOB", "JOB_EXECUTION"})
        with self.assertRaisesRegex(ApiFailure, "DEVICE is no kind of events"):
            self.events("DEVICE", kinds=("DEVICE",))

    def greeted(self, name, session=None, newest=ssl.TLSVersion.TLSv1_3):
        """What a device sees of its connection: "CONNACK", the alert, or how it was closed; and the
        TLS connection, ended."""
        files = self.devices[name]
        context = self.contexts.setdefault((name, newest), ssl.create_default_context(
            cafile=files / "ca.pem"))
        context.load_cert_chain(files / "device.pem", files / "device.key")
        context.maximum_version = newest
        try:
            raw = socket.create_connection(("localhost", self.region.endpoint()["mqtt"]), 10)
            with context.wrap_socket(raw, server_hostname="localhost", session=session,
                                     suppress_ragged_eofs=False) as peer:
                peer.sendall(packet(CONNECT, text("MQTT") + bytes([4, 2, 0, 60]) + text(name)))
                said = "CONNACK" if peer.recv(4)[:1] == bytes([CONNACK]) else "closed"
                return said, peer.session, peer.session_reused
        except ssl.SSLError as error:
            alert = re.search(r"alert ([a-z ]+)", str(error))
            return alert[1].strip() if alert else "no alert", None, False
        except OSError:
            return "no alert", None, False

    def test_a_refused_certificate_shows_as_it_is_switched(self):
        self.contexts = {}
        identity = self.make("refused")
        self.assertEqual(self.greeted("refused")[0], "CONNACK")
        self.region.call("UpdateCertificate", certificateId=identity, newStatus="INACTIVE")
        for switch, seen in (("by_state", "certificate revoked"), ("unknown_ca", "unknown ca"),
                             ("certificate_expired", "certificate expired"),
                             ("bad_certificate", "bad certificate"),
                             ("certificate_unknown", "certificate unknown"),
                             ("handshake_failure", "handshake failure"), ("no_alert", "no alert"),
                             ("closed", "closed")):
            self.put(refused_certificate=switch)
            for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(switch=switch, newest=newest):
                    self.assertEqual(self.greeted("refused", newest=newest)[0], seen)

    def test_sessions_of_tls_1_3_are_resumed_only_when_it_is_switched_on(self):
        self.contexts = {}
        identity = self.make("resuming")

        def again(newest=ssl.TLSVersion.TLSv1_3):
            said, session, _ = self.greeted("resuming", newest=newest)
            self.assertEqual(said, "CONNACK")
            time.sleep(1.1)  # one CONNECT a second and client id
            said, _, reused = self.greeted("resuming", session, newest)
            time.sleep(1.1)
            return said, reused
        self.assertEqual(again(), ("CONNACK", False))
        self.put(tls13_resumption=True)
        self.assertEqual(again(), ("CONNACK", True))
        self.assertEqual(again(ssl.TLSVersion.TLSv1_2), ("CONNACK", False))
        _, session, _ = self.greeted("resuming")
        self.region.call("UpdateCertificate", certificateId=identity, newStatus="INACTIVE")
        self.assertEqual(self.greeted("resuming", session)[0], "closed")

    def test_bad_days_and_spellings_of_jobs(self):
        self.make("tried", OPEN_POLICY)
        base = "$aws/things/tried/jobs/"
        self.assertNotIn("execution", self.asked("tried", base + "$next/get",
                                                 base + "$next/get/accepted"))
        self.put(jobs_empty_next_is_object=True)
        self.assertEqual(self.asked("tried", base + "$next/get",
                                    base + "$next/get/accepted")["execution"], {})
        now = time.time()
        for in_ms, unit in ((False, 1), (True, 1000)):
            self.put(jobs_times_in_ms=in_ms)
            told = self.asked("tried", base + "get", base + "get/accepted")["timestamp"]
            self.assertLess(abs(told / unit - now), 300)
        self.put(jobs_internal_errors_per_mille=1000)
        self.assertEqual(self.asked("tried", base + "get", base + "get/rejected")["code"],
                         "InternalError")

    def test_shadows_may_be_deeper_and_of_things_that_nobody_knows(self):
        deep = {"state": {"desired": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}}}
        self.words("iot", "create-thing", "--thing-name", "deep")
        with self.assertRaises(ApiFailure):
            self.region.call("UpdateThingShadow", thingName="deep", payload=json.dumps(deep))
        self.put(shadow_depth=8, shadow_known_things_only=False)
        for name in ("deep", "nobody"):
            self.region.call("UpdateThingShadow", thingName=name, payload=json.dumps(deep))
        self.put(shadow_requests_per_second=1)
        with self.assertRaises(ApiFailure):
            for _ in range(50):
                self.region.call("GetThingShadow", thingName="deep")

    def stream(self):
        folder = self.region.file("files") / "firmware"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "small.bin").write_bytes(b"x" * 1000)
        with contextlib.suppress(ApiFailure):
            self.region.call("CreateStream", streamId="s", files=[
                {"fileId": 1, "s3Location": {"bucket": "firmware", "key": "small.bin"}}],
                roleArn="arn:aws:iam::123456789012:role/r")

    def blocks(self, name, wanted, seconds=5):
        base = f"$aws/things/{name}/streams/s/"
        request = json.dumps({"f": 1, "l": 256, "n": 4})
        return [block["i"] for block in self.answers(name, base + "get/json", request,
                                                     base + "data/json", wanted, seconds)]

    def test_streams_come_whole_or_lose_and_double_their_blocks(self):
        self.stream()
        self.make("streamed", OPEN_POLICY)
        self.assertEqual(self.blocks("streamed", 4), [0, 1, 2, 3])
        self.put(streams_duplicated_per_mille=1000)
        self.assertEqual(sorted(self.blocks("streamed", 8)), [0, 0, 1, 1, 2, 2, 3, 3])
        self.put(streams_duplicated_per_mille=0, streams_dropped_per_mille=1000)
        self.assertEqual(self.blocks("streamed", 1, seconds=2), [])

    def test_streams_refuse_in_either_spelling(self):
        self.make("spelled", OPEN_POLICY)
        base = "$aws/things/spelled/streams/none/"
        for long_names, name in ((False, "o"), (True, "code")):
            self.put(streams_long_names=long_names)
            self.assertIn(name, self.asked("spelled", base + "describe/json", base + "rejected/json"))

    def test_an_accepted_metrics_report_is_named_in_either_way_and_may_come_as_fast_as_it_likes(self):
        self.make("measured", OPEN_POLICY)
        base = "$aws/things/measured/defender/metrics/json"
        self.put(defender_shortest_interval=0)
        for number, as_key in ((1, False), (2, True)):
            self.put(defender_id_as_key=as_key)
            report = {"header": {"report_id": number, "version": "1.0"},
                      "metrics": {"network_stats": {"bytes_in": 1, "bytes_out": 1, "packets_in": 1,
                                                    "packets_out": 1}}}
            answer = self.asked("measured", base, base + "/accepted", json.dumps(report))
            self.assertIn(str(number) if as_key else "reportId", answer)
        self.put(defender_shortest_interval=300, defender_throttled_code="TooMany")
        report["header"]["report_id"] = 3
        refused = self.asked("measured", base, base + "/rejected", json.dumps(report))
        self.assertEqual(refused["statusDetails"]["ErrorCode"], "TooMany")

    def test_a_deactivated_certificate_may_keep_its_connection_for_a_while(self):
        certificate = self.make("lingering")
        self.put(certificate_disconnect_ms=3600_000)
        self.subscribed("lingering", "-t", "lingering/#")
        self.region.call("UpdateCertificate", certificateId=certificate, newStatus="INACTIVE")

        def there():
            return any(one["clientId"] == "lingering"
                       for one in self.region.call("ListConnections")["connections"])
        time.sleep(1)  # by default it has ended by now
        self.assertTrue(there())
        self.put(certificate_disconnect_ms=0)
        for status in ("ACTIVE", "INACTIVE"):
            self.region.call("UpdateCertificate", certificateId=certificate, newStatus=status)
        wait_for(lambda: not there(), 10, "the end of the connection")

    def test_a_job_documents_source_is_a_file_of_the_lab(self):
        folder = self.region.file("files") / "documents"
        folder.mkdir(parents=True)
        (folder / "reboot now.json").write_text('{"operation":"reboot"}', encoding="utf-8")
        self.words("iot", "create-thing", "--thing-name", "sourced")
        self.words("iot", "create-job", "--job-id", "sourced", "--targets", self.arn("sourced"),
                   "--document-source", "https://s3.eu-west-1.amazonaws.com/documents/reboot%20now.json")
        self.assertEqual(self.words("iot", "get-job-document", "--job-id", "sourced")["document"],
                         '{"operation":"reboot"}')
        for source in ("https://s3.amazonaws.com/documents/none.json", "s3://documents/../../state.json",
                       "documents"):
            with self.assertRaisesRegex(ApiFailure, "documentSource cannot be read"):
                self.region.call("CreateJob", jobId="refused", documentSource=source,
                                 targets=[self.arn("sourced")])

    def test_the_endpoint_is_described(self):
        ports = self.region.endpoint()
        for kind, port in (("iot:Data-ATS", "mqtt"), ("iot:CredentialProvider", "mixed"),
                           ("iot:Jobs", "https")):
            self.assertEqual(self.words("iot", "describe-endpoint", "--endpoint-type", kind),
                             {"endpointAddress": "localhost", "endpointPort": ports[port]})
        with self.assertRaisesRegex(ApiFailure, "endpointType is"):
            self.region.call("DescribeEndpoint", endpointType="smtp")


class StoredTest(RegionTest):
    """What the broker's plugin decides: a Region that keeps five messages a second for a device away."""

    @classmethod
    def up(cls):
        subprocess.run([*cls.command, "up", "--detach", "--region", "eu-west-1", "--switch",
                        "stored_per_second=5"], check=True, stdout=subprocess.DEVNULL)
        cls.region = cls.place.choose()

    def test_what_is_over_the_quota_is_dropped_while_a_device_is_away_and_only_then(self):
        self.make("away", OPEN_POLICY)
        session = ["-c", "-x", "3600", "-t", "told/#"]
        live = self.subscribed("away", *session, "-C", "20")
        for number in range(20):
            self.region.call("Publish", topic="told/live", qos=1, payload=str(number))
        self.assertEqual(live.output().split(), [str(number) for number in range(20)])
        time.sleep(1.1)  # one CONNECT a second and client id
        begin = time.monotonic()
        for number in range(100):
            self.region.call("Publish", topic="told/stored", qos=1, payload=str(number))
        seconds = time.monotonic() - begin
        kept = self.client("away", "sub", "-q", "1", *session, "-W", "10").output(30).split()
        kept = [int(each) for each in kept if each.isdigit()]
        self.assertEqual(kept[:5], [0, 1, 2, 3, 4])
        self.assertEqual(kept, sorted(set(kept)))
        self.assertLessEqual(len(kept), 5 * (int(seconds) + 2), f"of 100 in {seconds:.1f} s")

    def test_only_the_front_door_comes_to_the_broker(self):
        said = subprocess.run(
            [Programs.system("mosquitto_pub"), "--unix", str(self.region.file("broker.sock")), "-t", "x",
             "-m", "x", "-i", "intruder", "-u", "intruder", "-P", "guess", "-d"], capture_output=True,
            text=True, timeout=30, check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("not authorised", said.stdout + said.stderr)


if __name__ == "__main__":
    run(__doc__)

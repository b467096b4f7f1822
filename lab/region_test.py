#!/usr/bin/env python3
"""The local IoT Core end to end, with mosquitto's clients as devices.

    region_test.py --bin DIR      DIR: the programs of a build
"""
import contextlib
import datetime
import hashlib
import hmac
import http.client
import io
import json
import subprocess
import time
import urllib.parse

from region_fixture import RegionTest, run
from tool import aws, fault
from tool.place import ApiFailure, Control, Place, Trouble
from tool.programs import Programs, wait_for


class LabTest(RegionTest):
    def test_a_message_goes_from_device_to_device(self):
        self.make("one")
        listener = self.subscribed("one", "-t", "one/#", "-C", "1")
        self.make("two", {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]})
        self.client("two", "pub", "-q", "1", "-t", "one/hello", "-m", "good day").output()
        self.assertEqual(listener.output(), "good day\n")

    def test_what_the_policy_forbids_is_refused_and_311_is_disconnected(self):
        self.make("modest")
        said = self.client("modest", "pub", "-q", "1", "-t", "others/x", "-m", "x", "-d").output()
        self.assertIn("failed: Not authorized", said)
        said = self.client("stranger", "pub", "-t", "x", "-m", "x", identity="modest").output()
        self.assertIn("Not authorized", said)
        time.sleep(1.1)  # one CONNECT a second
        self.client("modest", "pub", "-q", "1", "-t", "others/x", "-m", "x", version="311").output(5)
        trace = self.region.file("trace.ndjson").read_text(encoding="utf-8")
        self.assertIn("FORBIDDEN_ACCESS: iot:Publish on topic/others/x is not allowed", trace)

    def test_a_deactivated_certificate_ends_its_connection_and_gets_no_new_one(self):
        certificate = self.make("fallen")
        listener = self.subscribed("fallen", "-t", "fallen/#")
        self.region.call("UpdateCertificate", certificateId=certificate, newStatus="INACTIVE")
        wait_for(lambda: not any(c["clientId"] == "fallen" for c in
                                 self.region.call("ListConnections")["connections"]), 10, "the end")
        listener.process.kill()
        said = self.client("fallen", "pub", "-t", "fallen/x", "-m", "x").output()
        self.assertRegex(said, "TLS|tls|Protocol|connection|Connection|handshake|revoked")
        self.assertFalse(any(c["clientId"] == "fallen" for c in
                             self.region.call("ListConnections")["connections"]))

    def test_lifecycle_events_and_the_will_of_a_device_that_is_lost(self):
        self.make("mortal")
        self.make("watcher", {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]})
        watcher = self.subscribed("watcher", "-t", "$aws/events/presence/+/mortal", "-t",
                                  "mortal/gone", "-C", "3", "-v")
        mortal = self.subscribed("mortal", "-t", "mortal/x", "--will-topic", "mortal/gone",
                                 "--will-payload", "bye", "--will-qos", "1")
        mortal.process.kill()
        lines = sorted(watcher.output().splitlines())
        self.assertEqual([line.split(" ", 1)[0] for line in lines],
                         ["$aws/events/presence/connected/mortal",
                          "$aws/events/presence/disconnected/mortal", "mortal/gone"])
        event = json.loads(lines[1].split(" ", 1)[1])
        self.assertEqual(event["disconnectReason"], "CONNECTION_LOST")
        self.assertIs(event["clientInitiatedDisconnect"], False)

    def test_a_session_is_forgotten_while_its_device_is_away(self):
        self.make("forgotten")
        self.subscribed("forgotten", "-t", "forgotten/#", "-c", "-x", "600").process.terminate()
        wait_for(lambda: not any(c["clientId"] == "forgotten" for c in
                                 self.region.call("ListConnections")["connections"]), 10, "the end")
        self.region.call("DeleteConnection", clientId="forgotten", cleanSession=True)
        time.sleep(1.1)  # one CONNECT a second
        said = self.client("forgotten", "pub", "-c", "-x", "600", "-q", "1", "-t", "forgotten/x", "-m",
                           "x", "-d").output()
        self.assertIn("received PUBACK", said)
        trace = self.region.file("trace.ndjson").read_text(encoding="utf-8").splitlines()
        connack = [line for line in trace if '"type":"CONNACK"' in line and '"by":"lab"' in line][-1]
        self.assertIn('"session_present":false', connack)

    def test_state_survives_a_restart(self):
        self.make("patient")
        self.subscribed("patient", "-t", "patient/#", "-c", "-x", "600").process.terminate()
        wait_for(lambda: not any(c["clientId"] == "patient" for c in
                                 self.region.call("ListConnections")["connections"]), 10, "the end")
        self.region.call("Publish", topic="patient/kept", payload="while away", qos=1)
        self.region.call("CreateJob", jobId="kept", document="{}",
                         targets=[self.region.call("DescribeThing", thingName="patient")["thingArn"]])
        self.region.call("UpdateThingShadow", thingName="patient",
                         payload='{"state":{"desired":{"rpm":1480}}}')
        time.sleep(0.5)  # the broker has it
        self.down()
        self.up()
        self.assertEqual(self.client("patient", "sub", "-q", "1", "-t", "patient/#", "-c", "-x", "600",
                                     "-C", "1").output(), "while away\n")
        pending = self.region.call("GetPendingJobExecutions", thingName="patient")
        self.assertEqual([job["jobId"] for job in pending["queuedJobs"]], ["kept"])
        shadow = self.region.call("GetThingShadow", thingName="patient")["payload"]
        shadow = json.loads(shadow) if isinstance(shadow, str) else shadow
        self.assertEqual(shadow["state"]["desired"], {"rpm": 1480})

    def test_faults_stand_before_the_endpoint(self):
        self.make("unlucky")
        with Control(self.region.control_socket) as control:
            control.ask("faults.set", faults={"tls": {"fault": "expired"}})
            said = self.client("unlucky", "pub", "-t", "unlucky/x", "-m", "x").output()
            self.assertRegex(said, "certificate|TLS|tls")
            control.ask("faults.clear")
        said = self.client("unlucky", "pub", "-q", "1", "-t", "unlucky/x", "-m", "x", "-d").output()
        self.assertIn("received PUBACK", said)

    def test_faults_hold_at_the_ports_that_are_named(self):
        self.make("lucky")
        self.addCleanup(fault.run_fault, self.place, ["--clear"])
        with Control(self.region.control_socket) as control:
            control.ask("faults.set", faults="refuse", ports=["mixed"])
            said = self.client("lucky", "pub", "-q", "1", "-t", "x", "-m", "x", "-d").output()
            self.assertIn("received PUBACK", said)
            control.ask("faults.set", faults="refuse", ports=["mqtt"])
            said = self.client("lucky", "pub", "-q", "1", "-t", "x", "-m", "x", "-d").output()
            self.assertNotIn("PUBACK", said)
            with self.assertRaisesRegex(Trouble, "ports"):
                control.ask("faults.set", faults="refuse", ports=["smtp"])

    def test_a_custom_authorizer_lets_in_by_token(self):
        self.make("tokened")  # for the CA
        self.region.call("CreateAuthorizer", authorizerName="gate", signingDisabled=True,
                         authorizerFunctionArn="arn:aws:lambda:eu-west-1:123456789012:function:f")
        allow = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        self.region.call("SetAuthorizerAnswers", authorizerName="gate", otherwise={
            "isAuthenticated": True, "principalId": "someone", "policyDocuments": [allow],
            "disconnectAfterInSeconds": 300, "refreshAfterInSeconds": 300})

        def publish(name):
            return subprocess.run(
                [Programs.system("mosquitto_pub"), "-h", "localhost", "-p",
                 str(self.region.endpoint()["mixed"]), "--cafile",
                 str(self.devices["tokened"] / "ca.pem"), "--tls-alpn", "mqtt", "-V", "5", "-i",
                 f"by-{name}", "-u", f"u?x-amz-customauthorizer-name={name}", "-P", "token", "-t", "x",
                 "-m", "x", "-q", "1", "-d"], capture_output=True, text=True, timeout=15,
                check=False).stdout
        self.assertIn("received PUBACK", publish("gate"))
        self.assertIn("CONNACK (135)", publish("nobody"))

    def test_a_device_of_a_registered_ca_is_registered_at_its_first_connection(self):
        self.make("registrar", {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]})
        ca = self.make_ca("jitr")
        self.sign(ca, "newcomer", "newcomer")
        self.devices["newcomer"] = self.folder / "newcomer"
        words = ["-q", "1", "-t", "newcomer/x", "-m", "x", "-d"]
        self.assertNotIn("CONNACK", self.client("newcomer", "pub", *words).output())
        identity = self.register_ca(ca)
        topic = f"$aws/events/certificates/registered/{identity}"
        registrar = self.subscribed("registrar", "-t", topic, "-C", "1")
        said = self.client("newcomer", "pub", *words).output()
        self.assertNotIn("CONNACK", said)
        event = json.loads(registrar.output())
        self.assertEqual((event["caCertificateId"], event["certificateStatus"]),
                         (identity, "PENDING_ACTIVATION"))
        known = self.region.call("DescribeCertificate", certificateId=event["certificateId"])
        self.assertEqual(known["certificateDescription"]["status"], "PENDING_ACTIVATION")
        # What the rule on the event would do:
        self.region.call("AttachPolicy", policyName="registrar-policy",
                         target=known["certificateDescription"]["certificateArn"])
        self.region.call("UpdateCertificate", certificateId=event["certificateId"],
                         newStatus="ACTIVE")
        self.assertIn("received PUBACK", self.client("newcomer", "pub", *words).output())

    def test_a_template_of_the_ca_provisions_a_device_at_its_first_connection(self):
        self.region.call("CreateThingGroup", thingGroupName="provisioned")
        policy = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        name = {"Ref": "AWS::IoT::Certificate::CommonName"}
        body = {"Parameters": {name["Ref"]: {"Type": "String"}}, "Resources": {
            "thing": {"Type": "AWS::IoT::Thing",
                      "Properties": {"ThingName": name, "ThingGroups": ["provisioned"]}},
            "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "ACTIVE"}},
            "policy": {"Type": "AWS::IoT::Policy",
                       "Properties": {"PolicyDocument": json.dumps(policy)}}}}
        ca = self.make_ca("jitp")
        self.register_ca(ca, "--registration-config", json.dumps({
            "templateBody": json.dumps(body),
            "roleArn": "arn:aws:iam::123456789012:role/provisioning"}))
        self.sign(ca, "at-once", "at-once")
        self.devices["at-once"] = self.folder / "at-once"
        words = ["-q", "1", "-t", "at-once/x", "-m", "x", "-d"]
        self.assertNotIn("CONNACK", self.client("at-once", "pub", *words).output())
        self.assertIn("received PUBACK", self.client("at-once", "pub", *words).output())
        self.assertEqual(self.region.call("ListThingsInThingGroup", thingGroupName="provisioned"),
                         {"things": ["at-once"]})

    def test_a_continuous_job_reaches_things_as_they_come_into_its_group(self):
        self.make("early")
        self.make("late")
        for words in (["create-thing-group", "--thing-group-name", "hall"],
                      ["create-thing-group", "--thing-group-name", "line", "--parent-group-name",
                       "hall"],
                      ["add-thing-to-thing-group", "--thing-name", "early", "--thing-group-name",
                       "line"]):
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(aws.run(self.place, ["iot", *words]), 0)
        target = self.region.call("DescribeThingGroup", thingGroupName="hall")["thingGroupArn"]
        topic = "$aws/things/{}/jobs/notify-next".format
        listeners = {name: self.subscribed(name, "-t", topic(name), "-C", "1")
                     for name in ("early", "late")}
        for job, selection in (("once", "SNAPSHOT"), ("ever", "CONTINUOUS")):
            self.region.call("CreateJob", jobId=job, document="{}", targets=[target],
                             targetSelection=selection)
        self.assertEqual(json.loads(listeners["early"].output())["execution"]["jobId"], "once")
        self.region.call("AddThingToThingGroup", thingName="late", thingGroupName="line")
        self.assertEqual(json.loads(listeners["late"].output())["execution"]["jobId"], "ever")
        self.down()
        self.up()
        self.region.call("RemoveThingFromThingGroup", thingName="late", thingGroupName="line")
        execution = self.region.call("DescribeJobExecution", jobId="ever", thingName="late")
        self.assertEqual(execution["execution"]["status"], "REMOVED")

    def test_jobs_and_their_downloads_over_https(self):
        self.make("loader")
        type(self).any_device = "loader"
        content = bytes(range(256)) * 1000
        folder = self.region.file("files") / "firmware"
        folder.mkdir(parents=True)
        (folder / "app.bin").write_bytes(content)
        link = "${aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/firmware/app.bin}"
        self.region.call("CreateJob", jobId="update", document=json.dumps({"url": link}), targets=[
            self.region.call("DescribeThing", thingName="loader")["thingArn"]])
        status, body = self.https("https", "GET", "/things/loader/jobs/update?includeJobDocument=true",
                                  device_name="loader")
        self.assertEqual(status, 200, body)
        url = json.loads(json.loads(body)["execution"]["jobDocument"])["url"]
        target = url[url.index("/files/"):]
        self.assertEqual(self.https("mixed", "GET", target), (200, content))
        self.assertEqual(self.https("mixed", "GET", target, headers={"Range": "bytes=100-199"}),
                         (206, content[100:200]))
        self.assertEqual(self.https("mixed", "GET", target + "x")[0], 403)
        with Control(self.region.control_socket) as control:
            control.ask("download.fault", path="firmware/app.bin", corrupt_at=5)
            self.assertEqual(self.https("mixed", "GET", target)[1][5], content[5] ^ 0xFF)
            control.ask("download.fault", path="firmware/app.bin", cut_at=1000)
            with self.assertRaises((http.client.IncompleteRead, OSError)):
                self.https("mixed", "GET", target)
        fault.run_download(self.place, ["firmware/app.bin", "--expired"])
        self.assertEqual(self.https("mixed", "GET", target)[0], 403)

    def test_publishing_over_https(self):
        self.make("rest")
        listener = self.subscribed("rest", "-t", "rest/#", "-C", "1")
        self.assertEqual(self.https("https", "POST", "/topics/rest/x?qos=1", b"by hand",
                                    device_name="rest"), (200, b'{"message":"OK"}'))
        self.assertEqual(listener.output(), "by hand\n")
        self.assertEqual(self.https("https", "POST", "/topics/others/x", b"",
                                    device_name="rest")[0], 403)

    def test_a_certificate_gets_the_credentials_of_a_role(self):
        certificate = self.make("assumer")
        target = "/role-aliases/fleet/credentials"

        def ask(thing="assumer", device_name="assumer", target=target):
            status, body = self.https("mixed", "GET", target, device_name=device_name,
                                      headers={"x-amzn-iot-thingname": thing})
            return status, json.loads(body)
        self.assertEqual(ask(), (403, {"message": "Access Denied"}))
        alias = self.make_role("fleet", {"Effect": "Allow", "Action": "iot:*", "Resource": "*"})
        self.region.call("CreatePolicy", policyName="assume", policyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Action": "iot:AssumeRoleWithCertificate", "Resource": alias}}))
        self.region.call("AttachPolicy", policyName="assume", target=self.region.call(
            "DescribeCertificate", certificateId=certificate)["certificateDescription"][
                "certificateArn"])
        before = time.time()
        status, answer = ask()
        self.assertEqual(status, 200, answer)
        keys = answer["credentials"]
        self.assertEqual(sorted(keys), ["accessKeyId", "expiration", "secretAccessKey", "sessionToken"])
        ends = datetime.datetime.strptime(keys["expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(
            tzinfo=datetime.timezone.utc).timestamp()
        self.assertTrue(before + 898 < ends <= time.time() + 900, keys["expiration"])
        self.assertEqual(ask(thing="nobody"), (403, {"message": "Invalid thing name passed"}))
        self.assertEqual(ask(target=target.replace("fleet", "other"))[0], 403)
        type(self).any_device = "assumer"
        self.assertEqual(self.https("mixed", "GET", target)[0], 403)  # without a certificate
        self.region.call("DeleteRoleAlias", roleAlias="fleet")
        self.assertEqual(ask(), (404, {"message": "Role alias does not exist"}))

    def upgrade(self, port, target, device_name=None):
        """Status of a request for WebSocket."""
        return self.https(port, "GET", target, device_name=device_name, headers={
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "mqtt"})[0]

    def presigned(self, key, age=0, method="GET", path="/mqtt", service="iotdevicegateway"):
        """A target, signed as AWS describes it; the body is empty."""
        then = time.gmtime(time.time() - age)
        day = time.strftime("%Y%m%d", then)
        scope = [day, "eu-west-1", service, "aws4_request"]
        query = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-SignedHeaders": "host",
                 "X-Amz-Credential": "/".join([key["accessKeyId"], *scope]),
                 "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", then)}
        token = {"X-Amz-Security-Token": key["sessionToken"]} if "sessionToken" in key else {}

        def text(parts):
            return urllib.parse.urlencode(sorted(parts.items()), quote_via=urllib.parse.quote, safe="-_.~")

        def hmac_of(secret, message):
            return hmac.new(secret, message.encode(), hashlib.sha256)

        def digest(message):
            return hashlib.sha256(message.encode()).hexdigest()
        host = f"localhost:{self.region.endpoint()['mixed']}"
        request = f"{method}\n{path}\n{text(query)}\nhost:{host}\n\nhost\n{digest('')}"
        secret = ("AWS4" + key["secretAccessKey"]).encode()
        for part in scope:
            secret = hmac_of(secret, part).digest()
        signature = hmac_of(secret, "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"],
                                               "/".join(scope), digest(request)])).hexdigest()
        return f"{path}?" + text({**query, **token, "X-Amz-Signature": signature})

    def test_signed_requests_over_https(self):
        self.make("signer")
        type(self).any_device = "signer"
        key = self.make_user("signer", {
            "Effect": "Allow", "Action": ["iot:Publish", "iotjobsdata:GetPendingJobExecutions"],
            "Resource": ["arn:aws:iot:eu-west-1:123456789012:topic/${aws:username}/*",
                         "arn:aws:iot:eu-west-1:123456789012:thing/signer"]})

        def ask(method, path, service="iotdata"):
            return self.https("mixed", method, self.presigned(key, 0, method, path, service))[0]
        listener = self.subscribed("signer", "-t", "signer/#", "-C", "1", "-F", "%t")
        self.assertEqual(ask("POST", "/topics/others/x"), 403)
        self.assertEqual(ask("POST", "/topics/signer/x", "iot-jobs-data"), 403)
        self.assertEqual(ask("POST", "/topics/signer/x"), 200)
        self.assertEqual(listener.output(), "signer/x\n")
        self.assertEqual(ask("GET", "/things/signer/jobs", "iot-jobs-data"), 200)

    def test_an_upgrade_to_websocket_needs_a_right_signature_or_none(self):
        self.make("upgrader")
        type(self).any_device = "upgrader"
        key = self.make_user("upgrader", {"Effect": "Allow", "Action": "iot:*", "Resource": "*"})
        self.assertEqual(self.upgrade("mixed", self.presigned(key)), 101)
        self.assertEqual(self.upgrade("mixed", "/mqtt"), 101)  # an authorizer will say
        self.assertEqual(self.upgrade("mixed", self.presigned(key) + "0"), 403)
        self.assertEqual(self.upgrade("mixed", self.presigned({**key, "sessionToken": "t"})), 403)
        self.assertEqual(self.upgrade("mixed", self.presigned(key, age=400)), 403)
        self.assertEqual(self.upgrade("mixed", self.presigned(key, age=-400)), 403)
        self.region.call("PutSwitches", signature_seconds=500)
        self.assertEqual(self.upgrade("mixed", self.presigned(key, age=400)), 101)
        self.region.call("PutSwitches", signature_seconds=300)
        self.region.call("DeleteAccessKey", UserName="upgrader", AccessKeyId=key["accessKeyId"])
        self.assertEqual(self.upgrade("mixed", self.presigned(key)), 403)
        self.assertEqual(self.upgrade("https", "/mqtt", device_name="upgrader"), 404)

    def test_the_words_of_faults(self):
        def told(run, *words):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                code = run(self.place, list(words))
            return code, out.getvalue()
        self.assertRegex(told(fault.run_fault, "--list")[1], "(?m)^black-hole +\\S")
        self.make("muted")
        listener = self.subscribed("muted", "-t", "muted/#")
        told(fault.run_fault, "no-puback")
        self.assertIn("PUBACK", told(fault.run_fault)[1])
        self.make("unheard")
        said = self.client("unheard", "pub", "-q", "1", "-t", "unheard/x", "-m", "x", "-d").output(2)
        self.assertNotIn("PUBACK", said)
        self.assertEqual(told(fault.run_kick, "muted", "--how", "disconnect", "--reason", "152"),
                         (0, "1 ended\n"))
        told(fault.run_fault, "--clear")
        self.assertNotIn("PUBACK", told(fault.run_fault)[1])
        with self.assertRaisesRegex(Trouble, "up.colour"):
            fault.run_fault(self.place, ['{"up":{"colour":1}}'])

    def test_the_aws_clis_words(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(aws.run(self.place, ["iot", "create-thing", "--thing-name", "worded"]), 0)
        self.assertEqual(json.loads(out.getvalue())["thingName"], "worded")
        out = io.StringIO()
        policy = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
        with contextlib.redirect_stdout(out):
            aws.run(self.place, ["iam", "create-user", "--user-name", "worded"])
            aws.run(self.place, ["iam", "put-user-policy", "--user-name", "worded", "--policy-name", "p",
                                 "--policy-document", policy])
        self.assertEqual(json.loads(out.getvalue())["User"]["UserName"], "worded")
        self.assertEqual(self.region.call("GetUserPolicy", UserName="worded", PolicyName="p")[
            "PolicyDocument"], policy)
        out = io.StringIO()
        files = [self.folder / name for name in ("worded.pem", "worded.key")]
        with contextlib.redirect_stdout(out):
            aws.run(self.place, ["iot", "create-keys-and-certificate", "--set-as-active",
                                 "--certificate-pem-outfile", str(files[0]), "--private-key-outfile",
                                 str(files[1]), "--query", "certificateId", "--output", "text"])
            aws.run(self.place, ["iam", "list-user-policies", "--user-name", "worded", "--query",
                                 "PolicyNames[0]", "--output", "text"])
        self.assertRegex(out.getvalue(), r"\A[0-9a-f]{64}\np\n\Z")
        self.assertIn("BEGIN CERTIFICATE", files[0].read_text(encoding="ascii"))
        self.assertIn("PRIVATE KEY", files[1].read_text(encoding="ascii"))
        self.assertEqual(files[1].stat().st_mode & 0o777, 0o600)
        with self.assertRaisesRegex(ApiFailure, "ResourceNotFoundException"):
            aws.run(self.place, ["iot", "describe-thing", "--thing-name", "nobody"])
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(aws.run(self.place, ["s3", "ls"]), 2)
        with self.assertRaisesRegex(Trouble, "no such file|No such file"):
            aws.run(self.place, ["iot", "create-policy", "--policy-document", "file:///no/such"])

    def test_down_ends_all_regions_that_were_started_one_after_the_other(self):
        """The second `up` took the first one's place in the file that `down` reads."""
        other = Place(self.folder / "several")
        command = [str(self.bin / "holdfast-lab"), "--directory", str(other.root)]
        for name in ("eu-west-1", "eu-west-2"):
            subprocess.run([*command, "up", "--detach", "--region", name], check=True,
                           stdout=subprocess.DEVNULL)
        self.assertEqual(other.running(), ["eu-west-1", "eu-west-2"])
        subprocess.run([*command, "down"], check=True)
        self.assertEqual(other.running(), [])
        self.assertEqual(list(other.root.glob("up*.pid")), [])
        again = subprocess.run([*command, "down"], check=False, capture_output=True, text=True)
        self.assertIn("no lab is running here", again.stderr)


if __name__ == "__main__":
    run(__doc__)

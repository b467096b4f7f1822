"""Tests with a local IoT Core: one Region for a class of tests, and what they ask of it."""
import argparse
import contextlib
import http.client
import io
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

from tool import aws, device
from tool.place import ApiFailure, Place
from tool.programs import Programs, wait_for


class Client:
    """A mosquitto client with a device's files; what it printed."""

    def __init__(self, lab, name, kind, *words, identity=None, version="5"):
        endpoint = lab.region.endpoint()
        files = lab.devices[identity or name]
        self.process = subprocess.Popen(
            [Programs.system(f"mosquitto_{kind}"), "-h", "localhost", "-p", str(endpoint["mqtt"]),
             "-V", version, "-i", name, "--cafile", str(files / "ca.pem"), "--cert",
             str(files / "device.pem"), "--key", str(files / "device.key"), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        self.process.kill()
        self.process.communicate()

    def output(self, seconds=15):
        try:
            return self.process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.communicate()[0]


class RegionTest(unittest.TestCase):
    """One lab with one Region for all tests of a class; each test has devices of its own."""

    bin = None  # the programs of a build; run() sets it

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-region-"))
        cls.place = Place(cls.folder / "lab")
        cls.command = [str(cls.bin / "holdfast-lab"), "--directory", str(cls.place.root)]
        cls.devices = {}
        cls.up()

    @classmethod
    def tearDownClass(cls):
        cls.down()
        shutil.rmtree(cls.folder)

    @classmethod
    def up(cls):
        subprocess.run([*cls.command, "up", "--detach", "--region", "eu-west-1"], check=True,
                       stdout=subprocess.DEVNULL)
        cls.region = cls.place.choose()

    @classmethod
    def down(cls):
        subprocess.run([*cls.command, "down"], check=True)

    def make(self, name, policy=None):
        self.devices[name] = self.folder / name
        return device.create(self.region, name, self.devices[name], policy)

    def client(self, *words, **options):
        client = Client(self, *words, **options)
        self.addCleanup(client.end)
        return client

    def connected(self, name):
        wait_for(lambda: any(c["clientId"] == name
                             for c in self.region.call("ListConnections")["connections"]), 10, name)

    def subscribed(self, name, *words, **options):
        """A subscriber whose subscription is granted."""
        client = self.client(name, "sub", "-q", "1", *words, **options)

        def granted():
            with contextlib.suppress(ApiFailure):
                return self.region.call("GetConnection", clientId=name)["subscriptions"]
        wait_for(granted, 10, f"the subscription of {name}")
        return client

    def start_agent(self, folder, **environment):
        """holdfastd with the device.toml of this folder; when it takes messages."""
        with open(folder / "agent.log", "ab") as log:
            process = subprocess.Popen(
                [self.bin / "holdfastd", "--config", folder / "device.toml"], stderr=log,
                stdin=subprocess.DEVNULL, env={**os.environ, **environment})
        self.addCleanup(process.wait, 20)
        self.addCleanup(process.terminate)
        wait_for((folder / "agent.sock").exists, 10, "the agent's socket")
        return process

    def ask_agent(self, folder, *words, seconds=60):
        """The command line with the agent of this folder."""
        return subprocess.run(
            [self.bin / "holdfast", *map(str, words), "--socket", folder / "agent.sock"],
            capture_output=True, text=True, timeout=seconds, check=False)

    def traffic(self, name, pause=0):
        """Publishes until told to stop; the function that stops it gives the number accepted."""
        stop = threading.Event()
        accepted = []

        def publish():
            while not stop.is_set():
                said = self.ask_agent(self.devices[name], "publish", f"{name}/count",
                                      str(len(accepted)))
                if said.returncode == 0:
                    accepted.append(said)
                stop.wait(pause)
        thread = threading.Thread(target=publish)
        thread.start()

        def end():
            stop.set()
            thread.join()
            return len(accepted)
        self.addCleanup(end)
        return end

    def status(self, name):
        """What the agent of this device says of itself."""
        return json.loads(self.ask_agent(self.devices[name], "status", "--json").stdout)

    def log(self, name):
        return self.agent_log(self.devices[name])

    def assert_verdict(self, name, verdict, words, seconds=60):
        """The agent is away for this reason; these words are its detail."""
        def seen():
            now = self.status(name)
            return now["verdict"] == verdict and words in now["detail"]
        wait_for(seen, seconds, f"{verdict}: {words}; the agent: {self.status(name)}")

    @staticmethod
    def agent_log(folder):
        return (folder / "agent.log").read_text(encoding="utf-8", errors="replace")

    def openssl(self, *words):
        subprocess.run([Programs.system("openssl"), *map(str, words)], check=True,
                       capture_output=True)

    def https(self, port, method, target, body=None, device_name=None, headers=None):
        """Status and body of one request."""
        files = self.devices[device_name or self.any_device]
        context = ssl.create_default_context(cafile=files / "ca.pem")
        if device_name:
            context.load_cert_chain(files / "device.pem", files / "device.key")
        connection = http.client.HTTPSConnection("localhost", self.region.endpoint()[port],
                                                 context=context, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def make_ca(self, name):
        """The folder of a customer's CA: ca.pem, ca.key."""
        folder = self.folder / name
        folder.mkdir()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-nodes", "-subj", f"/O={name}/CN={name} CA", "-days", 1, "-keyout",
                     folder / "ca.key", "-out", folder / "ca.pem")
        return folder

    def sign(self, ca, name, common_name):
        """A key and a certificate of this CA, as the files of a device in a folder of its own."""
        files = self.folder / name
        files.mkdir()
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-subj", f"/CN={common_name}", "-keyout", files / "device.key", "-out",
                     files / "device.csr")
        self.openssl("x509", "-req", "-in", files / "device.csr", "-CA", ca / "ca.pem", "-CAkey",
                     ca / "ca.key", "-CAcreateserial", "-days", 1, "-out", files / "device.pem")
        shutil.copy(self.region.endpoint()["ca"], files / "ca.pem")
        return (files / "device.pem").read_text(encoding="utf-8")

    def register_ca(self, ca, *words):
        """With the AWS CLI's words, and the proof that they ask for."""
        code = self.region.call("GetRegistrationCode")["registrationCode"]
        self.sign(ca, f"{ca.name}-proof", code)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            aws.run(self.place, [
                "iot", "register-ca-certificate", "--ca-certificate", f"file://{ca / 'ca.pem'}",
                "--verification-certificate",
                f"file://{self.folder / f'{ca.name}-proof' / 'device.pem'}", "--set-as-active",
                "--allow-auto-registration", *words])
        return json.loads(out.getvalue())["certificateId"]

    def make_role(self, name, *statements):
        """A role that the credential provider may assume, under an alias of the same name."""
        self.region.call("CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"Service": "credentials.iot.amazonaws.com"}}}))
        self.region.call("PutRolePolicy", RoleName=name, PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": list(statements)}))
        return self.region.call("CreateRoleAlias", roleAlias=name, credentialDurationSeconds=900,
                                roleArn=f"arn:aws:iam::123456789012:role/{name}")["roleAliasArn"]

    def allow_role(self, name, alias):
        """The device may ask the credential provider for keys of the role with this ARN."""
        policy = f"{name}-assumes"
        self.region.call("CreatePolicy", policyName=policy, policyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Action": "iot:AssumeRoleWithCertificate", "Resource": alias}}))
        principal, = self.region.call("ListThingPrincipals", thingName=name)["principals"]
        self.region.call("AttachPolicy", policyName=policy, target=principal)

    def sigv4(self, name):
        """The section of a configuration with which the device asks for keys of the alias `name`."""
        return (f'[sigv4]\nrole_alias = "{name}"\nthing_name = "{name}"\nregion = "eu-west-1"\n'
                f'provider_host = "localhost"\n'
                f'provider_port = {self.region.endpoint()["mixed"]}\n')

    def make_user(self, name, *statements):
        """A user with these policies; the key of it."""
        self.region.call("CreateUser", UserName=name)
        self.region.call("PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": list(statements)}))
        made = self.region.call("CreateAccessKey", UserName=name)["AccessKey"]
        return {"accessKeyId": made["AccessKeyId"], "secretAccessKey": made["SecretAccessKey"]}


def run(about):
    """The main program of such a test: --bin DIR, then unittest's own words."""
    arguments = argparse.ArgumentParser(description=about.splitlines()[0])
    arguments.add_argument("--bin", type=pathlib.Path, required=True)
    known, rest = arguments.parse_known_args()
    RegionTest.bin = known.bin.resolve()
    unittest.main(argv=[sys.argv[0], *rest])

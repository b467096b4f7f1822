"""Tests with holdfast-updater: a device with agent and updater in a local IoT Core, and jobs for it."""
import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile

from region_fixture import RegionTest
from tool.place import Trouble
from tool.programs import Programs, wait_for

SETTINGS = """
[agent]
socket = "agent.sock"
[update]
directory = "updater"
handlers = "handlers"
allow_commands = {commands}
reboot = ["{folder}/reboot"]
keys = "keys"
ca_file = "ca.pem"
download_directories = ["{folder}/files"]
step_timeout = "{timeout}"
prove_within = "{prove}"
bytes_per_second = {rate}
facts = ["site=north"]
[application.pump]
directory = "{folder}/pump"
restart = ["{folder}/restart"]
check = ["{folder}/pump/current/check"]
stable = "1s"
"""
TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED")
PRESIGNED = "${aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/firmware/%s}"


def script(path, text):
    path.write_text("#!/bin/sh\n" + text, encoding="ascii")
    path.chmod(0o755)


def command(words, **members):
    """A document of AWS-Run-Command."""
    return {"version": "1.0", "steps": [{"action": {
        "name": "Run-Command", "type": "runCommand", "input": {"command": words}, **members}}]}


def template(name, handler, *arguments):
    """A document as AWS's managed templates write it, optional parameters left out."""
    return {"version": "1.0", "steps": [{"action": {
        "name": name, "type": "runHandler",
        "input": {"handler": handler, "args": list(arguments),
                  "path": "${aws:iot:parameter:pathToHandler}"},
        "runAsUser": "${aws:iot:parameter:runAsUser}"}}]}


class UpdaterTest(RegionTest):
    """Each test has a device of its own."""

    numbers = iter(range(1, 1000))

    def setUp(self):
        self.name = f"pump-{next(self.numbers)}"
        self.make(self.name)
        self.device = self.devices[self.name]
        for folder in ("handlers", "keys", "files", "pump"):
            (self.device / folder).mkdir()
        script(self.device / "restart", f'readlink "{self.device}/pump/current" >> "{self.device}/runs"\n')
        script(self.device / "reboot", f'echo reboot >> "{self.device}/reboots"\n')
        self.openssl("genpkey", "-algorithm", "ed25519", "-out", self.device / "sign.key")
        self.openssl("pkey", "-in", self.device / "sign.key", "-pubout", "-out",
                     self.device / "keys" / "maker.pem")
        made = self.device / "device.toml"
        made.write_text(made.read_text(encoding="utf-8").replace("holdfast.sock", "agent.sock"),
                        encoding="utf-8")
        self.agent = self.start_agent(self.device)
        self.updater = None

    def settings(self, commands=("*",), timeout="60s", prove="60s", rate=0):
        (self.device / "updater.toml").write_text(SETTINGS.format(
            folder=self.device, commands=json.dumps(list(commands)), timeout=timeout, prove=prove, rate=json.dumps(rate)),
            encoding="utf-8")

    def start(self, **settings):
        if settings or not (self.device / "updater.toml").exists():
            self.settings(**settings)
        with open(self.device / "updater.log", "ab") as log:
            self.updater = subprocess.Popen(
                [self.bin / "holdfast-updater", "--config", self.device / "updater.toml"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.addCleanup(self.end_updater, self.updater)
        return self.updater

    @staticmethod
    def end_updater(process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    def words(self):
        return (self.device / "updater.log").read_text(encoding="utf-8", errors="replace")

    def wait(self, happened, seconds, what):
        try:
            wait_for(happened, seconds, what)
        except Trouble as trouble:
            self.fail(f"{trouble}\n{self.words()[-4000:]}")

    def queue(self, document, **members):
        job = f"job-{next(self.numbers)}"
        self.region.call("CreateJob", jobId=job, document=json.dumps(document), targets=[
            self.region.call("DescribeThing", thingName=self.name)["thingArn"]], **members)
        return job

    def execution(self, job):
        return self.region.call("DescribeJobExecution", jobId=job,
                                thingName=self.name)["execution"]

    def ends(self, job, status, seconds=60):
        """The job's details, once it has ended so."""
        self.wait(lambda: self.execution(job)["status"] in TERMINAL, seconds, f"the end of {job}")
        found = self.execution(job)
        self.assertEqual(found["status"], status, f"{found}\n{self.words()}")
        return found.get("statusDetails", {}).get("detailsMap", {})

    def wait_end(self, job):
        self.wait(lambda: self.execution(job)["status"] in TERMINAL, 90, "its end")
        return self.execution(job)["status"]

    # ---- updates

    def artifact(self, version, well=True, entries=(), data="x" * 200000):
        """A version in the lab's bucket; the members of its document."""
        folder = self.region.file("files") / "firmware"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.name}-{version}.tar.gz"
        with tarfile.open(folder / name, "w:gz") as archive:
            for path, content, kind in (("check", f"#!/bin/sh\nexit {0 if well else 1}\n", "file"),
                                        ("data", data, "file"), *entries):
                entry = tarfile.TarInfo(path)
                entry.mode = 0o755
                if kind == "link":
                    entry.type, entry.linkname = tarfile.SYMTYPE, content
                    archive.addfile(entry)
                else:
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content.encode()))
        content = (folder / name).read_bytes()
        update = {"application": "pump", "version": version, "url": PRESIGNED % name,
                  "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        update["signature"] = self.sign_update(update)
        return update

    def sign_update(self, update):
        text = self.device / "signed"
        text.write_text("holdfast-update 1\n" + "".join(
            f"{name} {update[name]}\n" for name in ("application", "version", "size", "sha256")),
            encoding="ascii")
        return base64.b64encode(subprocess.run(
            [Programs.system("openssl"), "pkeyutl", "-sign", "-rawin", "-in", text, "-inkey",
             self.device / "sign.key"], check=True, capture_output=True).stdout).decode()

    def current(self):
        link = self.device / "pump" / "current"
        return os.readlink(link).rpartition("/")[2] if link.is_symlink() else None

    def install(self, version):
        job = self.queue({"holdfast": 1, "update": self.artifact(version)})
        self.ends(job, "SUCCEEDED")
        self.assertEqual(self.current(), version)

#!/usr/bin/env python3
"""The examples that need a cloud, with a local IoT Core: the first boot and the application that is
updated.

    lab_examples_test.py --bin DIR      DIR: the programs of a build
"""
import os
import pathlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "lab"))
import provision_test  # noqa: E402
import updater_fixture  # noqa: E402
from region_fixture import RegionTest, run  # noqa: E402
from tool.programs import wait_for  # noqa: E402


class FirstBoot(RegionTest):
    setUp = provision_test.ProvisionTest.setUp
    device = provision_test.ProvisionTest.device
    claim_policy = provision_test.ProvisionTest.claim_policy

    def boot(self, folder):
        done = subprocess.run([self.bin / "first_boot", folder / "device.toml"], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_first_boot(self):
        folder = self.device("4711", client_id="")
        said = self.boot(folder)
        for word in ("certificate", "registration", "done", "connected as pump-4711 with "):
            self.assertIn(word, said)
        again = self.boot(folder)
        self.assertIn("connected as pump-4711 with ", again)
        self.assertNotIn("registration", again)


class SelfUpdating(RegionTest):
    execution = updater_fixture.UpdaterTest.execution
    ends = updater_fixture.UpdaterTest.ends
    wait = updater_fixture.UpdaterTest.wait
    words = updater_fixture.UpdaterTest.words
    end_updater = staticmethod(updater_fixture.UpdaterTest.end_updater)

    def setUp(self):
        self.name = "pump-1"
        self.make(self.name)
        self.device = self.devices[self.name]
        made = self.device / "device.toml"
        made.write_text(made.read_text(encoding="utf-8").replace("holdfast.sock", "agent.sock"),
                        encoding="utf-8")
        self.start_agent(self.device)
        self.home = self.device / "pump"
        factory = self.home / "versions" / "1.0"
        factory.mkdir(parents=True)
        for name in ("run", "check"):
            shutil.copy(HERE / "self-updating" / name, factory)
        shutil.copy(HERE / "self-updating" / "restart", self.home)
        (self.home / "current").symlink_to("versions/1.0")
        (self.device / "keys").mkdir()
        self.openssl("genpkey", "-algorithm", "ed25519", "-out", self.device / "maker.key")
        self.openssl("pkey", "-in", self.device / "maker.key", "-pubout", "-out",
                     self.device / "keys" / "maker.pem")
        settings = (HERE / "self-updating" / "updater.toml").read_text(encoding="utf-8")
        for place, ours in (("/opt/pump", self.home), ("/etc/holdfast/update-keys",
                                                       self.device / "keys"),
                            ("/var/lib/holdfast-updater", self.device / "updater")):
            settings = settings.replace(place, str(ours))
        settings = settings.replace("[update]\n", f'[agent]\nsocket = "{self.device}/agent.sock"\n'
                                    f'[update]\nca_file = "{self.device}/ca.pem"\n')
        (self.device / "updater.toml").write_text(settings, encoding="utf-8")

    def begin(self, *command):
        with open(self.device / "updater.log", "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=self.environment(), start_new_session=True)
        self.addCleanup(self.end_updater, process)

    def environment(self):
        return {**os.environ, "HOLDFAST": str(self.bin / "holdfast"), "TOPIC": f"{self.name}/version",
                "HOLDFAST_SOCKET": str(self.device / "agent.sock")}

    def alive(self, version):
        said = self.home / "alive"
        return said.exists() and said.read_text(encoding="ascii").strip() == version

    def test_an_application_is_updated(self):
        self.begin(self.bin / "holdfast", "watch", "--", self.home / "current" / "run")
        wait_for(lambda: self.alive("1.0"), 60, "the factory's version runs")
        self.begin(self.bin / "holdfast-updater", "--config", self.device / "updater.toml")

        bucket = self.region.file("files") / "firmware"
        bucket.mkdir(parents=True, exist_ok=True)
        url = updater_fixture.PRESIGNED % "pump-1.1.tar.gz"
        document = subprocess.run(
            [HERE / "self-updating" / "release", "1.1", self.device / "maker.key", url], check=True,
            capture_output=True, text=True, timeout=60,
            env={**self.environment(), "OUT": str(bucket)}).stdout
        job = "update-1-1"
        self.region.call("CreateJob", jobId=job, document=document, targets=[
            self.region.call("DescribeThing", thingName=self.name)["thingArn"]])
        self.ends(job, "SUCCEEDED", 120)
        self.assertTrue(self.alive("1.1"))
        self.assertEqual(os.readlink(self.home / "current"), "versions/1.1")


if __name__ == "__main__":
    run(__doc__)

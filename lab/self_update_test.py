#!/usr/bin/env python3
"""Holdfast updates itself by a job of a local IoT Core, agent and updater at once: a good version, one whose
agent never connects, ones whose updater does not run, cannot decide, or is killed.

    self_update_test.py --bin DIR      DIR: the programs of a build
"""
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import tarfile

from region_fixture import run
from updater_fixture import PRESIGNED, UpdaterTest, script

SECTION = """
[application.holdfast]
directory = "{folder}/holdfast"
updater = "bin/holdfast-updater"
restart = ["{folder}/restart-agent"]
stable = "2s"
"""
# As an init of the simplest kind: what `current` leads to, again and again.
SUPERVISOR = """
trap 'kill $child; wait; exit' TERM
while :; do
  "{folder}/holdfast/current/bin/{program}" --config "{folder}/{config}" 2>> "{folder}/{log}" &
  child=$!
  echo $child > "{folder}/{program}.pid"
  wait $child
  sleep 0.3
done
"""
ASTRAY = """#!/bin/sh
# An agent that does not find its broker any more.
sed 's/^port = .*/port = 1/' "$2" > "$2.astray"
exec "$(dirname "$0")/real" --config "$2.astray"
"""
# It says that it is right, and does not run.
BROKEN = "#!/bin/sh\ncase \"$*\" in *--check*) exit 0;; esac\necho tried >> {folder}/tried\nexit 9\n"
KILLED = "#!/bin/sh\ncase \"$*\" in *--check*) exit 0;; esac\necho tried >> {folder}/tried\nkill -9 $$\n"


class SelfUpdateTest(UpdaterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The programs without what only a debugger needs.
        for program in ("holdfastd", "holdfast-updater"):
            subprocess.run(["strip", "-o", cls.folder / program, cls.bin / program], check=True)

    def setUp(self):
        super().setUp()
        self.agent.terminate()
        self.agent.wait(20)
        self.settings()
        with open(self.device / "updater.toml", "a", encoding="utf-8") as file:
            file.write(SECTION.format(folder=self.device))
        script(self.device / "restart-agent",
               f'kill $(cat "{self.device}/holdfastd.pid")\necho restarted >> "{self.device}/runs"\n')
        place = self.device / "holdfast" / "versions" / "1.0" / "bin"
        place.mkdir(parents=True)
        for program in ("holdfastd", "holdfast-updater"):
            shutil.copy(self.folder / program, place / program)
        (self.device / "holdfast" / "current").symlink_to("versions/1.0")
        for program, config, log in (("holdfastd", "device.toml", "agent.log"),
                                     ("holdfast-updater", "updater.toml", "updater.log")):
            script(self.device / f"run-{program}", SUPERVISOR.format(
                folder=self.device, program=program, config=config, log=log))
            process = subprocess.Popen([self.device / f"run-{program}"], stdin=subprocess.DEVNULL,
                                       start_new_session=True)
            self.addCleanup(self.end_updater, process)

    def version(self, version, agent=None, updater=None):
        """An update to the same programs, or to others in their place."""
        folder = self.region.file("files") / "firmware"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.name}-{version}.tar"
        with tarfile.open(folder / name, "w") as archive:
            for path, text, file in (("holdfastd", agent, "holdfastd"),
                                     ("real", None, "holdfastd"),
                                     ("holdfast-updater", updater, "holdfast-updater")):
                if path == "real" and agent is None:
                    continue
                content = text.encode() if text else (self.folder / file).read_bytes()
                entry = tarfile.TarInfo("bin/" + path)
                entry.mode, entry.size = 0o755, len(content)
                archive.addfile(entry, io.BytesIO(content))
        content = (folder / name).read_bytes()
        update = {"application": "holdfast", "version": version, "url": PRESIGNED % name,
                  "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        update["signature"] = self.sign_update(update)
        return update

    def queued(self, version, prove="30s", **programs):
        return self.queue({"holdfast": 1, "update": self.version(version, **programs) |
                           {"prove_within": prove}})

    def runs(self, program):
        """The version that this program runs from."""
        try:
            pid = int((self.device / f"{program}.pid").read_text())
            return re.search(r"/versions/([^/]+)/", os.readlink(f"/proc/{pid}/exe")).group(1)
        except (OSError, ValueError, AttributeError):
            return None

    def all_run(self, version):
        self.wait(lambda: all(self.runs(program) == version
                              for program in ("holdfastd", "holdfast-updater")), 60,
                  f"agent and updater of {version}")
        link = self.device / "holdfast" / "current"
        self.assertEqual(os.readlink(link), f"versions/{version}")

    def test_agent_and_updater_are_replaced_and_the_job_succeeds(self):
        self.all_run("1.0")
        self.ends(self.queued("1.1"), "SUCCEEDED", 90)
        self.all_run("1.1")
        self.assertIn("the new updater goes on, on trial", self.words())
        self.ends(self.queued("1.2"), "SUCCEEDED", 90)
        self.all_run("1.2")

    def test_an_agent_that_never_connects_is_taken_back(self):
        details = self.ends(self.queued("1.1", prove="8s", agent=ASTRAY), "FAILED", 120)
        self.assertIn("no answer from the cloud", details["reason"])
        self.assertIn("the version before is back", details["reason"])
        self.all_run("1.0")
        self.ends(self.queued("1.2"), "SUCCEEDED", 90)
        self.all_run("1.2")

    def test_an_updater_that_does_not_run_is_taken_back_by_the_one_before(self):
        for version, updater in (("1.1", BROKEN), ("1.2", KILLED)):
            details = self.ends(self.queued(version, updater=updater.format(folder=self.device)),
                                "FAILED", 120)
            self.assertIn("the updater was ended in the midst of it, 3 times", details["reason"])
            self.all_run("1.0")
        self.assertEqual((self.device / "tried").read_text(), "tried\n" * 6)
        # One that cannot run here at all is not even started.
        details = self.ends(self.queued("1.3", updater="#!/no/such/program\n"), "FAILED")
        self.assertNotIn("the version before is back", details["reason"])
        self.all_run("1.0")

    def test_kills_of_both_updaters_on_trial_do_not_strand_it(self):
        job = self.queued("1.1", prove="60s")
        self.wait(lambda: "on trial" in self.words(), 60, "the trial")
        os.kill(int((self.device / "holdfast-updater.pid").read_text()), signal.SIGKILL)
        self.assertIn(self.wait_end(job), ("SUCCEEDED", "FAILED"))
        self.all_run("1.1" if self.execution(job)["status"] == "SUCCEEDED" else "1.0")


if __name__ == "__main__":
    run(__doc__)

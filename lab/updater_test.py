#!/usr/bin/env python3
"""Jobs of a local IoT Core, carried out by holdfast-updater through the agent: programs that misbehave,
updates that are well, ill, forged, old, cut, cancelled; and what the service hears of each.

    updater_test.py --bin DIR      DIR: the programs of a build
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import updater_fixture
from region_fixture import run
from tool import fault
from updater_fixture import PRESIGNED, TERMINAL, command, script, template


class JobsTest(updater_fixture.UpdaterTest):
    def shown(self):
        """What the agent shows of jobs, or nothing."""
        answer = subprocess.run([self.bin / "holdfast", "status", "--json", "--socket",
                                 self.device / "agent.sock"], capture_output=True, text=True,
                                check=True, timeout=30).stdout
        return json.loads(answer).get("jobs")

    def test_the_agent_shows_what_the_updater_does(self):
        self.assertIsNone(self.shown())
        self.start()
        self.install("1.0")
        self.wait(lambda: (self.shown() or {}).get("last"), 30, "its end")
        self.assertEqual(self.shown()["versions"], {"pump": "1.0"})
        self.assertEqual((self.shown()["job"], self.shown()["last"]["status"]), ("", "SUCCEEDED"))
        job = self.queue({"holdfast": 1, "update": self.artifact("1.1", well=False) |
                          {"prove_within": "5s"}})
        self.wait(lambda: self.shown()["job"] == job and self.shown().get("steps", 0) > 1, 30, "the job")
        self.ends(job, "FAILED")
        self.wait(lambda: self.shown().get("last", {}).get("job") == job and not self.shown()["job"], 30,
                  "its end")
        self.assertEqual(self.shown()["last"]["status"], "FAILED")
        self.assertIn("its check failed", self.shown()["last"]["words"])
        self.updater.kill()
        self.updater.wait()
        self.wait(lambda: "gone_ms" in self.shown(), 30, "that it has gone")
        self.start()
        self.wait(lambda: "gone_ms" not in self.shown(), 30, "that it is back")

    def test_a_new_version_is_installed_and_an_ill_one_taken_back(self):
        self.start()
        self.install("1.0")
        self.install("1.1")
        job = self.queue({"holdfast": 1, "update": self.artifact("1.2", well=False) |
                          {"prove_within": "5s"}})
        details = self.ends(job, "FAILED")
        self.assertIn("its check failed", details["reason"])
        self.assertIn("the version before is back", details["reason"])
        self.assertEqual(self.current(), "1.1")
        runs = (self.device / "runs").read_text().split()
        self.assertEqual(runs, ["versions/1.0", "versions/1.1", "versions/1.2", "versions/1.1"])
        # The next one is installed all the same, and leaves no more than two.
        self.install("1.3")
        self.assertEqual(sorted(one.name for one in (self.device / "pump" / "versions").iterdir()),
                         ["1.1", "1.3"])
        self.assertFalse((self.device / "updater" / "artifact").exists())

    def test_what_is_forged_old_or_leads_astray_is_refused(self):
        self.start()
        self.install("2.0")
        good = self.artifact("2.1")
        other_text = good | {"version": "2.2"}
        outside = self.artifact("2.3", entries=[("../../escaped", "x", "file")])
        absolute = self.artifact("2.4", entries=[("/tmp/holdfast-escaped", "x", "file")])
        link = self.artifact("2.5", entries=[("out", "../../..", "link"), ("out/x", "x", "file")])
        for update, words in (
                (other_text, "none of the keys"),
                (good | {"signature": "AAAA"}, "none of the keys"),
                ({k: v for k, v in good.items() if k != "signature"}, "signature is missing"),
                (good | {"sha256": "00" * 32}, "none of the keys"),
                (self.artifact("1.9"), "older than 2.0"),
                (self.artifact("2.0"), "runs here already"),
                (good | {"application": "other"}, "not configured"),
                (good | {"version": "../2.1"}, "version is missing, or is none"),
                (good | {"url": "http://localhost/x"}, "https://"),
                (good | {"size": 1 << 50}, "max_size"),
                (good | {"surprise": 1}, "update.surprise: is not known"),
                (outside, "out of the directory"), (absolute, "out of the directory"),
                (link, "out of the directory")):
            with self.subTest(words=words, update=update):
                details = self.ends(self.queue({"holdfast": 1, "update": update}), "REJECTED")
                self.assertIn(words, details["reason"])
                self.assertEqual(self.current(), "2.0")
        self.assertFalse(list(self.device.parent.rglob("escaped")))
        self.assertFalse(pathlib.Path("/tmp/holdfast-escaped").exists())

    # Field lesson 50.
    def test_a_download_goes_on_after_a_cut_and_gets_a_new_url(self):
        self.start()
        update = self.artifact("1.0")
        path = f"firmware/{self.name}-1.0.tar.gz"
        fault.run_download(self.place, [path, "--expired"])
        job = self.queue({"holdfast": 1, "update": update})
        self.wait(lambda: "the server says 403" in self.words(), 30, "the refused URL")
        fault.run_download(self.place, [path, "--cut-at", str(update["size"] // 2)])
        part = self.device / "updater" / "artifact.part"
        self.wait(lambda: part.exists() and part.stat().st_size > 0, 60, "half of it")
        self.updater.kill()
        self.updater.wait()
        fault.run_download(self.place, [path])
        self.start()
        self.ends(job, "SUCCEEDED", 90)
        self.assertEqual(self.current(), "1.0")

    def test_bytes_that_are_wrong_are_not_installed(self):
        self.start()
        update = self.artifact("1.0")
        fault.run_download(self.place, [f"firmware/{self.name}-1.0.tar.gz", "--corrupt-at", "100"])
        details = self.ends(self.queue({"holdfast": 1, "update": update}), "REJECTED")
        self.assertIn("SHA-256", details["reason"])
        self.assertIsNone(self.current())

    def test_a_version_that_cuts_the_device_off_is_taken_back(self):
        self.start(prove="6s")
        self.install("1.0")
        # Whatever the new version does to it: the device does not reach the cloud any more.
        update = self.artifact("1.1")
        script(self.device / "restart", f'readlink "{self.device}/pump/current" >> "{self.device}/runs"\n'
               f'! tail -n 1 "{self.device}/runs" | grep -q 1.1 || kill -STOP {self.agent.pid}\n')
        self.addCleanup(self.agent.kill)  # a stopped one would not heed anything else
        job = self.queue({"holdfast": 1, "update": update})
        self.wait(lambda: self.current() == "1.1", 30, "the new version")
        self.wait(lambda: self.current() == "1.0", 60, "the old version")
        self.agent.send_signal(signal.SIGCONT)
        details = self.ends(job, "FAILED")
        self.assertRegex(details["reason"], "no answer from the cloud|the agent did not go on|looked at")

    def test_an_update_survives_kills_at_any_time(self):
        self.start()
        self.install("1.0")
        for version, after in (("1.1", 0.05), ("1.2", 0.3), ("1.3", 0.6), ("1.4", 1.0), ("1.5", 1.6)):
            job = self.queue({"holdfast": 1, "update": self.artifact(version)})
            for _ in range(2):
                time.sleep(after)
                self.updater.kill()
                self.updater.wait()
                self.start()
            self.wait(lambda: self.execution(job)["status"] in TERMINAL, 90, "its end")
            done = self.execution(job)["status"] == "SUCCEEDED"
            self.assertEqual(self.current() == version, done, self.words())
            if not done:
                self.install(version + "-again")

    def test_a_cancelled_update_is_taken_back(self):
        self.start(prove="60s")
        self.install("1.0")
        job = self.queue({"holdfast": 1, "update": self.artifact("1.1", well=False)})
        self.wait(lambda: self.current() == "1.1", 30, "the new version")
        self.region.call("CancelJob", jobId=job, force=True)
        self.wait(lambda: self.current() == "1.0", 30, "the old version")
        self.assertEqual(self.execution(job)["status"], "CANCELED")
        self.install("1.2")

    @unittest.skipUnless(os.geteuid() == 0, "another boot id takes root")
    # Field lesson 49.
    def test_a_system_with_an_installer_of_its_own_is_rebooted_into_and_back(self):
        system = self.device / "system"
        system.mkdir()
        (system / "running").write_text("1.0\n")
        boot_id = self.device / "boot-id"
        boots = iter(range(1, 100))

        def boot():
            """The next boot: another id, and whatever was marked runs."""
            boot_id.write_text(f"00000000-0000-0000-0000-{next(boots):012}\n")
            if (system / "next").exists():
                (system / "next").rename(system / "running")
            (self.device / "reboots").unlink(missing_ok=True)
            with open(self.device / "updater.log", "ab") as log:
                self.updater = subprocess.Popen(
                    ["unshare", "--mount", "sh", "-c", "mount --bind \"$0\" "
                     "/proc/sys/kernel/random/boot_id && exec \"$@\"", boot_id,
                     self.bin / "holdfast-updater", "--config", self.device / "updater.toml"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            self.addCleanup(self.end_updater, self.updater)

        def reboot():
            self.wait((self.device / "reboots").exists, 30, "a reboot")
            self.updater.kill()
            self.updater.wait()
            boot()
        script(self.device / "install", f'test -s "$HOLDFAST_ARTIFACT" && echo "$HOLDFAST_VERSION" > '
               f'"{system}/slot"\n')
        script(self.device / "activate", f'cp "{system}/running" "{system}/old" && '
               f'cp "{system}/slot" "{system}/next"\n')
        script(self.device / "back", f'cp "{system}/old" "{system}/next"\n')
        script(self.device / "commit", f'cp "{system}/running" "{system}/committed"\n')
        script(self.device / "well", f'! grep -q ill "{system}/running"\n')
        self.settings()
        with open(self.device / "updater.toml", "a", encoding="utf-8") as file:
            file.write(f'''[application.system]
version = ["cat", "{system}/running"]
install = ["{self.device}/install"]
activate = ["{self.device}/activate"]
take_back = ["{self.device}/back"]
commit = ["{self.device}/commit"]
check = ["{self.device}/well"]
reboots = true
stable = "1s"
''')
        boot()
        for version, status in (("1.1", "SUCCEEDED"), ("1.2-ill", "FAILED")):
            update = self.artifact(version) | {"application": "system", "prove_within": "20s"}
            update["signature"] = self.sign_update(update)
            job = self.queue({"holdfast": 1, "update": update})
            reboot()
            if status == "FAILED":
                reboot()  # back
            self.ends(job, status)
            self.assertEqual((system / "running").read_text(), "1.1\n")
            self.assertEqual((system / "committed").read_text(), "1.1\n")

    # Field lesson 47.
    def test_the_agent_may_go_and_come_meanwhile(self):
        self.start()
        job = self.queue(command("sleep,3"))
        self.wait(lambda: self.execution(job)["status"] == "IN_PROGRESS", 20, "its begin")
        self.agent.kill()
        self.agent.wait()
        time.sleep(4)
        self.agent = self.start_agent(self.device)
        self.ends(job, "SUCCEEDED")

    # ---- programs

    def test_the_managed_templates(self):
        script(self.device / "handlers" / "install-packages.sh",
               f'echo "$@" >> "{self.device}/handled"\n')
        (self.device / "handlers" / "start-services.sh").write_text("#!/bin/sh\nexit 3\n")
        (self.device / "handlers" / "start-services.sh").chmod(0o700)
        self.start()
        folder = self.region.file("files") / "firmware"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data.bin").write_bytes(b"1234567890" * 10)
        self.ends(self.queue(template("Download-File", "download-file.sh", PRESIGNED % "data.bin",
                                      f"{self.device}/files/data.bin")), "SUCCEEDED")
        self.assertEqual((self.device / "files" / "data.bin").read_bytes(), b"1234567890" * 10)
        self.ends(self.queue(template("Install-Application", "install-packages.sh", "nano tree")),
                  "SUCCEEDED")
        # As with the device client: the user first, then the arguments.
        self.assertEqual((self.device / "handled").read_text(), " nano tree\n")
        self.assertIn("exit code 3", self.ends(self.queue(template(
            "Start-Application", "start-services.sh", "cron")), "FAILED")["reason"])
        # Without a handler of the owner's they are built in, for what is allowed.
        for name, handler, argument, key in (
                ("Remove-Application", "remove-packages.sh", "nano", "allow_packages"),
                ("Stop-Application", "stop-services.sh", "cron", "allow_units"),
                ("Restart-Application", "restart-services.sh", "cron", "allow_units")):
            self.assertIn(key, self.ends(self.queue(template(name, handler, argument)),
                                         "REJECTED")["reason"])
        said = self.ends(self.queue(command("echo,a\\,b, c") | {"includeStdOut": True}), "SUCCEEDED")
        self.assertEqual(said["stdout"], "a,b c")
        job = self.queue(template("Reboot", "reboot.sh"))
        self.wait((self.device / "reboots").exists, 20, "the reboot")
        self.assertEqual(self.execution(job)["status"], "IN_PROGRESS")

    # Field lesson 42.
    def test_programs_that_misbehave(self):
        self.start()
        chatty = f"{sys.executable},-c,import os\\;[os.write(fd\\, b'x' * 1000 + b'\\n') " \
                 "for i in range(10000) for fd in (1\\, 2)]"
        said = self.ends(self.queue(command(chatty.replace("\\;", ";")) | {"includeStdOut": True}),
                         "SUCCEEDED", 90)
        self.assertEqual(len(said["stdout"]), 1023)  # without its last newline
        self.assertEqual(len(said["stderr"]), 1023)
        self.end_updater(self.updater)
        self.start(timeout="3s")
        started = time.monotonic()
        said = self.ends(self.queue(command("sleep,1000")), "FAILED")
        self.assertIn("did not end in time", said["reason"])
        self.assertLess(time.monotonic() - started, 40)
        script(self.device / "stubborn", "trap '' TERM\nwhile :; do sleep 1; done\n")
        self.assertIn("did not end in time",
                      self.ends(self.queue(command(f"{self.device}/stubborn")), "FAILED")["reason"])
        # One that goes on in the background, holding the pipes, in a session of its own.
        script(self.device / "daemon", "setsid sleep 987 &\nsetsid sleep 987 &\n")
        self.ends(self.queue(command(f"{self.device}/daemon")), "SUCCEEDED")
        self.assertEqual(subprocess.run(["pgrep", "-f", "sleep 987"], check=False,
                                        stdout=subprocess.DEVNULL).returncode, 1)
        # One that makes ever more of its kind.
        job = self.queue(command("setpriv,--reuid=65534,--regid=65534,--clear-groups,sh,-c,"
                                 "ulimit -u 200; f() { sleep 986 | f & }; f; sleep 1"))
        self.assertIn(self.wait_end(job), ("SUCCEEDED", "FAILED"))
        self.assertEqual(subprocess.run(["pgrep", "-f", "sleep 986"], check=False,
                                        stdout=subprocess.DEVNULL).returncode, 1)

    # Field lesson 44.
    def test_a_killed_updater_does_not_run_a_program_again(self):
        self.start()
        job = self.queue(command(f"{self.device}/once"))
        script(self.device / "once", f'echo ran >> "{self.device}/once-runs"\nsleep 60\n')
        self.wait((self.device / "once-runs").exists, 20, "the program")
        os.killpg(self.updater.pid, signal.SIGKILL)
        self.updater.wait()
        self.start()
        details = self.ends(job, "FAILED")
        self.assertIn("whether it has had its effect is not known", details["reason"])
        self.assertEqual((self.device / "once-runs").read_text(), "ran\n")

    def test_what_the_owner_has_not_allowed_is_rejected(self):
        self.start(commands=["true"])
        for document, words in (
                (command("sh,-c,id"), "allow_commands"), (command("/bin/true"), "allow_commands"),
                (command("true", runAsUser="root"), "allow_users"),
                (template("x", "../../bin/sh"), "without a directory"),
                (template("x", "absent.sh"), "there is no handler"),
                (template("x", "download-file.sh", "https://localhost/x", "/etc/passwd"),
                 "download_directories"),
                (command("true") | {"conditions": [{"key": "site", "value": ["south"],
                                                    "type": "stringEqual"}]}, "this device is not meant"),
                ({"version": "9"}, "version"), ({"steps": []}, "version"),
                ({"version": "1.0", "steps": [{}]}, "steps[0]")):
            with self.subTest(words=words, document=document):
                self.assertIn(words, self.ends(self.queue(document), "REJECTED")["reason"])
        self.ends(self.queue(command("true") | {"conditions": [
            {"key": "site", "value": ["north"], "type": "stringEqual"}]}), "SUCCEEDED")


if __name__ == "__main__":
    run(__doc__)

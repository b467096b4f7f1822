#!/usr/bin/env python3
"""holdfastd under supervisors other than systemd: runit, s6, an init script, PM2, and as the first process of a container.

Goal:   as its files here say, each starts it, hears when it accepts messages, starts it again when it is
        killed, and stops it in order.
Method: the real supervisors on folders copied from here, with this machine's paths and without another
        user; for the container a root of its own with nothing in it but what `oci/rootfs` takes along,
        read-only, in namespaces, as another user.
Usage:  supervisors_test.py BIN_DIR [--pm2 NODE_MODULES] [--oci] [unittest arguments]
        A supervisor that is not installed is skipped; a container needs root.
"""
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
WAIT = 40.0  # seconds; an upper bound, not a measurement
BIN = PM2 = ""
OCI = False


def wait_until(what, condition):
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("not within %g s: %s" % (WAIT, what))


class Supervised(unittest.TestCase):
    """A folder with a configuration, and how to find the one holdfastd that uses it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hf-super-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.socket = self.folder + "/api.sock"
        self.config = self.folder + "/holdfast.toml"
        self.write(self.config, self.configuration(self.folder + "/outbox", self.socket))
        self.environment = {**os.environ, "PATH": BIN + ":" + os.environ["PATH"],
                            "HOLDFAST_SOCKET": self.socket}

    @staticmethod
    def configuration(outbox, api):
        # Nothing listens there: what is tested must not depend on a broker.
        return ('profile = "generic"\n[connection]\nhost = "127.0.0.1"\nport = 9\nclient_id = "s"\n'
                '[tls]\nenabled = false\n[outbox]\ndirectory = "%s"\n[local]\nsocket = "%s"\n'
                % (outbox, api))

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def service(self, kind):
        """A copy of the service folder, for this machine: no user of its own, other paths."""
        target = self.folder + "/service"
        shutil.copytree(os.path.join(HERE, kind, "holdfastd"), target)
        with open(target + "/run", encoding="ascii") as file:
            text = file.read()
        for old, new in (("install -d -o holdfast -g holdfast -m 750 /run/holdfast\n", ""),
                         ("chpst -u holdfast:holdfast ", ""), ("s6-setuidgid holdfast", ""),
                         ("/etc/holdfast/holdfast.toml", self.config)):
            text = text.replace(old, new)
        self.assertNotIn("/holdfast/", text)
        self.write(target + "/run", text)
        return target

    def run_command(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True,
                              timeout=WAIT, check=False)

    def healthy(self):
        return self.run_command("holdfast", "health").returncode == 0

    def pid(self):
        """Of the holdfastd with our configuration; None: there is none."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open("/proc/%s/cmdline" % entry, encoding="utf-8") as file:
                    words = file.read().split("\0")
            except OSError:
                continue
            if os.path.basename(words[0]) == "holdfastd" and self.config in words:
                return int(entry)
        return None

    def comes_back_after_kill(self):
        first = wait_until("it runs", self.pid)
        os.kill(first, signal.SIGKILL)
        wait_until("it was started again", lambda: self.pid() not in (None, first))
        wait_until("it is healthy again", self.healthy)

    def stopped_in_order(self, log):
        wait_until("it is gone", lambda: self.pid() is None)
        with open(log, encoding="utf-8") as file:
            self.assertIn("stopped; messages waiting", file.read())


@unittest.skipUnless(shutil.which("runsv"), "runit is not installed")
class Runit(Supervised):
    def test_it_is_started_checked_started_again_and_stopped_in_order(self):
        service = self.service("runit")
        with open(self.folder + "/log", "w", encoding="utf-8") as log:
            runsv = subprocess.Popen(["runsv", service], env=self.environment, stdout=log, stderr=log)
        try:
            wait_until("runsv is there", lambda: os.path.exists(service + "/supervise/ok"))
            check = self.run_command("sv", "-w", "30", "check", service)
            self.assertEqual(check.returncode, 0, check.stdout)
            self.assertTrue(self.healthy())
            self.comes_back_after_kill()
            down = self.run_command("sv", "-w", "30", "down", service)
            self.assertEqual(down.returncode, 0, down.stdout)
            self.stopped_in_order(self.folder + "/log")
        finally:
            self.run_command("sv", "force-shutdown", service)
            runsv.wait(WAIT)


@unittest.skipUnless(shutil.which("s6-supervise"), "s6 is not installed")
class S6(Supervised):
    def test_it_is_started_ready_started_again_and_stopped_in_order(self):
        service = self.service("s6")
        with open(self.folder + "/log", "w", encoding="utf-8") as log:
            supervise = subprocess.Popen(["s6-supervise", service], env=self.environment, stdout=log,
                                         stderr=log)
        try:
            wait_until("s6-supervise is there",
                       lambda: self.run_command("s6-svok", service).returncode == 0)
            ready = self.run_command("s6-svwait", "-U", "-t", "30000", service)
            self.assertEqual(ready.returncode, 0, ready.stderr)
            self.assertTrue(self.healthy())
            self.comes_back_after_kill()
            self.assertEqual(self.run_command("s6-svc", "-wD", "-T", "30000", "-d",
                                              service).returncode, 0)
            self.stopped_in_order(self.folder + "/log")
        finally:
            self.run_command("s6-svc", "-xd", service)
            supervise.wait(WAIT)


@unittest.skipUnless(shutil.which("start-stop-daemon"), "start-stop-daemon is not installed")
class Init(Supervised):
    """The init script, called as an init calls it."""

    def setUp(self):
        super().setUp()
        self.log = self.folder + "/log"
        with open(self.config, "a", encoding="ascii") as file:
            file.write('[log]\nfile = "%s"\n' % self.log)
        with open(os.path.join(HERE, "init", "holdfastd"), encoding="ascii") as file:
            text = file.read()
        for old, new in (("user=holdfast\n", "user=%s\n" % pwd.getpwuid(os.geteuid()).pw_name),
                         ("/etc/holdfast/holdfast.toml", self.config), ("pause=5 ", "pause=1 "),
                         ("pidfile=/run/holdfastd.pid", "pidfile=%s/pid" % self.folder),
                         ("run=/run/holdfast\n", "run=%s/run\n" % self.folder),
                         ("PATH=/usr/sbin", "PATH=%s:/usr/sbin" % BIN)):
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.script = self.folder + "/holdfastd"
        self.write(self.script, text)
        os.chmod(self.script, 0o755)
        self.addCleanup(self.init, "stop")

    def init(self, word):
        return self.run_command(self.script, word).returncode

    def test_it_is_ready_started_again_read_again_and_stopped_in_order(self):
        self.assertEqual(self.init("status"), 3)
        self.assertEqual(self.init("start"), 0)
        self.assertTrue(self.healthy())
        self.assertEqual((self.init("status"), self.init("start")), (0, 0), "twice is no harm")
        self.comes_back_after_kill()
        self.assertEqual(self.init("reload"), 0)
        wait_until("it has read its configuration again",
                   lambda: "configuration read again" in self.said())
        first = self.pid()
        self.assertEqual(self.init("restart"), 0)
        self.assertNotIn(self.pid(), (None, first))
        self.assertEqual(self.init("stop"), 0)
        self.assertIsNone(self.pid())
        self.assertEqual(self.said().count("stopped; messages waiting"), 2)
        self.assertEqual((self.init("status"), self.init("stop")), (3, 0))

    def said(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()


class Pm2(Supervised):
    def setUp(self):
        if not PM2:
            self.skipTest("--pm2 says where PM2 is")
        super().setUp()
        with open(os.path.join(HERE, "pm2", "holdfast.config.js"), encoding="ascii") as file:
            text = file.read()
        for old, new in (("/etc/holdfast/holdfast.toml", self.config),
                         ("/run/holdfast/holdfast.sock", self.socket)):
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.write(self.folder + "/holdfast.config.js", text)
        shutil.copy(os.path.join(HERE, "pm2", "holdfastd.sh"), self.folder)
        self.environment["PM2_HOME"] = self.folder + "/pm2"
        self.addCleanup(self.pm2, "kill")

    def pm2(self, *words):
        return self.run_command(os.path.join(PM2, ".bin", "pm2"), *words)

    def state(self):
        apps = json.loads(self.pm2("jlist").stdout.strip().splitlines()[-1])
        return apps[0]["pm2_env"] if apps else {}

    def test_it_is_ready_started_again_and_stopped_in_order(self):
        # Returns when "ready" was heard, long before listen_timeout.
        start = self.pm2("start", self.folder + "/holdfast.config.js")
        self.assertEqual(start.returncode, 0, start.stdout + start.stderr)
        self.assertTrue(self.healthy(), start.stdout)
        self.assertEqual(self.state()["status"], "online")
        self.comes_back_after_kill()
        self.assertGreaterEqual(self.state()["restart_time"], 1)
        self.assertEqual(self.pm2("stop", "holdfastd").returncode, 0)
        self.stopped_in_order(self.state()["pm_err_log_path"])


@unittest.skipUnless(os.geteuid() == 0, "a container needs root")
class Container(Supervised):
    """As Containerfile wants it run, without an engine: those need an image of somebody else's."""
    USER = 10001

    def setUp(self):
        super().setUp()
        del self.environment["HOLDFAST_SOCKET"]  # in there it is where it is by default
        self.root = self.folder + "/rootfs"
        self.run_ok(os.path.join(HERE, "oci", "rootfs"), BIN, self.root)
        self.program = ["/usr/bin/holdfastd", "--config", "/etc/holdfast/holdfast.toml"]
        self.check = ["/usr/bin/holdfast", "health"]
        self.take_image()
        self.write(self.root + "/etc/holdfast/holdfast.toml",
                   self.configuration("/var/lib/holdfast/outbox", "/run/holdfast/holdfast.sock"))
        # Read-only but for the two volumes.
        enter = ('mount --bind "$1" "$1"; mount -t tmpfs -o uid=%d tmpfs "$1/run/holdfast"; '
                 'mount -t tmpfs -o uid=%d tmpfs "$1/var/lib/holdfast"; mkdir -p "$1/proc"; '
                 'mount -t proc proc "$1/proc"; mount -o remount,bind,ro "$1"; '
                 'root=$1; shift; exec env -i /usr/sbin/chroot --userspec=%d:%d "$root" "$@"'
                 % ((self.USER,) * 4))
        self.log = open(self.folder + "/log", "w", encoding="utf-8")
        self.addCleanup(self.log.close)
        self.outer = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", "-ec", enter, "sh",
             self.root, *self.program], stdout=self.log, stderr=self.log)
        self.addCleanup(self.outer.wait)
        self.addCleanup(self.outer.kill)
        self.init = wait_until("holdfastd is there", self.first_process)
        # --kill-child alone leaves it: who changes its user loses that signal (prctl(2)).
        self.addCleanup(self.end_init)

    def take_image(self):
        """For who has one."""

    def end_init(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)

    def run_ok(self, *command):
        done = self.run_command(*command)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def first_process(self):
        with open("/proc/%d/task/%d/children" % (self.outer.pid, self.outer.pid)) as file:
            children = file.read().split()
        if not children:
            return None
        with open("/proc/%s/comm" % children[0], encoding="utf-8") as file:
            return int(children[0]) if file.read() == "holdfastd\n" else None

    def inside(self, *command):
        """As the engine runs a HEALTHCHECK, in the container."""
        return self.run_command("nsenter", "--target", str(self.init), "--mount", "--pid", "--root",
                                "--setuid", str(self.USER), "--setgid", str(self.USER), *command)

    def test_it_is_healthy_without_root_and_without_a_file_of_anybody_else(self):
        wait_until("HEALTHCHECK is content",
                   lambda: self.inside(*self.check).returncode == 0)
        self.assertEqual(os.stat("/proc/%d" % self.init).st_uid, self.USER)

    def test_a_part_that_stands_still_is_an_illness(self):
        wait_until("it is healthy", lambda: self.inside(*self.check).returncode == 0)
        os.kill(self.init, signal.SIGSTOP)
        check = self.inside(*self.check, "--timeout", "1s")
        os.kill(self.init, signal.SIGCONT)
        self.assertEqual(check.returncode, 4, check.stderr)

    def test_orphans_leave_no_zombies(self):
        wait_until("it is healthy", lambda: self.inside(*self.check).returncode == 0)
        # In its process namespace only: a shell whose child outlives it.
        self.run_ok("nsenter", "--target", str(self.init), "--pid", "sh", "-c", "sleep 1 >/dev/null 2>&1 & sleep 0")
        path = "/proc/%d/task/%d/children" % (self.init, self.init)

        def children():
            with open(path, encoding="ascii") as file:
                return file.read().split()
        wait_until("the orphan is its child", children)
        wait_until("nothing is left of it", lambda: not children())

    def test_sigterm_stops_it_in_order(self):
        wait_until("it is healthy", lambda: self.inside(*self.check).returncode == 0)
        os.kill(self.init, signal.SIGTERM)
        self.assertEqual(self.outer.wait(WAIT), 0)
        with open(self.folder + "/log", encoding="utf-8") as file:
            self.assertIn("stopped; messages waiting", file.read())


class Image(Container):
    """The same of the image that buildah makes of Containerfile: its files, user, command and HEALTHCHECK."""
    BYTES_MAX = 64 << 20  # of a debug build without its symbols; a release is smaller

    def setUp(self):
        if not OCI:
            self.skipTest("--oci says that an image is to be built")
        super().setUp()

    def buildah(self, *words):
        """Everything that it keeps is in our folder."""
        done = self.run_command("buildah", "--root", self.folder + "/store", "--runroot",
                                self.folder + "/run", "--storage-driver", "vfs", *words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.strip()

    def take_image(self):
        for program in ("holdfastd", "holdfast"):
            self.run_ok("strip", self.root + "/usr/bin/" + program)
        self.addCleanup(self.buildah, "rm", "--all")
        self.buildah("build", "--isolation", "chroot", "--network", "host", "--format", "docker", "--tag",
                     "holdfastd", "--file", os.path.join(HERE, "oci", "Containerfile"), self.folder)
        image = json.loads(self.buildah("inspect", "--type", "image", "holdfastd"))["Docker"]
        self.image = image["config"]
        self.program = self.image["Entrypoint"] + self.image["Cmd"]
        test = self.image["Healthcheck"]["Test"]
        self.assertEqual(test[0], "CMD", "an engine would need a shell")
        self.check = test[1:]
        self.root = self.buildah("mount", self.buildah("from", "holdfastd"))

    def test_it_is_small_without_root_or_shell_and_stopped_as_documented(self):
        self.assertEqual(self.image["User"], "%d:%d" % (self.USER, self.USER))
        self.assertEqual(set(self.image["Volumes"]), {"/var/lib/holdfast", "/run/holdfast"})
        self.assertEqual(self.image["StopSignal"], "SIGTERM")
        size, programs = 0, []
        for folder, _, names in os.walk(self.root):
            for name in names:
                about = os.lstat(os.path.join(folder, name))
                size += about.st_size
                if folder.endswith(("bin", "sbin")):
                    programs.append(name)
        self.assertLess(size, self.BYTES_MAX)
        self.assertEqual(sorted(name for name in programs if not name.endswith(".so")),
                         ["holdfast", "holdfastd"])


if __name__ == "__main__":
    BIN = os.path.abspath(sys.argv.pop(1))
    if "--oci" in sys.argv:
        sys.argv.remove("--oci")
        OCI = True
    if "--pm2" in sys.argv:
        at = sys.argv.index("--pm2")
        PM2 = os.path.abspath(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main(verbosity=2)

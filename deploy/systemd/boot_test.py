#!/usr/bin/env python3
"""holdfastd.service under a real systemd, as the first process of namespaces of its own.

Goal:   the unit as it stands starts without network and root, its sandbox takes nothing away that
        holdfastd needs, and systemd acts on what holdfastd tells it.
Method: systemd boots on an overlay of this machine's file system; a script inside starts, reloads,
        stops the process still and stops the unit, and writes down what systemd and the kernel show.
        All of it is in RAM and ends with the test.
Usage:  boot_test.py BIN_DIR    exit code 77 (skipped) without root, systemd or cgroup2
"""
import glob
import grp
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
AGENT = os.path.normpath(HERE + "/../../agent")
SYSTEMD = "/lib/systemd/systemd"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
SKIPPED = 77
BOOT_MAX = 150.0  # seconds; an upper bound, as WAIT
WAIT = 40.0
LIMIT = 4  # seconds of the watchdog
STOP_LIMIT, STOP_DEADLINE = 4, 10  # seconds: systemd's, and the agent's own, which is longer
PORT = 18830  # in a network namespace of its own
SOCKET = "/run/holdfast/holdfast.sock"
UNITS = "etc/systemd/system/"

CONFIGURATION = """profile = "generic"
[connection]
host = "127.0.0.1"
port = %d
client_id = "boot-test"
[tls]
enabled = false
[timing]
backoff_first = "200ms"
backoff_cap = "1s"
stop_deadline = "%ds"
[outbox]
directory = "/var/lib/holdfast/outbox"
[local]
socket = "%s"
""" % (PORT, STOP_DEADLINE, SOCKET)

# May the unit ask whether the clock is kept right?
ASKS_CLOCK = ("/usr/bin/python3 -c 'import ctypes, sys; "
              "sys.exit(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024)) < 0)'")

FILES = {
    "etc/holdfast/holdfast.toml": CONFIGURATION,
    "etc/broker.conf": "listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
                       % PORT,
    UNITS + "holdfastd.service.d/test.conf":
        "[Service]\nWatchdogSec=%ds\nTimeoutStopSec=%ds\nRestartSec=1s\nExecStartPre=%s\n"
        % (LIMIT, STOP_LIMIT, ASKS_CLOCK),
    UNITS + "broken.service": "[Service]\nExecStart=/bin/false\n",
    # The real one; it has nobody to ask, and may not set this machine's clock: as root it would want to,
    # and end.
    UNITS + "timesyncd.service":
        "[Service]\nExecStart=/lib/systemd/systemd-timesyncd\nCapabilityBoundingSet=~CAP_SYS_TIME\n"
        "User=systemd-timesync\nStateDirectory=systemd/timesync\n"
        "RuntimeDirectory=systemd/timesync\n",
    UNITS + "broker.service": "[Service]\nExecStart=%s -c /etc/broker.conf\n" % MOSQUITTO,
    UNITS + "test.target": "[Unit]\nWants=scene.service dbus.socket systemd-journald.service\n",
    UNITS + "scene.service":
        "[Unit]\nAfter=dbus.socket systemd-journald.service\n[Service]\nType=oneshot\n"
        "TimeoutStartSec=%ds\nStandardOutput=file:/scene.log\nStandardError=file:/scene.log\n"
        "ExecStart=/usr/bin/python3 /boot_test.py --scene\n"
        "ExecStopPost=/bin/systemctl poweroff --no-block\n" % BOOT_MAX,
}

# The first process: its own /proc, /sys, /run, /tmp, /dev, and the old root gone.
BOOT = """set -e
mount --bind "$1" "$1"; cd "$1"
mount -t proc proc proc; mount -t sysfs -o ro sysfs sys; mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run; mount -t tmpfs tmpfs tmp; mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
  touch dev/$name; mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm; mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd; mount -t tmpfs tmpfs dev/shm
mkdir -p .old; pivot_root . .old; umount -l .old
exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin %s --system --unit=test.target
""" % SYSTEMD


# ---- inside, started by systemd ------------------------------------------------------------------

def systemctl(*args):
    return subprocess.run(["systemctl", *args], timeout=WAIT, check=False).returncode


def shown():
    names = "ActiveState,NRestarts,MainPID,Result,StatusText"
    text = subprocess.run(["systemctl", "show", "holdfastd", "-p", names], text=True, check=True,
                          capture_output=True, timeout=WAIT).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def until(condition):
    """What systemd shows once `condition` holds for it, or at the end of patience."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end and not condition(shown()):
        time.sleep(0.1)
    return shown()


def holdfast(*args, groups=None):
    command = ["holdfast", *args, "--socket", SOCKET]
    if groups is not None:
        groups = "--groups=" + groups if groups else "--clear-groups"
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", groups, *command]
    return subprocess.run(command, timeout=WAIT, check=False).returncode


def doctor(*words):
    """What it finds of the machine, by check."""
    only = [word for check in ("unit", "watchdog", "time_sync") for word in ("--only", check)]
    done = subprocess.run(["holdfast", "doctor", "/etc/holdfast/holdfast.toml", "--json", *only, *words],
                          timeout=WAIT, check=False, capture_output=True, text=True)
    return {one["check"]: one for one in json.loads(done.stdout)["checks"]}


def examine(seen):
    """A machine in several states, and what the doctor says of each."""
    systemctl("enable", "holdfastd")
    seen["doctor_well"] = doctor()
    systemctl("start", "broken")
    seen["doctor_failed"] = doctor("--unit", "broken.service")
    seen["doctor_none"] = doctor("--unit", "none.service")
    seen["timesyncd"] = systemctl("start", "timesyncd")
    # A simple service counts as started before its program has begun.
    end = time.monotonic() + WAIT
    while True:
        seen["doctor_timed"] = doctor()
        if seen["doctor_timed"]["time_sync"]["figures"]["services"] or time.monotonic() > end:
            break
        time.sleep(0.1)
    systemctl("stop", "timesyncd")


def mark(path):
    about = os.stat(path)
    owner = pwd.getpwuid(about.st_uid).pw_name, grp.getgrgid(about.st_gid).gr_name
    return [about.st_ino, oct(stat.S_IMODE(about.st_mode)), *owner]


def early_publisher():
    """A member of the group who is there before the agent is."""
    return subprocess.Popen(["setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=holdfast",
                             "holdfast", "publish", "a/b", "early", "--wait", "delivered",
                             "--socket", SOCKET])


def activate(seen):
    """The socket unit: before the service, through its restarts and without it."""
    seen["socket_start"] = systemctl("start", "holdfastd.socket")
    seen["socket_file"] = mark(SOCKET)
    seen["socket_before"] = shown()
    seen["socket_early"] = early_publisher().wait(WAIT)  # starts it
    seen["socket_active"] = until(lambda now: now["ActiveState"] == "active")
    # Clients come all the time, one after the other, while it is started anew: by order, by a crash.
    served, refused, over = [0], [], threading.Event()
    def come():
        while not over.is_set():
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(WAIT)
                try:
                    client.connect(SOCKET)
                except OSError as error:
                    refused.append(str(error))
                    continue
                try:
                    client.sendall(b'{"op":"ping","id":1}\n')
                    served[0] += bool(client.recv(4096))
                except OSError:
                    pass  # let in, and cut off by the restart: it comes again
    visitor = threading.Thread(target=come)
    visitor.start()
    seen["socket_restart"] = systemctl("restart", "holdfastd")
    os.kill(int(shown()["MainPID"]), 9)
    seen["socket_killed"] = until(lambda now: now["NRestarts"] == "1" and now["ActiveState"] == "active")
    before = served[0]
    end = time.monotonic() + WAIT
    while served[0] < before + 10 and time.monotonic() < end:
        time.sleep(0.1)
    over.set()
    visitor.join()
    seen["socket_served"], seen["socket_refused"] = served[0] - before, refused
    # Only the service is stopped: who comes starts it again.
    seen["socket_stop"] = systemctl("stop", "holdfastd")
    seen["socket_kept"] = mark(SOCKET)
    seen["socket_again"] = early_publisher().wait(WAIT)
    # Both are: nobody listens, and the service alone makes the socket itself.
    seen["socket_gone"] = systemctl("stop", "holdfastd.socket", "holdfastd"), os.path.exists(SOCKET)
    seen["socket_alone"] = systemctl("start", "holdfastd"), early_publisher().wait(WAIT)
    seen["socket_own"] = mark(SOCKET)
    systemctl("stop", "holdfastd")


def stop_slowly(seen):
    """Its disk does not answer any more, so the stop takes all the time that it may take."""
    from frozen import Frozen
    seen["slow_start"] = systemctl("start", "holdfastd")
    seen["slow_publish"] = holdfast("publish", "a/b", "kept", "--wait", "delivered")
    began = time.monotonic()
    frozen = Frozen(int(shown()["MainPID"]), "hf-storage")
    frozen.__enter__()
    stop = subprocess.Popen(["systemctl", "stop", "holdfastd"])
    while not frozen.buried() and time.monotonic() < began + WAIT:
        time.sleep(0.05)
    seen["slow_stop"] = stop.wait(WAIT)
    seen["slow_seconds"] = time.monotonic() - began
    seen["slow_stopped"] = shown()


def scene():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["systemd-sysusers"], check=True)
    seen = {"doctor_fresh": doctor(),
            "start": systemctl("start", "holdfastd"),
            "accepted": holdfast("publish", "a/b", "hello", "--wait", "accepted"),
            "offline": until(lambda now: now["StatusText"].startswith("offline"))}
    time.sleep(2.5 * LIMIT)
    seen["still_offline"] = shown()
    systemctl("start", "broker")
    seen["connected"] = until(lambda now: now["StatusText"].startswith("connected"))
    seen["delivered"] = holdfast("publish", "a/b", "hello", "--wait", "delivered")
    examine(seen)
    seen["stranger"] = holdfast("status", groups="")
    seen["member"] = holdfast("status", groups="holdfast")
    seen["reload"] = systemctl("reload", "holdfastd")
    seen["reloaded"] = until(lambda now: now["ActiveState"] == "active")
    pid = seen["reloaded"]["MainPID"]
    with open("/proc/%s/status" % pid, encoding="utf-8") as file:
        seen["process"] = dict(line.rstrip().split(":\t", 1) for line in file if ":\t" in line)
    os.kill(int(pid), 19)  # SIGSTOP
    seen["bitten"] = until(lambda now: now["NRestarts"] == "1" and now["ActiveState"] == "active")
    seen["doctor_bitten"] = doctor()
    # Crashes as fast as systemd starts it again, after the bite.
    for restarts in range(2, 6):
        os.kill(int(shown()["MainPID"]), 11)  # SIGSEGV
        seen["crashed"] = until(lambda now: now["NRestarts"] == str(restarts) and
                                now["ActiveState"] == "active")
    seen["safe"] = until(lambda now: "Safe mode" in now["StatusText"] and
                         now["StatusText"].startswith("connected"))
    seen["safe_publish"] = holdfast("publish", "a/b", "hello")
    seen["safe_end"] = holdfast("safe-mode", "--end")
    seen["usual"] = until(lambda now: "Safe mode" not in now["StatusText"] and
                          now["StatusText"].startswith("connected") and
                          now["ActiveState"] == "active")
    seen["usual_publish"] = holdfast("publish", "a/b", "hello", "--wait", "delivered")
    seen["stop"] = systemctl("stop", "holdfastd")
    seen["stopped"] = shown()
    seen["doctor_stopped"] = doctor()
    activate(seen)
    stop_slowly(seen)
    seen["journal"] = subprocess.run(["journalctl", "-o", "cat", "--no-pager"], text=True, check=True,
                                     capture_output=True, timeout=WAIT).stdout
    entries = subprocess.run(["journalctl", "-o", "json", "--no-pager", "SYSLOG_IDENTIFIER=holdfastd"],
                             text=True, check=True, capture_output=True, timeout=WAIT).stdout
    seen["entries"] = [json.loads(line) for line in entries.splitlines()]
    # It runs when the machine is shut down at the end of this script.
    seen["start_again"] = systemctl("start", "holdfastd")
    with open("/scene.json", "w", encoding="utf-8") as file:
        json.dump(seen, file)


# ---- outside -------------------------------------------------------------------------------------

def cgroup2():
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return next((line.split()[1] for line in file if line.split()[2] == "cgroup2"), None)


def remove_cgroup(path):
    """The kernel may still be busy with the last of its processes."""
    end = time.monotonic() + WAIT
    while os.path.exists(path):
        try:
            for folder, _, _ in os.walk(path, topdown=False):
                os.rmdir(folder)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def furnish(root, bin_dir):
    """Brings programs, unit and configuration into the tree."""
    for name, text in FILES.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    for source, target in ((bin_dir + "/holdfastd", "usr/bin"), (bin_dir + "/holdfast", "usr/bin"),
                           (HERE + "/holdfastd.service", UNITS), (__file__, ""),
                           (HERE + "/holdfastd.socket", UNITS), (AGENT + "/frozen.py", ""),
                           (HERE + "/sysusers.conf", "usr/lib/sysusers.d/holdfast.conf")):
        shutil.copy(source, os.path.join(root, target))


def boot(bring, folder, group):
    """In a mount namespace of its own: systemd from its start to its end; prints what was seen.
    `bring` puts into a tree what its scene needs."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    for name in ("upper", "work", "root"):
        os.mkdir(os.path.join(folder, name))
    root = folder + "/root"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=/,upperdir=%s/upper,"
                    "workdir=%s/work" % (folder, folder), root], check=True)
    bring(root)
    with open(group + "/cgroup.procs", "w", encoding="ascii") as file:
        file.write("0")
    subprocess.run(["unshare", "-m", "-p", "-f", "-n", "-u", "-i", "-C", "--kill-child",
                    "--propagation", "private", "bash", "-c", BOOT, "boot", root],
                   stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False, timeout=BOOT_MAX)
    with open(root + "/scene.log", encoding="utf-8") as file:
        sys.stderr.write(file.read())
    with open(root + "/scene.json", encoding="utf-8") as file:
        seen = json.load(file)
    with open(root + "/var/lib/holdfast/outbox/boot", encoding="utf-8") as file:
        seen["boot_record"] = file.read().splitlines()
    json.dump(seen, sys.stdout)


def booted(program, what):
    """What the scene of `program --boot WHAT FOLDER CGROUP` has seen."""
    group = os.path.join(cgroup2(), "holdfast-boot-%d" % os.getpid())
    os.mkdir(group)
    try:
        with tempfile.TemporaryDirectory(prefix="hf-boot-") as folder:
            done = subprocess.run(
                ["unshare", "-m", "--propagation", "private", sys.executable, "-B", program,
                 "--boot", what, folder, group], capture_output=True, text=True, check=False,
                timeout=BOOT_MAX + WAIT)
    finally:
        remove_cgroup(group)
    if done.returncode != 0:
        raise AssertionError("systemd's run gave nothing:\n" + done.stderr[-3000:])
    return json.loads(done.stdout)


class Boot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seen = booted(__file__, BIN)

    def active(self, name, restarts=0):
        now = self.seen[name]
        self.assertEqual((now["ActiveState"], now["NRestarts"]), ("active", str(restarts)), now)
        return now["StatusText"]

    def test_it_starts_and_accepts_without_a_network_and_says_why_it_is_offline(self):
        self.assertEqual((self.seen["start"], self.seen["accepted"]), (0, 0), self.seen["journal"])
        self.assertIn("offline, tcp_refused: ", self.active("offline"))

    def test_an_outage_longer_than_the_watchdogs_limit_ends_nothing(self):
        self.assertIn("offline, ", self.active("still_offline"))

    def test_it_connects_and_delivers_within_its_sandbox(self):
        self.assertIn("connected to ", self.active("connected"))
        self.assertEqual(self.seen["delivered"], 0)
        process = self.seen["process"]
        self.assertEqual((int(process["CapEff"], 16), int(process["CapBnd"], 16)), (0, 0))
        self.assertEqual((process["NoNewPrivs"], process["Seccomp"]), ("1", "2"))
        self.assertNotIn("0", process["Uid"].split())

    def test_the_local_api_is_for_members_of_the_group(self):
        self.assertEqual((self.seen["stranger"], self.seen["member"]), (3, 0))

    def test_a_reload_keeps_the_process(self):
        self.assertEqual(self.seen["reload"], 0)
        self.active("reloaded")
        self.assertEqual(self.seen["reloaded"]["MainPID"], self.seen["connected"]["MainPID"])
        self.assertIn("configuration read again", self.seen["journal"])

    def test_a_process_that_stands_still_is_bitten_and_started_again(self):
        self.active("bitten", restarts=1)
        self.assertIn("Watchdog timeout", self.seen["journal"])
        self.assertIn("last run was cut off", self.seen["journal"])

    def test_a_crash_loop_ends_in_safe_mode_which_is_left_without_a_restart(self):
        self.assertIn("Safe mode: it ended 5 times in 600 s", self.active("safe", restarts=5))
        self.assertEqual((self.seen["safe_publish"], self.seen["safe_end"]), (1, 0))
        self.assertNotIn("Safe mode", self.active("usual", restarts=5))
        self.assertEqual(self.seen["usual"]["MainPID"], self.seen["safe"]["MainPID"])
        self.assertEqual(self.seen["usual_publish"], 0)

    def test_the_journal_has_its_fields(self):
        entries = self.seen["entries"]
        offline = next(e for e in entries if e.get("HOLDFAST_VERDICT") == "tcp_refused")
        self.assertEqual((offline["PRIORITY"], offline["HOLDFAST_AREA"], offline["HOLDFAST_STATE"]),
                         ("4", "connection", "waiting"))
        self.assertTrue(offline["MESSAGE"].startswith("connection: offline: tcp_refused: "), offline)
        self.assertEqual((offline["_TRANSPORT"], offline["_SYSTEMD_UNIT"]),
                         ("journal", "holdfastd.service"))
        self.assertIn("HOLDFAST_ENDPOINT", offline)
        self.assertTrue(any(e["HOLDFAST_AREA"] == "outbox" for e in entries))

    def found(self, scene_name, check, result, words, advice=""):
        one = self.seen["doctor_" + scene_name][check]
        self.assertEqual(one["result"], result, one)
        self.assertIn(words, one["found"])
        self.assertIn(advice, one.get("advice", ""))

    def test_the_doctor_sees_the_unit_as_it_is(self):
        self.found("fresh", "unit", "warning", "holdfastd.service is not enabled",
                   "systemctl enable holdfastd.service")
        self.found("well", "unit", "ok", "holdfastd.service: active, enabled, Restart=always, "
                   "WatchdogSec=%ds, 0 restarts" % LIMIT)
        self.found("bitten", "unit", "ok", "WatchdogSec=%ds, 1 restarts" % LIMIT)
        self.found("stopped", "unit", "warning", "holdfastd.service does not run", "systemctl start")
        self.found("failed", "unit", "failed", "broken.service has failed", "journalctl -u broken")
        self.found("none", "unit", "warning", "there is no unit none.service", "--unit")

    def test_the_doctor_sees_who_keeps_the_time_and_whose_the_watchdog_is(self):
        self.assertEqual(self.seen["timesyncd"], 0)
        for scene_name, services in (("well", []), ("timed", ["systemd-timesyncd"])):
            time_sync = self.seen["doctor_" + scene_name]["time_sync"]
            self.assertEqual(time_sync["figures"]["services"], services, time_sync)
        if not time_sync["figures"]["synchronized"]:  # as this machine's kernel says
            self.found("well", "time_sync", "warning", "no time service runs", "start systemd-timesyncd")
            self.found("timed", "time_sync", "warning",
                       "systemd-timesyncd runs, but the clock is not synchronized yet", "timedatectl")
        if not glob.glob("/sys/class/watchdog/*"):
            self.found("well", "watchdog", "not_applicable", "a container; the watchdog is the host's")

    def test_a_client_that_comes_first_starts_it_through_the_socket_unit_and_is_served(self):
        seen = self.seen
        self.assertEqual(seen["socket_start"], 0, seen["journal"])
        self.assertEqual(seen["socket_file"][1:], ["0o660", "holdfast", "holdfast"])
        self.assertEqual(seen["socket_before"]["ActiveState"], "inactive")
        self.assertEqual(seen["socket_early"], 0, seen["journal"])
        self.active("socket_active")
        self.assertIn("serves the service manager's socket holdfastd.socket (%s)" % SOCKET,
                      seen["journal"])

    def test_with_the_socket_unit_no_attempt_is_lost_by_a_restart_a_crash_or_a_stop(self):
        seen = self.seen
        self.assertEqual(seen["socket_restart"], 0)
        self.active("socket_killed", restarts=1)
        self.assertEqual(seen["socket_refused"], [])
        self.assertGreaterEqual(seen["socket_served"], 10)
        self.assertEqual(seen["socket_stop"], 0)
        self.assertEqual(seen["socket_kept"], seen["socket_file"], "another file, or other rights")
        self.assertEqual(seen["socket_again"], 0)

    def test_without_the_socket_unit_it_makes_the_same_file_itself(self):
        self.assertEqual(self.seen["socket_gone"], [0, False])
        self.assertEqual(self.seen["socket_alone"], [0, 0])
        self.assertEqual(self.seen["socket_own"][1:], self.seen["socket_file"][1:])

    def test_a_stop_longer_than_the_units_limit_is_waited_for(self):
        seen = self.seen
        self.assertEqual((seen["slow_start"], seen["slow_publish"], seen["slow_stop"]), (0, 0, 0))
        self.assertGreater(seen["slow_seconds"], STOP_LIMIT + 1)
        self.assertLess(seen["slow_seconds"], STOP_DEADLINE + WAIT)
        stopped = seen["slow_stopped"]
        self.assertEqual((stopped["ActiveState"], stopped["Result"]), ("inactive", "success"), stopped)
        self.assertNotIn("State 'stop-sigterm' timed out", seen["journal"])

    def test_it_notes_that_the_machine_is_shut_down(self):
        self.assertEqual(self.seen["start_again"], 0)
        record = self.seen["boot_record"]
        self.assertIn("run ended", record)
        self.assertIn("note command systemd: poweroff.target", record)

    def test_it_stops_in_order(self):
        self.assertEqual(self.seen["stop"], 0)
        stopped = self.seen["stopped"]
        self.assertEqual((stopped["ActiveState"], stopped["Result"]), ("inactive", "success"))
        self.assertIn("stopped; messages waiting", self.seen["journal"])


def missing():
    """Why this cannot run here, or None."""
    if os.geteuid() != 0:
        return "this needs root"
    if not os.path.exists(SYSTEMD) or not os.path.exists(MOSQUITTO):
        return "this needs systemd and mosquitto"
    if cgroup2() is None:
        return "cgroup2 is not mounted"
    probe = subprocess.run(["unshare", "-m", "-p", "-f", "-n", "-C", "--kill-child", "true"],
                           capture_output=True, check=False)
    return None if probe.returncode == 0 else "namespaces cannot be made here"


if __name__ == "__main__":
    if sys.argv[1] == "--scene":
        scene()
    elif sys.argv[1] == "--boot":
        boot(lambda root: furnish(root, sys.argv[2]), *sys.argv[3:])
    else:
        BIN = os.path.abspath(sys.argv.pop(1))
        if missing():
            print("skipped: " + missing())
            sys.exit(SKIPPED)
        unittest.main(verbosity=2)

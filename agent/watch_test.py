#!/usr/bin/env python3
"""`holdfast watch` with real programs: that crash, hang, fall silent, will not end, leave others behind.

Goal:   what docs/holdfast.1.md says of watch: started again with growing delays, given up where that
        is limited, ended in order, nothing left behind, the exit code kept, the agent told.
Method: programs of sh and Python, each of which writes down that it was started.
Usage:  watch_test.py BIN_DIR [unittest arguments]
"""
import os
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import Lab, free_port, wait_until  # noqa: E402

QUICK = ("--backoff-cap", "50ms")
# Beats until the file "quiet" is there.
BEATING = """
import os, socket, sys, time
assert os.environ["WATCHDOG_PID"] == str(os.getpid()), "sd_watchdog_enabled"
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0"))
open("starts", "a").write("x\\n")
while True:
    if not os.path.exists("quiet"):
        s.send(b"READY=1\\nWATCHDOG=1\\n")
    time.sleep(0.05)
"""
# Listens for a second; then no more, and goes on.
SERVING = """
import socket, sys, time
open("starts", "a").write("x\\n")
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(1)
s.close()
time.sleep(600)
"""


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Watch(Lab):
    def watch(self, *args):
        """Started, with its output in files."""
        with open(self.path("out"), "ab") as out, open(self.path("err"), "ab") as err:
            return self.start(agent_test.BIN + "/holdfast", "--socket", self.socket, "watch", *QUICK,
                              *args, stdout=out, stderr=err, cwd=self.dir)

    def shell(self, script, *options):
        return self.watch(*options, "--", "sh", "-c", "echo x >>starts; " + script)

    def text(self, name):
        if not os.path.exists(self.path(name)):
            return ""
        with open(self.path(name)) as f:
            return f.read()

    def starts(self):
        return self.text("starts").count("x")

    def until_started(self, times):
        wait_until("it is started %d times" % times, lambda: self.starts() >= times)

    def pids(self, count):
        """Those that the program has written down."""
        wait_until("%d processes" % count, lambda: self.text("pids").count("\n") >= count)
        return [int(line) for line in self.text("pids").split()]

    def ends(self, child):
        return child.wait(timeout=agent_test.WAIT)

    def test_one_that_ends_is_started_again_and_the_last_code_kept_when_it_is_given_up(self):
        child = self.shell("exit 7", "--restarts", "3")
        self.assertEqual(self.ends(child), 7)
        self.assertEqual(self.starts(), 4)
        self.assertIn("sh ended with 7; started again in 0.1 s", self.text("err"))
        self.assertIn("it was started again 3 times within 600 s, and is given up",
                      self.text("err"))

    def test_one_that_is_killed_has_its_signals_code(self):
        child = self.shell("kill -SEGV $$", "--restarts", "1")
        self.assertEqual(self.ends(child), 128 + signal.SIGSEGV)

    def test_a_success_may_be_the_end(self):
        child = self.shell("test $(wc -l <starts) = 3", "--until-success")
        self.assertEqual(self.ends(child), 0)
        self.assertEqual(self.starts(), 3)

    def test_a_stop_is_passed_on_waited_for_and_its_code_kept(self):
        child = self.shell("trap 'echo bye; exit 5' TERM; echo $$ >>pids; sleep 600 & wait")
        pid = self.pids(1)[0]
        child.send_signal(signal.SIGTERM)
        self.assertEqual(self.ends(child), 5)
        self.assertFalse(alive(pid))
        self.assertEqual(self.text("out"), "bye\n")
        self.assertEqual(self.starts(), 1)

    def test_one_that_does_not_end_is_killed(self):
        child = self.shell("trap '' TERM; echo $$ >>pids; while :; do sleep 1; done",
                           "--stop-within", "200ms")
        pid = self.pids(1)[0]
        child.send_signal(signal.SIGINT)
        self.assertEqual(self.ends(child), 128 + signal.SIGKILL)
        self.assertFalse(alive(pid))
        self.assertIn("does not end; it is killed", self.text("err"))

    def test_a_second_stop_kills_at_once(self):
        child = self.shell("trap 'echo told >>told' TERM; while :; do sleep 0.1; done",
                           "--stop-within", "10m")
        self.until_started(1)
        child.send_signal(signal.SIGTERM)
        wait_until("it is told", lambda: self.text("told"))
        child.send_signal(signal.SIGTERM)
        self.assertEqual(self.ends(child), 128 + signal.SIGKILL)

    def test_nothing_is_left_behind_between_two_runs_and_at_the_end(self):
        # In the group; in a session of its own; and one whose parent has gone.
        child = self.shell("for s in '' setsid; do $s sh -c 'echo $$ >>pids; sleep 600' & done; "
                           "(setsid sh -c 'echo $$ >>pids; sleep 600; sleep 600' &); "
                           "while test $(wc -l <pids) -lt 3; do sleep 0.02; done; exit 1",
                           "--restarts", "1")
        self.assertEqual(self.ends(child), 1)
        self.assertEqual(self.starts(), 2)
        for pid in self.pids(3):
            self.assertFalse(alive(pid), pid)

    def test_orphans_are_reaped_while_the_program_runs(self):
        child = self.shell("for i in 1 2 3; do (sh -c 'echo $$ >>pids' &); done; sleep 600")
        pids = self.pids(3)
        wait_until("no zombie", lambda: not any(os.path.exists("/proc/%d" % p) for p in pids))
        child.send_signal(signal.SIGTERM)
        self.assertEqual(self.ends(child), 128 + signal.SIGTERM)

    def test_one_that_writes_nothing_is_started_again_and_one_that_writes_is_not(self):
        child = self.shell("if test $(wc -l <starts) -lt 3; then echo once; sleep 600; fi; "
                           "while :; do echo on >&2; sleep 0.05; done",
                           "--output-within", "1500ms", "--first-sign", "1500ms")
        self.until_started(3)
        wait_until("it goes on", lambda: self.text("err").count("on\n") > 50)
        self.assertEqual(self.starts(), 3)
        self.assertEqual(self.text("out"), "once\nonce\n")
        self.assertIn("is stuck: no output for ", self.text("err"))
        child.send_signal(signal.SIGTERM)
        self.ends(child)

    def test_output_passes_unchanged(self):
        script = "head -c 2000000 /dev/urandom >said; cat said; printf oops >&2"
        child = self.watch("--until-success", "--output-within", "20s", "--", "sh", "-c", script)
        self.assertEqual(self.ends(child), 0)
        with open(self.path("said"), "rb") as a, open(self.path("out"), "rb") as b:
            self.assertTrue(a.read() == b.read())
        self.assertTrue(self.text("err").startswith("oops"))

    def test_a_reader_that_stands_still_is_not_the_programs_silence(self):
        child = subprocess.Popen([agent_test.BIN + "/holdfast", "watch", "--output-within", "300ms",
                                  "--", "sh", "-c", "echo x >>starts; yes"], cwd=self.dir,
                                 stdout=subprocess.PIPE)
        self.children.append(child)
        child.stdout.read(100)
        with self.assertRaises(subprocess.TimeoutExpired):
            child.wait(timeout=2)
        self.assertEqual(self.starts(), 1)
        child.send_signal(signal.SIGTERM)
        self.ends(child)

    def test_one_whose_heartbeat_stops_is_started_again(self):
        child = self.watch("--heartbeat-within", "1s", "--", sys.executable, "-c", BEATING)
        self.until_started(1)
        with self.assertRaises(subprocess.TimeoutExpired):
            child.wait(timeout=2)
        self.assertEqual(self.starts(), 1, self.text("err"))
        self.write("quiet", "")
        wait_until("it is noticed", lambda: "is stuck: no heartbeat for " in self.text("err"))
        os.unlink(self.path("quiet"))
        self.until_started(2)
        child.send_signal(signal.SIGTERM)
        self.ends(child)

    def test_one_whose_port_does_not_answer_is_started_again(self):
        port = str(free_port())
        child = self.watch("--port", port, "--port-within", "500ms", "--", sys.executable, "-c",
                           SERVING, port)
        self.until_started(2)
        self.assertIn("is stuck: no answer at its port for ", self.text("err"))
        child.send_signal(signal.SIGTERM)
        self.ends(child)

    def test_one_that_cannot_be_run_is_a_mistake_at_first(self):
        self.assertEqual(self.ends(self.watch("--", "/no/such/program")), 127)
        self.assertEqual(self.ends(self.watch("--", "/dev/null")), 126)
        self.assertIn("cannot run /no/such/program", self.text("err"))
        self.one_line_error(self.cli("watch", "--port", "x", "--", "true"), 2, "--port")

    def test_other_signals_reach_the_program(self):
        child = self.shell("trap 'echo hup >>told' HUP; while :; do sleep 0.05; done")
        self.until_started(1)

        def told():
            child.send_signal(signal.SIGHUP)  # one that comes before the trap ends it
            return self.text("told")
        wait_until("it is told", told)
        child.send_signal(signal.SIGTERM)
        self.ends(child)

    def test_when_watch_is_killed_the_program_is_told_to_end(self):
        child = self.shell("trap 'echo told >>told; exit' TERM; echo $$ >>pids; "
                           "while :; do sleep 0.05; done")
        pid = self.pids(1)[0]
        child.kill()
        wait_until("it ends", lambda: not alive(pid))
        self.assertEqual(self.text("told"), "told\n")

    def test_the_agent_hears_of_it_and_of_its_end(self):
        self.agent()
        child = self.shell("sleep 600", "--name", "pump")

        def names():
            return [(one["name"], one["phase"]) for one in self.status()["heartbeats"]]
        wait_until("it beats", lambda: names() == [("pump", "beating")])
        child.send_signal(signal.SIGTERM)
        self.ends(child)
        self.assertEqual(names(), [])

    def test_one_that_is_given_up_is_left_to_be_missed(self):
        self.agent()
        child = self.shell("sleep 0.5; exit 1", "--name", "pump", "--restarts", "1")
        self.assertEqual(self.ends(child), 1)
        self.assertEqual([one["name"] for one in self.status()["heartbeats"]], ["pump"])


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

#!/usr/bin/env python3
"""holdfastd keeps private keys to itself: no core dump, nobody who looks in, nothing in swap.

Goal:   what docs/security.md says of a private key in memory.
Method: real agents are killed by a signal that leaves a core dump; the kernel says whether it did.
Usage:  keys_test.py BIN_DIR [unittest arguments]
"""
import os
import resource
import signal
import sys
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import Lab, wait_until  # noqa: E402


def any_size():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def locked_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmLck:"))


NOBODY = 65534


def become_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


class Keys(Lab):
    def run_agent(self, *options, before=any_size):
        with open(self.path("agent.log"), "a") as log:
            agent = self.start(self.program_for_all("holdfastd"), "--config", self.config(), *options,
                               stderr=log, cwd=self.dir, preexec_fn=before)
        wait_until("the local API answers", lambda: os.path.exists(self.socket))
        return agent

    def give_to_nobody(self):
        for folder, _, files in os.walk(self.dir):
            for name in [folder, *(os.path.join(folder, file) for file in files)]:
                os.chown(name, NOBODY, NOBODY)
        os.chmod(self.certs, 0o755)
        os.chmod(os.path.join(self.certs, "device.key"), 0o644)

    def dumped(self, *options):
        """What the kernel says of a core dump of an agent that crashed."""
        agent = self.run_agent(*options)
        agent.send_signal(signal.SIGABRT)
        _, status = os.waitpid(agent.pid, 0)
        agent.returncode = -os.WTERMSIG(status)
        os.unlink(self.socket)
        self.assertEqual(os.WTERMSIG(status), signal.SIGABRT)
        return os.WCOREDUMP(status)

    def test_no_core_dump_unless_it_is_allowed(self):
        self.assertFalse(self.dumped())
        if not self.dumped("--allow-core-dumps"):
            self.skipTest("this machine writes no core dumps at all")

    def test_nobody_else_of_the_same_user_looks_in(self):
        if os.geteuid() != 0:
            agent = self.run_agent()
            with self.assertRaises(PermissionError):
                open("/proc/%d/mem" % agent.pid, "rb")
            return
        self.give_to_nobody()
        agent = self.run_agent(before=become_nobody)
        other = os.fork()
        if other == 0:
            become_nobody()
            try:
                open("/proc/%d/mem" % agent.pid, "rb")
            except PermissionError:
                os._exit(0)
            os._exit(1)
        self.assertEqual(os.waitpid(other, 0)[1], 0, "it could be opened")

    def test_keys_are_in_locked_memory_and_where_that_is_forbidden_it_is_said(self):
        self.broker()
        agent = self.run_agent()
        self.until_state("connected")
        self.assertGreaterEqual(locked_kib(agent.pid), 64)
        self.assertNotIn("cannot be locked", self.agent_log())
        agent.kill()
        agent.wait()
        os.unlink(self.socket)

        def forbidden():
            if os.geteuid() == 0:  # for whom there is no limit
                become_nobody()
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))

        if os.geteuid() == 0:
            self.give_to_nobody()
        agent = self.run_agent(before=forbidden)
        self.until_state("connected")
        self.assertIn("the memory for private keys cannot be locked", self.agent_log())


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main()

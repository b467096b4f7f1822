"""tools/torture io: single system calls of the real agent fail, fall short, or take long.

strace attaches to the running agent, or starts it, and makes its reads, writes and syncs fail: the n-th one
only, or all of them until strace leaves. Short writes are made by lab/sabotage.cpp. Then the fault is
over, and the agent must accept again by itself. In half of the rounds it is killed on top.
"""

import os
import pathlib
import subprocess
import time

from tool import programs
from tool.place import Trouble
from tool.programs import Programs, end, start
import torture_agent

RECOVERY = 20       # seconds in which the agent accepts again; its own retry comes after 1, 2, 4 s
FAULTS = (
    ("write_eio", "pwrite64:error=EIO"),
    ("write_enospc", "pwrite64:error=ENOSPC"),
    ("write_edquot", "pwrite64:error=EDQUOT"),
    ("read_eio", "pread64:error=EIO"),
    ("sync_eio", "fdatasync:error=EIO"),
    ("sync_enospc", "fdatasync:error=ENOSPC"),
    ("open_emfile", "openat:error=EMFILE"),
    ("slow_write", "pwrite64:delay_enter=30000"),
    ("slow_sync", "fdatasync:delay_exit=400000"),
)


class Victim(torture_agent.Victim):
    sabotage = "deaf"

    def __init__(self, number, options, folder, port):
        super().__init__(number, options, folder, port)
        self.self_test = options.self_test
        self.tracer = None

    def fault(self):
        name, rule = self.random.choice(FAULTS[:2] if self.self_test else FAULTS)
        once = self.random.random() < 0.5
        when = self.random.randrange(1, 6 if once else 4)
        return name + ("_once" if once else "_on"), f"{rule}:when={when}{'' if once else '+'}"

    def run_once(self):
        self.tally.count += 1
        kind = self.random.random()
        if kind < 0.15 and not self.self_test:
            self.fault_at_start()
        else:
            self.fault_while_running(short=kind < 0.3 and not self.self_test)

    def fault_at_start(self):
        """Opening and recovery meet the fault; the agent may give up with a reason, not by signal."""
        name, rule = self.fault()
        self.agent.command = [*self.trace(rule), Programs.system("setpriv"), "--pdeathsig", "KILL",
                              "--"]
        self.agent.start()
        if self.connect(time.monotonic() + 3):
            self.publisher.work(time.monotonic() + 0.3, 8, 0.002)
        self.end_traced()
        self.agent.command = []
        self.publisher.drain()
        self.tally.cuts.append(time.time())
        self.tally.note(f"start_{name.rsplit('_', 1)[0]}")

    def end_traced(self):
        """Kills the agent below strace, which then ends, too."""
        tracer = self.agent.process
        tasks = pathlib.Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children")
        try:
            for child in tasks.read_text().split():
                os.kill(int(child), 9)
        except OSError:
            pass        # it has ended already
        try:
            status = tracer.wait(20)
        except subprocess.TimeoutExpired:
            tracer.kill()
            status = tracer.wait()
        # strace ends as its child did: 137 and -9 are our kill; others are the agent's own word.
        if status not in (0, -9, 137) and (status < 0 or status > 128):
            self.wrong(f"the agent died of signal, status {status}: {self.agent.last_words()}")

    def trace(self, rule):
        call = rule.split(":")[0]
        # Reads of the outbox only: the loader of programs reads, too.
        slots = self.agent.folder.glob("outbox/slot-*") if call == "pread64" else ()
        paths = [part for slot in slots for part in ("-P", slot)]
        return [Programs.system("strace"), "-f", "-qq", "-o", "/dev/null", *paths, "-e",
                f"trace={call}", "-e", f"inject={rule}"]

    def fault_while_running(self, short):
        preload = dict(self.agent.preload)
        if short:
            self.agent.preload.update(LD_PRELOAD=str(self.bin / "hf_sabotage.so"),
                                      HF_SABOTAGE="short")
            self.tally.note("short_writes")
        if self.begin_life(offline=self.random.random() < 0.2):
            self.publisher.work(time.monotonic() + self.random.uniform(0, 0.2), 16, 0.001)
            self.inject(*self.fault())
            self.recover()
        self.agent.preload = preload
        if self.random.random() < 0.5 or self.self_test:
            self.kill()
        else:
            status, seconds = self.agent.stop()
            if status != 0 or seconds > 10:
                self.wrong(f"SIGTERM: exit status {status} after {seconds:.1f} s")
            self.publisher.drain()
            self.tally.cuts.append(time.time())

    def inject(self, name, rule):
        tracer = start([*self.trace(rule), "-p", self.agent.process.pid],
                       stderr=subprocess.PIPE)
        self.tracer = tracer
        before = len(self.tally.book.accepted) + sum(self.tally.book.rejected.values())
        self.publisher.work(time.monotonic() + self.random.uniform(0.3, 1.5),
                            self.random.choice((1, 16, 64)), 0.001)
        if tracer.poll() is not None:
            raise Trouble(f"strace: {tracer.stderr.read().decode().strip()[-200:]}")
        end(tracer)
        tracer.stderr.close()
        if len(self.tally.book.accepted) + sum(self.tally.book.rejected.values()) == before:
            self.tally.note("rounds_without_an_answer_under_fault")
        self.tally.note(name)

    def recover(self):
        """The fault is over: the next acceptance must come by itself, with a broker or without."""
        accepted, end = self.accepted(), time.monotonic() + RECOVERY
        while self.accepted() <= accepted + 20:
            if time.monotonic() > end or not self.publisher.work(time.monotonic() + 0.05, 16, 0.01):
                self.wrong(f"accepts nothing {RECOVERY} s after the fault was over: "
                           f"{dict(self.tally.book.rejected)}; {self.agent.last_words()}")
                return

    def close(self):
        end(self.tracer)
        super().close()


def needs(_options):
    try:
        programs.run(Programs.system("strace"), "-qq", "-o", "/dev/null", "true")
    except Trouble as trouble:
        return f"strace does not work here: {trouble}"
    return None


def ledger_kind(_options):
    return "io-fault"


def run(options, folder, parts, view):
    return torture_agent.run(Victim, options, folder, parts, view)


def noticed(totals, problems):
    """Whether the self-test's broken promise was found."""
    return totals["lost"] > 0 or any("dropped although" in problem for problem in problems)

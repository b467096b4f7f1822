"""tools/torture soak: one life of the real agent, long and busy, in which nothing may grow.

Bout after bout the agent gets what wears a program out: publishers, a cable that is pulled, programs that
come, subscribe and vanish, requests that make no sense, reloads, signals. Between the bouts it comes to rest:
all delivered, every program gone. What it then holds (memory, descriptors, threads) must be what it held
before. Half of the run is for getting warm. The self-test lets programs stay that should have gone.
"""

import os
import pathlib
import signal
import socket
import threading
import time

import torture_agent
from torture_world import PREFIX, drained

BOUT = 3.0              # seconds at most
REST = 0.3              # seconds until what has ended is gone
OUTAGE = 0.4            # seconds at most; the agent tries again within half a second
PROGRAMS = 8            # at once, beside the publisher
MEMORY_GROWTH = 1.05    # of the first half's most at rest
MEMORY_SLACK = 512      # KiB
WRONG = (b"{}\n", b"no json\n", b'{"op":"publish"}\n', b'{"op":"dance"}\n', b"\xff\xfe\n", b'{"op":"sta')


class Cable(threading.Thread):
    """Carries each connection to the broker, until it is pulled."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ends, self.lock, self.pulled = set(), threading.Lock(), False

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                near.close()
                continue
            with self.lock:
                if self.pulled:
                    near.close()
                    far.close()
                    continue
                self.ends |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one, other):
        try:
            while data := one.recv(1 << 16):
                other.sendall(data)
        except OSError:
            pass
        for each in (one, other):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.lock:
            self.ends -= {one, other}

    def pull(self):
        with self.lock:
            self.pulled = True
            for each in self.ends:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def plug(self):
        with self.lock:
            self.pulled = False

    def close(self):
        self.pull()
        self.listener.close()


def held_by(pid):
    """Resident KiB, descriptors, threads."""
    proc = pathlib.Path(f"/proc/{pid}")
    lines = (proc / "status").read_text(encoding="ascii", errors="replace").splitlines()
    about = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return int(about["VmRSS"].split()[0]), len(os.listdir(proc / "fd")), int(about["Threads"])


class Victim(torture_agent.Victim):
    def __init__(self, number, options, folder, port):
        super().__init__(number, options, folder, port)
        self.agent.preload = {}
        self.leaks = options.self_test
        self.port = port
        self.cable = None
        self.programs, self.kept = [], []
        self.rests = []         # what was held at rest

    def begin(self):
        self.cable = Cable(self.port)
        self.cable.start()
        self.agent.port = self.cable.port
        self.agent.set_outbox(self.agent.folder / "outbox", "4MiB")
        self.begin_life()

    def run_once(self):
        until = time.monotonic() + self.random.uniform(0.2, BOUT)
        outage = None
        if self.random.random() < 0.5:
            outage = threading.Timer(self.random.uniform(0, OUTAGE), self.cable.plug)
            self.cable.pull()
            outage.start()
            self.tally.note("outages")
            # What was on its way may be sent again.
            self.tally.cuts.append(time.time())
        for _ in range(self.random.randrange(PROGRAMS)):
            self.program()
        if self.random.random() < 0.3:
            self.agent.process.send_signal(self.random.choice((signal.SIGHUP, signal.SIGUSR1)))
            self.tally.note("signals")
        if not self.publisher.work(until, self.random.choice((1, 8, 64)),
                                   self.random.choice((0, 0.002, 0.02))):
            raise RuntimeError(f"the agent has ended: {self.agent.last_words()}")
        if outage:
            outage.join()
        self.rest()
        self.tally.count += 1

    def program(self):
        """One that says something, and is forgotten."""
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(self.agent.socket))
        say = self.random.choice((b'{"op":"events"}\n', b'{"op":"status"}\n', *WRONG,
                                  b'{"op":"subscribe","filter":"' + f"{PREFIX}/{self.name}/#".encode() + b'"}\n'))
        try:
            one.sendall(say)
        except OSError:
            pass        # it was refused before
        self.programs.append(one)
        self.tally.note("programs")

    def rest(self):
        keep = self.programs[:1] if self.leaks else []
        for one in self.programs[len(keep):]:
            one.close()
        self.programs = []
        self.kept += keep
        if drained(self.publisher) is None:
            self.wrong(f"it does not come to rest: {self.agent.last_words()}")
        time.sleep(REST)
        self.rests.append(held_by(self.agent.process.pid))

    def finish(self):
        self.judge_rests()
        state = drained(self.publisher)
        status, seconds = self.agent.stop()
        if status != 0 or seconds > 10:
            self.wrong(f"SIGTERM: exit status {status} after {seconds:.1f} s")
        self.tally.ledger = state["ledger"] if state else None

    def judge_rests(self):
        half = len(self.rests) // 2
        if half < 5:
            self.wrong(f"{len(self.rests)} bouts prove nothing")
            return
        (memory, files, threads), then = (map(max, zip(*part)) for part in
                                          (self.rests[:half], self.rests[half:]))
        memory_then, files_then, threads_then = then
        self.tally.seen["kib_first_half"], self.tally.seen["kib_second_half"] = memory, memory_then
        self.tally.seen["descriptors"] = files_then
        if memory_then > memory * MEMORY_GROWTH + MEMORY_SLACK:
            self.wrong(f"memory grows: at most {memory} KiB at rest in the first half, then {memory_then}")
        if files_then > files or threads_then > threads:
            self.wrong(f"at rest at most {files} descriptors and {threads} threads in the first half, then "
                       f"{files_then} and {threads_then}")

    def close(self):
        super().close()
        if self.cable:
            self.cable.close()


def needs(_options):
    """Nothing but the packages."""
    return None


def ledger_kind(_options):
    return "soak"


def run(options, folder, parts, view):
    return torture_agent.run(Victim, options, folder, parts, view)


def noticed(_totals, problems):
    """Whether the self-test's programs that stay were found."""
    return any("descriptors" in problem for problem in problems)

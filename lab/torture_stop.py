"""tools/torture stop: SIGTERM to the real agent at random instants, again and again.

The lives are those of tools/torture kill, a third of them ended in the agent's start. Each must end with
exit status 0 within the deadline, and the next one must find that it ended in order. A process cannot end
while the kernel waits for a disk: how long the disk stood still is measured, and granted. The self-test
kills each agent before it has stopped.
"""

import os
import signal
import threading
import time

import torture_kill
from torture_kill import needs      # noqa: F401, the same

DEADLINE = 5.0      # seconds: timing.stop_deadline
SLACK = 2.0         # of a busy machine, to end a process


class DiskWatch(threading.Thread):
    """Writes and syncs a byte again and again, and knows when that took long."""
    LONG, PAUSE = 0.5, 0.1      # seconds

    def __init__(self, path):
        super().__init__(daemon=True)
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        self.stalls, self.since = [], None
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.PAUSE):
            self.since = time.monotonic()
            os.pwrite(self.file, b"x", 0)
            os.fsync(self.file)
            began, self.since = self.since, None
            if time.monotonic() - began > self.LONG:
                self.stalls.append((began, time.monotonic()))

    def stood_still(self, begin, end):
        """Seconds of that time."""
        since = self.since
        stalls = self.stalls + ([(since, end)] if since else [])
        return sum(max(0, min(end, b) - max(begin, a)) for a, b in stalls)

    def close(self):
        self.over.set()
        self.join()
        os.close(self.file)


class Victim(torture_kill.Victim):
    done = "stopped"
    disk = None         # of the run

    def __init__(self, number, options, folder, port):
        super().__init__(number, options, folder, port)
        self.hurried = options.self_test
        self.in_order = True        # the life before: seen running, then exit status 0
        self.ended_in_order = True  # this one

    def run_once(self):
        super().run_once()          # which looks at what the start found of the life before
        self.in_order = self.ended_in_order

    def look(self, known, state):
        super().look(known, state)
        if self.in_order and state["recovered_unclean"]:
            self.wrong("the life before had ended in order, and is not known to have")

    def end(self, began_well):
        if self.agent.process.poll() is not None:
            self.wrong(f"the agent ended by itself: {self.agent.last_words()}")
        if self.hurried:
            self.agent.process.terminate()
            self.agent.kill()
        status, seconds = self.agent.stop()
        self.tally.cuts.append(time.time())
        self.publisher.drain()
        # Before main() has begun nothing can be caught, nor is there anything to end.
        if status == -signal.SIGTERM and not began_well:
            self.tally.note("before_main")
        elif status != 0:
            self.wrong(f"SIGTERM: exit status {status}: {self.agent.last_words()}")
        now = time.monotonic()
        still = self.disk.stood_still(now - seconds, now)
        if seconds > DEADLINE + SLACK + still:
            self.wrong(f"SIGTERM: it took {seconds:.1f} s, of which the disk stood still {still:.1f} s")
        self.tally.note("within_100_ms" if seconds <= 0.1 else "within_1_s" if seconds <= 1 else
                        "longer_than_1_s")
        self.ended_in_order = began_well and status == 0


def ledger_kind(_options):
    return "stop"


def run(options, folder, parts, view):
    Victim.disk = DiskWatch(folder / "disk")
    parts.append(Victim.disk)
    Victim.disk.start()
    return torture_kill.run(options, folder, parts, view, Victim)


def noticed(_totals, problems):
    """Whether the self-test's broken promise was found."""
    return bool(problems)

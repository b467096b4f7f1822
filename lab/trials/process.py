"""Recommendation 3: manage the process."""
import errno
import os
import signal

from .account import words_of
from .scenario import STOP_MOST, NotApplicable, Scenario
from .site import REFUSED

NAME = "Manage the process"

# What a service manager waits for before it kills.
STOP_SECONDS = 10
ORDERLY_SECONDS = 5
# Acknowledgements that a killed program had not yet written down: its messages come again.
UNWRITTEN_SECONDS = 10
# The program is started again and has so long to do so.
RESTART_SECONDS = 15


def end_by(trial, number, seconds):
    """Sends the signal; how long the program took to end and its status, or None when it did not
    end in time."""
    known, begin = len(trial.program.exits), trial.bench.now()
    trial.note(f"{number.name} to the program")
    trial.program.signal(number)
    ended = trial.program.wait_exit(known, seconds)
    if ended is None:
        return None
    moment, status = ended
    return moment - trial.bench.began - begin, status


def kill(trial):
    """SIGKILL, and the program is started again."""
    if trial.broken is None:
        trial.broken = trial.bench.now()
    trial.unsure = UNWRITTEN_SECONDS
    starts = len(trial.program.starts)
    end_by(trial, signal.SIGKILL, STOP_SECONDS)
    trial.wait(lambda: len(trial.program.starts) > starts, RESTART_SECONDS)


def kill_in_traffic(trial):
    """Killed at moments of chance while messages go out."""
    chance = trial.bench.random
    for _ in range(trial.seconds("times")):
        trial.wait(lambda: trial.story.connected, trial.patience())
        trial.sleep(chance.uniform(0.5, 4))
        kill(trial)
    trial.heal()


def kill_in_outage(trial):
    """Killed while it has a backlog and no server."""
    trial.fault(REFUSED, "every connection is refused")
    trial.kick()
    for _ in range(trial.seconds("times")):
        trial.sleep(trial.bench.random.uniform(2, 5))
        kill(trial)
    trial.sleep(2)
    trial.heal()


def judge_stop(trial, ended):
    """Of SIGTERM; None: it was not over after STOP_MOST seconds."""
    if ended is None:
        trial.fail(f"did not end within {STOP_MOST} s of SIGTERM and had to be killed")
        end_by(trial, signal.SIGKILL, STOP_SECONDS)
        return
    took, status = ended
    trial.figure("ended after", took, "s", limit=STOP_SECONDS)
    trial.note(f"ended with {status} after {took:.1f} s")
    if took > STOP_SECONDS:
        trial.warn(f"took {took:.0f} s to end after SIGTERM")
    else:
        trial.passed(f"ended {took:.1f} s after SIGTERM")


def sigterm_blocked(trial):
    """Has to end while nothing can be sent and a backlog waits."""
    trial.fault("black-hole", "nothing arrives, connections stay")
    trial.sleep(trial.seconds("blocked"))
    trial.program.hold()
    judge_stop(trial, end_by(trial, signal.SIGTERM, STOP_MOST))
    trial.program.hold(False)
    trial.heal()


def exits_well(trial):
    """SIGTERM on a day when all is well."""
    connection = trial.story.connected
    trial.broken = trial.bench.now()
    trial.program.hold()
    ended = end_by(trial, signal.SIGTERM, STOP_MOST)
    if ended is None or ended[0] > ORDERLY_SECONDS:
        trial.fail(f"did not end within {ORDERLY_SECONDS} s of SIGTERM, though nothing was wrong")
    elif ended[1] != 0:
        trial.fail(f"ended with {ended[1]} at SIGTERM; an orderly end has status 0")
    else:
        trial.passed(f"ended {ended[0]:.1f} s after SIGTERM with status 0")
    if ended is None:
        end_by(trial, signal.SIGKILL, STOP_SECONDS)
    trial.wait(lambda: connection.end is not None, 5)
    if connection.goodbye is None and connection.how != "fin":
        trial.warn("left without DISCONNECT, and its connection was not closed in order")
    trial.program.hold(False)
    trial.heal()


def fill(folder):
    """Takes all space that is left; the file."""
    path = folder / "filled-by-the-lab"
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return path


def disk_full(trial):
    """No space is left in {dir}, then there is again."""
    bench = trial.bench
    if bench.no_mounts:
        raise NotApplicable(f"{{dir}} cannot be a small file system of its own: {bench.no_mounts}")
    trial.broken = bench.now()
    trial.note("the disk is full")
    path = fill(bench.folder)
    try:
        trial.sleep(trial.seconds("full"))
    finally:
        os.unlink(path)
    trial.heal()
    exits = len(trial.program.exits) - trial.exits
    if exits:
        trial.warn(f"the program ended {exits} times while the disk was full")
    if not trial.account.counting:
        return
    if trial.wait(lambda: bench.arrived_since(trial.healed) > 0, trial.patience()):
        trial.passed("sends again now that there is space")
    else:
        trial.fail(f"sent nothing in {trial.patience()} s after there was space again")
    if not trial.account.listed:
        trial.drain()
        lost = trial.account.newly_lost()
        if lost:  # refused, or promised and lost: from here they look the same
            trial.warn(f"{len(lost)} numbers are missing; whether they were promised only "
                       f"--accepted tells: {words_of(lost)}")


SCENARIOS = [
    Scenario("kill-9-traffic", NAME, "killed while messages go out", kill_in_traffic,
             {"times": (2, 6)}, (8, 24)),
    Scenario("kill-9-outage", NAME, "killed while it has a backlog", kill_in_outage,
             {"times": (2, 6)}, (11, 29)),
    Scenario("sigterm-blocked", NAME, "told to end while nothing can be sent", sigterm_blocked,
             {"blocked": (6, 30)}),
    Scenario("disk-full", NAME, "no space is left in {dir} for a while", disk_full,
             {"full": (8, 60)}),
    Scenario("exits-well", NAME, "told to end on a good day", exits_well, lasts=(2, 2)),
]

"""Recommendation 6: hardware watchdog and power."""
import os
import signal

from .notify import WATCHDOG_SECONDS
from .process import STOP_SECONDS, UNWRITTEN_SECONDS, end_by, kill
from .scenario import Scenario
from .site import REFUSED

NAME = "Use a watchdog and keep the power"

# What a small battery leaves between the warning and the end.
BATTERY_SECONDS = 5


def hang(trial):
    """The program stops doing anything; a service manager kills it when its pings stay away."""
    program, notify, bench = trial.program, trial.bench.notify, trial.bench
    trial.broken, trial.unsure = bench.now(), UNWRITTEN_SECONDS
    pinged = notify.times("WATCHDOG=1", since=program.starts[-1])
    exits = len(program.exits)
    # Only the program itself: a watchdog of its own may be in another process.
    os.kill(program.process.pid, signal.SIGSTOP)
    bench.mark_fault("the program hangs")
    trial.note("the program hangs (SIGSTOP)")
    if pinged:
        trial.sleep(WATCHDOG_SECONDS)
        trial.note("the service manager has waited for a ping in vain and kills it")
        program.signal(signal.SIGCONT)
        end_by(trial, signal.SIGABRT, BATTERY_SECONDS)
    ended = program.wait_exit(exits, 2 * WATCHDOG_SECONDS)
    if ended is None:
        said = "it never sent WATCHDOG=1" if not pinged else "SIGABRT did not end it"
        trial.fail(f"nothing notices when it hangs: {said}, and no watchdog of its own ended it "
                   f"within {2 * WATCHDOG_SECONDS} s")
        program.signal(signal.SIGCONT)
    else:
        trial.passed("noticed and started again")
    trial.heal()


def power_cut(trial):
    """All its processes are gone at once, with a backlog. What the kernel holds is kept: files as
    they are after a real power cut cannot be had here."""
    trial.fault(REFUSED, "every connection is refused")
    trial.kick()
    trial.sleep(trial.seconds("outage"))
    kill(trial)
    trial.heal()


def low_battery(trial):
    """A warning, then no more power, with a backlog."""
    trial.fault(REFUSED, "every connection is refused")
    trial.kick()
    trial.sleep(trial.seconds("outage"))
    if end_by(trial, signal.SIGTERM, BATTERY_SECONDS) is None:
        trial.warn(f"did not end within {BATTERY_SECONDS} s of SIGTERM and lost its power")
        trial.unsure = UNWRITTEN_SECONDS
        end_by(trial, signal.SIGKILL, STOP_SECONDS)
    trial.heal()


SCENARIOS = [
    Scenario("hang", NAME, "the program hangs", hang, lasts=(12, 12)),
    Scenario("power-cut", NAME, "all is gone at once, with a backlog", power_cut,
             {"outage": (6, 60)}),
    Scenario("low-battery", NAME, "a warning, then no more power", low_battery,
             {"outage": (6, 60)}),
]

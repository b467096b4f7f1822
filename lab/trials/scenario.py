"""A scenario, and the trial of a device by it: what is done, what is waited for, and the verdict."""
import dataclasses
import signal
import time
import typing

from report import gaps
from report.model import Attempts, Case, Evidence, Figure, Ideal, Verdict
from tool.story import excerpt

from .account import words_of
from .story import UNSURE_SECONDS

# A device that is let in later than this may be late; see Trial.judge_return.
BACK_SECONDS = 10
# What arrives this short after a fault may have been held back by it, from a dead connection.
STILL_SECONDS = 0.5
# How often the rate before a scenario may be passed once the backlog is gone.
USUAL = 1.5
# Arrivals have to be like before for so long.
CALM_SECONDS = 3
# What coming back and counting take after most scenarios; for the length of a run that is told.
SETTLE_SECONDS = 6
# An orderly stop takes no longer.
STOP_MOST = 60


@dataclasses.dataclass
class Scenario:
    """`function` takes a Trial. `times`: seconds (or a count) by name, each (quick, full). `lasts`:
    about how long it takes, the same way, where that is not their sum."""
    name: str
    recommendation: str
    what: str
    function: typing.Callable
    times: dict = dataclasses.field(default_factory=dict)
    lasts: tuple | None = None

    def planned(self, full):
        """Seconds, for a device that comes back soon."""
        quick_and_full = self.lasts or [sum(each) for each in zip(*self.times.values())]
        return quick_and_full[full] + SETTLE_SECONDS


class NotApplicable(Exception):
    """The scenario says nothing about this device, or cannot be had on this machine; why."""


class Trial:
    """One scenario and one device."""

    def __init__(self, bench, scenario):
        self.bench, self.scenario = bench, scenario
        self.story, self.program, self.account = bench.story, bench.program, bench.account
        self.begin = bench.now()
        self.story.begin()
        self.usual = bench.rate()
        self.given_up = self.account.reasons()
        self.duplicates, self.late = self.account.duplicates, self.account.late
        self.exits, self.number_sent = len(self.program.exits), len(self.story.connections)
        self.broken = self.healed = None  # when faults began and ended
        self.returned = None  # when it was let in again
        self.unsure = UNSURE_SECONDS  # acknowledgements from so long before the faults may be lost
        self.failures, self.warnings, self.evidence = [], [], []
        self.figures, self.attempts, self.good = [], [], []

    # -- what is done --

    def seconds(self, name):
        quick, full = self.scenario.times[name]
        return full if self.bench.asked.full else quick

    def patience(self):
        """How long at most a device may need until it is judged not to come back."""
        return 600 if self.bench.asked.full else 120

    def fault(self, faults, name):
        if self.broken is None:
            self.broken = self.bench.now()
        self.healed = None
        self.bench.fault(faults, name)
        self.note(name)

    def kick(self, how="reset", **members):
        if self.broken is None:
            self.broken = self.bench.now()
        before = list(self.story.open.values())
        self.bench.home.kick(how, **members)
        if how != "silence":  # the trace is a little behind
            self.wait(lambda: all(each.end is not None for each in before), 5)

    def heal(self):
        self.returned = None
        self.bench.heal()
        self.healed = self.bench.now()
        self.note("healed")

    def sleep(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.bench.check()
            time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))

    def wait(self, condition, seconds):
        return self.bench.wait(condition, seconds)

    def restart(self, environment=None):
        """An orderly stop of the program, and a start with this environment."""
        program = self.program
        starts, exits = len(program.starts), len(program.exits)
        program.hold()
        program.signal(signal.SIGTERM)
        if program.wait_exit(exits, STOP_MOST) is None:
            program.signal(signal.SIGKILL)
            program.wait_exit(exits, 10)
        if environment is not None:
            program.environment = environment
        program.hold(False)
        self.wait(lambda: len(program.starts) > starts, 15)

    # -- what is said --

    def note(self, text):
        self.evidence.append(Evidence(round(self.bench.now(), 3), text))

    def fail(self, text):
        self.failures.append(text)
        self.note(text)

    def warn(self, text):
        self.warnings.append(text)
        self.note(text)

    def passed(self, text):
        self.good.append(text)

    def figure(self, name, value, unit="", **limits):
        self.figures.append(Figure(name, round(value, 3), unit, **limits))

    def row(self):
        """The attempts since the faults began: (times, waits); enough of them go to the report."""
        times, waits = self.story.row(self.broken or self.begin, self.healed or self.bench.now())
        found = gaps.gaps_of(times, waits)
        if len(found) >= gaps.MIN_GAPS:
            self.attempts.append(Attempts(
                [round(each, 3) for each in times], [round(each, 3) for each in waits],
                ideal=Ideal(cap=max(1.0, *found))))  # its own cap is not known, but seen
        return times, waits

    # -- how it ends --

    def settle(self):
        """Everything is whole again: it has to come back, and nothing may be missing."""
        if self.healed is None:
            self.heal()
        self.program.hold(False)
        if self.returned is None and not self.judge_return():
            return
        self.drain()
        self.judge_account()

    def judge_return(self):
        outage = self.healed - (self.broken or self.healed)
        gap = self.story.longest_gap(self.broken or self.begin, self.healed)
        limit = max(BACK_SECONDS, outage, 1.25 * gap)
        there = self.wait(self.there, self.patience())
        if not there:
            self.fail(f"not back {self.patience()} s after all was well again")
            return False
        after = max(0.0, there.connack - self.healed)
        self.returned = there.connack
        if after or outage:
            self.figure("back after", after, "s", limit=round(limit, 1))
        if after > limit:
            self.warn(f"back only after {after:.1f} s")
        elif after:
            self.passed(f"back after {after:.1f} s")
        return True

    def there(self):
        """The connection that it is let in by: a new one, or an old one that still speaks. A
        device that connects for each message may have said goodbye again."""
        connection = self.story.connected
        if connection and (connection.connack >= self.healed or
                           connection.last_up >= self.healed + STILL_SECONDS):
            return connection
        return next((each for each in self.story.connections_since(self.healed)
                     if each.connack is not None and each.goodbye is not None), None)

    def drain(self):
        """Waits until the backlog has come and what was missing has had its time."""
        if not self.account.counting:
            return
        # Clients that hand a message over again when its PUBACK does not come wait 20 s for it.
        quiet, limit = 30, 300 if self.bench.asked.full else 120
        begin, deadline = self.bench.now(), self.bench.now() + limit
        missing, since = None, begin
        while self.bench.now() < deadline:
            self.bench.read_list()
            now_missing = len(self.account.missing())
            if now_missing != missing:
                missing, since = now_missing, self.bench.now()
            # A backlog that has only begun to come does not look like one yet.
            grown = self.bench.arrived_since(begin) > self.bench.arrived_since(
                self.bench.now() - CALM_SECONDS)
            if grown and self._usual_again() and (
                    self._only_fresh() or self.bench.now() - since > quiet):
                break
            self.sleep(0.2)
        else:
            self.warn(f"its backlog was not gone {limit} s after it was back")
        self.bench.caught_up()
        took = self.bench.now() - begin
        if took > CALM_SECONDS + 2:
            self.figure("backlog gone after", took, "s")

    def _usual_again(self):
        return self.bench.rate(CALM_SECONDS) <= USUAL * self.usual + 2

    def _only_fresh(self):
        """Whether nothing is missing but what may be on its way."""
        if self.account.listed:
            return len(self.account.missing()) <= USUAL * self.usual + 2
        return not self.account.missing()

    def judge_account(self):
        if not self.account.counting:
            return
        lost = self._lost()
        if lost and self.story.sent[0] and not self.story.sent[1]:
            self.warn(f"lost {len(lost)} messages, which were sent at QoS 0: {words_of(lost)}")
        elif lost:
            self.fail(f"lost {len(lost)} messages: {words_of(lost)}")
        else:
            self.passed("no message lost")
        for reason, count in (self.account.reasons() - self.given_up).items():
            self.warn(f"gave up {count} messages that it had accepted: {reason}")
        repeats = self.account.duplicates - self.duplicates
        allowed = self.story.in_doubt(self.broken or self.begin, self.unsure)
        if repeats:
            self.figure("repeats", repeats, "", limit=allowed)
        if repeats > allowed:
            self.warn(f"{repeats} messages came again; {allowed} were in flight when connections "
                      "ended")
        late = self.account.late - self.late
        if late:
            self.figure("out of order", late, "")

    def _lost(self):
        """What is missing for good. With a list, what was accepted this very moment may yet
        come: only what stays missing counts."""
        if not self.account.listed:
            return self.account.newly_lost()
        self.bench.read_list()
        suspects = self.account.missing()
        self.wait(lambda: not suspects & self.account.missing(), 15)
        return self.account.newly_lost(suspects)

    def verdict(self):
        if self.failures:
            return Verdict.FAIL, self.failures[0]
        if self.warnings:
            return Verdict.PASS_WITH_WARNINGS, self.warnings[0]
        return Verdict.PASS, "; ".join(self.good) or "as it should be"

    def case(self, verdict, reason):
        for moment, status in self.program.exits[self.exits:]:
            self.evidence.append(Evidence(round(moment - self.bench.began, 3),
                                          f"the program ended with {status}"))
        self.evidence.sort(key=lambda each: each.time)
        bad = verdict in (Verdict.FAIL, Verdict.ERROR)
        return Case(self.scenario.name, self.scenario.recommendation, verdict, reason,
                    round(self.begin, 3), round(self.bench.now() - self.begin, 3),
                    self.warnings, self.evidence, self._packets() if bad else [],
                    self.figures, self.attempts, self.bench.replay(self.scenario.name))

    def _packets(self):
        with self.bench.changed:
            events = [event for event in self.story.events if event["t"] >= self.begin]
        return excerpt(events)

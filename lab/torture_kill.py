"""tools/torture kill: SIGKILL to the real agent at random instants, again and again.

Several workers, each with an agent and a directory of its own, publish to one real mosquitto.
A third of the kills falls into the agent's start, the others into publishing, sending and settling;
a quarter of the runs has no broker, so that backlogs grow and are drained later.
"""

import dataclasses
import random
import time

import torture_audit as audit
import torture_crew as crew
from torture_world import ACK_FLUSH, PREFIX, WINDOW, Agent, Broker, Publisher, drained

SYNC_SLACK = 1.0        # seconds that one sync, and the subscriber's note, may take here
START_LIMIT = 60        # seconds


@dataclasses.dataclass
class Tally:
    """What one worker brings home."""
    count: int = 0          # kills
    starting: int = 0       # of these, before the agent served its socket
    offline: int = 0
    checked: int = 0        # ledgers looked at
    uncounted: int = 0      # the worst of them
    cuts: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)
    book: audit.Book = dataclasses.field(default_factory=audit.Book)
    ledger: dict = None


class Victim:
    def __init__(self, number, options, folder, port):
        self.name = f"w{number}"
        self.random = random.Random(f"{options.seed}/{number}")
        self.tally = Tally()
        self.agent = Agent(folder / self.name, self.name, options.bin / "holdfastd", port)
        if options.self_test:
            self.agent.preload = {"LD_PRELOAD": str(options.bin / "hf_sabotage.so"),
                                  "HF_SABOTAGE": "late"}
        self.publisher = Publisher(self.tally.book, self.agent.socket,
                                   f"{PREFIX}/{self.name}", self.random)
        self.start_time = 0.1   # seconds, kept current
        self.known = 0          # receipts given before the present life of the agent

    def accepted(self):
        return len(self.tally.book.accepted)

    def begin(self):
        """Nothing to prepare: the first life makes the outbox."""

    def close(self):
        self.agent.close()

    def wrong(self, text):
        self.tally.problems.append(f"{self.name}, kill {self.tally.count}: {text}")

    def look(self, known, state):
        """The agent's account just after its start, against the receipts given before it."""
        ledger, tally = state["ledger"], self.tally
        tally.checked += 1
        gap = audit.imbalance(ledger) + max(0, known - ledger["accepted"])
        sent = len(tally.book.lanes)
        if gap or not ledger["balanced"]:
            self.wrong(f"{known} receipts were given, the ledger says {ledger}")
        if ledger["accepted"] > sent:
            self.wrong(f"{ledger['accepted']} accepted of {sent} sent")
        tally.uncounted = max(tally.uncounted, gap)

    def connect(self, until):
        while not self.publisher.connect():
            if time.monotonic() >= until or self.agent.process.poll() is not None:
                return False
            time.sleep(0.001)
        return True

    def run_once(self):
        """One life of the agent, ended by SIGKILL."""
        offline = self.random.random() < 0.25
        early = self.random.random() < 1 / 3
        began = time.monotonic()
        self.agent.start(offline)
        limit = self.random.uniform(0, 1.3 * self.start_time) if early else START_LIMIT
        if self.connect(began + limit):
            self.start_time += 0.1 * (time.monotonic() - began - self.start_time)
            self.publish_until_killed()
        elif early or self.agent.process.poll() is not None:
            self.tally.starting += 1
        else:
            self.wrong(f"no socket within {START_LIMIT} s: {self.agent.last_words()}")
        alive = self.agent.process.poll() is None
        cut, status = self.agent.kill()
        if not alive:
            self.wrong(f"the agent ended by itself, {status}: {self.agent.last_words()}")
        self.tally.cuts.append(cut)
        self.tally.count += 1
        self.tally.offline += offline
        self.publisher.drain()
        if self.publisher.states:
            self.look(self.known, self.publisher.states[0])
            self.publisher.states.clear()

    def publish_until_killed(self):
        self.known = len(self.tally.book.accepted)
        self.publisher.ask_status()
        most = self.random.choice((1, 8, 64))
        pause = self.random.choice((0, 0.002, 0.02))
        self.publisher.work(time.monotonic() + self.random.uniform(0, 0.25), most, pause)

    def finish(self):
        """A life without a kill: all must be drained, and the end be orderly."""
        self.agent.start()
        state = drained(self.publisher)
        if state is None:
            self.wrong(f"the agent does not answer at the end: {self.agent.last_words()}")
            return
        self.look(len(self.tally.book.accepted), state)
        status, seconds = self.agent.stop()
        if status != 0 or seconds > 10:
            self.wrong(f"SIGTERM: exit status {status} after {seconds:.1f} s")
        self.tally.ledger = state["ledger"]


def needs(_options):
    """Nothing but the packages."""
    return None


def ledger_kind(_options):
    return "kill"


def run(options, folder, parts, view):
    """The whole kind; its totals, and what was wrong."""
    broker = Broker(folder)
    parts.append(broker)
    broker.start()
    victims = [Victim(number, options, folder, broker.port) for number in range(options.workers)]
    workers = crew.Crew(victims, options.count, options.minutes)
    parts.append(workers)
    tallies = workers.tallies(view)
    broker.caught_up()
    with open(broker.record, encoding="utf-8", errors="replace") as record:
        arrivals, damaged = audit.read_record(record, PREFIX)
    problems = [f"{damaged} lines of the record make no sense"] if damaged else []
    totals = dict.fromkeys(("count", "lost", "uncounted", "accepted", "unanswered", "rejected",
                            "arrived", "duplicates", "duplicates_allowed", "killed_in_start",
                            "killed_offline", "ledgers_checked"), 0)
    for number, tally in enumerate(tallies):
        judge(f"w{number}", tally, arrivals[f"w{number}"], totals, problems)
    if not totals["accepted"] or not totals["killed_in_start"] or not totals["ledgers_checked"]:
        problems.append("the run proves nothing: no receipt, no kill in a start or no ledger")
    return totals, problems


def judge(name, tally, arrived, totals, problems):
    problems += tally.problems
    totals["count"] += tally.count
    totals["killed_in_start"] += tally.starting
    totals["killed_offline"] += tally.offline
    totals["ledgers_checked"] += tally.checked
    totals["accepted"] += len(tally.book.accepted)
    totals["unanswered"] += len(tally.book.unanswered)
    totals["rejected"] += sum(tally.book.rejected.values())
    totals["arrived"] += len(arrived.times)
    if tally.ledger is None:
        problems.append(f"{name}: no last ledger, so nothing is proven")
        return
    account = audit.judge(tally.book, arrived, tally.cuts, tally.ledger, WINDOW,
                          ACK_FLUSH + SYNC_SLACK)
    totals["lost"] += len(account.lost)
    totals["uncounted"] += max(account.uncounted, tally.uncounted)
    totals["duplicates"] += account.duplicates
    totals["duplicates_allowed"] += account.bound
    problems += [f"{name}: {problem}" for problem in account.problems]

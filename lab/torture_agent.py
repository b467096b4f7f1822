"""The real agent as a victim: what the kinds kill, full and io share."""

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
    """What one victim brings home."""
    count: int = 0
    checked: int = 0        # ledgers looked at
    uncounted: int = 0      # the worst of them
    cuts: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)
    book: audit.Book = dataclasses.field(default_factory=audit.Book)
    ledger: dict = None
    seen: dict = dataclasses.field(default_factory=dict)    # what was met, counted by name

    def note(self, name):
        self.seen[name] = self.seen.get(name, 0) + 1


class Victim:
    """An agent, its publisher and its books. Kinds add run_once()."""
    sabotage = "late"       # of the self-test

    def __init__(self, number, options, folder, port):
        self.name = f"w{number}"
        self.random = random.Random(f"{options.seed}/{number}")
        self.tally = Tally()
        self.folder, self.bin = folder, options.bin
        self.agent = Agent(folder / self.name, self.name, options.bin / "holdfastd", port)
        if options.self_test:
            self.agent.preload = {"LD_PRELOAD": str(options.bin / "hf_sabotage.so"),
                                  "HF_SABOTAGE": self.sabotage}
        self.publisher = Publisher(self.tally.book, self.agent.socket,
                                   f"{PREFIX}/{self.name}", self.random)
        self.known = 0          # receipts given before the present life of the agent

    def accepted(self):
        return len(self.tally.book.accepted)

    def begin(self):
        """Nothing to prepare: the first life makes the outbox."""

    def close(self):
        self.agent.close()

    def wrong(self, text):
        self.tally.problems.append(f"{self.name}, number {self.tally.count}: {text}")

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

    def begin_life(self, offline=False):
        """Starts the agent and looks at its ledger; False if it does not come up."""
        self.agent.start(offline)
        if not self.connect(time.monotonic() + START_LIMIT):
            self.wrong(f"the agent does not come up: {self.agent.last_words()}")
            return False
        state = self.publisher.status()
        if state is None:
            self.wrong(f"the agent does not answer: {self.agent.last_words()}")
            return False
        self.look(len(self.tally.book.accepted), state)
        return True

    def kill(self):
        """Ends this life by SIGKILL; what was answered before it counts."""
        alive = self.agent.process.poll() is None
        cut, status = self.agent.kill()
        if not alive:
            self.wrong(f"the agent ended by itself, {status}: {self.agent.last_words()}")
        self.tally.cuts.append(cut)
        self.publisher.drain()

    def finish(self):
        """A life without a fault: all must be drained, and the end be orderly."""
        self.agent.command = []
        if not self.begin_life():
            return
        state = drained(self.publisher)
        status, seconds = self.agent.stop()
        if status != 0 or seconds > 10:
            self.wrong(f"SIGTERM: exit status {status} after {seconds:.1f} s")
        self.tally.ledger = state["ledger"] if state else None


def run(kind, options, folder, parts, view):
    """Victims of class `kind` around one broker; the totals, and what was wrong."""
    broker = Broker(folder)
    parts.append(broker)
    broker.start()
    victims = [kind(number, options, folder, broker.port) for number in range(options.workers)]
    workers = crew.Crew(victims, options.count, options.minutes)
    parts.append(workers)
    tallies = workers.tallies(view)
    broker.caught_up()
    with open(broker.record, encoding="utf-8", errors="replace") as record:
        arrivals, damaged = audit.read_record(record, PREFIX)
    problems = [f"{damaged} lines of the record make no sense"] if damaged else []
    totals = dict.fromkeys(("count", "lost", "uncounted", "accepted", "unanswered", "rejected",
                            "arrived", "duplicates", "duplicates_allowed", "ledgers_checked"), 0)
    for victim, tally in zip(victims, tallies):
        judge(victim.name, tally, arrivals[victim.name], totals, problems)
    if not totals["accepted"] or not totals["ledgers_checked"]:
        problems.append("the run proves nothing: no receipt, or no ledger was seen")
    return totals, problems


def judge(name, tally, arrived, totals, problems):
    problems += tally.problems
    totals["count"] += tally.count
    totals["ledgers_checked"] += tally.checked
    totals["accepted"] += len(tally.book.accepted)
    totals["unanswered"] += len(tally.book.unanswered)
    totals["rejected"] += sum(tally.book.rejected.values())
    totals["arrived"] += len(arrived.times)
    for what, count in tally.seen.items():
        totals[what] = totals.get(what, 0) + count
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

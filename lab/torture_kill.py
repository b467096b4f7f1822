"""tools/torture kill: SIGKILL to the real agent at random instants, again and again.

Several victims, each with an agent and a directory of its own, publish to one real mosquitto.
A third of the kills falls into the agent's start, the others into publishing, sending and settling;
a quarter of the runs has no broker, so that backlogs grow and are drained later.
"""

import time

import torture_agent
from torture_agent import START_LIMIT


class Victim(torture_agent.Victim):
    done = "killed"     # to it, in the account
    start_time = 0.1    # seconds, kept current

    def run_once(self):
        """One life of the agent, and its end."""
        offline = self.random.random() < 0.25
        early = self.random.random() < 1 / 3
        began = time.monotonic()
        self.agent.start(offline)
        limit = self.random.uniform(0, 1.3 * self.start_time) if early else START_LIMIT
        began_well = self.connect(began + limit)
        if began_well:
            self.start_time += 0.1 * (time.monotonic() - began - self.start_time)
            self.publish_until_killed()
        elif early or self.agent.process.poll() is not None:
            self.tally.note(f"{self.done}_in_start")
        else:
            self.wrong(f"no socket within {START_LIMIT} s: {self.agent.last_words()}")
        self.end(began_well)
        self.tally.count += 1
        if offline:
            self.tally.note(f"{self.done}_offline")
        if self.publisher.states:
            self.look(self.known, self.publisher.states[0])
            self.publisher.states.clear()

    def end(self, _began_well):
        self.kill()

    def publish_until_killed(self):
        self.known = len(self.tally.book.accepted)
        self.publisher.ask_status()
        most = self.random.choice((1, 8, 64))
        pause = self.random.choice((0, 0.002, 0.02))
        self.publisher.work(time.monotonic() + self.random.uniform(0, 0.25), most, pause)


def needs(_options):
    """Nothing but the packages."""
    return None


def ledger_kind(_options):
    return "kill"


def run(options, folder, parts, view, kind=Victim):
    totals, problems = torture_agent.run(kind, options, folder, parts, view)
    if not totals.get(f"{kind.done}_in_start"):
        problems.append("the run proves little: no end fell into a start")
    return totals, problems


def noticed(totals, _problems):
    """Whether the self-test's broken promise was found."""
    return totals["lost"] > 0

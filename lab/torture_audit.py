"""Compares what an agent promised with what an independent subscriber received.

Pure functions over three accounts that were made by different hands:
  Book      what the publisher sent, and the receipts it was given over the local socket
  arrivals  what mosquitto_sub wrote down, line by line: "time topic payload"
  ledger    the agent's own account, at its starts and at its end
"""

import bisect
import collections
import dataclasses
import zlib


def payload_of(seq):
    """What message `seq` says. Made from its number alone, so that a changed byte is noticed."""
    mark = zlib.crc32(b"%d" % seq)
    repeats = 500 if mark % 53 == 0 else mark % 40
    return f"{seq} " + f"{mark:08x}" * repeats


@dataclasses.dataclass
class Book:
    """What a publisher knows. A sequence number is in exactly one of the last four."""
    lanes: dict = dataclasses.field(default_factory=dict)      # seq -> lane, all that were sent
    accepted: set = dataclasses.field(default_factory=set)
    unanswered: set = dataclasses.field(default_factory=set)   # cut before the answer: may be kept
    rejected: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    waiting: dict = dataclasses.field(default_factory=dict)    # request id -> seq
    strange: list = dataclasses.field(default_factory=list)    # answers that make no sense
    ids: dict = dataclasses.field(default_factory=dict)        # message id -> seq

    def answer(self, answer):
        seq = self.waiting.pop(answer.get("id"), None)
        if seq is None:
            self.strange.append(f"an answer to nothing: {answer}")
        elif answer.get("ok") and answer.get("receipt") == "accepted":
            self.accepted.add(seq)
            other = self.ids.setdefault(answer["message_id"], seq)
            if other != seq:
                self.strange.append(f"message id {answer['message_id']} given to {other} and {seq}")
        elif not answer.get("ok") and "receipt" not in answer:
            self.rejected[answer.get("error")] += 1
        else:
            self.strange.append(f"not expected: {answer}")

    def cut(self):
        """The agent is gone: what has no answer by now never gets one."""
        self.unanswered.update(self.waiting.values())
        self.waiting.clear()


@dataclasses.dataclass
class Arrivals:
    """One worker's part of the record."""
    times: dict = dataclasses.field(default_factory=dict)      # seq -> [time, ...]
    forged: list = dataclasses.field(default_factory=list)     # lines with other bytes than sent
    disorder: list = dataclasses.field(default_factory=list)   # first arrivals behind a later one
    newest: dict = dataclasses.field(default_factory=dict)     # lane -> highest seq so far

    def add(self, time, lane, payload):
        number = payload.split(" ", 1)[0]
        if not number.isdigit() or payload != payload_of(int(number)):
            self.forged.append(f"{time} {lane} {payload[:60]}")
            return
        seq = int(number)
        seen = self.times.setdefault(seq, [])
        if not seen:
            if seq < self.newest.get(lane, 0):
                self.disorder.append(f"{seq} after {self.newest[lane]} in lane {lane}")
            self.newest[lane] = max(seq, self.newest.get(lane, 0))
        seen.append(time)

    @property
    def duplicates(self):
        return sum(len(times) - 1 for times in self.times.values())


def read_record(lines, prefix):
    """Splits a record by worker. Topics are PREFIX/WORKER/LANE; others are marks."""
    workers = collections.defaultdict(Arrivals)
    damaged = 0
    for line in lines:
        words = line.rstrip("\n").split(" ", 2)
        parts = words[1].split("/") if len(words) == 3 else []
        if len(parts) == 3 and parts[0] == prefix:
            workers[parts[1]].add(float(words[0]), parts[2], words[2])
        elif len(parts) < 2 or parts[0] != "audit":
            damaged += 1
    return workers, damaged


def imbalance(ledger):
    """Messages for which the agent's own account has no place."""
    return abs(ledger["accepted"] - ledger["delivered"] - ledger["pending"]
               - sum(ledger["dropped"].values()))


def duplicate_bound(arrivals, cuts, window, flush):
    """How many repeats the cuts allow: what was in flight, and what arrived so shortly before that
    its settlement need not have been on disk. `flush` is ack_flush and one sync, in seconds."""
    times = sorted(time for seen in arrivals.times.values() for time in seen)
    bound, last = 0, 0.0
    for cut in sorted(cuts):
        recent = bisect.bisect(times, cut) - bisect.bisect(times, max(last, cut - flush))
        bound += window + recent
        last = cut
    return bound


@dataclasses.dataclass
class Account:
    lost: list = dataclasses.field(default_factory=list)       # accepted, never arrived, not dropped
    uncounted: int = 0
    duplicates: int = 0
    bound: int = 0
    problems: list = dataclasses.field(default_factory=list)


def judge(book, arrivals, cuts, ledger, window, flush):
    """The end of one worker: everything drained, `ledger` is the last one."""
    account = Account()
    got = set(arrivals.times)
    dropped = sum(ledger["dropped"].values())
    missing = sorted(book.accepted - got)
    # What the agent says that it dropped is no loss, but no more than that.
    account.lost = missing[dropped:]
    account.uncounted = imbalance(ledger) + abs(len(got) - ledger["delivered"])
    account.duplicates = arrivals.duplicates
    account.bound = duplicate_bound(arrivals, cuts, window, flush)
    if account.lost:
        account.problems.append(f"LOST {len(account.lost)}: accepted, never arrived, in no count: "
                                f"{account.lost[:8]}")
    if account.uncounted:
        account.problems.append(f"UNCOUNTED {account.uncounted}: {len(got)} messages arrived, the "
                                f"ledger says {ledger}")
    if dropped:
        account.problems.append(f"{dropped} dropped although nothing was damaged: {ledger}")
    if ledger["pending"]:
        account.problems.append(f"{ledger['pending']} still pending after draining")
    if account.duplicates > account.bound:
        account.problems.append(f"{account.duplicates} duplicates; the cuts allow {account.bound}")
    alien = sorted(got - set(book.lanes))
    for what, found in (("arrived but never sent", alien), ("changed bytes", arrivals.forged),
                        ("out of order", arrivals.disorder), ("strange answers", book.strange)):
        if found:
            account.problems.append(f"{len(found)} {what}: {found[:4]}")
    return account


@dataclasses.dataclass
class StoreBook:
    """What lab/outbox_writer.cpp told over its lives: one store, many cuts."""
    sent_to: int = 0
    promised: set = dataclasses.field(default_factory=set)  # must be there until settled
    known: set = dataclasses.field(default_factory=set)     # promised or seen, ever
    settled: set = dataclasses.field(default_factory=set)   # may be gone
    firm: set = dataclasses.field(default_factory=set)      # settled before a later commit: are gone
    lost: int = 0
    uncounted: int = 0
    repeats: int = 0        # settled, and there again: each would be a duplicate
    torn: int = 0
    openings: int = 0       # that were judged
    refusals: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)
    closed: list = None     # the counts of an orderly end

    def life(self, text):
        """Reads what one life told; a last line that the cut left unfinished does not count."""
        opened, listed, soft = None, [], []
        for line in text.split("\n")[:-1]:
            kind, *words = line.split(" ")
            if kind in "FE":
                (self.problems if kind == "F" else self.refusals).append(line)
                continue
            numbers = [int(word) for word in words]
            if kind == "O":     # a further life; what was soft before it stays so
                opened, listed, soft = numbers, [], []
            elif kind == "M":
                listed += numbers
            elif kind == "R":
                self._open(opened, listed)
            elif kind == "P":
                self.sent_to = max(self.sent_to, numbers[1])
            elif kind == "A":
                self.promised.update(numbers)
                self.known.update(numbers)
                self.firm.update(soft)
                soft = []
            elif kind == "S":
                self.settled.update(numbers)
                soft += numbers
            elif kind == "C":
                self.closed = numbers

    def _open(self, counts, listed):
        there = set(listed)
        accepted, delivered, pending, dropped, torn = counts
        self.openings += 1
        self.torn += torn
        missing = sorted(self.promised - self.settled - there)
        if missing:
            self.lost += len(missing)
            self.problems.append(f"LOST {len(missing)}: promised, not settled, not there: "
                                 f"{missing[:8]}")
            self.promised -= set(missing)       # told once
        self.known |= there
        wrong = {"accepted": accepted - len(self.known), "pending": pending - len(there),
                 "delivered": delivered - len(self.known - there), "dropped": dropped}
        if any(wrong.values()):
            self.uncounted += max(map(abs, wrong.values()))
            self.problems.append(f"UNCOUNTED: ledger {counts}, off by {wrong}")
        risen = sorted(self.firm & there)
        if risen:
            self.problems.append(f"settled before a later commit, and back: {risen[:8]}")
        if len(listed) != len(there):
            self.problems.append(f"{len(listed) - len(there)} listed twice")
        if there and max(there) > self.sent_to:
            self.problems.append(f"never put, but there: {max(there)}")
        self.repeats += len(self.settled & there)
        # What an opening has shown is as good as promised, and what came back is not settled.
        self.settled -= there
        self.firm -= there
        self.promised |= there

    def end(self):
        """After the last life, which drained and closed."""
        if self.closed is None:
            self.problems.append("the last life did not close the store: nothing is proven")
        elif self.closed != [len(self.known), len(self.known), 0, 0]:
            self.uncounted += 1
            self.problems.append(f"UNCOUNTED: {len(self.known)} were known, closed with "
                                 f"{self.closed}")

"""Compares what a device promised with what an independent subscriber received.

Pure functions over two files and one status:
  journal   written by host-telemetry: "A run seq topic id" accepted, "D …" delivered,
            "X run seq topic id reason" dropped or rejected
  record    written by mosquitto_sub: "time topic payload", the payload a JSON object with run, seq
  ledger    the device's own account, from its local socket
"""

import collections
import dataclasses
import json


@dataclasses.dataclass
class Journal:
    accepted: set = dataclasses.field(default_factory=set)      # (run, seq)
    delivered: set = dataclasses.field(default_factory=set)
    dropped: dict = dataclasses.field(default_factory=dict)     # (run, seq) -> reason
    rejected: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    runs: list = dataclasses.field(default_factory=list)        # in order of first appearance
    damaged: int = 0                                            # lines that make no sense


@dataclasses.dataclass
class Record:
    seen: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    out_of_order: int = 0     # first arrivals behind a later one of the same run
    foreign: int = 0          # messages that are no readings, such as birth and will


def read_journal(lines):
    journal = Journal()
    for line in lines:
        words = line.split()
        if len(words) < 5 or words[0] not in "ADX" or not words[2].isdigit():
            journal.damaged += 1
            continue
        kind, run, key = words[0], words[1], (words[1], int(words[2]))
        if run not in journal.runs:
            journal.runs.append(run)
        if kind == "A":
            journal.accepted.add(key)
        elif kind == "D":
            journal.delivered.add(key)
        else:
            cause, _, reason = (words[5] if len(words) > 5 else "dropped:unnamed").partition(":")
            if cause == "rejected":
                journal.rejected[reason] += 1
            else:
                journal.dropped[key] = reason
    return journal


def read_record(lines):
    record = Record()
    last = {}
    for line in lines:
        words = line.rstrip("\n").split(" ", 2)
        try:
            body = json.loads(words[2])
            key = (body["run"], body["seq"])
        except (IndexError, ValueError, KeyError, TypeError):
            record.foreign += 1
            continue
        if key not in record.seen:
            if key[1] < last.get(key[0], 0):
                record.out_of_order += 1
            last[key[0]] = max(key[1], last.get(key[0], 0))
        record.seen[key] += 1
    return record


@dataclasses.dataclass
class Verdict:
    """The result of the comparison. `faults` is empty when all is well; each is one sentence."""
    numbers: list             # (name, value) in the order to print
    lost: list                # accepted with a receipt, never arrived, not dropped
    faults: list


def compare(journal, record, ledger):
    """`ledger` as in the local API: accepted, delivered, pending, dropped and rejected by reason."""
    dropped = sum(ledger["dropped"].values())
    seen = set(record.seen)
    lost = sorted(journal.accepted - seen - set(journal.dropped))
    unwritten = seen - journal.accepted
    faults = []
    # Of what is missing, as much as the device still holds may yet come; the rest is lost.
    lost = lost[ledger["pending"]:]
    if lost:
        faults.append(f"{len(lost)} accepted messages never arrived, such as {lost[0]}")
    if ledger["pending"]:
        faults.append(f"{ledger['pending']} messages are still pending: the backlog did not drain")
    if ledger["accepted"] != ledger["delivered"] + ledger["pending"] + dropped:
        faults.append("the device's ledger does not balance")
    # The two accounts were made by different programs on different sides of the broker.
    if len(seen) + ledger["pending"] + dropped != ledger["accepted"]:
        faults.append(f"the device accepted {ledger['accepted']}, but arrived {len(seen)} + pending "
                      f"{ledger['pending']} + dropped {dropped} = "
                      f"{len(seen) + ledger['pending'] + dropped}")
    # A process killed between the sync and the note leaves a message without a receipt. A process
    # that ended in order, the last one, doesn't.
    if not journal.runs or any(run == journal.runs[-1] for run, _ in unwritten):
        faults.append("the last run delivered messages without a receipt")
    if journal.damaged:
        faults.append(f"{journal.damaged} lines of the journal make no sense")
    repeats = sum(record.seen.values()) - len(seen)
    numbers = [("accepted", ledger["accepted"]),
               ("  with a receipt in the journal", len(journal.accepted)),
               ("delivered", ledger["delivered"]),
               ("arrived at mosquitto_sub", len(seen)),
               ("duplicates", repeats),
               ("first arrivals out of order", record.out_of_order)]
    numbers += [(f"dropped: {reason}", count) for reason, count in ledger["dropped"].items()
                if count]
    numbers += [] if dropped else [("dropped", 0)]
    numbers += [(f"rejected: {reason}", count) for reason, count in journal.rejected.items()]
    numbers += [("pending", ledger["pending"]), ("lost", len(lost))]
    return Verdict(numbers, lost, faults)

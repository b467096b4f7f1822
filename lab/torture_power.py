"""tools/torture power: the power goes while the real outbox writes to a real file system.

ext4, xfs   a loop-mounted image is shut down below a running lab/outbox_writer.cpp
            (FS_IOC_SHUTDOWN without flushing the log), unmounted, mounted again, and looked into
replay      the same on a disk that logs every write and sync; each moment of the log is a cut, with
            any part of what was not synced (torture_replay.py)
qemu        a virtual machine with a kernel of its own is killed, and its disk loses any part of what
            was not synced; the next boot looks into it (torture_qemu.py). Only when asked for
"""

import dataclasses
import random

import torture_audit as audit
import torture_crew as crew
import torture_guest
import torture_mount
import torture_qemu
import torture_replay

METHODS = {
    "ext4": ("fs-cut", torture_mount.Victim),
    "xfs": ("fs-cut", torture_mount.Victim),
    "replay": ("fs-cut", torture_replay.Victim),
    "qemu": ("qemu-cut", torture_qemu.Victim),
}
DEFAULT = ("ext4", "xfs", "replay")
# What Tally.opening is called in the account, where it is something else than usual.
OPENING = {"replay": "cut_with_unsynced_writes", "qemu": "cut_while_opening_besides"}
# Segment and whole store: as a device has it, and so small that slots are reused all the time.
STORES = ((1 << 20, 4 << 20), (1 << 16, 1 << 20), (1 << 15, 1 << 18))


@dataclasses.dataclass
class Tally:
    """What one victim brings home."""
    method: str
    count: int = 0          # cuts
    opening: int = 0        # of these, before the store was open; replay: with unsynced writes;
                            # qemu: before the store was open, besides `count`
    book: audit.StoreBook = dataclasses.field(default_factory=audit.StoreBook)
    problems: list = dataclasses.field(default_factory=list)
    more: dict = dataclasses.field(default_factory=dict)    # what else one method counts


def needs(options):
    """Why this cannot be done here, or None."""
    methods = options.method or DEFAULT
    if "qemu" in methods:       # alone, see torture.py; needs no root
        return torture_guest.missing()
    return torture_mount.missing(methods) or (
        torture_replay.missing(options) if "replay" in methods else None)


def ledger_kind(options):
    return METHODS[options.method[0] if options.method else DEFAULT[0]][0]


def run(options, folder, parts, view):
    """The whole kind; its totals, and what was wrong."""
    methods = options.method or DEFAULT
    victims = []
    for number in range(max(options.workers, len(methods))):
        method = methods[number % len(methods)]
        segment, whole = STORES[number // len(methods) % len(STORES)]
        victims.append(METHODS[method][1](f"{method}-{number}", Tally(method), folder,
                                          options, random.Random(f"{options.seed}/{number}"),
                                          segment, whole))
    workers = crew.Crew(victims, options.count, options.minutes)
    parts.append(workers)
    return total(workers.tallies(view), methods)


def noticed(totals, _problems):
    """Whether the self-test's broken promise was found."""
    return totals["lost"] > 0


def total(tallies, methods):
    totals, problems = {"count": 0, "lost": 0, "uncounted": 0}, []
    for method in methods:
        totals[f"cuts_{method}"] = sum(t.count for t in tallies if t.method == method)
    for tally in tallies:
        book = tally.book
        totals["count"] += tally.count
        for name, value in (("lost", book.lost), ("uncounted", book.uncounted),
                            ("promised", len(book.promised)), ("settled_and_back", book.repeats),
                            ("torn", book.torn), (OPENING.get(tally.method, "cut_while_opening"),
                                                  tally.opening),
                            ("openings_judged", book.openings), *tally.more.items()):
            totals[name] = totals.get(name, 0) + value
        problems += tally.problems + [f"{tally.method}: {problem}" for problem in book.problems]
    if not totals.get("promised") or not totals.get("openings_judged"):
        problems.append("the run proves nothing: nothing promised, or no opening judged")
    return totals, problems

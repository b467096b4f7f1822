"""Recommendation 4: manage the network."""
import glob

from .resolver import SERVFAIL, Door
from .scenario import NotApplicable, Scenario
from .site import PORT

NAME = "Manage the network"

# A slow link is no excuse for not connecting at all.
LINK_SECONDS = 60
# Of the two that it comes with, the one for programs with threads, too.
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"
WRONG_DATE, RIGHT_DATE = "@1970-01-02 00:00:00", "+0"


def need_names(trial):
    if trial.bench.no_names:
        raise NotApplicable("the endpoint has no name that only the lab knows: "
                            f"{trial.bench.no_names}")
    return trial.bench.resolver


def dns_loss(trial):
    """The name server does not answer, then answers with a failure."""
    resolver = need_names(trial)
    begin, queries = trial.bench.now(), resolver.queries
    trial.broken = begin
    for words, code in (("the name server does not answer", 0),
                        ("the name server says SERVFAIL", SERVFAIL)):
        resolver.silent, resolver.code = not code, code
        trial.bench.mark_fault(words)
        trial.note(words)
        trial.kick()
        trial.sleep(trial.seconds("each"))
    trial.figure("questions to the name server", resolver.queries - queries)
    tried = resolver.queries > queries or trial.story.attempts_since(begin)
    trial.heal()
    if not tried:
        trial.warn("neither asked for the name nor tried to connect")


def dns_moved(trial):
    """The endpoint has another address from one moment to the other."""
    resolver = need_names(trial)
    door = Door(trial.bench.home.ports[PORT])
    try:
        resolver.target = door.address
        trial.note(f"the endpoint is at {door.address}")
        trial.restart()
        trial.wait(lambda: door.served and trial.story.connected, trial.patience())
        if not door.served:
            raise NotApplicable("the program did not ask for the endpoint's name when it started")
        trial.sleep(2)
        resolver.heal()
        trial.broken, exits = trial.bench.now(), len(trial.program.exits)
        trial.note(f"the endpoint has moved to {resolver.target}")
    finally:
        door.close()
    trial.sleep(1)
    trial.heal()
    trial.judge_return()
    if len(trial.program.exits) > exits:
        trial.warn("the program had to be started again to find the new address")


def link(preset, words):
    """A bad link; it has to connect over it, too."""
    def run(trial):
        trial.fault(preset, words)
        trial.kick()
        begin = trial.bench.now()
        there = trial.wait(lambda: trial.story.connected, LINK_SECONDS)
        if there:
            trial.figure("connected over it after", there.connack - begin, "s", limit=LINK_SECONDS)
            trial.passed(f"connected over it after {there.connack - begin:.0f} s")
            trial.sleep(trial.seconds("slow"))
        else:
            trial.warn(f"did not connect within {LINK_SECONDS} s over such a link")
        trial.heal()
    return run


def corrupt(trial):
    """Bytes arrive wrong; TLS notices and the connection ends, again and again."""
    trial.fault("corrupt", "one byte in 2,000 arrives wrong")
    trial.sleep(trial.seconds("corrupt"))
    trial.heal()


def wrong_clock(trial):
    """The clock says 1970 at the start, and is put right later."""
    found = glob.glob(FAKETIME)
    if not found:
        raise NotApplicable("libfaketime is not installed (Debian: apt install libfaketime)")
    bench, usual = trial.bench, dict(trial.program.environment)
    clock = bench.root / "clock"
    clock.write_text(WRONG_DATE + "\n", encoding="ascii")
    trial.broken = bench.now()
    bench.mark_fault("the clock says 1970")
    try:
        trial.restart({**usual, "LD_PRELOAD": found[0], "FAKETIME_NO_CACHE": "1",
                       "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                       "FAKETIME_TIMESTAMP_FILE": str(clock)})
        trial.note("started with a clock that says 1970")
        if trial.wait(lambda: trial.story.connected, trial.seconds("wrong")):
            trial.warn("connected though by its clock no certificate is valid yet")
        fresh = clock.with_suffix(".new")
        fresh.write_text(RIGHT_DATE + "\n", encoding="ascii")
        fresh.rename(clock)
        trial.note("the clock is right")
        trial.heal()
        trial.judge_return()
        trial.drain()
    finally:
        trial.restart(usual)


SCENARIOS = [
    Scenario("dns-loss", NAME, "the name server fails", dns_loss, {"each": (6, 60)}, (12, 120)),
    Scenario("dns-moved", NAME, "the endpoint has another address", dns_moved, lasts=(8, 8)),
    Scenario("slow-2g", NAME, "a bad mobile link", link("slow-2g", "a bad mobile link"),
             {"slow": (8, 120)}, (12, 125)),
    Scenario("satellite", NAME, "a geostationary hop", link("satellite", "a geostationary hop"),
             {"slow": (8, 120)}, (10, 122)),
    Scenario("corrupt", NAME, "bytes arrive wrong", corrupt, {"corrupt": (10, 60)}),
    Scenario("wrong-clock", NAME, "the clock says 1970 at the start", wrong_clock,
             {"wrong": (8, 60)}, (14, 66)),
]

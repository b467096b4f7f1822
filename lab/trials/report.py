"""The result document of a run: docs/report-format.md."""
import collections

from report import model
from report.model import Verdict
from tool import facts, story
from tool.command import as_typed

WEIGHT = {Verdict.PASS: 100, Verdict.PASS_WITH_WARNINGS: 70, Verdict.FAIL: 0}
# Names of lost messages in the document.
NAMED = 100
TOOL = "holdfast lab torture"


def scores(cases, recommendations):
    """A score for each recommendation that something was judged of."""
    scored = []
    for name in recommendations:
        given = [case for case in cases if case.group == name and case.verdict in WEIGHT]
        if given:
            mean = sum(WEIGHT[case.verdict] for case in given) / len(given)
            scored.append(model.Score(name, round(mean, 1), 100, why(given)))
    return scored


def why(cases):
    parts = []
    for verdict, words in ((Verdict.FAIL, "failed"), (Verdict.PASS_WITH_WARNINGS, "with warnings")):
        names = [case.name for case in cases if case.verdict is verdict]
        if names:
            parts.append(f"{words}: {', '.join(names)}")
    return "; ".join(parts) or f"all of {len(cases)} passed"


def account(bench):
    """What became of the messages, or None where none could be counted."""
    books = bench.account
    if not books.counting:
        return None
    with bench.changed:  # more comes all the time
        missing, reasons, total = books.missing(), books.reasons(), books.total()
        # Not sent yet, or on its way: accepted after the last scenario was judged.
        pending = missing - books.named if books.listed else set()
        duplicates = books.duplicates
    lost = sorted(missing - pending)
    return model.Account(
        accepted=total, delivered=total - len(missing) - sum(reasons.values()),
        duplicates=duplicates, pending=len(pending), dropped=dict(reasons), lost=len(lost),
        lost_ids=[f"{key} {number}".strip() for key, number in lost[:NAMED]])


def per_second(times, end):
    counts = collections.Counter(int(time) for time in times if time >= 0)
    return [(float(second), float(counts[second])) for second in range(int(end) + 1)]


def timeline(bench, end):
    with bench.changed:
        events = list(bench.story.events)
        attempts = [time for time, _ in bench.story.attempts]
    starts = [round(moment - bench.began, 3) for moment in bench.program.starts]
    exits = [(round(moment - bench.began, 3), status) for moment, status in bench.program.exits]
    line = story.timeline(events, end, starts, exits)
    line.faults = [model.Fault(round(begin, 3), round(end if until is None else until, 3), name)
                   for begin, until, name in bench.faulted]
    if bench.arrivals:
        line.series.append(model.Series("arrived at the observer", per_second(bench.arrivals, end),
                                        "messages/s"))
    if bench.backlog and bench.backlog.points:
        line.series.append(model.Series("backlog", list(bench.backlog.points), "messages"))
    line.series.append(model.Series("connection attempts", per_second(attempts, end),
                                    "attempts/s"))
    return line


def document(bench, cases, recommendations, date, words):
    end = round(bench.now(), 3)
    run = model.Run(TOOL, as_typed(TOOL, words), date.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    end, bench.asked.seed, facts.versions(bench.tools), facts.machine())
    return model.Document(run, cases, timeline(bench, end), account(bench),
                          scores(cases, recommendations))

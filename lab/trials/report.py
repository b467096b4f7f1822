"""The result document of a run (docs/report-format.md), written in the forms that were asked for."""
import collections
import datetime
import pathlib
import platform
import shlex
import subprocess

from report import html, junit, model, text
from tool.place import Trouble
from tool.programs import Programs

WEIGHT = {model.Verdict.PASS: 100, model.Verdict.PASS_WITH_WARNINGS: 70, model.Verdict.FAIL: 0}
# Names of lost messages in the document.
NAMED = 100
TOOL = "holdfast lab torture"


def scores(cases, recommendations):
    """A score for each recommendation that has one, and why the others have none."""
    scored, unscored = [], []
    for name in recommendations:
        given = [case for case in cases if case.group == name and case.verdict in WEIGHT]
        if not given:
            unscored.append(name)
            continue
        mean = sum(WEIGHT[case.verdict] for case in given) / len(given)
        worst = [case for case in given if case.verdict is not model.Verdict.PASS]
        reason = "; ".join(f"{case.name}: {case.reason}" for case in worst)
        scored.append(model.Score(name, round(mean, 1), 100,
                                  reason or f"all of {len(given)} scenarios passed"))
    return scored, unscored


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


def states(bench, end):
    """What the device was doing when, as the report draws it."""
    marks = [(moment - bench.began, "ended", None) for moment, _ in bench.program.exits]
    marks += [(moment - bench.began, "started", None) for moment in bench.program.starts]
    for each in bench.story.connections:
        marks += [(time, kind, each.number) for time, kind in
                  ((each.begin, "connecting"), (each.connack, "connected"), (each.end, "closed"))
                  if time is not None]
    down, connections, spans = True, {}, [(0.0, "down")]
    for time, kind, number in sorted(marks, key=lambda mark: mark[0]):
        if number is None:
            down = kind == "ended"
        elif kind == "closed":
            connections.pop(number, None)
        else:
            connections[number] = kind
        state = ("down" if down else "connected" if "connected" in connections.values() else
                 "connecting" if connections else "waiting")
        if state != spans[-1][1]:
            spans.append((time, state))
    spans.append((end, ""))
    return [model.State(round(begin, 3), round(after, 3), name)
            for (begin, name), (after, _) in zip(spans, spans[1:]) if after > begin]


def per_second(times, end):
    counts = collections.Counter(int(time) for time in times if time >= 0)
    return [(float(second), float(counts[second])) for second in range(int(end) + 1)]


def timeline(bench, end):
    line = model.Timeline(states(bench, end))
    line.faults = [model.Fault(round(begin, 3), round(until if until is not None else end, 3), name)
                   for begin, until, name in bench.faulted]
    if bench.arrivals:
        line.series.append(model.Series("arrived at the observer", per_second(bench.arrivals, end),
                                        "1/s"))
    line.series.append(model.Series("connection attempts", per_second(
        [time for time, _ in bench.story.attempts], end), "1/s"))
    line.events = [model.Evidence(round(time, 3), words) for time, words in bench.moments]
    line.events += [model.Evidence(round(moment - bench.began, 3), f"the program ended with {status}")
                    for moment, status in bench.program.exits]
    line.events.sort(key=lambda each: each.time)
    return line


def document(bench, cases, recommendations, date):
    end = bench.now()
    asked = bench.asked
    run = model.Run(TOOL, f"{TOOL} {'--full ' if asked.full else ''}-- "
                    + shlex.join(asked.command), date.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    round(end, 3), asked.seed,
                    {"Python": platform.python_version(), "mosquitto": mosquitto_version()},
                    {"kernel": f"{platform.system()} {platform.release()}",
                     "processor": platform.machine()})
    scored, _ = scores(cases, recommendations)
    return model.Document(run, cases, timeline(bench, end), account(bench), scored)


def mosquitto_version():
    said = subprocess.run([Programs.system("mosquitto"), "-h"], capture_output=True, text=True,
                          check=False).stdout
    return said.split("\n", 1)[0].removeprefix("mosquitto version ").strip() or "unknown"


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def write(made, asked):
    forms = ((asked.html, lambda: html.render(made).encode("utf-8")),
             (asked.junit, lambda: junit.render(made)),
             (asked.json, lambda: model.dump(made).encode("utf-8")))
    for path, form in forms:
        if path is None:
            continue
        try:
            pathlib.Path(path).write_bytes(form())
        except OSError as error:
            raise Trouble(f"{path}: {error.strerror}") from error


def table(made, colour=False):
    return text.render(made, colour=colour)

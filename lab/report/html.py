"""The result document as one HTML file that needs no network.

All that is to be read is in the HTML itself, made here; the script only adds zoom, filter and
colours. Everything that came from the run goes through said() or escape(), or into the JSON of the
timeline, where no markup can begin. The page forbids by its policy any script but its own.
"""

import base64
import hashlib
import json
import pathlib
import string
from html import escape as quote

from report import charts
from report.model import Sender, Verdict
from report.text import verdict_line
from report.words import clock, counted, duration, moment, number, visible

FOLDER = pathlib.Path(__file__).parent
MAX_POINTS = 60_000         # of all series together; beyond it they are thinned
WORDS = {Verdict.PASS: "passed", Verdict.PASS_WITH_WARNINGS: "warnings", Verdict.FAIL: "failed",
         Verdict.NOT_APPLICABLE: "not applicable", Verdict.ERROR: "error"}
# Told apart by their shape, too: tick, exclamation mark, cross, dash, question mark.
ICONS = {Verdict.PASS: "M2 6.5 5 9.5 10 3", Verdict.PASS_WITH_WARNINGS: "M6 1.5V7M6 10.4v.1",
         Verdict.FAIL: "M2.5 2.5l7 7M9.5 2.5l-7 7", Verdict.NOT_APPLICABLE: "M2.5 6h7",
         Verdict.ERROR: "M3.5 4a2.5 2.5 0 1 1 3.6 2.2Q6 6.8 6 7.7M6 10.4v.1"}
BAD_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.PASS_WITH_WARNINGS, Verdict.PASS,
             Verdict.NOT_APPLICABLE)
OPEN = (Verdict.FAIL, Verdict.ERROR)
STATES = ("connected", "connecting", "waiting", "offline", "down")     # those with a colour
DROPPED = ("--warn", "--series-4", "--none")      # colours of the reasons, in turn


def render(document):
    """The page, as text."""
    style, script = (FOLDER.joinpath(name).read_text("utf-8").strip()
                     for name in ("style.css", "script.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = (f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
              "base-uri 'none'; form-action 'none'")
    parts = [part for part in (
        ("verdicts", "Verdicts", _verdicts(document)),
        ("recommendations", "Recommendations", _scores(document)),
        ("messages", "Messages", _account(document.account)),
        ("timeline", "Timeline", _timeline(document)),
        ("backoff", "Backoff", _attempts(document)),
        ("cases", "Cases", _cases(document)),
        ("run", "Run", _run(document.run))) if part[2]]
    content = [_answer(document)] + [f'<section id="{name}">{body}</section>'
                                     for name, _, body in parts]
    return string.Template(FOLDER.joinpath("template.html").read_text("utf-8")).substitute(
        policy=policy, title=escape(f"{document.run.tool}: {verdict_line(document)}"),
        style=style, script=script, tool=said(document.run.tool),
        nav="".join(f'<a href="#{name}">{title}</a>' for name, title, _ in parts),
        content="\n".join(content), data=_data(document))


def escape(text):
    """For text and attributes; what cannot be seen is named."""
    return quote(visible(text))


def said(text):
    """The same, and its direction of writing does not reach what is around it."""
    return f"<bdi>{escape(text)}</bdi>"


def named(text):
    """A name, which may be broken after an underscore."""
    return said(text).replace("_", "_<wbr>")


def _icon(verdict):
    return f'<svg viewBox="0 0 12 12" aria-hidden="true"><path d="{ICONS[verdict]}"/></svg>'


def _badge(verdict):
    return f'<span class="badge {verdict.value}">{_icon(verdict)}{WORDS[verdict]}</span>'


def _heading(title, lead=""):
    lead = f'<p class="lead">{lead}</p>' if lead else ""
    return f"<header><h2>{title}</h2>{lead}</header>"


# --- the answer ---

def _answer(document):
    counts, run, verdict = document.counts(), document.run, document.verdict
    segments = "".join(
        f'<i class="{kind.value}" style="flex:{counts[kind]}"></i>'
        for kind in Verdict if counts[kind])
    key = "".join(f'<li class="{kind.value}">{WORDS[kind]} <b>{counts[kind]}</b></li>'
                  for kind in Verdict if counts[kind])
    facts = [("on", moment(run.date)), ("took", duration(run.seconds))]
    if run.seed is not None:
        facts.append(("seed", str(run.seed)))
    share = (f'<div class="share" role="img" aria-label="{escape(verdict_line(document))}">'
             f'{segments}</div><ul class="key">{key}</ul>') if segments else ""
    return (f'<section class="answer {verdict.value}"><h1>{_headline(document)}</h1>'
            f'<p class="lead">{_sentence(document)}</p>{share}'
            f'{_command(run.command)}<dl class="facts">' +
            "".join(f"<div><dt>{name}</dt><dd>{said(value)}</dd></div>" for name, value in facts) +
            "</dl></section>")


def _command(text):
    """A line to type; it is broken between words, since a hyphen is a part of an option."""
    words = " ".join(f"<span>{said(word)}</span>" for word in text.split(" "))
    return f'<p class="command"><code>{words}</code></p>'


def _headline(document):
    counts, verdict = document.counts(), document.verdict
    judged = len(document.cases) - counts[Verdict.NOT_APPLICABLE]
    bad = counts[Verdict.FAIL] or counts[Verdict.ERROR]
    if not judged and not document.account:
        return "Nothing was judged"
    if bad:
        word = "failed" if counts[Verdict.FAIL] else "could not be judged"
        return f'<em style="color:var(--c)">{bad} of {counted(judged, "case")} {word}</em>'
    if verdict is Verdict.FAIL:
        return '<em style="color:var(--c)">Messages are missing</em>'
    after = ", with warnings" if counts[Verdict.PASS_WITH_WARNINGS] else ""
    return f'<em style="color:var(--c)">Passed{after}</em>'


def _sentence(document):
    account, score, counts = document.account, document.score, document.counts()
    parts = []
    if counts[Verdict.FAIL] and counts[Verdict.ERROR]:
        parts.append(f"{counted(counts[Verdict.ERROR], 'case')} could not be judged")
    if account and account.lost:
        parts.append(f"{counted(account.lost, 'message')} of {account.accepted:,} "
                     f"{'was' if account.lost == 1 else 'were'} lost")
    elif account:
        parts.append(f"no message of {account.accepted:,} was lost")
    if account and account.uncounted:
        parts.append(f"{abs(account.uncounted):,} cannot be explained")
    if score is not None:
        parts.append(f"the recommendations were met to {score:.0f} of 100")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


# --- verdicts ---

def _verdicts(document):
    if not document.cases:
        return ""
    counts = document.counts()
    chips = "".join(
        f'<button type="button" class="chip {verdict.value}" data-verdict="{verdict.value}" '
        f'aria-pressed="false">{_icon(verdict)}{WORDS[verdict]} <b>{counts[verdict]}</b></button>'
        for verdict in BAD_FIRST if counts[verdict])
    numbers = {id(case): at for at, case in enumerate(document.cases, 1)}
    bodies = []
    for group, cases in document.groups().items():
        warned = sum(case.verdict is Verdict.PASS_WITH_WARNINGS for case in cases)
        passed = sum(case.verdict is Verdict.PASS for case in cases) + warned
        judged = sum(case.verdict is not Verdict.NOT_APPLICABLE for case in cases)
        after = f", {warned} of them with warnings" if warned else ""
        bodies.append(f'<tbody><tr class="group"><th colspan="4" scope="rowgroup">{said(group)}'
                      f"<span>{passed} of {judged} passed{after}</span></th></tr>" +
                      "".join(_row(case, numbers[id(case)]) for case in cases) + "</tbody>")
    return (_heading("Verdicts") + '<div class="filters" role="search" hidden>'
            '<input type="search" placeholder="Search names and reasons" '
            f'aria-label="Search names and reasons">{chips}<output aria-live="polite"></output>'
            '</div><table class="verdicts"><caption class="unseen">Verdict of each case</caption>'
            '<thead><tr><th scope="col">Verdict</th><th scope="col">Case</th>'
            f'<th scope="col">Reason</th><th scope="col" class="number">Time</th></tr></thead>'
            f'{"".join(bodies)}</table>'
            '<p class="nothing" hidden>No case fits.</p>')


def _row(case, at):
    warnings = "".join(f"<li>{said(warning)}</li>" for warning in case.warnings)
    took = duration(case.seconds) if case.seconds else "–"
    return (f'<tr class="row {case.verdict.value}" data-verdict="{case.verdict.value}" '
            f'data-case="case-{at}"><td class="verdict">{_badge(case.verdict)}</td>'
            f'<td class="name"><a href="#case-{at}">{named(case.name)}</a></td>'
            f'<td class="reason">{said(case.reason)}' +
            (f"<ul>{warnings}</ul>" if warnings else "") +
            f'</td><td class="number">{took}</td></tr>')


def _scores(document):
    if not document.scores:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{said(score.name)}</th><td class="meter">'
        f'<div class="{_grade(score)}"><i style="width:{100 * score.score / score.of:.1f}%"></i>'
        f'</div></td><td class="number">{number(score.score)} <span class="unseen">of '
        f'{number(score.of)}</span></td><td class="why">{said(score.reason)}</td></tr>'
        for score in document.scores)
    return (_heading("Recommendations", "How far the device does what AWS recommends to devices "
                     "that must stay connected.") +
            f'<div class="scores"><p class="total">{document.score:.0f}<small>of 100</small></p>'
            '<table><caption class="unseen">Score of each recommendation</caption><thead '
            'class="unseen"><tr><th scope="col">Recommendation</th><th scope="col">Share</th>'
            '<th scope="col">Points</th><th scope="col">Why</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def _grade(score):
    part = score.score / score.of
    return (Verdict.PASS if part >= 0.9 else Verdict.PASS_WITH_WARNINGS if part >= 0.6 else
            Verdict.FAIL).value


# --- timeline ---

def _timeline(document):
    timeline = document.timeline
    if timeline.empty:
        return ""
    states = list(dict.fromkeys(span.state for span in timeline.states))
    legend = "".join(
        f'<span><i style="background:var(--state-{state if state in STATES else "other"})"></i>'
        f"{said(state)}</span>" for state in states)
    if timeline.faults:
        legend += '<span><i style="background:var(--fault)"></i>fault</span>'
    points = sum(len(series.points) for series in timeline.series)
    thinned = (f" {points:,} points were thinned to about {MAX_POINTS:,}; peaks are kept."
               if points > MAX_POINTS else "")
    buttons = "".join(f'<button type="button" data-do="{do}" aria-label="{label}">{sign}</button>'
                      for do, label, sign in (
                          ("out", "Zoom out", "−"), ("in", "Zoom in", "+"),
                          ("left", "Earlier", "←"), ("right", "Later", "→"),
                          ("all", "Show all", "All")))
    return (_heading("Timeline", "Times are minutes and seconds since the run began." + thinned) +
            f'<div class="over"><div class="tools">{buttons}<output></output></div>'
            '<p class="read">Point at the timeline to read its values.</p></div>'
            '<div class="plot" tabindex="0" role="application" aria-label="Timeline of cases, '
            'faults, connection and rates. Arrows move, plus and minus zoom, 0 shows all, Shift '
            f'and an arrow reads values."></div><p class="legend">{legend}</p>'
            '<p class="hint">Click it, then the wheel zooms; drag to move. Keys: <kbd>+</kbd> '
            "<kbd>−</kbd> <kbd>←</kbd> <kbd>→</kbd> <kbd>0</kbd>, <kbd>Shift</kbd> with an arrow "
            "reads values.</p>")


def thin(points, most):
    """At most about that many of the points: of each stretch the lowest and the highest."""
    if len(points) <= most:
        return points
    step = -(-2 * len(points) // max(2, most))
    kept = []
    for begin in range(0, len(points), step):
        part = points[begin:begin + step]
        kept += sorted({min(part, key=_value), max(part, key=_value)})
    return kept


def _value(point):
    return point[1]


def _data(document):
    """The timeline for the script. JSON, in which `<` cannot stand for itself."""
    timeline = document.timeline
    total = sum(len(series.points) for series in timeline.series)
    series = []
    for item in timeline.series:
        points = thin(item.points, max(2, MAX_POINTS * len(item.points) // max(1, total)))
        series.append({"name": visible(item.name), "unit": visible(item.unit),
                       "t": [round(time, 3) for time, _ in points],
                       "v": [float(f"{value:.5g}") for _, value in points]})
    data = {
        "states": [[span.begin, span.end, visible(span.state)] for span in timeline.states],
        "faults": [[span.begin, span.end, visible(span.name)] for span in timeline.faults],
        "events": [[event.time, visible(event.text)] for event in timeline.events],
        "cases": [[case.begin, case.begin + case.seconds, visible(case.name), case.verdict.value]
                  for case in document.cases if case.seconds],
        "series": series}
    for name in ("states", "faults", "events", "cases"):
        data[name].sort(key=lambda span: span[0])
    spans = data["states"] + data["faults"] + data["cases"]
    data["begin"] = min([0, *(span[0] for span in spans), *(event[0] for event in data["events"]),
                         *(item["t"][0] for item in series if item["t"])])
    data["end"] = max([document.run.seconds, *(span[1] for span in spans),
                       *(event[0] for event in data["events"]),
                       *(item["t"][-1] for item in series if item["t"])])
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


# --- backoff ---

def _attempts(document):
    figures = [_figure(case, at) for at, case in enumerate(document.cases, 1) if case.attempts]
    if not figures:
        return ""
    return (_heading("Backoff", "How long the device waited before each attempt to connect. The "
                     "shaded range is the ideal: each wait drawn evenly from it, so half of its "
                     "height on average (dotted), and no two devices alike.") +
            f'<div class="multiples">{"".join(figures)}</div>')


def _figure(case, at):
    rows = charts.rows_of(case)
    told = "".join(_told(row, charts.mark(place) if len(rows) > 1 else "")
                   for place, row in enumerate(rows))
    lines = "".join(
        f"<tr><td>{said(row.name)}</td><td class=number>{n}</td>"
        f"<td class=number>{clock(time)}</td><td class=number>{gap:.3f}</td></tr>"
        for row in rows for n, (time, gap) in enumerate(zip(row.times, row.shown), 1))
    return (f'<figure class="attempts"><h3><a href="#case-{at}">{named(case.name)}</a></h3>'
            f"{charts.scatter(rows, case.name)}<figcaption>{told}</figcaption>"
            "<details><summary>Numbers</summary><table><thead><tr><th scope=col>Row</th>"
            "<th scope=col class=number>Gap</th><th scope=col class=number>Attempt at</th>"
            "<th scope=col class=number>Waited (s)</th></tr></thead>"
            f"<tbody>{lines}</tbody></table></details></figure>")


def _told(row, mark):
    name = said(row.name) + ": " if row.name else ""
    count = len(row.times)
    more = f"; the first {len(row.shown)} of {count:,} are shown" if count > len(row.shown) else ""
    return (f"<p>{mark}<b>{name}{escape(row.finding.kind)}</b> – {said(row.finding.sentence)}{more}"
            "</p>")


# --- messages ---

def _account(account):
    if account is None:
        return ""
    rows = [("delivered", account.delivered, "--pass"), ("pending", account.pending, "--series-1")]
    rows += [(f"dropped: {reason}", count, DROPPED[at % len(DROPPED)])
             for at, (reason, count) in enumerate(account.dropped.items())]
    rows += [("lost", account.lost, "--fail")]
    if account.uncounted:
        rows.append(("cannot be explained", account.uncounted, "--fail"))
    lines = "".join(
        f'<tr{_wrong(name, count)}><th scope="row"><i style="--c:var({colour})"></i>'
        f"{said(name)}</th><td>{count:,}</td></tr>" for name, count, colour in rows)
    beam = "".join(f'<i style="flex:{count};--c:var({colour})" '
                   f'title="{escape(name)}: {count:,}"></i>'
                   for name, count, colour in rows if count > 0)
    answer, colour = _balance(account)
    ids = ", ".join(said(word) for word in account.lost_ids)
    more = account.lost - len(account.lost_ids)
    more = f" and {more:,} more" if more else ""
    return (_heading("Messages", "What the device accepted stands on one side; what became of it "
                     "on the other.") +
            '<div class="account"><table><caption class="unseen">Account of messages</caption>'
            f'<tbody>{lines}<tr class="sum"><th scope="row">accepted</th>'
            f"<td>{account.accepted:,}</td></tr>"
            '<tr class="beside"><th scope="row">arrived more than once</th>'
            f"<td>{account.duplicates:,}</td></tr></tbody></table>"
            f'<div><div class="scale" role="img" aria-label="{escape(answer)}"><p>accepted</p><div '
            f'class="beam"><i style="flex:1;--c:var(--strong)"></i></div><p>what became of it</p>'
            f'<div class="beam">{beam}</div></div>'
            f'<p class="verdict-line" style="color:var({colour})">{answer}</p>' +
            (f'<p class="ids">Lost: {ids}{more}</p>' if ids else "") + "</div></div>")


def _balance(account):
    """The sentence under the account, and its colour."""
    parts = []
    if account.lost:
        parts.append(f"{counted(account.lost, 'accepted message')} never arrived")
    if account.uncounted > 0:
        parts.append(f"what became of {counted(account.uncounted, 'message')} is unknown")
    if account.uncounted < 0:
        parts.append(f"{counted(-account.uncounted, 'message')} more than were accepted are told")
    text = "; ".join(parts)
    return ((f"{text[:1].upper()}{text[1:]}.", "--fail") if parts else
            ("Nothing was lost: every accepted message is accounted for.", "--pass"))


def _wrong(name, count):
    return ' class="wrong"' if name in ("lost", "cannot be explained") and count else ""


# --- cases ---

def _cases(document):
    told = sorted(enumerate(document.cases, 1), key=lambda item: BAD_FIRST.index(item[1].verdict))
    if not told:
        return ""
    return (_heading("Cases", "What was seen in each, and how to do it again; the worst first.") +
            "".join(_case(case, at, document.timeline) for at, case in told) +
            '<p class="nothing" hidden>No case fits.</p>')


def _case(case, at, timeline):
    warnings = "".join(f"<li>{said(warning)}</li>" for warning in case.warnings)
    parts = [f"<p>{said(case.reason)}</p>"]
    if warnings:
        parts.append(f'<ul class="warnings">{warnings}</ul>')
    if case.figures:
        parts.append(_figures(case.figures))
    if case.evidence:
        parts.append('<div><h4>Evidence</h4><ol class="evidence">' + "".join(
            f"<li><time>{clock(item.time)}</time><span>{said(item.text)}</span></li>"
            for item in case.evidence) + "</ol></div>")
    if case.packets:
        parts.append(_packets(case))
    if case.replay:
        parts.append(f"<div><h4>Do it again</h4>{_command(case.replay)}</div>")
    if case.seconds and not timeline.empty:
        parts.append(f'<p><button type="button" class="link" hidden data-begin="{case.begin}" '
                     f'data-end="{case.begin + case.seconds}">Show in the timeline</button></p>')
    when = f"{duration(case.seconds)}, from {clock(case.begin)}" if case.seconds else ""
    return (f'<details class="case {case.verdict.value}" id="case-{at}"'
            f'{" open" if case.verdict in OPEN else ""}><summary>{_badge(case.verdict)}'
            f'<h3>{named(case.name)}</h3><span class="when">{when}</span></summary>'
            f'<div class="body">{"".join(parts)}</div></details>')


def _figures(figures):
    rows = []
    for figure in figures:
        bounds = [f"{word} {number(bound)}" for word, bound in
                  (("at most", figure.limit), ("at least", figure.least)) if bound is not None]
        rows.append(f'<tr{"" if figure.good else " class=bad"}><th scope="row">'
                    f'{said(figure.name)}</th>'
                    f'<td class="number">{number(figure.value)} {said(figure.unit)}</td>'
                    f'<td>{", ".join(bounds)}</td></tr>')
    return ('<table class="figures"><caption class="unseen">Figures</caption><thead class="unseen">'
            '<tr><th scope="col">Figure</th><th scope="col">Value</th><th scope="col">Bound</th>'
            f'</tr></thead><tbody>{"".join(rows)}</tbody></table>')


def _packets(case):
    bare = not any(packet.hex for packet in case.packets)
    rows = "".join(
        f'<tr class="{packet.sender.value}"><td class="time">{clock(packet.time)}</td>'
        f'<td class="way">{"device →" if packet.sender is Sender.DEVICE else "← broker"}</td>'
        f'<td class="kind">{said(packet.kind)}</td><td>{said(packet.summary)}</td>'
        f'{"" if bare else f"<td class=hex>{_spaced(packet.hex)}</td>"}</tr>'
        for packet in case.packets)
    return (f'<details class="packets"{" open" if case.verdict is Verdict.FAIL else ""}>'
            f'<summary>{counted(len(case.packets), "packet")}</summary><div class="scroll"><table>'
            '<thead><tr><th scope="col" class="number">At</th><th scope="col">From</th>'
            '<th scope="col">Packet</th><th scope="col">What it says</th>'
            f'{"" if bare else "<th scope=col>First bytes</th>"}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
            "</details>")


def _spaced(digits):
    digits = "".join(digits.split())
    return " ".join(digits[at:at + 2] for at in range(0, len(digits), 2))


# --- the run ---

def _run(run):
    def listed(title, values):
        lines = "".join(f"<dt>{said(name)}</dt><dd>{said(value)}</dd>"
                        for name, value in values.items())
        return f"<div><h3>{title}</h3><dl>{lines}</dl></div>" if values else ""
    facts = {"tool": run.tool, "began": moment(run.date), "took": duration(run.seconds)}
    if run.seed is not None:
        facts["seed"] = str(run.seed)
    return (_heading("Run") + f'<div class="run">{listed("Facts", facts)}'
            f'{listed("Versions", run.versions)}{listed("Machine", run.machine)}</div>')

"""The result document for a terminal: a table of its width, and a verdict in one line."""

import os
import shutil
import unicodedata

from report.model import Verdict
from report.words import counted, duration, number, one_line

MIN_COLUMNS = 50
MAX_COLUMNS = 140
MAX_NAME = 48
MIN_BESIDE = 90         # columns from which reasons stand beside the names, not below
MARKS = {Verdict.PASS: ("pass", "32"), Verdict.PASS_WITH_WARNINGS: ("warn", "33"),
         Verdict.FAIL: ("FAIL", "1;31"), Verdict.NOT_APPLICABLE: ("n/a", "2"),
         Verdict.ERROR: ("ERROR", "1;35")}


def verdict_line(document):
    """The whole run in one line, without colours: PASSED or FAILED first."""
    counts, account = document.counts(), document.account
    bad = document.verdict in (Verdict.FAIL, Verdict.ERROR)
    parts = [counted(counts[verdict], word, word) for verdict, word in (
        (Verdict.FAIL, "failed"), (Verdict.ERROR, "in error"), (Verdict.PASS, "passed"),
        (Verdict.PASS_WITH_WARNINGS, "with warnings"),
        (Verdict.NOT_APPLICABLE, "not applicable")) if counts[verdict]]
    if account:
        parts.append(counted(account.lost, "message") + " lost")
        if account.uncounted:
            parts.append(f"{account.uncounted:,} uncounted")
    if document.score is not None:
        parts.append(f"score {document.score:.0f} of 100")
    return (f"{'FAILED' if bad else 'PASSED'}: {', '.join(parts) or 'nothing was judged'}"
            f" in {duration(document.run.seconds)}")


def use_colour(stream):
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def render(document, columns=None, colour=False):
    """Lines, joined. `columns`: of the terminal, by default of this one."""
    columns = columns or shutil.get_terminal_size((100, 24)).columns
    columns = max(MIN_COLUMNS, min(columns, MAX_COLUMNS))
    paint = _painted if colour else (lambda text, _: text)
    run = document.run
    seed = "" if run.seed is None else f", seed {run.seed}"
    lines = [paint(_cut(f"{one_line(run.tool)}  {one_line(run.date)}{seed}", columns), "1")]
    lines += _cases(document, columns, paint)
    lines += _scores(document, paint)
    lines += _account(document.account, paint) if document.account else []
    code = MARKS[document.verdict][1]
    return "\n".join([*lines, "", paint(verdict_line(document), code), ""])


def _painted(text, code):
    return f"\x1b[{code}m{text}\x1b[0m"


def _width(text):
    """In columns of a terminal: East Asian ones take two, combining ones none."""
    return sum(0 if unicodedata.combining(char) else
               2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _cut(text, columns):
    if _width(text) <= columns:
        return text
    while _width(text) > columns - 1:
        text = text[:-1]
    return text + "…"


def _padded(text, columns):
    text = _cut(text, columns)
    return text + " " * (columns - _width(text))


def _wrapped(text, columns):
    """Lines of at most that many columns, broken between words where that is possible."""
    lines, line = [], ""
    for word in text.split(" "):
        while _width(word) > columns:
            if line:
                lines.append(line)
                line = ""
            piece = word
            while _width(piece) > columns:
                piece = piece[:-1]
            lines.append(piece)
            word = word[len(piece):]
        joined = f"{line} {word}" if line else word
        if _width(joined) > columns:
            lines.append(line)
            joined = word
        line = joined
    return lines + [line]


def _cases(document, columns, paint):
    longest = max((_width(one_line(case.name)) for case in document.cases), default=0)
    name_columns = min(longest, MAX_NAME, (columns - 9) // 2) if columns >= MIN_BESIDE else 0
    indent = 2 + 7 + (name_columns + 2 if name_columns else 0)
    lines = []
    for group, cases in document.groups().items():
        lines += ["", paint(_cut(one_line(group), columns), "1")]
        for case in cases:
            mark, code = MARKS[case.verdict]
            name = one_line(case.name)
            words = _wrapped(one_line(case.reason), columns - indent)
            first = f"  {paint(_padded(mark, 7), code)}"
            if _width(name) > name_columns:     # whole, because people copy it; it has its own line
                lines += [first + name, " " * indent + words[0]]
            else:
                lines.append(f"{first}{_padded(name, name_columns)}  {words[0]}")
            lines += [" " * indent + line for line in words[1:]]
            for warning in case.warnings:
                lines += [paint(" " * indent + line, "33")
                          for line in _wrapped(f"! {one_line(warning)}", columns - indent)]
            if case.verdict in (Verdict.FAIL, Verdict.ERROR) and case.replay:
                lines.append(paint(f"         replay: {one_line(case.replay)}", "2"))
    return lines


def _scores(document, paint):
    if not document.scores:
        return []
    width = min(MAX_NAME, max(_width(one_line(score.name)) for score in document.scores))
    return ["", paint("recommendations", "1")] + [
        f"  {_padded(one_line(score.name), width)}  {number(score.score):>5} of {number(score.of)}"
        for score in document.scores]


def _account(account, paint):
    rows = [("accepted", account.accepted), ("delivered", account.delivered),
            ("pending", account.pending)]
    rows += [(f"dropped: {one_line(reason)}", count) for reason, count in account.dropped.items()]
    rows += [("lost", account.lost), ("uncounted", account.uncounted),
             ("duplicates", account.duplicates)]
    lines = ["", paint("messages", "1")]
    for name, count in rows:
        line = f"  {_padded(name, 30)} {count:>12,}"
        lines.append(paint(line, "1;31") if name in ("lost", "uncounted") and count else line)
    return lines

"""The scatter of connection attempts over the ideal: SVG that takes its colours from the page."""

import dataclasses
import math
from html import escape

from report import gaps
from report.words import visible

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 240, 44, 12, 14, 36
MAX_LABELS = 12     # beyond it, points stand without their number
MAX_SHOWN = 200     # gaps of a row; later ones are judged, but not drawn


@dataclasses.dataclass
class Row:
    name: str
    times: list         # of the attempts at which the gaps end
    finding: gaps.Finding
    shown: list         # the gaps that are drawn
    ideal: list         # the envelope, a value for each of them


def rows_of(case):
    """The rows of attempts of a case, judged."""
    rows = []
    for attempts in case.attempts:
        finding = gaps.classify(attempts.times, attempts.waits, attempts.lost)
        times, shown = attempts.times[1:], finding.gaps
        if finding.first is not None:
            times, shown = attempts.times, [finding.first, *shown]
        shown = shown[:MAX_SHOWN]
        rows.append(Row(attempts.name, times, finding, shown,
                        attempts.ideal.envelope(len(shown))))
    return rows


def _ticks(high):
    step = 10 ** math.floor(math.log10(high / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if high / (factor * step) <= 4.5)
    return [step * at for at in range(int(high / step + 1e-9) + 1)]


def scatter(rows, title):
    """One chart for rows that are alike; the ideal is that of the longest."""
    ideal = max((row.ideal for row in rows), key=len)
    count = max(1, len(ideal))
    high = max([1e-3, *ideal, *(gap for row in rows for gap in row.shown)]) * 1.12

    def x(at):
        return LEFT + (WIDTH - LEFT - RIGHT) * (at + 0.5) / count

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / high
    body = []
    for tick in _ticks(high):
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" '
                    f'y2="{y(tick):.1f}"/><text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" '
                    f'text-anchor="end">{tick:g} s</text>')
    if ideal:
        body += _ideal(ideal, x, y)
    step = -(-count // 16)
    body += [f'<text x="{x(at):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
             f"{at + 1}</text>" for at in range(0, count, step)]
    body.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">'
                "wait before attempt, in order</text>")
    for place, row in enumerate(rows):
        body += _points(row, place, len(rows), x, y)
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(visible(title))}: waits between attempts">{"".join(body)}</svg>')


def _ideal(ideal, x, y):
    half = (x(1) - x(0)) / 2
    steps = [(x(at) + side, value) for at, value in enumerate(ideal) for side in (-half, half)]
    edge = " ".join(f"{across:.1f} {y(value):.1f}" for across, value in steps)
    mean = "".join(f"M{x(at) - half:.1f} {y(value / 2):.1f}h{2 * half:.1f}"
                   for at, value in enumerate(ideal))
    floor = f"L{steps[-1][0]:.1f} {y(0):.1f} {steps[0][0]:.1f} {y(0):.1f}Z"
    return [f'<path class="area" d="M{edge}{floor}"/><path class="edge" d="M{edge}"/>'
            f'<path class="mean" d="{mean}"/>']


def _shape(place, x, y):
    """Rows are told apart by shape, too: circle, square, diamond."""
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="mark row-0"',
            f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" class="mark row-1"',
            f'<path d="M{x:.1f} {y - 6:.1f}l6 6-6 6-6-6z" class="mark row-2"')[place % 3]


def mark(place):
    """The shape of a row, for the words about it."""
    return (f'<svg class="key-mark" viewBox="0 0 14 14" aria-hidden="true">{_shape(place, 7, 7)}/>'
            "</svg>")


def _points(row, place, rows, x, y):
    """Rows stand side by side; of two, the left one has its numbers to the left, and only high up,
    where they do not meet."""
    count = len(row.shown)
    shift = (place - (rows - 1) / 2) * min(26, 220 / max(1, count) / rows)
    anchor = "middle" if rows == 1 else "end" if place == 0 else "start"
    aside = {"middle": (0, -9), "end": (-8, 4), "start": (8, 4)}[anchor]
    marks = []
    for at, gap in enumerate(row.shown):
        across, up = x(at) + shift, y(gap)
        shape = _shape(place, across, up)
        marks.append(f"{shape}><title>{gap:.3f} s</title></{shape[1:].split(' ', 1)[0]}>")
        if count * rows <= MAX_LABELS and (rows == 1 or rows == 2 and y(0) - up > 24):
            marks.append(f'<text class="value" x="{across + aside[0]:.1f}" '
                         f'y="{up + aside[1]:.1f}" text-anchor="{anchor}">{gap:.2g}</text>')
    return marks

"""What the times between connection attempts say about a device's backoff.

AWS does not publish how Device Advisor tells the kinds apart; this is our reading of it, and what
`holdfast lab advise` judges with.

  constant      the longest gap is at most 1.25 of the shortest: a fixed wait, also one that varies
                by 10 % to either side; or none is longer than BACKOFF: there is no wait at all
  linear        the gaps lie on a straight line that rises or falls, by 5 % of its step
  exponential   each gap is the one before it times the same factor, by 5 %, until a cap
  jitter        none of these; `grows` says whether the range of the gaps does
  unknown       fewer than four gaps

NOISE is granted besides to every gap, for the network and the scheduler.

The gap between the loss of a connection and the first attempt is not asked for the kind, because
many devices come back at once, but it is where the range begins to grow.

Few gaps tell little about the range that they were drawn from, and a device may be at its longest
backoff already: only gaps that shrink are taken for a range that does not grow. The longest of the
later half has to be MIN_GROWTH times the shortest of the others.

How often that errs, of 10,000 rows of base 1 s, doubling, cap 30 s (report_test.py sees to it):

                    5 gaps: not `jitter`   no growth     6 gaps: not `jitter`   no growth
  full jitter               26               15                   2                0
  equal jitter             251                0                  41                0
  decorrelated jitter      133              268                  75               89
"""

import dataclasses

from report.model import Verdict

NOISE = 0.020           # seconds
MIN_GAPS = 4
CONSTANT_SPREAD = 1.25  # 1.1 / 0.9, and something for the clock
TOLERANCE = 0.05
MIN_FACTOR = 1.2        # below it, exponential is not told from linear
BACKOFF = 0.25          # seconds; below it lie handshakes on a busy machine, and no decision
MIN_GROWTH = 1.1


@dataclasses.dataclass
class Finding:
    kind: str                       # constant, linear, exponential, jitter, unknown
    sentence: str
    gaps: list                      # seconds; the device's own waiting is taken off
    first: float | None = None      # the gap between the loss and the first attempt
    spread: float | None = None     # longest / shortest
    growth: float | None = None
    factor: float | None = None     # exponential only
    step: float | None = None       # linear only: seconds a gap
    cap: float | None = None        # exponential only, when it was reached

    @property
    def grows(self):
        return self.growth is not None and self.growth >= MIN_GROWTH

    @property
    def verdict(self):
        """As Device Advisor's backoff tests have it; None: too little to judge."""
        if self.kind == "unknown":
            return None
        if self.kind in ("constant", "linear"):
            return Verdict.FAIL
        return Verdict.PASS if self.kind == "jitter" and self.grows else Verdict.PASS_WITH_WARNINGS


def gaps_of(times, waits=()):
    """Seconds between attempts, without what the device spent waiting within the earlier one."""
    pairs = list(zip(times, times[1:]))
    return [max(0.0, after - before - wait)
            for (before, after), wait in zip(pairs, waits or [0.0] * len(pairs))]


def classify(times, waits=(), lost=None):
    """Judges the attempts at `times`. `waits`: for each but the last, how long the device held on
    to that attempt before it gave it up (its CONNACK timeout); needed when that is not short,
    because a long fixed wait hides what comes after it. Without it, only an exponential is still
    seen. `lost`: when the connection before them ended."""
    gaps = gaps_of(times, waits)
    first = max(0.0, times[0] - lost) if times and lost is not None else None
    if len(gaps) < MIN_GAPS:
        return Finding("unknown", f"{len(gaps)} gaps are too few to judge; {MIN_GAPS} are needed",
                       gaps, first)
    finding = (_constant(gaps) or _linear(gaps) or _exponential(gaps) or
               (None if waits else _offset_exponential(gaps)) or Finding("jitter", "", gaps))
    finding.first = first
    finding.spread = max(gaps) / max(min(gaps), NOISE)
    finding.growth = _growth(gaps if first is None else [first, *gaps])
    if finding.kind == "jitter":
        finding.sentence = (f"gaps of {_short(min(gaps))} to {_short(max(gaps))} vary at random" + (
            "" if finding.grows else ", but the later ones are not longer: the range does not "
            "grow"))
    return finding


def _short(seconds):
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.3g} s"


def _constant(gaps):
    if max(gaps) <= BACKOFF:
        return Finding("constant", f"there is none; every gap is at most {_short(max(gaps))}",
                       gaps)
    if max(gaps) > CONSTANT_SPREAD * min(gaps) + NOISE:
        return None
    return Finding("constant", f"every gap is about {_short(sum(gaps) / len(gaps))}", gaps)


def _linear(gaps):
    """The line of least squares, and no gap far from it."""
    count = len(gaps)
    middle, mean = (count - 1) / 2, sum(gaps) / count
    step = (sum((at - middle) * gap for at, gap in enumerate(gaps)) /
            sum((at - middle) ** 2 for at in range(count)))
    room = max(TOLERANCE * abs(step), NOISE)
    if any(abs(gap - mean - (at - middle) * step) > room for at, gap in enumerate(gaps)):
        return None
    return Finding("linear", f"each gap is {_short(abs(step))} "
                   f"{'longer' if step > 0 else 'shorter'} than the one before", gaps, step=step)


def _exponential(gaps):
    """The last gaps may be equal: a cap. The step onto it may be smaller than the others."""
    high = max(gaps)
    rise = next(at for at, gap in enumerate(gaps) if _near(gap, high))
    rising, flat = gaps[:rise + 1], gaps[rise:]
    if not all(_near(gap, high) for gap in flat) or min(gaps) <= NOISE:
        return None
    factor, capped = _steady_factor(rising), len(flat) > 1
    if factor is None and len(rising) > (3 if capped else 4):
        factor, capped = _steady_factor(rising[:-1]), True
        if factor is not None and rising[-1] > rising[-2] * factor * (1 + TOLERANCE):
            return None
    if factor is None:
        return None
    return Finding("exponential", f"each gap is {factor:.3g} times the one before" + (
        f" up to {_short(high)}" if capped else "") + ", without jitter", gaps, factor=factor,
        cap=high if capped else None)


def _near(gap, other):
    return abs(gap - other) <= TOLERANCE / 4 * other + NOISE


def _steady_factor(values):
    """The factor from each value to the next when it is the same throughout; else None."""
    if len(values) < 3:
        return None
    factor = (values[-1] / values[0]) ** (1 / (len(values) - 1))
    for before, after in zip(values, values[1:]):
        room = TOLERANCE * factor * before + (1 + factor) * NOISE
        if abs(after - factor * before) > room:
            return None
    return factor if factor >= MIN_FACTOR else None


def _offset_exponential(gaps):
    """An exponential behind a fixed wait that nobody told us: its differences are exponential."""
    rises = [after - before for before, after in zip(gaps, gaps[1:])]
    factor = _steady_factor(rises) if min(rises) > 4 * NOISE else None
    if factor is None:
        return None
    wait = max(0.0, gaps[0] - rises[0] / (factor - 1))
    return Finding("exponential", f"behind a wait of {_short(wait)}, each gap is {factor:.3g} "
                   "times the one before, without jitter", gaps, factor=factor)


def _growth(gaps):
    half = (len(gaps) + 1) // 2
    return max(gaps[half:]) / max(min(gaps[:half]), NOISE)

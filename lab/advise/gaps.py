"""Which kind of backoff a device shows. AWS has not published how Device Advisor tells the kinds
apart; this is a heuristic of the lab, described in docs/advise.md."""

CONSTANT, LINEAR, EXPONENTIAL, JITTER = "constant", "linear", "exponential", "jitter"

# Largest gap over smallest, below which all are called the same.
SAME = 1.2
# By how much steps or ratios may differ and still be called equal. Timers and processes are late
# by some milliseconds; a gap shorter than RESOLUTION says nothing about ratios.
TOLERANCE = 0.10
RESOLUTION = 0.05
# Random delays of a range that grows: the later half has to hold a gap longer than the first
# ones by this.
GROWTH = 1.1


def _close(values):
    middle = sum(values) / len(values)
    return middle > 0 and all(abs(value - middle) <= TOLERANCE * middle for value in values)


def classify(gaps):
    """The kind of at least three gaps, in seconds."""
    if len(gaps) < 3:
        raise ValueError("three gaps at least")
    floor = [max(gap, RESOLUTION) for gap in gaps]
    if max(floor) / min(floor) < SAME:
        return CONSTANT
    if _close([after / before for before, after in zip(floor, floor[1:])]):
        return EXPONENTIAL
    if _close([after - before for before, after in zip(floor, floor[1:])]):
        return LINEAR
    return JITTER


def grows(gaps):
    """Whether the envelope grows: the longest of the later half is longer than the first gaps."""
    half = (len(gaps) + 1) // 2
    return max(gaps[half:]) > GROWTH * min(gaps[:half])


def describe(gaps):
    return ", ".join(f"{gap:.2f} s" for gap in gaps)

"""Text of strangers made harmless to look at: a device's payload may hold anything.

Control bytes, lone surrogates and marks that turn the direction of writing become visible words.
What remains is what a person sees; each form then escapes it in its own way.
"""

import re

# C0 and C1 but for tab and line feed; direction marks and isolates; invisible joiners and fillers;
# line and paragraph separators; surrogates; what XML forbids. A lone CR would overwrite a line.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e"
                    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff"
                    "\U000e0000-\U000e007f]")


def visible(text):
    """The same text, with what cannot be seen in words: \\x1b, <U+202E>. Keeps tabs and lines."""
    return UNSEEN.sub(lambda match: _named(ord(match.group())), text)


def one_line(text):
    """The same, and on one line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _named(code):
    return f"\\x{code:02x}" if code < 0x100 else f"<U+{code:04X}>"


def clipped(text, most):
    """At most that many characters, the last of them a mark when something was left out."""
    return text if len(text) <= most else text[:max(0, most - 1)] + "…"


def duration(seconds):
    """As a person says it: 320 ms, 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def clock(seconds):
    """A moment of a run: 3:43.124, 1:02:03.000."""
    thousandths = round(abs(seconds) * 1000)
    hours, rest = divmod(thousandths, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    lead = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{'-' if seconds < 0 else ''}{lead}:{rest / 1000:06.3f}"


def moment(date):
    """2026-11-26T21:58:07Z as a person writes it; another form stays as it is."""
    return date.replace("T", " ").replace("Z", " UTC") if date.endswith("Z") else date


def number(value):
    """With thousands apart; no more than four digits behind the point."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}".rstrip("0").rstrip(".")


def counted(count, one, many=None):
    """1 case, 2 cases."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

"""Tables of the reconnection bench, from its samples. Pure."""
import statistics

from devices import HOLDFAST, KINDS
from down import WORDS, Cost
from outages import ALL, BROKER, LINK, SILENT, Sample

MARKS = ("machine", "goals", "outages", "noticing", "down", "hangs", "settings")
NOT_RUN = "Not run."
MEDIAN_LINK, NOTICE_MOST, CPU_MOST, LINES_MOST = 1.5, 30.0, 1.0, 200


def document(about, samples, costs, hangs):
    """As it is kept; `about`: date, machine, command, commit."""
    return {"format": 1, **about, "samples": [vars(each) for each in samples],
            "costs": [vars(each) for each in costs], "hangs": hangs}


def samples_of(kept):
    return [Sample(**each) for each in kept["samples"]]


def costs_of(kept):
    return [Cost(**each) for each in kept["costs"]]


def of(samples, kind=None, outage=None, sort=None):
    return [each for each in samples if kind in (None, each.kind) and outage in (None, each.outage)
            and sort in (None, ALL[each.outage].sort)]


def shown(seconds):
    return f"{seconds:.0f}" if seconds >= 100 else f"{seconds:.1f}" if seconds >= 10 else \
        f"{seconds:.2f}"


def spread(values, missing=()):
    """Median and worst; `missing`: how long it was waited for in vain."""
    if not values and not missing:
        return "–"
    words = ""
    if values:
        words = f"{shown(statistics.median(values))} ({shown(max(values))})"
    if missing:
        total = len(values) + len(missing)
        words += f"{'; ' if words else ''}**{len(missing)} of {total} not** in " \
                 f"{shown(max(missing))}"
    return words


def back_cell(samples):
    words = spread([each.back for each in samples if each.back is not None],
                   [each.patience for each in samples if each.back is None])
    kept = sum(each.kept for each in samples)
    return f"{words}, {kept} of {len(samples)} never left" if kept else words


def notice_cell(samples):
    """Of those that said so before they were back."""
    said = [each.noticed for each in samples if each.noticed is not None]
    silent = len(samples) - len(said)
    words = [spread(said)] if said else []
    words += [f"{silent} of {len(samples)} never"] if silent else []
    return "; ".join(words) or "–"


def kinds_in(rows):
    return [kind for kind in KINDS if any(each.kind == kind for each in rows)]


def grid(first, rows, kinds, cell):
    """`rows`: of (title, key)."""
    if not rows:
        return NOT_RUN
    lines = [f"| {first} | " + " | ".join(KINDS[kind].title for kind in kinds) + " |",
             "|---|" + "---|" * len(kinds)]
    return "\n".join(lines + [f"| {title} | " + " | ".join(cell(key, kind) for kind in kinds) + " |"
                              for title, key in rows])


def outage_rows(samples, sorts):
    names = [name for name in ALL if of(samples, outage=name) and ALL[name].sort in sorts]
    return [(f"{ALL[name].what} (n = {most_of(samples, name)})", name) for name in names]


def most_of(samples, outage):
    return max(len(of(samples, kind, outage)) for kind in KINDS)


def outages(samples):
    return grid("way whole → first PUBACK, s", outage_rows(samples, (LINK, BROKER, SILENT)),
                kinds_in(samples), lambda name, kind: back_cell(of(samples, kind, name)))


def noticing(samples):
    return grid("outage → its own notice, s", outage_rows(samples, (LINK, SILENT)),
                kinds_in(samples), lambda name, kind: notice_cell(of(samples, kind, name)))


def down(costs):
    if not costs:
        return NOT_RUN
    kinds = kinds_in(costs)

    def find(way, kind):
        return next((each for each in costs if (each.way, each.kind) == (way, kind)), None)

    def cell(key, kind):
        way, figure = key
        cost = find(way, kind)
        if cost is None:
            return "–"
        if figure == "cpu":
            return f"{cost.cpu_an_hour:.2f} s"
        return f"{cost.lines_a_day:,.0f}" if cost.lines else "0"
    rows = [(words, key) for way in WORDS if any(each.way == way for each in costs)
            for words, key in ((f"processor time an hour, {WORDS[way]}", (way, "cpu")),
                               (f"lines a day, {WORDS[way]}", (way, "lines")))]
    text = grid("while down", rows, kinds, cell)
    begin, length = min(each.after for each in costs), max(each.seconds for each in costs)
    return (f"{text}\n\nMeasured over {length:,.0f} s that began {begin:,.0f} s into the outage, "
            "scaled.")


def hang_text(hangs):
    if not hangs:
        return NOT_RUN
    faults = ", ".join(f"{name} {count}" for name, count in sorted(hangs["faults"].items()))
    return "\n".join([
        "| figure | |", "|---|---|",
        f"| faults, seed {hangs['seed']}, commit {hangs['commit']}, build {hangs['build']} | "
        f"{hangs['count']:,} |",
        f"| hangs: not back within {hangs['bound']} s | {hangs['hangs']} |",
        f"| fault over → PUBACK of a new message, median | {shown(hangs['median'])} s |",
        f"| … 99 of 100 | {shown(hangs['p99'])} s |",
        f"| … worst | {shown(hangs['worst'])} s |",
        f"| devices side by side | {hangs['devices']} |",
        f"| messages accepted, delivered, lost | {hangs['accepted']:,}, {hangs['delivered']:,}, "
        f"{hangs['lost']} |", "", f"Faults: {faults}."])


def goals(samples, costs, hangs):
    """Of Holdfast: (what, goal, measured, whether it is met; None: not measured)."""
    mine = of(samples, HOLDFAST)
    link = [each.back for each in of(mine, sort=LINK)]
    restarts = of(mine, sort=BROKER)
    late = [each for each in restarts if each.back is None or
            (each.allowed is not None and each.back > each.allowed)]
    silent = [each.noticed for each in of(mine, sort=SILENT)]
    own = [each for each in costs if each.kind == HOLDFAST]
    back = [value for value in link if value is not None]
    rows = [("back after a link event, median", f"≤ {MEDIAN_LINK} s",
             f"{statistics.median(back):.2f} s, worst {max(back):.2f} s, n = {len(link)}" if back
             else "", len(back) == len(link) and statistics.median(back) <= MEDIAN_LINK
             if back else None),
            ("back after a restart of the broker", "≤ its own timer and an attempt",
             f"{len(restarts) - len(late)} of {len(restarts)}" if restarts else "",
             not late if restarts else None),
            ("silent loss noticed, worst", f"≤ {NOTICE_MOST:.0f} s",
             (f"{max(silent):.1f} s, n = {len(silent)}" if None not in silent else "not noticed")
             if silent else "",
             None not in silent and max(silent) <= NOTICE_MOST if silent else None),
            ("hangs", "0", f"{hangs['hangs']} in {hangs['count']:,} faults" if hangs else "",
             hangs["hangs"] == 0 if hangs else None),
            ("processor time while down, an hour", f"≤ {CPU_MOST:.0f} s",
             f"{max(each.cpu_an_hour for each in own):.2f} s" if own else "",
             max(each.cpu_an_hour for each in own) <= CPU_MOST if own else None),
            ("lines of the log while down, a day", f"≤ {LINES_MOST}",
             f"{max(each.lines_a_day for each in own):.0f}" if own else "",
             max(each.lines_a_day for each in own) <= LINES_MOST if own else None)]
    return [row for row in rows if row[3] is not None]


def goal_table(rows):
    return "\n".join(["| Holdfast | goal | measured | |", "|---|---|---|---|"] + [
        f"| {what} | {goal} | {measured} | {'met' if met else '**missed**'} |"
        for what, goal, measured, met in rows])


def settings(samples, costs):
    return "\n".join(f"- **{KINDS[kind].title}**: {KINDS[kind].settings}."
                     for kind in kinds_in([*samples, *costs]))


def parts(kept):
    """Name of the place on the page → text."""
    samples, costs, hangs = samples_of(kept), costs_of(kept), kept["hangs"]
    return {"machine": f"{kept['date']}, commit {kept['commit']}; {kept['machine']}.\n"
                       f"`{kept['command']}`",
            "goals": goal_table(goals(samples, costs, hangs)),
            "outages": outages(samples), "noticing": noticing(samples), "down": down(costs),
            "hangs": hang_text(hangs), "settings": settings(samples, costs)}


def fill(page, made):
    """The page with these texts in their places."""
    for name, text in made.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"no place for {name}")
        page = f"{before}{begin}{text}\n{end}{after}"
    return page

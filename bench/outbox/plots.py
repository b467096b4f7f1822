"""Plots of the outbox figures as SVG: bars on a logarithmic scale, readable on light and dark."""
import os
from math import log10
from xml.sax.saxutils import escape

import report

WIDTH, LEFT, RIGHT, ROW, GROUP, TOP = 760, 250, 90, 20, 30, 58
# Mid tones: enough contrast on white and on black.
COLOURS = {"ours": "#0d8f6f", "ours-sealed": "#2f7dd1", "raw": "#7d8590", "sqlite": "#c2571a",
           "leveldb": "#8a63d2", "paho": "#b08800", "paho-fsync": "#d1436f", "paho-fsync-all": "#a3325a"}
STYLE = ("text{font:13px system-ui,sans-serif;fill:#57606a}.t{font-size:16px;font-weight:600}"
         ".n{font-size:12px}.g{stroke:#8b949e;stroke-opacity:.35}.h{font-weight:600}"
         "@media(prefers-color-scheme:dark){text{fill:#adbac7}}")


def ticks(low, high):
    value = 10.0 ** -4
    while value <= high * 1.001:
        if value >= low * 0.999:
            yield value
        value *= 10


def chart(title, note, groups):
    """groups: (heading, [(candidate, value)]); every value above 0."""
    values = [value for _, bars in groups for _, value in bars]
    if not values:
        return None
    low = 10.0 ** -4
    while low * 10 <= min(values) * 0.8:
        low *= 10
    high = max(values) * 1.1
    span = log10(high) - log10(low)

    def x(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * (log10(value) - log10(low)) / span
    body, y = [], TOP
    for heading, bars in groups:
        if not bars:
            continue
        body.append(f'<text class="h" x="12" y="{y + 14}">{escape(heading)}</text>')
        y += GROUP - 8
        for candidate, value in bars:
            body.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end" class="n">'
                        f'{escape(report.NAMES[candidate])}</text>')
            body.append(f'<rect x="{LEFT}" y="{y + 2}" width="{max(1.0, x(value) - LEFT):.1f}" '
                        f'height="{ROW - 5}" rx="2" fill="{COLOURS[candidate]}"/>')
            body.append(f'<text x="{x(value) + 5:.1f}" y="{y + 13}" class="n">'
                        f'{report.shown(value)}</text>')
            y += ROW
        y += 10
    grid = []
    for value in ticks(low, high):
        grid.append(f'<line class="g" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{y}"/>')
        grid.append(f'<text class="n" x="{x(value):.1f}" y="{y + 15}" text-anchor="middle">'
                    f'{value:,g}</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 28}" role="img" '
        f'aria-label="{escape(title)}">', f"<style>{STYLE}</style>",
        f'<text class="t" x="12" y="24">{escape(title)}</text>',
        f'<text class="n" x="12" y="43">{escape(note)}</text>', *grid, *body, "</svg>", ""])


def groups_of(data, part, key, wheres):
    out = []
    for heading, where in wheres:
        bars = [(name, data.median(key, part, name, **where)) for name in report.NAMES]
        out.append((heading, [(name, value) for name, value in bars if value]))
    return out


def draw(raw, folder):
    data = report.Data(raw)
    steady = [(f"batches of {batch}", {"payload": 256, "batch": batch}) for batch in (1, 10, 100)]
    disks = [(f"{payload} B", {"payload": payload, "unsynced": False, "ram": False})
             for payload in (256, 4096)]
    slow = [(f"{kind}, {mount}", {"payload": 256, "fs": kind, "mount": mount})
            for kind, mount in (("ext4", "noatime"), ("ext4", "noatime,commit=60"),
                                ("xfs", "noatime"), ("btrfs", "noatime"))]
    for name, title, note, part, key, wheres in (
            ("bytes", "Device KiB a message", "256 B, put + acknowledge in a steady state; less is "
             "better; logarithmic", "steady", "kib", steady),
            ("commit", "Time of a commit, p50, µs", "256 B, loop device in RAM; less is better; "
             "logarithmic. Paho syncs in its puts, so it has none", "steady", "commit_p50_us",
             steady),
            ("slow", "Device KiB a message at one message a second", "256 B, 200 s in real time; less "
             "is better; logarithmic", "slow", "kib", slow),
            ("append", "Durable append in batches of 100, messages a second", "growing backlog, loop "
             "device on disk; more is better; logarithmic", "append", "per_second", disks)):
        groups = groups_of(data, part, key, wheres)
        if name == "commit":
            groups = [(h, [b for b in bars if not b[0].startswith("paho")]) for h, bars in groups]
        svg = chart(title, note, groups)
        if svg:
            with open(os.path.join(folder, f"outbox-bench-{name}.svg"), "w",
                      encoding="utf-8") as file:
                file.write(svg)

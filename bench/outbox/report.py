"""The bars of the outbox, and what was measured beside them, as Markdown tables."""
import statistics

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
NAMES = {"ours": "Holdfast", "ours-sealed": "Holdfast, encrypted",
         "ours-ahead": "Holdfast, files made before",
         "raw": "overwrite + fdatasync (the limit)", "sqlite": "SQLite WAL, FULL",
         "leveldb": "LevelDB, sync", "paho": "Paho files, as shipped", "paho-fsync": "Paho files + fsync",
         "paho-fsync-all": "Paho files + fsync, removals too"}


class Data:
    def __init__(self, data):
        self.samples, self.skipped = data["samples"], dict(data["skipped"])

    def all(self, part, candidate, **where):
        return [s for s in self.samples.get(part, ()) if s.get("candidate") == candidate and
                "failed" not in s and all(s.get(key) == value for key, value in where.items())]

    def median(self, key, part, candidate, **where):
        values = [s[key] for s in self.all(part, candidate, **where) if key in s]
        return statistics.median(values) if values else None


def shown(value, unit=""):
    if value is None:
        return "–"
    text = (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else
            f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}")
    return f"{text} {unit}".strip()


class Bars:
    """Rows of the table of bars: title, ours, of what, the factor, the bar, met or missed."""

    def __init__(self, data):
        self.data, self.rows = data, []

    def add(self, title, ours, other, value, most=None, least=None):
        bar = f"≤ {most:g}" if most is not None else f"≥ {least:g}"
        if value is None:
            verdict = "not measured"
        else:
            verdict = "met" if (value <= most if most is not None else value >= least) else "**missed**"
        self.rows.append((title, ours, other, shown(value), bar, verdict))

    def ratio(self, title, key, part, rival, unit, where=None, ours="ours", **bar):
        where = where or {}
        ours = self.data.median(key, part, ours, **where)
        other = self.data.median(key, part, rival, **where)
        value = ours / other if ours is not None and other else None
        self.add(title, shown(ours, unit), f"{shown(other, unit)}, {NAMES[rival]}", value, **bar)


def device_bars(bars):
    one = {"payload": 256, "batch": 1}
    title = "Device KiB a message, durable one by one, 256 B"
    bars.ratio(title, "kib", "steady", "raw", "KiB", one, most=1.15)
    bars.ratio(title, "kib", "steady", "sqlite", "KiB", one, most=0.35)
    bars.ratio(title, "kib", "steady", "paho-fsync-all", "KiB", one, most=0.10)
    bars.ratio(title, "kib", "steady", "paho-fsync", "KiB", one, most=0.10)
    for rival, most in (("raw", 1.02), ("sqlite", 0.85), ("leveldb", 0.55)):
        bars.ratio("Flushes a message, the same run", "flushes", "steady", rival, "", one, most=most)
    slow = {"payload": 256, "fs": "ext4", "mount": "noatime"}
    for rival, most in (("raw", 1.10), ("sqlite", 0.70), ("paho-fsync", 0.25)):
        bars.ratio("Device KiB a message at one a second", "kib", "slow", rival, "KiB", slow, most=most)


def time_bars(bars):
    for batch in (1, 100):
        where = {"payload": 256, "batch": batch}
        bars.ratio(f"Commit p50, batch {batch}, loop device in RAM", "commit_p50_us", "steady", "raw",
                   "µs", where, most=1.2)
        bars.ratio(f"Commit p50, batch {batch}, loop device in RAM", "commit_p50_us", "steady",
                   "sqlite", "µs", where, most=0.8)
    for batch in (1, 10):
        bars.ratio(f"CPU a message, batch {batch}", "cpu_us", "steady", "sqlite", "µs",
                   {"payload": 256, "batch": batch}, most=0.5)
    for ours, how in (("ours-ahead", ", files made before"), ("ours", "")):
        for payload, least in ((256, 0.8), (4096, 0.6)):
            bars.ratio(f"Durable append{how}, batch 100, {payload} B, loop device on disk",
                       "per_second", "append", "raw", "/s",
                       {"payload": payload, "unsynced": False, "ram": False}, ours, least=least)
    rate = bars.data.median("per_second", "append", "ours", payload=256, unsynced=True, ram=True)
    bars.add("Append without sync, 256 B", shown(rate, "/s"), "500,000 /s",
             rate / 500_000 if rate else None, least=1)
    bars.ratio("Append without sync, 4096 B", "per_second", "append", "leveldb", "/s",
               {"payload": 4096, "unsynced": True, "ram": True}, least=1)


def backlog_bars(bars):
    for messages, most in ((1_000_000, 100), (10_000_000, 150)):
        opened = bars.data.all("backlog", "ours", what="open", wanted=messages)
        took = statistics.median(s["count_ms"] for s in opened) if opened else None
        exact = all(s["pending"] == messages for s in opened)
        bars.add(f"Open and count {messages:,} waiting, cold, ms", shown(took, "ms"),
                 "exact" if exact else "**count wrong**", took, most=most)
    memory = bars.data.median("anon_kib", "backlog", "ours", what="open", wanted=1_000_000)
    bars.add("RAM above the empty process, 1,000,000 waiting, KiB", shown(memory, "KiB"), "", memory,
             most=1024)
    for cold in (True, False):
        where = {"what": "verify", "wanted": 1_000_000, "cold": cold}
        took = bars.data.median("verify", "backlog", "ours", **where)
        cat = bars.data.median("cat", "backlog", "ours", **where)
        bars.add(f"Verify all of 1,000,000, {'cold' if cold else 'cached'}", shown(took, "s"),
                 f"{shown(cat, 's')}, cat of the files", took / cat if took and cat else None, most=2)


def fault_bars(bars):
    full = bars.data.all("full", "ours")
    drained = min((s["drained"] / s["stored"] for s in full), default=None)
    again = min((s["again"] / s["stored"] for s in full), default=None)
    bars.add("Disk with 0 bytes free: part drained", shown(drained), "", drained, least=1)
    bars.add("… then accepted again, part of what fitted before", shown(again), "", again, least=0.01)
    flips = bars.data.all("flips", "ours")
    if flips:
        opened = [s for s in flips if s["opened"]]
        lost = max((s["missing"] for s in opened), default=0)
        silent = sum(s["wrong"] + max(0, s["missing"] - s["reported"]) for s in opened)
        bars.add(f"Lost by a flipped bit, worst of {len(flips)}", f"{lost}", "", lost, most=1)
        bars.add(f"Wrong or lost unreported, sum of {len(flips)}", f"{silent}", "", silent, most=0)
        bars.add(f"Refused to open, of {len(flips)}", f"{len(flips) - len(opened)}", "",
                 len(flips) - len(opened), most=0)
    whole = bars.data.median("bytes", "size", "outbox_size")
    none = bars.data.median("bytes", "size", "outbox_size_none")
    kib = (whole - none) / 1024 if whole and none else None
    bars.add("Code of the outbox, stripped, KiB", shown(kib, "KiB"), "150 KiB", kib, most=150)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def stores_table(data, part, keys, **where):
    rows = []
    for candidate, name in NAMES.items():
        if data.all(part, candidate, **where):
            rows.append([name] + [shown(data.median(key, part, candidate, **where)) for key in keys])
    return rows


def flips_rows(data):
    for candidate in NAMES:
        flips = data.all("flips", candidate)
        if not flips:
            continue
        opened = [s for s in flips if s["opened"]]
        named = [s for s in opened if s["missing"] > 0 and (s["reported"] or s["errors"])]
        silent = [s for s in opened if s["wrong"] or
                  (s["missing"] > 0 and not s["reported"] and not s["errors"])]
        yield (NAMES[candidate], len(flips), len(flips) - len(opened),
               sum(s["wrong"] > 0 for s in opened), max((s["missing"] for s in opened), default=0),
               shown(statistics.mean(s["missing"] for s in opened) if opened else None),
               len(named), len(silent))


def details(data):
    out = []
    head = ["store", "commit p50 µs", "commit p99 µs", "puts and commit p50 µs", "CPU µs", "KiB",
            "flushes"]
    keys = ("commit_p50_us", "commit_p99_us", "batch_p50_us", "cpu_us", "kib", "flushes")
    for payload in (256, 4096):
        for batch in (1, 10, 100):
            rows = stores_table(data, "steady", keys, payload=payload, batch=batch)
            if rows:
                out += [f"### Steady state, {payload} B, batches of {batch}", ""] + table(head, rows)
    rows = []
    for kind, mount, payload in (("ext4", "noatime", 256), ("ext4", "noatime", 4096),
                                 ("ext4", "relatime", 256), ("ext4", "noatime,commit=60", 256),
                                 ("xfs", "noatime", 256), ("btrfs", "noatime", 256)):
        for row in stores_table(data, "slow", ("kib", "flushes"), fs=kind, mount=mount,
                                payload=payload):
            rows.append([f"{kind}, {mount}", f"{payload} B"] + row)
    if rows:
        out += ["### One message a second", ""]
        out += table(["file system", "payload", "store", "KiB a message", "flushes a message"], rows)
    rows = []
    for payload in (256, 4096):
        for unsynced in (False, True):
            for ram in (False, True):
                for row in stores_table(data, "append", ("per_second", "cpu_us", "kib"), ram=ram,
                                        payload=payload, unsynced=unsynced):
                    rows.append([f"{payload} B", "no sync" if unsynced else "durable",
                                 "RAM" if ram else "disk"] + row)
    if rows:
        out += ["### A growing backlog, batches of 100", ""]
        out += table(["payload", "", "loop device", "store", "messages a second", "CPU µs", "KiB"], rows)
    rows = []
    for messages in (1_000_000, 10_000_000):
        rows += [[f"{messages:,}"] + row for row in stores_table(
            data, "backlog", ("open_ms", "count_ms", "anon_kib"), what="open", wanted=messages)]
    if rows:
        out += ["### Opening with nothing in the cache", ""]
        out += table(["waiting", "store", "open ms", "open and exact count ms", "RAM KiB"], rows)
    rows = list(sealed_rows(data))
    if rows:
        out += ["### What encryption at rest costs", ""]
        out += table(["figure", "payload B", "batch", "encrypted", "not", "ratio"], rows)
    rows = list(flips_rows(data))
    if rows:
        out += ["### One flipped bit in 2,000 messages", ""]
        out += table(["store", "trials", "refused to open", "delivered something wrong",
                      "most messages lost", "mean lost", "losses that it named", "silent"], rows)
    rows = []
    for candidate in NAMES:
        for sample in data.all("full", candidate)[:1]:
            rows.append((NAMES[candidate], sample["stored"], "yes" if sample["opened"] else "**no**",
                         sample["drained"], sample["again"], shown(sample.get("kib")),
                         shown(sample.get("flushes"))))
    if rows:
        out += ["### A disk without a free byte, batches of 100", ""]
        out += table(["store", "stored", "opens", "drained", "accepted again", "KiB a drained message",
                      "flushes"], rows)
    rows = []
    for tail in ("padded", "packed"):
        for batch in (1, 10, 100):
            where = {"tail": tail, "batch": batch}
            if data.all("half", "ours", **where):
                rows.append([tail, batch] + [shown(data.median(k, "half", "ours", **where))
                                             for k in ("kib", "flushes")])
    if rows:
        out += ["### Padded and packed tail, growing backlog, 256 B", ""]
        out += table(["tail", "batch", "KiB a message", "flushes a message"], rows)
    rows = []
    for what, title in (("steady", "steady state"), ("evict", "full, the oldest given up"),
                        ("carry", "each 50th message stays: what is left of segments is carried together"),
                        ("read", "steady state, `holdfast outbox verify` beside it all the time")):
        if data.all("space", "ours", what=what):
            rows.append([title] + [shown(data.median(key, "space", "ours", what=what)) for key in
                                   ("commit_p50_us", "commit_p99_us", "cpu_us", "kib", "flushes")])
    if rows:
        out += ["### An outbox of 4 MiB at its limit, 256 B, batches of 100", ""]
        out += table(["", "commit p50 µs", "commit p99 µs", "CPU µs", "KiB", "flushes"], rows)
        read = data.all("space", "ours", what="read")
        out += [f"{sum(s['readings'] for s in read):,} readings beside a writer, "
                f"{sum(s['readings_wrong'] for s in read)} of them wrong.", ""]
    return out


def sealed_rows(data):
    """What encryption at rest costs: encrypted, not, and the ratio."""
    for payload in (256, 4096):
        for batch in (1, 10, 100):
            where = {"payload": payload, "batch": batch}
            for key, unit in (("cpu_us", "µs"), ("commit_p50_us", "µs"), ("kib", "KiB")):
                with_, without = (data.median(key, "steady", name, **where)
                                  for name in ("ours-sealed", "ours"))
                if with_ and without:
                    title = {"cpu_us": "CPU a message", "commit_p50_us": "commit p50",
                             "kib": "device KiB a message"}[key]
                    yield [title, payload, batch, shown(with_, unit), shown(without, unit),
                           shown(with_ / without)]


def text(raw):
    data, m = Data(raw), raw["machine"]
    bars = Bars(data)
    for add in (device_bars, time_bars, backlog_bars, fault_bars):
        add(bars)
    out = [f"Measured at commit {m['commit']} on {m['date']}: {m['cpu']}, {m['cpus']} CPUs, Linux "
           f"{m['kernel']}, load {m['load']:.1f}{' (--quick)' if raw['quick'] else ''}. Medians.", ""]
    out += table(["figure", "ours", "beside", "ratio or value", "bar", ""], bars.rows)
    if data.skipped:
        out += ["Left out:", ""] + [f"- {name}: {why}" for name, why in data.skipped.items()] + [""]
    return "\n".join(out + details(data)).rstrip() + "\n"


def write(path, body):
    with open(path, encoding="utf-8") as file:
        page = file.read()
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n\n" + body + "\n" + END + after)

#!/usr/bin/env python3
"""A stranger's reader of the outbox, written from docs/outbox-format.md alone.

Goal:   the page is enough: this reader, which shares no code and no constant with the outbox, finds
        in directories made by the real store the same waiting messages, byte for byte and in the
        same order, as `holdfast outbox export` does.
Method: SAMPLE makes directories of several segments, openings and settlements, closed in order or
        not; both readers list them. Then single bits are flipped: neither reader may show a message
        that was never put.
Usage:  outbox_format_test.py SAMPLE HOLDFAST [SEEDS]
"""
import base64
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

# ---- the reader -----------------------------------------------------------------------------------

TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
    TABLE.append(n)
PUT, ACK, DROP, SESSION, CHECKPOINT, PAD = 1, 2, 3, 4, 5, 6


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


class Cursor:
    """Little-endian fields, one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError("short")
        self.at += count
        return self.data[self.at - count:self.at]

    def get(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))


class Slot:
    """A slot file, and its header if it has a valid one."""

    def __init__(self, path):
        self.number = int(re.search(r"(\d+)\.seg$", path)[1])
        with open(path, "rb") as file:
            self.data = file.read()
        self.uuid, self.sequence = None, 0
        for at in (0, 4096):
            raw = self.data[at:at + 64]
            if len(raw) < 64 or raw[:8] != b"HFOUTBX1":
                continue
            version, size, segment, uuid, sequence, salt, kind, _, crc = struct.unpack(
                "<HHI16sQQB11sI", raw[8:])
            if version == 1 and crc == crc32c(raw[:60]) and sequence > self.sequence:
                self.uuid, self.sequence, self.salt, self.size = uuid, sequence, salt, segment
                self.carried = kind == 1


def records(data, uuid, sequence, salt, end):
    """(offset, type, group, id, detail, body) of each valid record, in order."""
    seed = crc32c(uuid + struct.pack("<QQ", sequence, salt))
    tag = struct.pack("<I", crc32c(b"tag", seed))
    at = 8192
    while at + 32 <= end:
        head = data[at:at + 32]
        length = int.from_bytes(head[4:7], "little")
        if len(head) == 32 and head[8:12] == tag and 32 <= length <= end - at:
            covered = data[at + 4:at + (32 if head[7] == PAD else length)]
            if crc32c(covered, crc32c(struct.pack("<I", at), seed)) == int.from_bytes(
                    head[:4], "little") and PUT <= head[7] <= PAD:
                group, number, detail = struct.unpack("<IQQ", head[12:])
                yield at, head[7], group, number, detail, data[at + 32:at + length]
                at += (length + 7) // 8 * 8
                continue
        at += 8


def session(c):
    epoch, first, _, _, _, _, accepted, _, flags, lanes = c.get("II16sqqqQQBB")
    return epoch, [c.take(c.get("B")[0]).decode() for _ in range(lanes)]


def checkpoint(body):
    """The epoch, the lanes, and {place: (sequence, salt, slot, end, waiting ids)}."""
    c = Cursor(body)
    epoch, lanes = session(c)
    c.get("QQ")
    c.get("%dQ" % c.get("B"))
    c.get("Q")  # endings
    for _ in range(c.get("H")[0]):
        c.get("QIB")
    table = {}
    for _ in range(c.get("I")[0]):
        place, sequence, salt, slot, end = c.get("QQQII")
        ids = []
        for _ in range(c.get("I")[0]):
            first, count = c.get("QI")
            ids.extend(range(first, first + count))
        c.get("%dI" % (2 * len(lanes)))
        mark = c.get("B")[0]
        if mark == 1:
            words = c.get("%dQ" % ((len(ids) + 63) // 64))
            ids = [n for i, n in enumerate(ids) if words[i // 64] >> i % 64 & 1]
        elif mark == 2:
            parts = [c.get("II") for _ in range(c.get("I")[0])]
            ids = [n for start, count in parts for n in ids[start:start + count]]
        table[place] = (sequence, salt, slot, end, set(ids))
    return epoch, lanes, table


def message(number, detail, body, lanes):
    lane, flags, topic, content, properties = struct.unpack("<BBHHH", struct.pack("<Q", detail))
    c = Cursor(body)
    _, _, expiry, payload = c.get("qqII")
    out = {"id": number, "lane": lanes[min(lane, len(lanes) - 1)], "qos": flags & 3,
           "retain": bool(flags & 4)}
    if flags & 8:
        out["expiry"] = expiry
    if flags & 64:
        c.get("Q")  # the alias
    key = c.take(c.get("H")[0]).decode() if flags & 32 else ""
    if key:
        out["key"] = key
    response = c.take(c.get("H")[0]).decode() if properties & 0x8000 else ""
    correlation = c.take(c.get("H")[0]) if properties & 0x4000 else b""
    out["topic"] = c.take(topic).decode()
    if content:
        out["content_type"] = c.take(content).decode()
    sizes = []
    for _ in range(properties & 0x3FFF):
        name, value = c.get("HH")
        sizes.append([c.take(name).decode(), c.take(value).decode()])
    if sizes:
        out["user_properties"] = sizes
    if response:
        out["response_topic"] = response
    if correlation:
        out["correlation_data_base64"] = base64.b64encode(correlation).decode()
    out["bytes"] = c.take(payload)
    return out


def read_outbox(directory):
    """The waiting messages of a directory, oldest first."""
    slots = [Slot(os.path.join(directory, name)) for name in sorted(os.listdir(directory))
             if re.fullmatch(r"slot-\d{4}\.seg", name)]
    slots = [s for s in slots if s.uuid]
    uuid = max({s.uuid for s in slots},
               key=lambda u: (sum(s.uuid == u for s in slots),
                              max(s.sequence for s in slots if s.uuid == u)))
    ours = sorted((s for s in slots if s.uuid == uuid), key=lambda s: -s.sequence)
    files = {s.number: s.data for s in slots}
    epoch, lanes, table, replayed = 0, [], {}, []
    for slot in ours:  # the newest with a checkpoint, and everything behind it
        replayed.insert(0, slot)
        if slot.carried:
            continue
        first = next(records(slot.data, uuid, slot.sequence, slot.salt, slot.size), None)
        if first and first[1] == CHECKPOINT:
            epoch, lanes, table = checkpoint(first[5])
            break
    seen = {n for _, _, _, _, ids in table.values() for n in ids}
    lacking = set()
    for slot in replayed:
        if slot.carried:
            take_over(slot, uuid, table, ours, lacking)
            continue
        waiting = set()
        table[slot.sequence] = (slot.sequence, slot.salt, slot.number, slot.size, waiting)
        for _, kind, _, number, _, body in records(slot.data, uuid, slot.sequence, slot.salt,
                                                   slot.size):
            if number >> 35 < epoch:
                continue
            epoch = number >> 35
            if kind == PUT and number not in seen:
                seen.add(number)
                waiting.add(number)
            elif kind == SESSION:
                lanes = session(Cursor(body))[1]
            elif kind in (ACK, DROP):
                c = Cursor(body)
                while c.at < len(body):
                    first, count, _, _, _, _ = c.get("QIIBBH")
                    for ids in (lacking, *(entry[4] for entry in table.values())):
                        ids.difference_update(range(first, first + count))
    out = []
    for _, (sequence, salt, slot, end, waiting) in sorted(table.items()):
        for _, kind, _, number, detail, body in records(files.get(slot, b""), uuid, sequence, salt,
                                                        end):
            if kind == PUT and number in waiting:
                waiting.discard(number)
                out.append(message(number, detail, body, lanes))
    return out


def take_over(slot, uuid, table, ours, lacking):
    """A carried segment behind the checkpoint replaces its sources if all of them is in it.

    `lacking`: what earlier ones did not have of sources that were not there any more.
    """
    copies = {number for _, kind, _, number, _, _ in
              records(slot.data, uuid, slot.sequence, slot.salt, slot.size) if kind == PUT}
    sources = sorted(place for place, (*_, ids) in table.items() if ids & copies)
    there = {(s.number, s.sequence) for s in ours}
    waiting, missing = lacking & copies, set()
    for place in sources:
        sequence, _, number, _, ids = table[place]
        waiting |= ids & copies
        missing |= ids - copies
        if ids - copies and (number, sequence) in there:
            return
    if not waiting:
        return
    lacking -= copies
    lacking |= missing
    for place in sources:
        del table[place]
    place = sources[0] if sources else slot.sequence
    table[place] = (slot.sequence, slot.salt, slot.number, slot.size, waiting)


# ---- the comparison -------------------------------------------------------------------------------

def exported(holdfast, directory):
    done = subprocess.run([holdfast, "outbox", "export", directory], capture_output=True,
                          check=True, timeout=120)
    out = []
    for line in done.stdout.splitlines():
        one = json.loads(line)
        del one["op"]
        text = one.pop("payload", None)
        one["bytes"] = text.encode() if text is not None else base64.b64decode(
            one.pop("payload_base64"))
        out.append(one)
    return out


def compare(sample, holdfast, seed, directory):
    subprocess.run([sample, directory, str(seed)], check=True, timeout=120)
    ours, theirs = read_outbox(directory), exported(holdfast, directory)
    assert ours == theirs, "seed %d: %d messages here, %d there, first difference %s" % (
        seed, len(ours), len(theirs),
        next(((a, b) for a, b in zip(ours, theirs) if a != b), "in number"))
    put = {one["id"]: one for one in ours}
    flips = random.Random(seed)
    for _ in range(3):
        name = flips.choice([n for n in sorted(os.listdir(directory)) if n.endswith(".seg")])
        path = os.path.join(directory, name)
        with open(path, "r+b") as file:
            data = file.read()
            at = flips.randrange(len(data))
            file.seek(at)
            file.write(bytes([data[at] ^ 1 << flips.randrange(8)]))
            file.flush()
            for found in (read_outbox(directory), exported(holdfast, directory)):
                known = [one for one in found if one["id"] in put]
                assert all(put[one["id"]] == one for one in known), "a damaged message was shown"
                # Without its acknowledgement a delivered message waits again; never is it another.
                assert len({one["id"] for one in found}) == len(found)
                assert len(known) >= len(put) - 1, "one bit cost more than one message"
            file.seek(at)
            file.write(data[at:at + 1])
    return len(ours)


def main():
    sample, holdfast = sys.argv[1:3]
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 12
    total = 0
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory(prefix="hf-format-") as folder:
            total += compare(sample, holdfast, seed, os.path.join(folder, "outbox"))
    assert total > 0, "no message was ever waiting: the test proves nothing"
    print("%d directories, %d waiting messages, all the same to both readers" % (seeds, total))


if __name__ == "__main__":
    main()

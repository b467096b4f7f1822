#!/usr/bin/env python3
"""The binary interface of libholdfast.so is what abi.txt says, and nothing else is visible.

    abi_test.py LIBRARY CC            compares; exit 1 with what to do about each difference
    abi_test.py LIBRARY CC --write    writes abi.txt anew; for additions only, see below

abi.txt has the SONAME, each exported symbol with its prototype, each enumerator's value, and the size
and layout of each struct, as a 64-bit compiler lays it out. What programs were built with must stay:
a line that is gone or changed breaks them and needs a new SOVERSION (src/capi/CMakeLists.txt, and the
name in holdfast.map). New lines at the ends are fine: --write, and commit abi.txt.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE.parent.parent / "include" / "holdfast.h"
LIST = HERE / "abi.txt"


def output(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True,
                          timeout=60).stdout


def header_text():
    """Without comments and directives, each blank a single one."""
    text = HEADER.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n)*", "", text, flags=re.M)
    return re.sub(r"\s+", " ", text)


def layout(text, compiler):
    """Values and layout, from a program that the compiler makes."""
    lines = []
    for name, body in re.findall(r"typedef enum (\w+) \{(.*?)\}", text):
        for value in re.findall(r"(\w+)\s*=", body):
            lines.append(f'printf("enum {name} {value} = %d\\n", (int){value});')
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\}", text):
        lines.append(f'printf("struct {name}: %zu bytes\\n", sizeof({name}));')
        for member in filter(None, map(str.strip, body.split(";"))):
            field = re.search(r"(\w+)$", member).group(1)
            kind = re.sub(r"\s*" + field + "$", "", member)
            lines.append(f'printf("struct {name} {field}: {kind} at %zu, %zu bytes\\n", '
                         f'offsetof({name}, {field}), sizeof((({name}*)0)->{field}));')
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "layout.c")
        source.write_text('#include <stdio.h>\n#include "holdfast.h"\nint main(void) {\n' +
                          "\n".join(lines) + "\nreturn 0;\n}\n", encoding="utf-8")
        program = source.with_suffix("")
        output(compiler, "-std=c99", "-I", HEADER.parent, source, "-o", program)
        return output(program).splitlines()


def declared(text):
    """Prototypes of calls by name, and the types of handlers."""
    calls = {re.search(r"(\w+)\s*\(", one).group(1): " ".join(one.split())
             for one in re.findall(r"HOLDFAST_API (.*?);", text)}
    handlers = [" ".join(one.split()) for one in re.findall(r"typedef (void \(\*.*?);", text)]
    return calls, handlers


def exported(library):
    names = set()
    for line in output("nm", "-D", "--defined-only", library).splitlines():
        _, kind, name = line.split()
        if kind != "A":  # the version's own
            names.add(name.split("@")[0])
    return names


def found(library, compiler):
    text = header_text()
    calls, handlers = declared(text)
    lines = re.findall(r"\(SONAME\).*\[(.*)\]", output("readelf", "-d", library))
    lines = [f"soname {lines[0]}"]
    symbols = exported(library)
    lines += [f"symbol {name}: {calls.get(name, 'NOT IN holdfast.h')}" for name in sorted(symbols)]
    lines += [f"symbol {name}: NOT IN THE LIBRARY" for name in sorted(set(calls) - symbols)]
    return lines + [f"handler {one}" for one in handlers] + layout(text, compiler)


def main():
    library, compiler = sys.argv[1:3]
    if sys.maxsize < 2**32:
        print("abi.txt is for 64 bits; nothing to compare here")
        return 0
    now = found(library, compiler)
    if "--write" in sys.argv[3:]:
        LIST.write_text("\n".join(now) + "\n", encoding="utf-8")
        print(f"{LIST.name}: {len(now)} lines")
    committed = LIST.read_text(encoding="utf-8").splitlines()
    gone = [line for line in committed if line not in now]
    new = [line for line in now if line not in committed]
    unfit = [line for line in now if "NOT IN" in line]
    for line in gone:
        print("gone or changed:", line)
    for line in new:
        print("new:            ", line)
    if gone:
        print("Programs that were built before break. Keep the old form beside the new one (a call of "
              "another name, a member at the end), or raise HOLDFAST_SOVERSION in "
              "src/capi/CMakeLists.txt and the number in holdfast.map; then abi_test.py … --write.")
    elif new:
        print("Additions break nobody. Record them: abi_test.py LIBRARY CC --write, commit abi.txt.")
    for line in unfit:
        print("wrong:          ", line, "- header and library must have the same calls")
    if not exported(library) or not all(one.startswith("holdfast_") for one in exported(library)):
        print("wrong:           only holdfast_* may be visible; see src/capi/holdfast.map")
        return 1
    print(f"abi: {len(exported(library))} symbols, {len(now)} lines, {len(gone)} gone, {len(new)} new")
    return 1 if gone or new or unfit else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Requires that README.md shows examples/minimal.cpp as it is: readme_test.py [ROOT]

The README's block is the one after the line "<!-- examples/minimal.cpp -->". The file's leading
comment, which says what the file is for, may be left out of the README.
"""
import difflib
import os
import re
import sys

MARK = re.compile(r"<!-- examples/minimal\.cpp -->\n+```cpp\n(.*?)```", re.S)


def main(arguments):
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        block = MARK.search(file.read())
    if not block:
        print("README.md: the block after <!-- examples/minimal.cpp --> is missing")
        return 1
    with open(os.path.join(root, "examples", "minimal.cpp"), encoding="utf-8") as file:
        code = file.read()
    shown = block.group(1)
    if shown not in (code, re.sub(r"\A(?://[^\n]*\n)+\n*", "", code)):
        print("README.md: its example is not examples/minimal.cpp; copy the file into the block:")
        print("".join(difflib.unified_diff(shown.splitlines(True), code.splitlines(True),
                                           "README.md", "examples/minimal.cpp")))
        return 1
    lines = len([line for line in shown.split("\n") if line.strip()])
    print(f"README.md: the example is the file ({lines} lines of code)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

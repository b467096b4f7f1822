#!/usr/bin/env python3
"""Requires that README.md shows examples/minimal.cpp as it is: readme_test.py [ROOT]

Besides: every file that a Markdown page of ours names by a path in backquotes or a link exists.
The README's block is the one after the line "<!-- examples/minimal.cpp -->". The file's leading
comment, which says what the file is for, may be left out of the README.
"""
import difflib
import os
import re
import sys

MARK = re.compile(r"<!-- examples/minimal\.cpp -->\n+```cpp\n(.*?)```", re.S)


# A path of ours: in backquotes with a folder we have and an ending, or the target of a link.
NAMED = re.compile(r"`((?:docs|tools|src|include|examples|bench|lab|deploy)/[\w./-]+\.\w+)`|"
                   r"\]\((?!https?:)([^)#]+)\)")


def missing_files(root):
    pages = [name for name in os.listdir(root) if name.endswith(".md")]
    pages += [os.path.join("docs", name) for name in os.listdir(os.path.join(root, "docs"))
              if name.endswith(".md")]
    for page in sorted(pages):
        with open(os.path.join(root, page), encoding="utf-8") as file:
            text = re.sub(r"^```.*?^```", lambda m: "\n" * m.group(0).count("\n"), file.read(),
                          flags=re.S | re.M)
        for match in NAMED.finditer(text):
            path = match.group(1) or os.path.join(os.path.dirname(page), match.group(2))
            if "NAME" not in path and not os.path.exists(os.path.join(root, path)):
                yield page, text.count("\n", 0, match.start()) + 1, path


def main(arguments):
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    missing = list(missing_files(root))
    for page, line, path in missing:
        print(f"{page}:{line}: names {path}, which does not exist")
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
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

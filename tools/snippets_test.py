#!/usr/bin/env python3
"""The C and C++ in the documentation compiles.

    snippets_test.py ROOT CC CXX

Blocks ```c and ```cpp of the files below. One with its own main() is compiled as it is; others are the
body of a function that has `device`. Looked at by the compilers only: what is shown runs in examples.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

FILES = ("docs/c-api.md", "docs/migrating.md")
LEAST = 6  # blocks in all; fewer: they are no longer found
FRAMES = {
    "c": ("c", '#include "holdfast.h"\nint body(holdfast_device* device);\n'
               "int body(holdfast_device* device) {\n%s\nreturn code;\n}\n"),
    "cpp": ("cpp", '#include <iostream>\n#include <thread>\n#include "holdfast/device.h"\n'
                   "int body(holdfast::Device& device);\n"
                   "int body([[maybe_unused]] holdfast::Device& device) {\n%s\nreturn 0;\n}\n"),
}


def main():
    root, c, cpp = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    compilers = {"c": [c, "-std=c99", "-pedantic"], "cpp": [cpp, "-std=c++20"]}
    count, failed = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            text = (root / name).read_text(encoding="utf-8")
            for match in re.finditer(r"^```(c|cpp)\n(.*?)^```$", text, re.M | re.S):
                kind, block = match.groups()
                ending, frame = FRAMES[kind]
                count += 1
                source = pathlib.Path(folder, f"snippet-{count}.{ending}")
                source.write_text(block if "int main(" in block else frame % block, encoding="utf-8")
                done = subprocess.run([*compilers[kind], "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                                       "-I", root / "include", source], capture_output=True, text=True,
                                      timeout=100, check=False)
                if done.returncode != 0:
                    failed += 1
                    line = text.count("\n", 0, match.start()) + 1
                    print(f"{name}:{line}: does not compile\n{done.stderr}")
    if count < LEAST:
        print(f"only {count} blocks found in {', '.join(FILES)}")
    print(f"snippets: {count} compiled, {failed} failed")
    return 1 if failed or count < LEAST else 0


if __name__ == "__main__":
    sys.exit(main())

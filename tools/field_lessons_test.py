#!/usr/bin/env python3
"""Holds docs/field-lessons.md and the tests together: field_lessons_test.py [ROOT | --self-test]

Each row of the wanted groups stands in the table once, in order, with at least one test; each test
that a row names exists, and its comment says the row's number ("// Field lesson 12."); and each
number at a test has that test in its row. Python 3 standard library only.
"""
import os
import re
import sys
import tempfile

WANTED = [*range(1, 15), *range(26, 35), *range(42, 58)]
PAGE = "docs/field-lessons.md"
FOLDERS = ("src", "agent", "cli", "sim", "lab")

ROW = re.compile(r"^\| (\d+) \|(.*)\|$", re.M)
NAMED = re.compile(r"`([A-Z]\w*\.[A-Z]\w*|\w+_test: test_\w+)`")
CPP = re.compile(r"((?:^//[^\n]*\n)*)^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.M)
PYTHON = re.compile(r"((?:^ +#[^\n]*\n)*)^ +def (test_\w+)\(", re.M)
NUMBERS = re.compile(r"Field lessons? ([\d, and]+)\.")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def numbers_in(comment):
    comment = re.sub(r"\n\s*(?://|#) ?", " ", comment)
    return {int(n) for found in NUMBERS.findall(comment) for n in re.findall(r"\d+", found)}


def tests_of(root):
    """Name of each test -> the numbers in its comment."""
    tests = {}
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith("_test.cpp"):
                    for comment, suite, case in CPP.findall(read(os.path.join(where, name))):
                        tests[f"{suite}.{case}"] = numbers_in(comment)
                elif name.endswith("_test.py"):
                    for comment, case in PYTHON.findall(read(os.path.join(where, name))):
                        tests[f"{name[:-3]}: {case}"] = numbers_in(comment)
    return tests


def problems(root):
    rows = [(int(number), set(NAMED.findall(text)))
            for number, text in ROW.findall(read(os.path.join(root, PAGE)))]
    if [number for number, _ in rows] != WANTED:
        yield f"the rows are {[number for number, _ in rows]}, wanted are {WANTED}"
    tests = tests_of(root)
    for number, named in rows:
        if not named:
            yield f"row {number} names no test"
        for name in sorted(named):
            if name not in tests:
                yield f"row {number} names {name}, which does not exist"
            elif number not in tests[name]:
                yield f"row {number} names {name}, but the number does not stand at that test"
    table = dict(rows)
    for name, numbers in sorted(tests.items()):
        for number in sorted(numbers):
            if name not in table.get(number, ()):
                yield f"lesson {number} stands at {name}, but row {number} does not name it"


def self_test():
    good_page = "".join(f"| {n} | elsewhere | here | `A.B` |\n" for n in WANTED)
    said = ", ".join(map(str, WANTED))
    good_test = f"// Field lessons {said}.\nTEST(A, B) {{}}\n"
    plants = {
        "the rows are": (good_page.replace("| 12 |", "| 99 |"), good_test),
        "row 12 names no test": (good_page.replace("| 12 | elsewhere | here | `A.B` |",
                                                   "| 12 | elsewhere | here | none |"), good_test),
        "which does not exist": (good_page, good_test.replace("TEST(A, B)", "TEST(A, C)")),
        "does not stand at": (good_page, good_test.replace(" 12,", "")),
        "does not name it": (good_page, good_test + "// Field lesson 7.\nTEST(A, D) {}\n"),
        "": (good_page, good_test),
    }
    for words, (page, test) in plants.items():
        with tempfile.TemporaryDirectory() as root:
            for folder in ("docs", "src"):
                os.mkdir(os.path.join(root, folder))
            for path, text in ((PAGE, page), ("src/a_test.cpp", test)):
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            found = list(problems(root))
            if bool(found) != bool(words) or (words and not any(words in each for each in found)):
                print(f"self-test: wanted {words!r}, found {found}")
                return 1
    print(f"self-test: {len(plants)} cases")
    return 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = list(problems(root))
    for each in found:
        print(f"{PAGE}: {each}")
    print(f"field lessons: {len(WANTED)} rows, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Tells what a run of the lab found: from its result document to HTML, JUnit XML, text and JSON.

    report_main.py INPUT [--html FILE] [--junit FILE] [--json FILE] [--text]

INPUT and each FILE may be -, the standard input and output. docs/report-format.md describes INPUT.
Exit: 0 the run passed (also with warnings), 1 it failed, 2 wrong option or no result document.
"""

import argparse
import sys

from report import html, junit, model, text


def options_of(arguments):
    parser = argparse.ArgumentParser(
        prog="report_main.py", description="Tells what a run of the lab found.",
        epilog="Without any form, the text is printed. Exit status: 0 the run passed, 1 it failed, "
        "2 wrong option or no result document.")
    parser.add_argument("input", metavar="INPUT", help="a result document (JSON); - reads stdin")
    parser.add_argument("--html", metavar="FILE", help="write one HTML file that needs no network")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML, for CI")
    parser.add_argument("--json", metavar="FILE", help="write the document with all its members")
    parser.add_argument("--text", action="store_true", help="print a table for the terminal")
    options = parser.parse_args(arguments)
    if [options.html, options.junit, options.json].count("-") + options.text > 1:
        parser.error("only one form can go to the standard output")
    return options


def read(name):
    if name == "-":
        return sys.stdin.buffer.read(model.MAX_BYTES + 1)
    with open(name, "rb") as file:
        return file.read(model.MAX_BYTES + 1)


def write(name, content):
    if name == "-":
        sys.stdout.buffer.write(content)
        return
    with open(name, "wb") as file:
        file.write(content)


def tell(document, options):
    forms = [(options.html, lambda: html.render(document).encode("utf-8")),
             (options.junit, lambda: junit.render(document)),
             (options.json, lambda: model.dump(document).encode("utf-8"))]
    for name, form in forms:
        if name:
            write(name, form())
    if options.text or not any(name for name, _ in forms):
        sys.stdout.reconfigure(encoding="utf-8")
        print(text.render(document, colour=text.use_colour(sys.stdout)), end="")


def main(arguments):
    options = options_of(arguments)
    try:
        document = model.load(read(options.input))
        tell(document, options)
    except (OSError, model.BadDocument) as trouble:
        print(f"report_main.py: {trouble}", file=sys.stderr)
        return 2
    return 1 if document.verdict in (model.Verdict.FAIL, model.Verdict.ERROR) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

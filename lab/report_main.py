"""Tells what a run of the lab found: from its result document to HTML, JUnit XML, text and JSON.

    report_main.py INPUT [--html FILE] [--junit FILE] [--json FILE] [--text]

INPUT and each FILE may be -, the standard input and output. docs/report-format.md describes INPUT.
Exit: 0 the run passed (also with warnings), 1 it failed, 2 wrong option or no result document.
"""

import argparse
import sys

from report import forms, model


def options_of(arguments):
    parser = argparse.ArgumentParser(
        prog="report_main.py", description="Tells what a run of the lab found.",
        epilog="Without any form, the text is printed. Exit status: 0 the run passed, 1 it failed, "
        "2 wrong option or no result document.")
    parser.add_argument("input", metavar="INPUT", help="a result document (JSON); - reads stdin")
    forms.add_options(parser)
    parser.add_argument("--text", action="store_true", help="prints a table for the terminal")
    options = parser.parse_args(arguments)
    forms.check(parser, options, options.text)
    return options


def read(name):
    if name == "-":
        return sys.stdin.buffer.read(model.MAX_BYTES + 1)
    with open(name, "rb") as file:
        return file.read(model.MAX_BYTES + 1)


def main(arguments):
    options = options_of(arguments)
    try:
        document = model.load(read(options.input))
        forms.write(document, options)
        if options.text or not forms.asked(options):
            forms.show(document)
    except (OSError, model.BadDocument) as trouble:
        print(f"report_main.py: {trouble}", file=sys.stderr)
        return 2
    return 1 if document.verdict in (model.Verdict.FAIL, model.Verdict.ERROR) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

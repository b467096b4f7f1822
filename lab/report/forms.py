"""The forms of a result document that a program of the lab can be asked for, and their options."""

import os
import pathlib
import sys

from report import html, junit, model, text

FORMS = {
    "html": ("one HTML file that needs no network", lambda it: html.render(it).encode("utf-8")),
    "junit": ("JUnit XML, for CI", junit.render),
    "json": ("the result document, docs/report-format.md",
             lambda it: model.dump(it).encode("utf-8"))}


def add_options(parser):
    for name, (words, _) in FORMS.items():
        parser.add_argument(f"--{name}", metavar="FILE", help=f"writes {words}")


def asked(options):
    """The files that the options name, by form; - stands for the standard output."""
    return {name: getattr(options, name) for name in FORMS if getattr(options, name)}


def to_stdout(options):
    """Whether a form goes to the standard output."""
    return "-" in asked(options).values()


def check(parser, options, *others):
    """Ends with an error where several, or others that are asked for, go to the standard output,
    and where a file cannot be written: that is said before a run, not after it."""
    files = list(asked(options).values())
    if files.count("-") + sum(others) > 1:
        parser.error("only one form can go to the standard output")
    for file in files:
        path = pathlib.Path(file)
        if file != "-" and (path.is_dir() or not os.access(path.absolute().parent, os.W_OK)):
            parser.error(f"{file} cannot be written")


def write(document, options):
    """Raises OSError."""
    for name, file in asked(options).items():
        content = FORMS[name][1](document)
        if file == "-":
            sys.stdout.buffer.write(content)
            continue
        with open(file, "wb") as out:
            out.write(content)


def show(document):
    sys.stdout.reconfigure(encoding="utf-8")
    print(text.render(document, colour=text.use_colour(sys.stdout)), end="")

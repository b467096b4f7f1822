#!/usr/bin/env python3
"""docs/job-document.schema.json against the updater: both take the same documents.

Goal:   who writes a document by the schema writes what an updater takes, if its owner allows it.
Method: from whole documents of each kind others are made, each with one mistake (a member that is missing,
        unknown, of another type, empty, too long, out of its range), and the documents of the fuzzer are
        taken besides. A device that allows all must refuse for their form exactly those that the schema
        refuses. The validator is python3-jsonschema.
Usage:  schema_test.py BIN_DIR [unittest arguments]
"""
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SYSTEM_PYTHON = "/usr/bin/python3"
try:
    import jsonschema
except ImportError:     # Debian's package is for Debian's Python
    if sys.executable == SYSTEM_PYTHON or not os.path.exists(SYSTEM_PYTHON):
        sys.exit("schema_test.py: python3-jsonschema is missing; tools/setup test installs it")
    os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCHEMA = json.loads((ROOT / "docs" / "job-document.schema.json").read_text("utf-8"))
PROGRAM = None
SETTINGS = """
[update]
handlers = "handlers"
allow_commands = ["*"]
allow_users = ["*"]
allow_packages = ["*"]
allow_units = ["*"]
allow_http = true
allow_reports = ["*"]
allow_unsigned = true
facts = ["site=north"]
max_size = "1024GiB"
[application.pump]
directory = "pump"
"""
# What depends on the device, and not on the document; and the one range that a pattern does not say.
UNKNOWABLE = ("this device is not meant", "is not configured on this device", "there is no handler",
              "above update.max_size", "is not in update.", "is not in one of update.",
              "give a time of 5s to 24h")
OTHERS = (None, True, -1, 256, 1 << 70, "", "two words", "${aws:iot:parameter:x}", "a\0b", "x" * 4097,
          ",", "true", [], [1], ["a"] * 65, ["x" * 4097], {"a": 1})
ACTION = {"name": "n", "type": "runCommand", "runAsUser": "nobody", "allowStdErr": 3,
          "ignoreStepFailure": "true", "input": {"command": "df,-h"}}
HANDLER = {"name": "n", "type": "runHandler",
           "input": {"handler": "mine.sh", "args": ["a", ""], "path": "default"}}
STEPS = {"version": "1.0", "includeStdOut": True, "steps": [{"action": ACTION}, {"action": HANDLER}],
         "finalStep": {"action": ACTION},
         "conditions": [{"key": "site", "value": ["north"], "type": "stringEqual"}]}
OPERATION = {"operation": "mine.sh", "args": ["a"], "path": "default", "allowStdErr": 1,
             "includeStdOut": "false"}
UPDATE = {"application": "pump", "version": "1.2", "url": "https://h/x", "size": 10, "sha256": "aB" * 32,
          "signature": "AAAA", "dry_run": False, "prove_within": "5m"}
STREAM = {**{k: v for k, v in UPDATE.items() if k != "url"}, "stream": "s-1", "file": 7}
TEXT = {"application": "pump", "version": "1:1.2~rc1+b1", "text": "[a]\nb = 1\n"}
REPORT = {"parts": ["status", "log", "doctor", "history"], "lines": 200, "url": "https://h/x"}
WHOLE = (STEPS, OPERATION, {"holdfast": 1, "update": UPDATE}, {"holdfast": 1, "update": TEXT},
         {"holdfast": 1, "report": REPORT}, {"holdfast": 1, "update": STREAM})


def places(value, path=()):
    """The path of each member in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*path, key)
        if isinstance(one, (dict, list)):
            yield from places(one, (*path, key))


def changed(document, path, change):
    fresh = copy.deepcopy(document)
    at = fresh
    for key in path[:-1]:
        at = at[key]
    change(at, path[-1])
    return fresh


def documents():
    yield from WHOLE
    yield from (None, [], 7, {}, {"version": 1.0}, {"holdfast": 2, "update": UPDATE},
                {"holdfast": 1, "update": UPDATE, "operation": "x"}, {"holdfast": 1},
                {"holdfast": 1, "update": UPDATE, "report": REPORT}, {"version": "1.0", "operation": "mine.sh"}, {**STEPS, "steps": STEPS["steps"][:1] * 64},
                {"version": "1.0", "steps": STEPS["steps"][:1] * 65},
                {"version": "1.0", "steps": STEPS["steps"][:1] * 64},
                {"holdfast": 1, "update": {**UPDATE, "file": 1}},
                {"holdfast": 1, "update": {**UPDATE, "prove_within": "0"}},
                {"holdfast": 1, "update": {**UPDATE, "text": "x"}},
                {"holdfast": 1, "update": {**TEXT, "size": 1}},
                {"holdfast": 1, "update": {**TEXT, "stream": "s"}},
                {"holdfast": 1, "update": {**UPDATE, "url": "ftp://h/x"}})
    for whole in WHOLE:
        for path in places(whole):
            if whole is WHOLE[-1] and path[-1] in UPDATE:
                continue    # as in the one before
            yield changed(whole, path, lambda at, key: at.pop(key))
            for value in OTHERS:
                yield changed(whole, path, lambda at, key, value=value: at.__setitem__(key, value))
            if isinstance(path[-1], str):
                yield changed(whole, path, lambda at, key: at.__setitem__("surprise", at[key]))
    for file in sorted((ROOT / "fuzz" / "corpus" / "job_document_fuzz").iterdir()):
        text = file.read_bytes()
        if text[:1] and text[0] % 4 > 1:    # as job_document_fuzz.cpp chooses
            yield json.loads(text[1:])


class Schema(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="holdfast-schema-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "handlers").mkdir()
        handler = self.folder / "handlers" / "mine.sh"
        handler.write_text("#!/bin/sh\n", "ascii")
        handler.chmod(0o755)
        (self.folder / "updater.toml").write_text(
            SETTINGS, "ascii")

    def refusal(self, document):
        """Why the updater does not take it; empty: it does."""
        done = subprocess.run([PROGRAM, "job", "check", "-", "--config", self.folder / "updater.toml"],
                              input=json.dumps(document), capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertIn(done.returncode, (0, 2), done.stderr)
        return done.stderr if done.returncode else ""

    def test_the_schema_is_one(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_both_take_the_same_documents(self):
        schema = jsonschema.Draft202012Validator(SCHEMA)
        taken = refused = 0
        for document in documents():
            why = self.refusal(document)
            wrong = [error.message for error in schema.iter_errors(document)]
            form = bool(why) and not any(words in why for words in UNKNOWABLE)
            if why and not form:
                continue
            self.assertEqual(form, bool(wrong),
                             f"{json.dumps(document)[:1000]}\nupdater: {why}\nschema: {wrong}")
            taken += not form
            refused += form
        self.assertGreater(taken, 60)
        self.assertGreater(refused, 300)


if __name__ == "__main__":
    PROGRAM = os.path.join(os.path.abspath(sys.argv[1]), "holdfast-updater")
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])

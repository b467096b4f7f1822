#!/usr/bin/env python3
"""docs/local-api.schema.json against the agent: both take the same lines, and the agent's lines are as it says.

Goal:   who writes a client by the schema writes what the agent takes, and reads what the agent writes.
Method: from the schema's requests are made: the least, the whole, and each with one mistake (a field that
        is missing, unknown, of another type, out of its range or none of its words). The agent must call
        exactly those malformed that the schema refuses. Each of its lines is checked, too. The validator is
        python3-jsonschema.
Usage:  schema_test.py BIN_DIR [unittest arguments]
"""
import json
import os
import pathlib
import socket
import sys
import unittest

sys.dont_write_bytecode = True
SYSTEM_PYTHON = "/usr/bin/python3"
try:
    import jsonschema
except ImportError:     # Debian's package is for Debian's Python
    if sys.executable == SYSTEM_PYTHON or not os.path.exists(SYSTEM_PYTHON):
        sys.exit("schema_test.py: python3-jsonschema is missing; tools/setup test installs it")
    os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])

import agent_test  # noqa: E402
from agent_test import Lab  # noqa: E402

FILE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "local-api.schema.json"
SCHEMA = json.loads(FILE.read_text("utf-8"))
# What depends on the agent, and not on the line.
UNKNOWABLE = ("this connection has none of that number", "the outbox has no lane of this name",
              "is not the \"next\" of a page")
OTHERS = (None, True, -1, 0, 1.5, 2, 1 << 70, "", "none of its words", "YQ=", [], [["a"]], {}, {"a": 1})


def part(name):
    return jsonschema.Draft202012Validator({"$ref": "#/$defs/" + name, "$defs": SCHEMA["$defs"]})


def resolved(rule):
    return SCHEMA["$defs"][rule["$ref"].rsplit("/", 1)[1]] if "$ref" in rule else rule


def good_values(name, rule):
    rule = resolved(rule)
    if "const" in rule:
        return [rule["const"]]
    if "enum" in rule:
        return rule["enum"]
    if rule.get("type") == "integer":
        return [rule["minimum"], rule["maximum"]]
    if rule.get("type") == "boolean":
        return [True, False]
    if "oneOf" in rule:
        return [{"a": "b"}, [["a", "b"], ["a", "c"]]]
    if name == "deliveries":
        return [[1], [1, 2]]
    return {"id": [7, "seven", -1], "payload_base64": ["", "AAEC", "YQ=="],
            "correlation_data_base64": ["YWI="], "name": ["beat"], "from": [""],
            "topic": ["a/b"], "filter": ["a/#"]}.get(name, ["a"])


def requests():
    """Lines as objects; some good, some not: both sides judge them."""
    yield from ({}, [], 7, {"op": 7}, {"op": "fly"}, {"id": 1})
    for rule in SCHEMA["$defs"]["request"]["oneOf"]:
        fields = {name: good_values(name, one) for name, one in rule["properties"].items()}
        least = {name: fields[name][0] for name in rule["required"]}
        yield least
        whole = {name: values[0] for name, values in fields.items() if name != "payload_base64"}
        yield whole
        yield {**least, "retian": True}
        for name in rule["required"]:
            yield {key: value for key, value in least.items() if key != name}
        for name, values in fields.items():
            if name == "op":
                continue
            for value in values:
                yield {**least, name: value}
            for value in OTHERS:
                yield {**least, name: value}
            one = resolved(rule["properties"][name])
            if one.get("type") == "integer":
                yield {**least, name: one["minimum"] - 1}
                yield {**least, name: one["maximum"] + 1}
        if "payload_base64" in fields:
            yield {**least, "payload": "a", "payload_base64": "YQ=="}


class Schema(Lab):
    def setUp(self):
        super().setUp()
        self.agent(self.config())
        self.client = socket.socket(socket.AF_UNIX)
        self.client.settimeout(20)
        self.client.connect(self.socket)
        self.addCleanup(self.client.close)
        self.lines = self.client.makefile("rb")
        self.answers, self.events = part("answer"), part("event")

    def ask(self, request):
        """The answer; every line on the way is as the schema says."""
        self.client.sendall(json.dumps(request).encode() + b"\n")
        while True:
            line = json.loads(self.lines.readline())
            kind = self.events if "event" in line else self.answers
            self.assertEqual([error.message for error in kind.iter_errors(line)], [], line)
            if "event" not in line:
                return line

    def test_the_schema_is_one(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_both_take_the_same_requests(self):
        request_of = part("request")
        taken, refused = set(), 0
        for request in requests():
            by_schema = request_of.is_valid(request)
            # What has no answer, ends the connection, or waits, is asked in another way.
            if by_schema and (request["op"] in ("request", "safe_mode_end") or
                              request.get("receipt") in ("none", "delivered")):
                taken.add(request["op"])
                continue
            answer = self.ask(request)
            error = answer.get("error", "")
            malformed = error.startswith(("field ", "not a JSON object"))
            if any(words in error for words in UNKNOWABLE):
                malformed = False
            self.assertEqual(not malformed, by_schema, "%s\n%s" % (request, answer))
            if by_schema:
                taken.add(request["op"])
            refused += malformed
        self.assertEqual(taken, set(SCHEMA["$defs"]["request"]["properties"]["op"]["enum"]))
        self.assertGreater(refused, 300)

    def test_the_ops_are_those_of_the_agent(self):
        words = self.ask({"op": "fly"})["error"].split(" is none of ")[1].split(", ")
        self.assertEqual(sorted(words), sorted(SCHEMA["$defs"]["request"]["properties"]["op"]["enum"]))


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv[1])
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])

"""Goal:   reports say what the document says, whatever a device wrote; bad documents are refused.
Method: made-up documents, also hostile ones, read back by the standard library's own parsers.
"""

import base64
import hashlib
import html.parser
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

from report import charts, gaps, html as page, junit, model, sample, text, words
from report.model import Verdict

LAB = pathlib.Path(__file__).resolve().parent
SEEDS = 10_000


def minimal(**members):
    return {"format": 1, "run": {"tool": "t", "command": "c", "date": "2026-11-26T00:00:00Z",
                                 "seconds": 1}, **members}


def case(**members):
    return {"name": "n", "group": "g", "verdict": "PASS", "reason": "r", **members}


def loaded(**members):
    return model.load(json.dumps(minimal(**members)))


class Model(unittest.TestCase):
    def refused(self, begins, text):
        with self.assertRaises(model.BadDocument) as caught:
            model.load(text)
        self.assertTrue(str(caught.exception).startswith(begins), str(caught.exception))

    def test_comes_back_as_it_was(self):
        for document in (sample.make(), sample.make(7, 300, 40, hostile=True), loaded()):
            written = model.dump(document)
            self.assertEqual(model.load(written), document)
            self.assertEqual(model.dump(model.load(written.encode("utf-8"))), written)

    def test_names_the_member_that_is_wrong(self):
        attempts = {"times": [0, 1, 3]}
        for begins, members in (
                ("run: a number", {"run": 3}),
                ("extra: there is no such", {"extra": 1}),
                ("run.seconds: a string", {"run": {**minimal()["run"], "seconds": "1"}}),
                ("run.seconds: is below 0", {"run": {**minimal()["run"], "seconds": -1}}),
                ("run.seed: a number", {"run": {**minimal()["run"], "seed": 1.5}}),
                ("run.versions.a: null", {"run": {**minimal()["run"], "versions": {"a": None}}}),
                ("run.tool: is missing", {"run": {}}),
                ("cases: an object", {"cases": {}}),
                ("cases[0]: a string", {"cases": ["x"]}),
                ("cases[0].verdict: \"MAYBE\"", {"cases": [case(verdict="MAYBE")]}),
                ("cases[0].verdict: is missing", {"cases": [{"name": "n", "group": "g"}]}),
                ("cases[0].seconds: true or false", {"cases": [case(seconds=True)]}),
                ("cases[1].name: two cases", {"cases": [case(), case()]}),
                ("cases[0].evidence[0].time: is missing", {"cases": [case(evidence=[
                    {"text": ""}])]}),
                ("cases[0].packets[0].sender", {"cases": [case(packets=[
                    {"time": 0, "sender": "me", "kind": "X"}])]}),
                ("cases[0].packets[0].hex", {"cases": [case(packets=[
                    {"time": 0, "sender": "device", "kind": "X", "hex": "1"}])]}),
                ("cases[0].attempts[0].times[2]: is before", {"cases": [case(attempts=[
                    {"times": [0, 2, 1]}])]}),
                ("cases[0].attempts[0].waits: has neither", {"cases": [case(attempts=[
                    {**attempts, "waits": [1]}])]}),
                ("cases[0].attempts[0].waits: one is", {"cases": [case(attempts=[
                    {**attempts, "waits": [1, -1]}])]}),
                ("cases[0].attempts[0].lost: is after", {"cases": [case(attempts=[
                    {**attempts, "lost": 0.5}])]}),
                ("cases[0].attempts[0].ideal.base", {"cases": [case(attempts=[
                    {**attempts, "ideal": {"base": 0}}])]}),
                ("timeline.states[0].end", {"timeline": {"states": [
                    {"begin": 2, "end": 1, "state": "s"}]}}),
                ("timeline.series[0].points[0]: a list", {"timeline": {"series": [
                    {"name": "s", "points": [[1, 2, 3]]}]}}),
                ("timeline.series[0].points[1]: is before", {"timeline": {"series": [
                    {"name": "s", "points": [[1, 2], [0, 2]]}]}}),
                ("account.lost_ids: are more", {"account": {"accepted": 1, "delivered": 1,
                                                            "lost_ids": ["1"]}}),
                ("account.dropped.x: is below 0", {"account": {"accepted": 1, "delivered": 1,
                                                               "dropped": {"x": -1}}}),
                ("scores[0].score", {"scores": [{"name": "s", "score": 101}]}),
                ("scores[0].of", {"scores": [{"name": "s", "score": 0, "of": 0}]})):
            with self.subTest(begins):
                self.refused(begins, json.dumps(minimal(**members)))

    def test_refuses_what_is_no_document(self):
        self.refused("document: no JSON", "")
        self.refused("document: no JSON", b"\xff\xfe")
        self.refused("document: no JSON", "[" * 100_000)
        self.refused("document: a list", "[]")
        self.refused("document: over", " " * (model.MAX_BYTES + 1))
        self.refused("format: not 1", json.dumps({**minimal(), "format": 2}))
        self.refused("format: not 1", "{}")

    def test_refuses_numbers_that_others_cannot_read(self):
        for number in ("NaN", "Infinity", "1e999", "-1e16", str(2**60)):
            self.refused("run.seconds:", json.dumps(minimal()).replace('"seconds": 1',
                                                                       f'"seconds": {number}'))

    def test_lone_surrogates_become_readable(self):
        document = model.load(json.dumps(minimal()).replace('"t"', '"a\\ud800b"'))
        self.assertEqual(document.run.tool, "a\ufffdb")

    def test_the_worst_case_is_the_verdict(self):
        for given, verdict in ((["PASS"], "PASS"), (["PASS", "PASS_WITH_WARNINGS"],
                               "PASS_WITH_WARNINGS"), (["PASS_WITH_WARNINGS", "ERROR"], "ERROR"),
                               (["ERROR", "FAIL"], "FAIL"), (["PASS", "NOT_APPLICABLE"], "PASS"),
                               (["NOT_APPLICABLE"], "ERROR"), ([], "ERROR")):
            cases = [case(name=str(at), verdict=name) for at, name in enumerate(given)]
            self.assertEqual(loaded(cases=cases).verdict.value, verdict, given)

    def test_lost_or_uncounted_messages_fail_a_run(self):
        account = {"accepted": 10, "delivered": 7, "pending": 1, "dropped": {"expired": 2}}
        self.assertIs(loaded(cases=[case()], account=account).verdict, Verdict.PASS)
        for change in ({"lost": 1, "delivered": 6}, {"delivered": 6}, {"delivered": 8}):
            document = loaded(cases=[case()], account={**account, **change})
            self.assertIs(document.verdict, Verdict.FAIL, change)


class Words(unittest.TestCase):
    def test_what_cannot_be_seen_is_named(self):
        self.assertEqual(words.visible("a\x1b[1m\u202eb\x00\ud800"),
                         "a\\x1b[1m<U+202E>b\\x00<U+D800>")
        self.assertEqual(words.visible("żółw שלום 龜 😀\n\t"), "żółw שלום 龜 😀\n\t")
        self.assertEqual(words.one_line("a\nb\tc\r"), "a\\nb\\tc\\x0d")

    def test_times_as_people_say_them(self):
        self.assertEqual([words.duration(s) for s in (0.0321, 4.21, 59.97, 200, 7500)],
                         ["32 ms", "4.2 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"])
        self.assertEqual([words.clock(s) for s in (0, 59.9996, 223.124, 3723.5, -1.5)],
                         ["0:00.000", "1:00.000", "3:43.124", "1:02:03.500", "-0:01.500"])


class Gaps(unittest.TestCase):
    def judge(self, values, noise=0.0, chance=None, waits=(), lost=None):
        times = [0.0]
        for value in values:
            times.append(times[-1] + value)
        if noise:
            times = sorted(time + chance.uniform(-noise, noise) for time in times)
        return gaps.classify(times, waits, lost)

    def always(self, kind, values, noise=0.0):
        """Of a sequence, or of a function that draws one, for many seeds."""
        for seed in range(1000):
            chance = random.Random(seed)
            found = self.judge(values(chance) if callable(values) else values, noise, chance)
            self.assertEqual(found.kind, kind, (seed, found))
        return found

    def test_constant(self):
        found = self.always("constant", [5] * 5, 0.005)
        self.assertIs(found.verdict, Verdict.FAIL)
        self.always("constant", [0.1] * 5, 0.005)
        self.always("constant", lambda chance: [5 * chance.uniform(0.9, 1.1) for _ in range(6)])
        self.assertEqual(self.judge([0.0] * 5).kind, "constant")

    def test_linear(self):
        found = self.always("linear", [1, 2, 3, 4, 5], 0.005)
        self.assertAlmostEqual(found.step, 1, delta=0.02)
        self.assertIs(found.verdict, Verdict.FAIL)
        self.always("linear", [0.5 + 0.5 * at for at in range(6)], 0.005)
        self.assertIn("shorter", self.always("linear", [10, 8, 6, 4, 2], 0.005).sentence)

    def test_strictly_exponential(self):
        doubling = [1, 2, 4, 8, 16, 32, 64, 128]      # of the AWS SDK for MQTT 3.1.1
        for count in range(4, 9):
            found = self.always("exponential", doubling[:count], 0.005)
            self.assertAlmostEqual(found.factor, 2, delta=0.03)
            self.assertIs(found.verdict, Verdict.PASS_WITH_WARNINGS)
        self.always("exponential", [1.5 ** at for at in range(6)], 0.005)

    def test_strictly_exponential_up_to_a_cap(self):
        found = self.always("exponential", [1, 2, 4, 8, 8, 8], 0.005)
        self.assertAlmostEqual(found.cap, 8, delta=0.1)
        self.always("exponential", [1, 2, 4, 8, 10], 0.005)
        self.always("exponential", [1, 2, 4, 5, 5, 5], 0.005)
        self.always("exponential", [1, 2, 4, 8, 16, 32, 64, 128, 128, 128], 0.005)

    def test_exponential_behind_a_wait_that_nobody_told(self):
        found = self.judge([20 + 2 ** at for at in range(5)])
        self.assertEqual(found.kind, "exponential")
        self.assertIn("wait of 20 s", found.sentence)

    def test_the_own_wait_is_taken_off(self):
        self.assertEqual(self.judge([10 + 2 ** at for at in range(5)], waits=[10] * 5).gaps,
                         [1, 2, 4, 8, 16])
        drawn = [10.9, 10.3, 11.4, 11.7, 10.6]
        self.assertEqual(self.judge(drawn).kind, "constant")     # what the wait hides
        self.assertEqual(self.judge(drawn, waits=[10] * 5).kind, "jitter")

    def misjudged(self, draw, count):
        """Of SEEDS rows: how many are not called jitter, how many of those that are do not grow."""
        wrong = flat = 0
        for seed in range(SEEDS):
            found = self.judge(draw(random.Random(seed), count))
            wrong += found.kind != "jitter"
            flat += found.kind == "jitter" and not found.grows
        return wrong, flat

    def test_jitter_is_seldom_taken_for_anything_else(self):
        """The table in gaps.py."""
        edges = [min(30, 2 ** at) for at in range(6)]

        def full(chance, count):
            return [chance.uniform(0, edge) for edge in edges[:count]]

        def equal(chance, count):
            return [edge * (0.5 + 0.5 * chance.random()) for edge in edges[:count]]

        def decorrelated(chance, count):
            values = [1]
            while len(values) <= count:
                values.append(min(30, chance.uniform(1, 3 * values[-1])))
            return values[1:]
        for draw, five, six in ((full, (26, 15), (2, 0)), (equal, (251, 0), (41, 0)),
                                (decorrelated, (133, 268), (75, 89))):
            for count, (wrong, flat) in ((5, five), (6, six)):
                found = self.misjudged(draw, count)
                self.assertLessEqual(found[0], wrong, (draw.__name__, count))
                self.assertLessEqual(found[1], flat, (draw.__name__, count))

    def test_jitter_whose_range_does_not_grow_is_told(self):
        found = self.judge([7.5, 9.2, 6.4, 1.3, 5.1])
        self.assertEqual((found.kind, found.grows), ("jitter", False))
        self.assertIs(found.verdict, Verdict.PASS_WITH_WARNINGS)
        found = self.judge([0.6, 1.7, 0.9, 6.4, 11.5])
        self.assertEqual((found.kind, found.verdict), ("jitter", Verdict.PASS))

    def test_the_gap_after_the_loss_is_the_beginning_of_what_grows_but_not_of_a_kind(self):
        shrinking = [9.2, 6.4, 7.0, 2.3, 5.1]
        self.assertFalse(self.judge(shrinking).grows)
        found = self.judge(shrinking, lost=-0.3)
        self.assertEqual((found.kind, found.first, found.grows), ("jitter", 0.3, True))
        self.assertFalse(self.judge(shrinking, lost=-8.0).grows)
        self.assertEqual(self.judge([1, 2, 4, 8, 16], lost=0.0).kind, "exponential")
        self.assertEqual(self.judge([5, 5, 5, 5, 5], lost=-20.0).kind, "constant")

    def test_who_comes_back_at_once_has_no_backoff(self):
        found = self.judge([0.011, 0.072, 0.03, 0.11, 0.04])
        self.assertEqual((found.kind, found.verdict), ("constant", Verdict.FAIL))
        self.assertIn("110 ms", found.sentence)

    def test_few_attempts_are_not_judged(self):
        for times in ([], [1], [0, 1, 2, 3]):
            found = gaps.classify(times)
            self.assertEqual((found.kind, found.verdict), ("unknown", None))
        self.assertEqual(gaps.classify([0, 1, 2, 3, 4]).kind, "constant")


class Tags(html.parser.HTMLParser):
    """What a browser would find: elements, attributes, and whether they are closed in order."""
    VOID = {"meta", "input", "wbr", "img"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.errors, self.scripts = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append((tag, self.getpos()))

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


class Html(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = sample.make(cases=50, points=100_000, hostile=True)
        cls.text = page.render(cls.document)
        cls.tags = Tags(cls.text)

    def test_is_of_reasonable_size(self):
        self.assertLess(len(self.text.encode("utf-8")), 3_000_000)

    def test_elements_are_closed_in_order(self):
        self.assertEqual(self.tags.errors, [])
        self.assertEqual(self.tags.open, [])
        self.assertEqual(Tags(page.render(sample.make())).errors, [])

    def test_a_device_cannot_write_markup(self):
        self.assertEqual(self.tags.tags.count("script"), 2)
        self.assertNotIn("img", self.tags.tags)
        self.assertEqual([name for name, _ in self.tags.attributes if name.startswith("on")], [])
        self.assertIn("&lt;/script&gt;&lt;script&gt;", self.text)
        self.assertIsNone(re.search("[<>&]", self.tags.scripts[0]))

    def test_what_cannot_be_seen_is_not_in_the_page(self):
        self.assertIsNone(words.UNSEEN.search(self.text.replace("\n", " ")))
        self.assertIn("user&lt;U+202E&gt;gnp.exe", self.text)

    def test_its_policy_allows_its_own_script_only(self):
        policies = [value for name, value in self.tags.attributes
                    if name == "content" and "default-src" in value]
        digest = hashlib.sha256(self.tags.scripts[1].encode("utf-8")).digest()
        self.assertEqual(len(policies), 1)
        self.assertIn("default-src 'none'", policies[0])
        self.assertIn(f"script-src 'sha256-{base64.b64encode(digest).decode()}';", policies[0])

    def test_asks_nothing_of_the_network(self):
        self.assertEqual([value for name, value in self.tags.attributes
                          if name in ("src", "href") and not value.startswith("#")], [])
        self.assertNotIn("url(", self.text)
        self.assertNotIn("@import", self.text)

    def test_timeline_is_thinned_and_keeps_its_peaks(self):
        data = json.loads(self.tags.scripts[0])
        total = sum(len(series["t"]) for series in data["series"])
        self.assertLessEqual(total, page.MAX_POINTS)
        for series, item in zip(data["series"], self.document.timeline.series):
            values = [value for _, value in item.points]
            self.assertAlmostEqual(max(series["v"]) / max(values), 1, places=3)
            self.assertEqual(len(series["t"]), len(series["v"]))
            self.assertEqual(series["t"], sorted(series["t"]))

    def test_short_series_stay_whole(self):
        points = [(at, at % 7) for at in range(100)]
        self.assertEqual(page.thin(points, 100), points)
        self.assertLessEqual(len(page.thin(points, 20)), 20)

    def test_a_command_is_broken_between_its_words_and_warnings_are_told(self):
        self.assertIn("<span><bdi>--", self.text)
        self.assertRegex(self.text, r"[0-9]+ of [0-9]+ passed, [0-9]+ of them with warnings")

    def test_every_case_has_a_row_and_a_detail(self):
        rows = [value for name, value in self.tags.attributes if name == "data-case"]
        self.assertEqual(sorted(rows), sorted(f"case-{at}" for at in range(1, 51)))
        identities = [value for name, value in self.tags.attributes if name == "id"]
        self.assertEqual(len(identities), len(set(identities)))
        self.assertLessEqual(set(rows), set(identities))

    def test_links_lead_somewhere(self):
        identities = {value for name, value in self.tags.attributes if name == "id"}
        links = {value[1:] for name, value in self.tags.attributes if name == "href"}
        self.assertEqual(links - identities, set())

    def test_the_least_document_is_a_page_too(self):
        for document in (loaded(), loaded(cases=[case()]), loaded(account={
                "accepted": 0, "delivered": 0}), loaded(cases=[case(attempts=[{"times": []}])]),
                loaded(timeline={"events": [{"time": 0, "text": "x"}]}),
                loaded(timeline={"series": [{"name": "s", "points": []}]})):
            self.assertEqual(Tags(page.render(document)).errors, [])

    def test_headline_tells_the_worst(self):
        self.assertIn("Nothing was judged", page.render(loaded()))
        self.assertIn("1 of 2 cases failed", page.render(loaded(
            cases=[case(), case(name="m", verdict="FAIL")])))
        self.assertIn(">Passed</em>", page.render(loaded(cases=[case()])))
        self.assertIn("Messages are missing", page.render(loaded(
            cases=[case()], account={"accepted": 2, "delivered": 1, "lost": 1})))

    def test_texts_can_be_read_in_light_and_dark(self):
        """WCAG: 4.5 between text and what is behind it."""
        colours = self.colours()
        verdicts = ("pass", "warn", "fail", "none", "error")
        pairs = [(name, ground) for name in ("ink", "soft", "accent", *verdicts)
                 for ground in ("page", "sunken")]
        pairs += [(name, f"{name}-wash") for name in verdicts]
        pairs += [("ink", name) for name in colours if name.startswith(("state-", "fault"))]
        pairs += [(f"series-{number}", "page") for number in range(1, 5)]
        for name, ground in pairs:
            for scheme in (0, 1):
                light = sorted(luminance(colours[key][scheme]) for key in (name, ground))
                ratio = (light[1] + 0.05) / (light[0] + 0.05)
                self.assertGreaterEqual(ratio, 4.5, (name, ground, ("light", "dark")[scheme]))

    @staticmethod
    def colours():
        style = (LAB / "report" / "style.css").read_text("utf-8")
        found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", style)
        return {name: (light, dark) for name, light, dark in found}


def luminance(colour):
    parts = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
              for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def of_attempts(*times):
    return loaded(cases=[case(attempts=[{"times": times}])]).cases[0]


class Charts(unittest.TestCase):
    def test_points_and_ideal_are_drawn(self):
        document = sample.make()
        (item,) = [item for item in document.cases if len(item.attempts) == 2]
        root = xml.fromstring(charts.scatter(charts.rows_of(item), item.name))
        marks = [part for part in root if (part.get("class") or "").startswith("mark")]
        self.assertEqual(len(marks), 10)
        self.assertTrue(all(0 < float(part.get("cy")) < charts.HEIGHT for part in marks
                            if part.tag == "circle"))
        self.assertEqual(sum(part.get("class") == "area" for part in root), 1)

    def test_names_are_escaped(self):
        rows = charts.rows_of(of_attempts(0, 1))
        self.assertIn('aria-label="a&quot;&lt;', charts.scatter(rows, 'a"<'))

    def test_attempts_of_hours_and_of_milliseconds_fit(self):
        for unit in (0.001, 3600):
            rows = charts.rows_of(of_attempts(*(at * unit for at in range(30))))
            self.assertEqual(charts.scatter(rows, "x").count("<circle"), 29)

    def test_endless_attempts_are_cut_and_that_is_told(self):
        item = of_attempts(*range(5001))
        drawn = charts.scatter(charts.rows_of(item), "x")
        self.assertEqual(drawn.count("<circle"), charts.MAX_SHOWN)
        self.assertIn("the first 200 of 5,000 are shown", page.render(loaded(cases=[case(
            attempts=[{"times": list(range(5001))}])])))


class JUnit(unittest.TestCase):
    def test_counts_agree_with_the_cases(self):
        document = sample.make()
        root = xml.fromstring(junit.render(document))
        suites = root.findall("testsuite")
        self.assertEqual([suite.get("name") for suite in suites],
                         [*document.groups(), "account"])
        for attribute, element in (("tests", "testcase"), ("failures", "testcase/failure"),
                                   ("errors", "testcase/error"), ("skipped", "testcase/skipped")):
            for suite in suites:
                self.assertEqual(int(suite.get(attribute)), len(suite.findall(element)))
            self.assertEqual(int(root.get(attribute)), sum(int(s.get(attribute)) for s in suites))
        counts = document.counts()
        self.assertEqual(int(root.get("failures")), counts[Verdict.FAIL] + 1)
        self.assertEqual(int(root.get("skipped")), counts[Verdict.NOT_APPLICABLE])

    def test_a_failure_tells_reason_evidence_and_replay(self):
        failure = self.of("MQTT_No_Ack_PingResp").find("failure")
        self.assertIn("still connected", failure.get("message"))
        self.assertIn("CONNECT, clean session", failure.text)
        self.assertIn("replay: holdfast lab advise --case MQTT_No_Ack_PingResp", failure.text)

    def test_warnings_are_in_system_out_and_do_not_fail(self):
        element = self.of("TLS_Expired_Server_Cert")
        self.assertIn("warning: the connection was closed", element.find("system-out").text)
        self.assertIsNone(element.find("failure"))

    def test_hostile_text_is_valid_xml(self):
        root = xml.fromstring(junit.render(sample.make(cases=50, hostile=True)))
        said = "".join(root.itertext())
        self.assertIn("</script><script>", said)
        self.assertIn("\\x1b[31mred", said)

    def test_an_account_in_order_passes(self):
        root = xml.fromstring(junit.render(loaded(
            cases=[case()], account={"accepted": 2, "delivered": 2})))
        self.assertEqual((root.get("tests"), root.get("failures")), ("2", "0"))

    @staticmethod
    def of(name):
        return xml.fromstring(junit.render(sample.make())).find(f".//testcase[@name='{name}']")


class Text(unittest.TestCase):
    def test_fits_the_terminal(self):
        for columns in (50, 80, 100, 140):
            for document in (sample.make(), sample.make(cases=50, hostile=True)):
                names = {words.one_line(item.name) for item in document.cases}
                for line in text.render(document, columns).splitlines()[:-1]:
                    whole = "replay:" in line or line[9:] in names      # to be copied, never cut
                    self.assertTrue(whole or text._width(line) <= columns, (columns, line))

    def test_colours_only_when_asked(self):
        document = sample.make(cases=50, hostile=True)
        self.assertNotIn("\x1b", text.render(document, 100))
        coloured = text.render(document, 100, colour=True)
        self.assertEqual(re.sub("\x1b\\[[0-9;]*m", "", coloured), text.render(document, 100))

    def test_one_line_says_it_all(self):
        self.assertEqual(text.verdict_line(loaded()), "FAILED: nothing was judged in 1.0 s")
        self.assertEqual(text.verdict_line(loaded(cases=[case()])), "PASSED: 1 passed in 1.0 s")
        line = text.verdict_line(sample.make())
        self.assertTrue(line.startswith("FAILED: 3 failed, 1 in error, 18 passed, 3 with"), line)
        self.assertIn("3 messages lost, score 85 of 100", line)

    def test_wide_letters_take_two_columns(self):
        self.assertEqual(text._wrapped("龜龜龜龜", 5), ["龜龜", "龜龜"])
        self.assertEqual(text._cut("龜龜龜", 5), "龜龜…")


class Program(unittest.TestCase):
    def run_it(self, *arguments, given=b""):
        done = subprocess.run([sys.executable, "-B", LAB / "report_main.py", *arguments],
                              input=given, capture_output=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr.decode()

    def test_writes_all_forms(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "in.json").write_text(model.dump(sample.make()), "utf-8")
            status, said, _ = self.run_it(
                folder / "in.json", "--html", folder / "a.html", "--junit", folder / "a.xml",
                "--json", folder / "a.json", "--text")
            self.assertEqual(status, 1)
            self.assertIn(b"FAILED: 3 failed", said)
            self.assertNotIn(b"\x1b", said)
            self.assertEqual(model.load((folder / "a.json").read_bytes()), sample.make())
            self.assertEqual(xml.parse(folder / "a.xml").getroot().tag, "testsuites")
            self.assertTrue((folder / "a.html").read_text("utf-8").startswith("<!DOCTYPE html>"))

    def test_passes_a_run_that_passed(self):
        given = json.dumps(minimal(cases=[case()])).encode()
        status, said, _ = self.run_it("-", given=given)
        self.assertEqual(status, 0)
        self.assertIn(b"PASSED: 1 passed", said)
        status, said, _ = self.run_it("-", "--junit", "-", given=given)
        self.assertEqual((status, xml.fromstring(said).get("tests")), (0, "1"))

    def test_refuses_with_a_sentence(self):
        for arguments, given, expected in (
                (["-"], b"{}", "format: not 1"), (["-"], b"\xff", "no JSON"),
                (["/nonexistent/x"], b"", "No such file"),
                (["-", "--html", "/nonexistent/x"], json.dumps(minimal()).encode(), "cannot be"),
                (["-", "--html", "-", "--text"], b"", "only one form")):
            status, _, said = self.run_it(*arguments, given=given)
            self.assertEqual(status, 2)
            self.assertIn(expected, said)
            self.assertNotIn("Traceback", said)


class Sample(unittest.TestCase):
    def test_is_the_same_for_the_same_seed(self):
        self.assertEqual(model.dump(sample.make(5)), model.dump(sample.make(5)))
        self.assertNotEqual(model.dump(sample.make(5)), model.dump(sample.make(6)))

    def test_has_every_kind_of_verdict(self):
        self.assertTrue(all(sample.make().counts().values()))
        self.assertEqual(len(sample.make(cases=50).cases), 50)


if __name__ == "__main__":
    unittest.main()

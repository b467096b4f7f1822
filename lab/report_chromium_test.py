"""Goal:   a report works in a browser: no script error, zoom, filter, colours, paper.
Method: made-up documents in headless Chromium, asked through the DevTools protocol; see --shots.

    report_chromium_test.py [--shots FOLDER] [--require]

--shots FOLDER  keeps screenshots (light, dark, narrow, hostile) and the printed PDF there
--require       a missing Chromium fails; without it the test says so and exits with 77
HOLDFAST_REQUIRE_CHROMIUM=1 in the environment does the same as --require.
"""

import os
import pathlib
import re
import sys
import tempfile
import unittest
import zlib

import report_chromium
from report import html, sample

SKIPPED = 77
WIDE, NARROW = 1280, 390
SHOTS = None


def keep(name, data):
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
        (SHOTS / name).write_bytes(data)
    return data


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="holdfast-report-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.documents = {"sample": sample.make(),
                         "hostile": sample.make(cases=50, points=100_000, hostile=True)}
        cls.urls = {}
        for name, document in cls.documents.items():
            path = pathlib.Path(cls.folder.name) / f"{name}.html"
            path.write_text(html.render(document), "utf-8")
            cls.urls[name] = path.as_uri()
        cls.chromium = report_chromium.Chromium(report_chromium.program())
        cls.addClassCleanup(cls.chromium.close)

    def tearDown(self):
        self.assertEqual(self.chromium.complaints(), [])
        self.assertIsNone(self.value("document.documentElement.dataset.error ?? null"))

    def open(self, name="sample", width=WIDE, scheme="light"):
        self.chromium.open(self.urls[name], width, 900, scheme)
        self.chromium.drawn()

    def value(self, expression):
        return self.chromium.value(expression)

    def do(self, statement):
        self.chromium.value(f"{{ {statement}; 0 }}")
        self.chromium.drawn()

    def span(self):
        begin, end = map(float, self.value("document.querySelector('#timeline').dataset.span"
                                           ).split())
        return begin, end

    def to_plot(self):
        """Brings the plot into view; its middle."""
        self.do("document.querySelector('#timeline').scrollIntoView({behavior: 'instant'})")
        left, top, width, height = self.value(
            "(({x, y, width, height}) => [x, y, width, height])"
            "(document.querySelector('.plot').getBoundingClientRect())")
        return left + width / 2, top + height / 2

    # --- what is there ---

    def test_every_case_has_a_row(self):
        for name, document in self.documents.items():
            self.open(name)
            self.assertEqual(self.value("document.querySelectorAll('tr[data-verdict]').length"),
                             len(document.cases))
            self.assertEqual(self.value("document.querySelectorAll('details.case').length"),
                             len(document.cases))

    def test_hostile_text_stays_text(self):
        self.open("hostile")
        keep("hostile.png", self.chromium.screenshot())
        self.assertIsNone(self.value("document.documentElement.dataset.broken ?? null"))
        self.assertEqual(self.value("document.querySelectorAll('script').length"), 2)
        self.assertEqual(self.value("document.querySelectorAll('img, iframe, object').length"), 0)
        self.assertIn("</script>", self.value("document.querySelector('.plot').textContent") +
                      self.value("document.querySelector('.verdicts').textContent"))

    def test_an_injected_script_would_not_run(self):
        self.open()
        self.do("const s = document.createElement('script');"
                "s.textContent = 'document.documentElement.dataset.broken = 1';"
                "document.body.append(s)")
        self.assertIsNone(self.value("document.documentElement.dataset.broken ?? null"))
        refused = self.chromium.complaints()
        self.assertTrue(refused and all("Content Security Policy" in line for line in refused))
        self.chromium.events.clear()

    def test_the_page_is_never_wider_than_the_window(self):
        for name in self.documents:
            for width in (NARROW, 768, WIDE):
                self.open(name, width)
                self.assertLessEqual(self.value("document.documentElement.scrollWidth"), width)
        self.open("sample", NARROW)
        keep("narrow.png", self.chromium.screenshot())

    def test_everything_that_can_be_operated_has_a_name(self):
        self.open()
        self.assertEqual(self.value(
            "[...document.querySelectorAll('button, input, a[href], summary, [tabindex]')].filter("
            "e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.closest('label')))"
            ".map(e => e.outerHTML)"), [])

    # --- colours ---

    def test_light_and_dark_differ_and_the_switch_wins(self):
        ground = "getComputedStyle(document.body).backgroundColor"
        self.open(scheme="light")
        light = self.value(ground)
        light_shot = keep("light.png", self.chromium.screenshot())
        self.open(scheme="dark")
        dark = self.value(ground)
        dark_shot = keep("dark.png", self.chromium.screenshot())
        self.assertNotEqual(light, dark)
        self.assertNotEqual(light_shot, dark_shot)
        for theme, expected in (("light", light), ("dark", dark), ("auto", dark)):
            self.do(f"document.querySelector('input[value={theme}]').click()")
            self.assertEqual(self.value(ground), expected)

    # --- cases ---

    def shown(self):
        return self.value("[...document.querySelectorAll('tr.row')].filter(r => r.offsetParent)"
                          ".map(r => r.querySelector('.name').textContent)")

    def search(self, words):
        self.do(f"const i = document.querySelector('.filters input'); i.value = {words!r};"
                "i.dispatchEvent(new Event('input'))")

    def test_search_and_verdicts_filter_cases(self):
        self.open()
        self.search("BACKOFF jitter")
        expected = [case.name for case in self.documents["sample"].cases if all(
            word in " ".join([case.name, case.reason, *case.warnings]).lower()
            for word in ("backoff", "jitter"))]
        self.assertEqual(self.shown(), expected)
        self.assertEqual(self.value("document.querySelector('.filters output').textContent"),
                         f"{len(expected)} of 27 cases")
        self.search("")
        self.do("document.querySelector('.chip.FAIL').click()")
        self.assertEqual(self.shown(), [case.name for case in self.documents["sample"].cases
                                        if case.verdict.value == "FAIL"])
        self.do("document.querySelector('.chip.ERROR').click()")
        self.assertEqual(len(self.shown()), 4)
        self.search("no such words")
        self.assertEqual(self.shown(), [])
        self.assertTrue(self.value("document.querySelector('#verdicts .nothing').offsetHeight > 0"))

    def test_a_link_opens_its_case(self):
        self.open()
        self.assertFalse(self.value("document.querySelector('#case-1').open"))
        self.do("document.querySelector('a[href=\"#case-1\"]').click()")
        self.assertTrue(self.value("document.querySelector('#case-1').open"))

    # --- timeline ---

    def test_buttons_zoom_and_reset(self):
        self.open()
        whole = self.span()
        self.do("document.querySelector('[data-do=in]').click()")
        half = self.span()
        self.assertAlmostEqual(half[1] - half[0], (whole[1] - whole[0]) / 2, places=3)
        self.do("document.querySelector('[data-do=right]').click()")
        self.assertGreater(self.span()[0], half[0])
        for _ in range(40):
            self.do("document.querySelector('[data-do=in]').click()")
        self.assertGreater(self.span()[1] - self.span()[0], 0.01)
        self.do("document.querySelector('[data-do=all]').click()")
        self.assertEqual(self.span(), whole)

    def test_keys_zoom_move_and_read(self):
        self.open()
        whole = self.span()
        self.do("document.querySelector('.plot').focus()")
        self.chromium.key("+")
        zoomed = self.span()
        self.assertLess(zoomed[1] - zoomed[0], whole[1] - whole[0])
        self.chromium.key("ArrowRight")
        self.assertGreater(self.span()[0], zoomed[0])
        self.chromium.key("ArrowRight", modifiers=8)
        self.assertIn("backlog", self.value("document.querySelector('.read').textContent"))
        self.chromium.key("0")
        self.assertEqual(self.span(), whole)

    def test_wheel_zooms_once_the_timeline_is_active(self):
        self.open()
        whole = self.span()
        x, y = self.to_plot()
        self.chromium.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120)
        self.assertEqual(self.span(), whole)
        x, y = self.to_plot()
        self.do("document.querySelector('.plot').focus({preventScroll: true})")
        self.chromium.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120)
        self.chromium.wait("document.querySelector('#timeline').dataset.span !== "
                           f"'{whole[0]:g} {whole[1]:g}'")
        self.assertLess(self.span()[1] - self.span()[0], whole[1] - whole[0])

    def test_dragging_moves_and_pointing_reads(self):
        self.open()
        self.do("timeline.show(200, 300)")
        x, y = self.to_plot()
        self.chromium.mouse("mousePressed", x, y, button="left", clickCount=1)
        self.chromium.mouse("mouseMoved", x - 200, y, button="left", buttons=1)
        self.chromium.mouse("mouseReleased", x - 200, y, button="left", clickCount=1)
        begin, end = self.span()
        self.assertAlmostEqual(end - begin, 100, places=3)
        self.assertGreater(begin, 210)
        self.chromium.mouse("mouseMoved", x, y)
        said = self.value("document.querySelector('.read').textContent")
        self.assertRegex(said, r"^at 4:\d\d.*backlog [\d,.]+ messages")

    def test_a_case_shows_itself_in_the_timeline(self):
        self.open()
        self.do("document.querySelector('details.case[open] .link').click()")
        begin, end = self.span()
        case = next(case for case in self.documents["sample"].cases if case.verdict.value == "FAIL")
        self.assertLess(begin, case.begin)
        self.assertGreater(end, case.begin + case.seconds)
        self.assertLess(end - begin, case.seconds * 1.5)

    def test_many_points_are_drawn_as_few(self):
        self.open("hostile")
        longest = self.value("Math.max(...[...document.querySelectorAll('.plot path')].map("
                             "p => p.getAttribute('d').length))")
        self.assertLess(longest, 4 * WIDE * 16)
        self.assertLess(self.value("(() => { const t = performance.now(); timeline.draw();"
                                   "return document.querySelectorAll('.plot svg *').length; })()"),
                        3000)

    # --- paper ---

    def test_paper_is_light_and_shows_failures_in_full(self):
        self.open(scheme="dark")
        self.do("document.querySelector('input[value=dark]').click()")
        pdf = keep("print.pdf", self.chromium.pdf())
        self.do("document.querySelector('input[value=auto]').click()")
        self.assertTrue(pdf.startswith(b"%PDF"))
        pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
        self.assertGreater(pages, 3)
        self.assertLess(pages, 20)
        # As PDF has it: the ink of the light colours is there, that of the dark ones is not.
        drawn = b"".join(inflated(pdf))
        self.assertIn(b".0784 .098 .1216 rg", drawn)
        self.assertNotIn(b".9059 .9216 .9373 rg", drawn)


def inflated(pdf):
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.S):
        try:
            yield zlib.decompress(match.group(1))
        except zlib.error:
            pass


def main(arguments):
    global SHOTS
    require = "--require" in arguments or os.environ.get("HOLDFAST_REQUIRE_CHROMIUM") == "1"
    rest = [word for word in arguments if word != "--require"]
    if "--shots" in rest:
        at = rest.index("--shots")
        SHOTS = pathlib.Path(rest[at + 1])
        del rest[at:at + 2]
    if not report_chromium.program():
        print("FAILED: chromium is missing; tools/setup report installs it" if require else
              "SKIPPED: chromium is missing; tools/setup report installs it")
        return 1 if require else SKIPPED
    program = unittest.main(argv=[sys.argv[0], *rest], exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""What a device says of itself when a job of a local IoT Core asks: as a message, or PUT to a URL.

    report_job_test.py --bin DIR      DIR: the programs of a build
"""
import http.server
import json
import threading

from region_fixture import run
from tool.device import PERMISSIVE_POLICY
from updater_fixture import UpdaterTest


class Files(http.server.BaseHTTPRequestHandler):
    """Takes what is PUT; refuses the path /over as S3 does a URL that is over."""

    def do_PUT(self):   # noqa: N802, its name
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got[self.path] = content
        self.send_response(403 if self.path.startswith("/over") else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class ReportTest(UpdaterTest):
    def setUp(self):
        super().setUp()
        self.settings()
        text = (self.device / "updater.toml").read_text("utf-8")
        (self.device / "updater.toml").write_text(text.replace("[update]", f"""[update]
allow_reports = ["status", "history", "log", "doctor"]
doctor = ["{self.bin}/holdfast", "doctor", "--json", "{self.device}/device.toml"]
allow_http = true"""), "utf-8")

    def ask(self, **report):
        return self.queue({"holdfast": 1, "report": report})

    def test_a_report_comes_as_a_message(self):
        self.start()
        self.make("desk", PERMISSIVE_POLICY)
        topic = f"{self.name}/holdfast/report"
        desk = self.subscribed("desk", "-t", topic, "-C", "1", "-W", "60")
        details = self.ends(self.ask(parts=["status", "history", "log", "doctor"], lines=5), "SUCCEEDED")
        self.assertIn(topic, details["report"])
        said = json.loads(desk.output(30))
        self.assertEqual(said["status"]["state"], "connected")
        self.assertLessEqual(1, len(said["log"]))
        self.assertLessEqual(len(said["log"]), 5)
        self.assertIsInstance(said["history"], list)
        self.assertIn("checks", said["doctor"])

    def test_it_is_put_to_a_url_also_by_one_after_another_that_is_over(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
        server.got = {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        base = f"http://127.0.0.1:{server.server_port}"
        self.start()
        self.ends(self.ask(parts=["status"], url=f"{base}/bucket/one?secret=xyzzy"), "SUCCEEDED")
        self.assertEqual(list(json.loads(server.got["/bucket/one?secret=xyzzy"])), ["status"])
        job = self.ask(parts=["log"], url=f"{base}/over")
        self.wait(lambda: "the server says 403" in self.words(), 30, "the refusal")
        self.assertEqual(self.execution(job)["status"], "IN_PROGRESS")
        self.region.call("CancelJob", jobId=job, force=True)
        self.ends(self.ask(parts=["log"], lines=1, url=f"{base}/bucket/two"), "SUCCEEDED")
        self.assertEqual(len(json.loads(server.got["/bucket/two"])["log"]), 1)
        self.assertNotIn("xyzzy", self.words())

    def test_what_is_not_allowed_or_not_known_is_rejected(self):
        self.settings()
        self.start()
        for report, words in (({"parts": ["log"]}, "allow_reports"), ({"parts": ["files"]}, "give some of"),
                              ({"parts": []}, "give a list"), ({"lines": 5}, "parts: is missing"),
                              ({"url": "http://h/x", "parts": []}, "give a list"),
                              ({"url": "http://h/x"}, "https://"), ({"lines": 1000}, "1 to 200")):
            with self.subTest(words=words, report=report):
                self.assertRegex(self.ends(self.ask(**report), "REJECTED")["reason"], words)


if __name__ == "__main__":
    run(__doc__)

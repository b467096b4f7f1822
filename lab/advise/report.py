"""The verdicts as a table, as JSON and as JUnit's XML."""
import collections
import json
from xml.etree import ElementTree

from tool.place import Trouble

from .verdict import ERROR, FAIL, NOT_APPLICABLE


def table(results):
    width = max(map(len, results), default=0)
    lines = [f"{name:<{width}}  {verdict.status}" for name, (verdict, _) in results.items()]
    count = collections.Counter(verdict.status for verdict, _ in results.values())
    lines.append(", ".join(f"{number} {status}" for status, number in count.items()))
    return "\n".join(lines)


def as_json(asked, results):
    return json.dumps({
        "command": asked.command, "thing": asked.thing, "cases": [
            {"name": name, "verdict": verdict.status, "reason": verdict.reason,
             "evidence": verdict.evidence, "seconds": round(seconds, 1)}
            for name, (verdict, seconds) in results.items()]}, indent=2, ensure_ascii=False) + "\n"


def as_junit(results):
    suite = ElementTree.Element("testsuite", name="holdfast lab advise", tests=str(len(results)))
    tags = {FAIL: "failure", ERROR: "error", NOT_APPLICABLE: "skipped"}
    for status, attribute in ((FAIL, "failures"), (ERROR, "errors"), (NOT_APPLICABLE, "skipped")):
        suite.set(attribute, str(sum(verdict.status == status for verdict, _ in results.values())))
    for name, (verdict, seconds) in results.items():
        case = ElementTree.SubElement(suite, "testcase", name=name, time=f"{seconds:.1f}",
                                      classname="DeviceAdvisor")
        if verdict.status in tags:
            ElementTree.SubElement(case, tags[verdict.status], message=verdict.reason)
        out = ElementTree.SubElement(case, "system-out")
        out.text = "\n".join([verdict.status, verdict.reason, *verdict.evidence])
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def write(asked, results):
    for path, make in ((asked.json, lambda: as_json(asked, results)),
                       (asked.junit, lambda: as_junit(results))):
        if path is None:
            continue
        try:
            path.write_text(make(), encoding="utf-8")
        except OSError as error:
            raise Trouble(f"{path}: {error.strerror}") from error

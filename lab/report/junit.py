"""The result document as JUnit XML, which CI systems read: a test suite for each group of cases."""

import xml.etree.ElementTree as xml

from report.model import Verdict
from report.words import duration, number, visible


def render(document):
    """Bytes of an XML file."""
    run, cases = document.run, document.cases
    root = xml.Element("testsuites", _counts(cases, run.seconds), name=visible(run.tool))
    for group, members in document.groups().items():
        seconds = sum(case.seconds for case in members)
        suite = xml.SubElement(root, "testsuite", _counts(members, seconds), name=visible(group),
                               timestamp=visible(run.date.removesuffix("Z")))
        _properties(suite, run)
        for case in members:
            _case(suite, case)
    if document.account:
        _account(root, document.account, run)
    xml.indent(root)
    return xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _counts(cases, seconds):
    def of(verdict):
        return str(sum(case.verdict is verdict for case in cases))
    return {"tests": str(len(cases)), "failures": of(Verdict.FAIL), "errors": of(Verdict.ERROR),
            "skipped": of(Verdict.NOT_APPLICABLE), "time": f"{seconds:.3f}"}


def _properties(suite, run):
    values = {"command": run.command, "seed": run.seed,
              **{f"version.{name}": value for name, value in run.versions.items()},
              **{f"machine.{name}": value for name, value in run.machine.items()}}
    properties = xml.SubElement(suite, "properties")
    for name, value in values.items():
        if value is not None:
            xml.SubElement(properties, "property", name=visible(name), value=visible(str(value)))


def _case(suite, case):
    element = xml.SubElement(suite, "testcase", name=visible(case.name),
                             classname=visible(case.group), time=f"{case.seconds:.3f}")
    ending = {Verdict.FAIL: "failure", Verdict.ERROR: "error",
              Verdict.NOT_APPLICABLE: "skipped"}.get(case.verdict)
    if ending:
        child = xml.SubElement(element, ending, message=visible(case.reason))
        if ending != "skipped":
            child.set("type", case.verdict.value)
            child.text = visible("\n".join(_story(case)))
    said = _said(case)
    if said:
        xml.SubElement(element, "system-out").text = visible("\n".join(said))


def _story(case):
    """What a person needs who sees nothing but the CI's page of a failure."""
    lines = [case.reason]
    lines += [f"{item.time:10.3f}  {item.text}" for item in case.evidence]
    lines += [f"{packet.time:10.3f}  {packet.sender.value}: {packet.kind} {packet.summary}"
              for packet in case.packets]
    return lines + ([f"replay: {case.replay}"] if case.replay else [])


def _said(case):
    lines = [f"{case.verdict.value}: {case.reason}"]
    lines += [f"warning: {warning}" for warning in case.warnings]
    for figure in case.figures:
        bounds = [f"{word} {number(bound)}" for word, bound in
                  (("at most", figure.limit), ("at least", figure.least)) if bound is not None]
        lines.append(f"{figure.name}: {number(figure.value)} {figure.unit}".rstrip() +
                     (f" ({', '.join(bounds)})" if bounds else ""))
    return lines


def _account(root, account, run):
    """A suite of one case, so that a lost message turns CI red, too."""
    failed = not account.good
    suite = xml.SubElement(root, "testsuite", name="account", tests="1", errors="0", skipped="0",
                           failures=str(int(failed)), time="0.000")
    element = xml.SubElement(suite, "testcase", name="every message is accounted for",
                             classname="account", time="0.000")
    if failed:
        said = f"{account.lost} lost, {account.uncounted} uncounted after {duration(run.seconds)}"
        child = xml.SubElement(element, "failure", message=said, type="FAIL")
        child.text = visible("\n".join([said, *account.lost_ids]))
    for name, step in (("tests", 1), ("failures", int(failed))):
        root.set(name, str(int(root.get(name)) + step))

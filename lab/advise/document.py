"""The result document of a run: docs/report-format.md."""
from report.model import Case, Document, Evidence, Run, Series, Verdict
from tool import facts, story
from tool.command import as_typed

TOOL = "holdfast lab advise"
# Of a case that passed nobody reads much: packets, and of one kind on a connection.
SHORT = {"most": 24, "most_of_a_kind": 2}
GOOD = (Verdict.PASS, Verdict.NOT_APPLICABLE)


def case_of(group, name, judged, events, begin, end, exits, replay):
    """What was judged and seen, in the trace's seconds."""
    evidence = [each if isinstance(each, Evidence) else Evidence(end, each)
                for each in judged.evidence]
    evidence += [Evidence(time, f"the program ended with {status} and was started again")
                 for time, status in exits]
    return Case(name, group, judged.status, judged.reason, round(begin, 3),
                round(end - begin, 3), [],
                sorted(evidence, key=lambda item: item.time),
                story.excerpt([event for event in events if event["t"] >= begin],
                              **(SHORT if judged.status in GOOD else {})),
                judged.figures, judged.attempts, replay)


def document_of(bench, cases, words):
    end = bench.now()
    starts = [moment - bench.origin for moment in bench.program.starts]
    exits = [(moment - bench.origin, status) for moment, status in bench.program.exits]
    run = Run(TOOL, as_typed(TOOL, words), bench.began.strftime("%Y-%m-%dT%H:%M:%SZ"), round(end, 3),
              versions=facts.versions(bench.tools), machine=facts.machine())
    line = story.timeline(bench.trace.events, end, starts, exits)
    if bench.backlog and bench.backlog.points:
        line.series.append(Series("backlog", list(bench.backlog.points), "messages"))
    return Document(run, cases, line)

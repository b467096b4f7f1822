"""What a test case says in the end."""
import dataclasses

from report.model import Attempts, Evidence, Figure, Verdict

PASS, WARNINGS, FAIL = Verdict.PASS, Verdict.PASS_WITH_WARNINGS, Verdict.FAIL
NOT_APPLICABLE, ERROR = Verdict.NOT_APPLICABLE, Verdict.ERROR


@dataclasses.dataclass
class Judged:
    status: Verdict
    reason: str
    evidence: list = dataclasses.field(default_factory=list)  # Evidence, or words about the whole
    attempts: list[Attempts] = dataclasses.field(default_factory=list)
    figures: list[Figure] = dataclasses.field(default_factory=list)


def seen(event, words):
    """Evidence of when an event of the trace came."""
    return Evidence(event["t"], words)


def passed(reason, *evidence):
    return Judged(PASS, reason, list(evidence))


def warned(reason, *evidence):
    return Judged(WARNINGS, reason, list(evidence))


def failed(reason, *evidence):
    return Judged(FAIL, reason, list(evidence))


def not_applicable(reason, *evidence):
    return Judged(NOT_APPLICABLE, reason, list(evidence))

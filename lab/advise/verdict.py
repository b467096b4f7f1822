"""What a test case says in the end."""
import dataclasses

PASS = "PASS"
WARNINGS = "PASS_WITH_WARNINGS"
FAIL = "FAIL"
NOT_APPLICABLE = "NOT_APPLICABLE"
ERROR = "ERROR"  # the bench, not the device


@dataclasses.dataclass
class Verdict:
    status: str
    reason: str
    evidence: list = dataclasses.field(default_factory=list)


def passed(reason, *evidence):
    return Verdict(PASS, reason, list(evidence))


def warned(reason, *evidence):
    return Verdict(WARNINGS, reason, list(evidence))


def failed(reason, *evidence):
    return Verdict(FAIL, reason, list(evidence))


def not_applicable(reason, *evidence):
    return Verdict(NOT_APPLICABLE, reason, list(evidence))

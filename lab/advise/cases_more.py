"""The cases about shadows, jobs and policies."""
import json
import secrets
import time

from tool.place import ACCOUNT, DEFAULT_REGION, ApiFailure

from . import policies
from .verdict import failed, not_applicable, passed

SECONDS = 120
JOB_SECONDS = 180
FEATURE_SECONDS = 20
POLL_SECONDS = 0.25
SUBSCRIBE_SECONDS = 10
# The client token is Device Advisor's, by which devices may know the test.
SETUP_TOKEN = "DeviceAdvisorShadowTestCaseSetup"
JOB_DONE = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "REMOVED", "CANCELED")


def _poll(bench, ask, seconds):
    deadline = time.monotonic() + seconds * bench.scale
    while True:
        bench.check()
        found = ask()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(POLL_SECONDS)


def _ready(bench):
    """Whether the device is connected; it gets the time to subscribe."""
    hello = bench.wait_packet(SECONDS, type="CONNACK", reason=0)
    if hello:
        bench.wait_packet(SUBSCRIBE_SECONDS, type="SUBACK", conn=hello["conn"])
    return hello is not None


# -- shadows --

def _shadow_members(bench):
    name = bench.asked.shadow_name
    return {"thingName": bench.thing, **({"shadowName": name} if name else {})}


def _state(bench, part):
    try:
        shadow = bench.api.call("GetThingShadow", **_shadow_members(bench))
    except ApiFailure:
        return None  # there is none yet
    payload = shadow.get("payload", shadow)
    payload = json.loads(payload) if isinstance(payload, str) else payload
    return payload.get("state", {}).get(part)


def covers(actual, wanted):
    """Whether all of `wanted` is in `actual`."""
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            name in actual and covers(actual[name], value) for name, value in wanted.items())
    return actual == wanted


def shadow_publish(bench):
    try:
        bench.api.call("DeleteThingShadow", **_shadow_members(bench))
    except ApiFailure:
        pass  # there is none
    bench.begin()
    demanded = bench.demanded("Shadow_Publish_Reported_State")
    state = _poll(bench, lambda: _state(bench, "reported"),
                  SECONDS if demanded else FEATURE_SECONDS)
    if state:
        return passed("the device published its state to its shadow", json.dumps(state))
    if demanded:
        return failed("the device did not publish its state to its shadow")
    return not_applicable("the device does not publish to its shadow; name the case with --case to "
                          "demand it")


def shadow_update(bench):
    desired = bench.asked.desired_state
    if not desired:
        return not_applicable("--desired-state says to which state the device has to go")
    bench.begin()
    if not _ready(bench):
        return failed("the device did not connect")
    before = _state(bench, "reported")
    if before and covers(before, desired):
        return failed("the device's reported state is the desired one already; another is needed")
    bench.api.call("UpdateThingShadow", **_shadow_members(bench), payload=json.dumps(
        {"state": {"desired": desired}, "clientToken": SETUP_TOKEN}))
    if _poll(bench, lambda: covers(_state(bench, "reported"), desired), SECONDS):
        return passed("the device took over the desired state and reported it")
    return failed("the device did not report the desired state",
                  f"reported: {json.dumps(_state(bench, 'reported'))}")


# -- jobs --

def job_execution(bench):
    document = bench.asked.job_document
    if document is None:
        return not_applicable("--job-document says which job the device has to do")
    bench.begin()
    if not _ready(bench):
        return failed("the device did not connect")
    job = f"advise-{secrets.token_hex(4)}"
    bench.api.call("CreateJob", jobId=job, document=json.dumps(document), targets=[
        f"arn:aws:iot:{DEFAULT_REGION}:{ACCOUNT}:thing/{bench.thing}"])

    def execution():
        return bench.api.call("DescribeJobExecution", jobId=job,
                              thingName=bench.thing)["execution"]
    _poll(bench, lambda: execution()["status"] in JOB_DONE, JOB_SECONDS)
    status = execution()["status"]
    if status == "SUCCEEDED":
        return passed("the device did the job and reported its success", f"job {job}")
    return failed(f"the device did not report the job's success: it is {status}",
                  f"details: {json.dumps(execution().get('statusDetails', {}))}")


# -- policies --

def device_policies(bench):
    if bench.asked.policy is None:
        return not_applicable("--policy gives the device's policy; the bench's own allows "
                              "everything")
    excess = policies.excess(bench.asked.policy)
    if excess:
        return failed("the policy allows too much", *excess)
    return passed("the policy has no wildcard that allows too much")


SHADOW_CASES = {
    "Shadow_Publish_Reported_State": shadow_publish,
    "Shadow_Update_Reported_State": shadow_update,
}
JOB_CASES = {"Job_Execution": job_execution}
POLICY_CASES = {"Security_Device_Policies": device_policies}

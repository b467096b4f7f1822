"""Recommendation 5: manage software updates."""
import json
import os

from tool.device import allow, write

from .scenario import NotApplicable, Scenario
from .site import REFUSED

NAME = "Manage software updates"

JOB = "lab-job"
ENDED = ("SUCCEEDED", "FAILED", "REJECTED")


def update_restart(trial):
    """What an update does to the process: an orderly stop and a start, while messages go out."""
    resumed, times = 0, trial.seconds("times")
    trial.broken = trial.bench.now()
    for _ in range(times):
        begin = trial.bench.now()
        trial.restart()

        def there():
            connection = trial.story.connected
            return connection if connection and connection.begin > begin else None
        connection = trial.wait(there, trial.patience())
        if connection is None:
            break
        resumed += connection.session_present
        trial.sleep(trial.bench.random.uniform(1, 3))
    trial.heal()
    if trial.story.filters() and resumed < times:
        trial.warn(f"resumed its session after {resumed} of {times} restarts")
    else:
        trial.passed(f"resumed its session {resumed} times")


def put(folder, name, text, mode):
    """A whole file in place of the old one."""
    write(folder / f"{name}.new", text, mode)
    os.replace(folder / f"{name}.new", folder / name)


def certificate_rotated(trial):
    """A new certificate lies where the old one was, which is then made INACTIVE."""
    bench = trial.bench
    thing, before = bench.asked.thing, bench.certificate
    made = bench.home.call("CreateKeysAndCertificate", setAsActive=True)
    allow(bench.home.place, thing, made["certificateArn"], bench.policy)
    put(bench.folder, "device.key", made["keyPair"]["PrivateKey"], 0o600)
    put(bench.folder, "device.pem", made["certificatePem"], 0o644)
    bench.certificate = made["certificateId"]
    bench.register()
    trial.note("a new certificate is in place")
    trial.broken = bench.now()
    bench.mark_fault("the old certificate is INACTIVE")
    bench.home.call("UpdateCertificate", certificateId=before, newStatus="INACTIVE")
    trial.heal()
    if not trial.wait(trial.there, trial.seconds("patience")):
        trial.warn(f"did not take the new certificate within {trial.seconds('patience')} s; it was "
                   "started again")
        trial.restart()
    else:
        trial.passed("came back with the new certificate")


def job_survives(trial):
    """A job is sent during an outage; the connection ends once it is IN_PROGRESS."""
    bench = trial.bench
    document = bench.asked.job_document
    if document is None:
        raise NotApplicable("no --job-document was given")
    thing = bench.home.call("DescribeThing", thingName=bench.asked.thing)["thingArn"]
    job = f"{JOB}-{int(trial.begin * 1000)}"

    def status():
        return bench.home.call("DescribeJobExecution", jobId=job,
                               thingName=bench.asked.thing)["execution"]["status"]
    trial.fault(REFUSED, "every connection is refused")
    trial.kick()
    bench.home.call("CreateJob", jobId=job, targets=[thing], document=json.dumps(document))
    trial.note(f"the job {job} is created")
    trial.sleep(trial.seconds("outage"))
    trial.heal()
    now = trial.wait(lambda: status() != "QUEUED" and status(), trial.patience())
    if now is None:
        trial.fail(f"the device did not take the job within {trial.patience()} s")
        return
    if now == "IN_PROGRESS":
        trial.kick()
        trial.note("the connection ends while the job is IN_PROGRESS")
        trial.healed = bench.now()
    ended = trial.wait(lambda: status() in ENDED and status(), trial.patience())
    if ended:
        trial.passed(f"the job ended as {ended}")
    else:
        trial.fail(f"the job did not end; it is {status()}")


SCENARIOS = [
    Scenario("update-restart", NAME, "stopped and started while messages go out", update_restart,
             {"times": (3, 10)}, (12, 40)),
    Scenario("certificate-rotated", NAME, "a new certificate, and the old one is INACTIVE",
             certificate_rotated, {"patience": (40, 180)}, (5, 5)),
    Scenario("job-survives", NAME, "a job is sent during an outage, and it is cut off while at it",
             job_survives, {"outage": (6, 60)}),
]

"""Recommendation 7: disaster recovery."""
from .messages import judge_subscriptions
from .scenario import NotApplicable, Scenario

NAME = "Plan for disaster recovery"


def broker_restart(trial):
    """The Region stops and starts; what it had stored is there again."""
    restart_region(trial, forget=False)


def region_reborn(trial):
    """The Region comes back without sessions, retained messages and what it had queued."""
    filters = trial.story.filters()
    restart_region(trial, forget=True)
    if filters and trial.judge_return():
        judge_subscriptions(trial, filters)


def restart_region(trial, forget):
    trial.broken = trial.bench.now()
    words = "the Region is gone" + (", and all that its broker had stored" if forget else "")
    trial.bench.mark_fault(words)
    trial.note(words)
    trial.bench.home.restart(trial.seconds("away"), forget)
    trial.heal()


def region_lost(trial):
    """The device's Region does not come back while another one stands; later only it does."""
    bench = trial.bench
    if bench.second is None:
        raise NotApplicable("the command names neither {endpoint2} and {port2} nor {config2}; a "
                            "program that is told a second Region by them can be judged")
    before = bench.second.observer.count
    trial.broken = bench.now()
    bench.mark_fault("the first Region is gone")
    trial.note("the first Region is gone")
    bench.second.set_faults({})
    bench.home.leave()
    patience = trial.seconds("patience")
    moved = trial.wait(lambda: next(
        (each for each in trial.story.connections_since(trial.broken)
         if each.site == bench.second.place.name and each.connack is not None), None), patience)
    if not moved:
        trial.fail(f"did not connect to the second Region within {patience} s")
    else:
        trial.figure("moved after", moved.connack - trial.broken, "s", limit=patience)
        came = trial.wait(lambda: bench.second.observer.count > before, patience)
        if came:
            trial.passed("went on in the second Region")
        else:
            trial.fail("published nothing in the second Region")
    trial.heal()
    trial.note("the first Region is back, and the second one lets nobody in")


SCENARIOS = [
    Scenario("broker-restart", NAME, "the Region stops and starts", broker_restart,
             {"away": (5, 60)}, (9, 64)),
    Scenario("region-reborn", NAME, "the Region comes back and has forgotten everything",
             region_reborn, {"away": (5, 60)}, (9, 64)),
    Scenario("region-lost", NAME, "the Region is gone while another one stands", region_lost,
             {"patience": (90, 600)}, (15, 15)),
]

"""Recommendation 1: manage the MQTT connection."""
from .bench import REFUSED
from .scenario import Scenario

NAME = "Manage the MQTT connection"


def outage(trial):
    """Nobody is let in, and whoever was is thrown out."""
    trial.fault(REFUSED, "every connection is refused")
    trial.kick()
    trial.sleep(trial.seconds("outage"))
    trial.row()
    trial.heal()


SCENARIOS = [
    Scenario("outage-short", NAME, "15 seconds without a server", outage, {"outage": (15, 15)}),
]

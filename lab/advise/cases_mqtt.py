"""The MQTT cases."""
from . import bench as at
from .verdict import failed, passed

SECONDS = 120


def connect(bench):
    bench.begin()
    packet = bench.wait_packet(SECONDS, type="CONNECT")
    if not packet:
        return failed("the device sent no valid CONNECT")
    version = {4: "3.1.1", 5: "5"}.get(packet["version"], str(packet["version"]))
    return passed("the device sent a valid CONNECT", f"MQTT {version}, client id "
                  f"{packet['client']}, keep-alive {packet['keep_alive']} s")


CASES = {
    "MQTT_Connect": connect,
}

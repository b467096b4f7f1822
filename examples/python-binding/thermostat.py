#!/usr/bin/env python3
"""A thermostat: publishes a temperature each second, obeys a wanted one, answers what it is set to.

    thermostat.py CONFIG.toml NAME       HOLDFAST_LIBRARY names libholdfast.so.0, if it is not installed

NAME is its client id. Topics: home/NAME/temperature, home/NAME/wanted (a number), home/NAME/get (a request).
SIGTERM and Ctrl-C end it in order; what was accepted and not delivered goes out with the next start.
"""
import json
import signal
import sys
import threading

from holdfast import Connection, Device, Error, Hold, Message

INTERVAL = 1.0  # seconds


class Thermostat:
    def __init__(self, device: Device, name: str):
        self.device = device
        self.name = name
        self.temperature = 18.0
        self.wanted = 20.0
        self.ended = threading.Event()
        device.on_connection(self.connection)
        device.subscribe(f"home/{self.name}/wanted", self.obey, acknowledge=True)
        device.subscribe(f"home/{self.name}/get", self.tell)

    def connection(self, now: Connection) -> None:
        print(f"{now.state}: {now.verdict}", flush=True)

    def obey(self, message: Message, hold: Hold) -> None:
        try:
            self.wanted = float(message.payload)
            print("wanted:", self.wanted, flush=True)
        except ValueError:
            print("not a temperature:", message.payload, file=sys.stderr, flush=True)
        hold.acknowledge()  # only now: had this program been killed before, it would come again

    def tell(self, message: Message) -> None:
        self.device.answer(message, json.dumps({"wanted": self.wanted}).encode(),
                           durability="memory", expiry=10)

    def run(self) -> None:
        while True:
            reading = json.dumps({"temperature": round(self.temperature, 2)})
            try:
                self.device.publish(f"home/{self.name}/temperature", reading.encode(),
                                    content_type="application/json", expiry=3600)
            except Error as error:  # such as outbox_full; the next reading may have room
                print("not accepted:", error, file=sys.stderr, flush=True)
            if self.ended.wait(INTERVAL):
                return
            self.temperature += (self.wanted - self.temperature) / 10


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        device = Device(sys.argv[1], {"connection.client_id": sys.argv[2]},
                        on_log=lambda level, text: print(f"{level}: {text}", file=sys.stderr))
    except Error as error:
        print(error, file=sys.stderr)
        return 2 if error.name == "invalid_config" else 1
    with device:
        thermostat = Thermostat(device, sys.argv[2])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: thermostat.ended.set())
        thermostat.run()
    print("left in order", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A name server that knows one name and listens at its address: name_server.py NAME ADDRESS."""
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))
from trials.resolver import answer  # noqa: E402


def main():
    name, address = sys.argv[1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind((address, 53))
        while True:
            packet, peer = door.recvfrom(4096)
            reply = answer(packet, name, address)
            if reply:
                door.sendto(reply, peer)


if __name__ == "__main__":
    main()

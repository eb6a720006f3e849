"""Guests that ask for a large body each and read some kilobytes a second, until the connection ends.

Usage: slow-readers.py PORT COUNT; prints "ready" when all have asked. Segments are small, so that
the kernel takes only a little of a body, as on a long way.
"""

import select
import socket
import sys
import time

port, count = int(sys.argv[1]), int(sys.argv[2])
guests = []
for index in range(count):
    guest = socket.socket()
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    guest.bind((f"127.1.0.{index + 1}", 0))
    guest.connect(("127.0.0.1", port))
    guest.sendall(b"GET /large/slow-%d HTTP/1.1\r\nHost: x\r\n\r\n" % index)
    guests.append(guest)
print("ready", flush=True)
while guests:
    time.sleep(0.5)
    for guest in select.select(guests, [], [], 0)[0]:
        try:
            if guest.recv(8192) != b"":
                continue
        except OSError:
            pass
        guests.remove(guest)

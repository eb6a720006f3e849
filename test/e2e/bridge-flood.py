"""One guest with many addresses: a request from each at once, and the statuses of the answers.

    bridge-flood.py SERVER COUNT STEP
"""

import collections
import json
import socket
import sys

server, count, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = []
for number in range(count):
    sock = socket.socket(socket.AF_INET6)
    sock.bind(("fd00:5a::1:%x" % (number * step), 0))
    sock.settimeout(12)
    sock.connect((server, 80))
    sock.send(b"GET /latest/meta-data/local-hostname HTTP/1.1\r\nHost: x\r\n\r\n")
    held.append(sock)
print("sent", flush=True)
statuses = collections.Counter(sock.recv(100).split(b" ")[1].decode() for sock in held)
print("answered", json.dumps(statuses), flush=True)

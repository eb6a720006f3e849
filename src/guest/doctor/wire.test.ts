import { expect, test } from "bun:test";
import { type Flow, packetsOf, read, tell } from "./wire.ts";

const FLOW: Flow = { host: "10.1.1.1", port: 80, localPort: 51_234, nextHop: "10.1.1.1" };
const FLOW6: Flow = { host: "fd00::1", port: 80, localPort: 51_234, nextHop: "fe80::1" };
const OUT = "IP 10.1.1.57.51234 > 10.1.1.1.80:";
const BACK = "IP 10.1.1.1.80 > 10.1.1.57.51234:";
const SYN = `${OUT} Flags [S], seq 1, win 64240, options [mss 1460,nop,wscale 7], length 0`;
const SYN_ACK = `${BACK} Flags [S.], seq 7, ack 2, win 65160, options [mss 1460], length 0`;
const ACK = `${OUT} Flags [.], ack 1, win 502, length 0`;
const REQUEST = `${OUT} Flags [P.], seq 1:90, ack 1, win 502, length 89: HTTP: GET /latest/ HTTP/1.1`;
const THEIR_ACK = `${BACK} Flags [.], ack 90, win 509, length 0`;
const REPLY = `${BACK} Flags [P.], seq 1:161, ack 90, win 509, length 160: HTTP: HTTP/1.1 200 OK`;
const RST = `${BACK} Flags [R.], seq 0, ack 2, win 0, length 0`;

// biome-ignore format: a table reads best with one line for each case
const CASES: readonly (readonly [lines: readonly string[], flow: Flow, code: string])[] = [
  [[], FLOW, "WIRE_NOTHING_SENT"],
  [[SYN, SYN_ACK, ACK, REQUEST, REPLY], FLOW, "WIRE_ANSWERED"],
  [[SYN, SYN], FLOW, "WIRE_NO_ANSWER"],
  [[SYN, RST], FLOW, "WIRE_RESET"],
  [[SYN, SYN_ACK, SYN_ACK], FLOW, "WIRE_ANSWER_DROPPED"],
  [[SYN, SYN_ACK, ACK, REQUEST], FLOW, "WIRE_NO_REPLY"],
  [[SYN, SYN_ACK, ACK, REQUEST, THEIR_ACK], FLOW, "WIRE_NO_REPLY"],
  [[SYN, SYN_ACK, ACK, REQUEST, RST], FLOW, "WIRE_NO_REPLY"],
  // Another program's, at the same time, which passes.
  [[SYN.replace("51234", "40000"), SYN_ACK.replace("51234", "40000")], FLOW, "WIRE_NOTHING_SENT"],
  [[SYN, "IP 10.1.1.1 > 10.1.1.57: ICMP 10.1.1.1 tcp port 80 unreachable, length 68"], FLOW, "WIRE_ICMP"],
  [[SYN, "IP 10.9.9.9 > 10.1.1.57: ICMP host 10.1.1.1 unreachable - admin prohibited filter, length 68"], FLOW, "WIRE_ICMP"],
  // About somebody else, or no error.
  [[SYN, "IP 10.1.1.1 > 10.1.1.57: ICMP host 10.1.1.11 unreachable, length 68"], FLOW, "WIRE_NO_ANSWER"],
  [[SYN, "IP 10.1.1.1 > 10.1.1.57: ICMP echo request, id 1, seq 1, length 64"], FLOW, "WIRE_NO_ANSWER"],
  [["ARP, Request who-has 10.1.1.1 tell 10.1.1.57, length 28"], FLOW, "WIRE_NO_NEIGHBOUR"],
  [["ARP, Request who-has 10.1.1.1 tell 10.1.1.57, length 28", "ARP, Reply 10.1.1.1 is-at 02:00:00:00:00:01, length 28", SYN], FLOW, "WIRE_NO_ANSWER"],
  [["ARP, Request who-has 10.1.1.9 tell 10.1.1.57, length 28"], FLOW, "WIRE_NOTHING_SENT"],
  [["IP6 fd00::7.51234 > fd00::1.80: Flags [S], seq 1, win 64800, length 0"], FLOW6, "WIRE_NO_ANSWER"],
  [["IP6 fe80::7 > ff02::1:ff00:1: ICMP6, neighbor solicitation, who has fe80::1, length 32"], FLOW6, "WIRE_NO_NEIGHBOUR"],
  [["IP6 fd00::7.51234 > fd00::1.80: Flags [S], seq 1, win 64800, length 0", "IP6 fe80::1 > fd00::7: ICMP6, destination unreachable, unreachable route fd00::1, length 88"], FLOW6, "WIRE_ICMP"],
  [["tcpdump: something else", "1 packet captured"], FLOW, "WIRE_NOTHING_SENT"],
];

test("what tcpdump prints is read, with the device's name or without", () => {
  for (const [lines, flow, code] of CASES) {
    for (const before of ["", "eth0  Out "]) {
      const printed = lines.map((line, i) => `${1_700_000_000 + i}.500000 ${before}${line}`);
      const found: string = read(packetsOf(printed, flow), flow).code;
      expect([lines, found]).toEqual([lines, code]);
    }
  }
});

test("packets are told one a line, with the time since the first", () => {
  const lines = [
    `1700000000.100000 ${SYN}`,
    `1700000001.110000 ${SYN}`,
    `1700000001.111200 ${RST}`,
  ];
  expect(tell(packetsOf(lines, FLOW), FLOW)).toEqual([
    "    0 ms -> SYN",
    " 1010 ms -> SYN",
    " 1011 ms <- RST",
  ]);
});

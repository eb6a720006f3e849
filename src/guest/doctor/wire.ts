/**
 * One request as it was on the wire: what tcpdump prints of it, and what that means.
 *
 * Pure: lines in, a reading out. Only what belongs to this request is looked at; it is known by the
 * port that it came from.
 */

import type { FindingKind, Found } from "../../observe/doctor/finding.ts";
import { RESTART_SERVICE } from "./words.ts";

/** What a capture may show, as the checks' tables say what they may find. */
export type WireCode =
  | "WIRE_ANSWERED"
  | "WIRE_NOTHING_SENT"
  | "WIRE_NO_NEIGHBOUR"
  | "WIRE_NO_ANSWER"
  | "WIRE_RESET"
  | "WIRE_ICMP"
  | "WIRE_ANSWER_DROPPED"
  | "WIRE_NO_REPLY";

export const WIRE_KINDS: Readonly<Record<WireCode, FindingKind>> = {
  WIRE_ANSWERED: {
    title: "the request was sent and answered",
    severity: "info",
    advice: "look at what the answer says: the checks do",
    where: "guest",
  },
  WIRE_NOTHING_SENT: {
    title: "no SYN left this instance",
    severity: "error",
    advice: "look at this instance's own firewall and routes",
    where: "guest",
    because: ["EGRESS_BLOCKED", "NO_ADDRESS", "ROUTE_MISSING", "ROUTE_REFUSES"],
  },
  WIRE_NO_NEIGHBOUR: {
    title: "nobody answers who is asked for the next hop's MAC address",
    severity: "error",
    advice: "see that the router runs, and that it and this instance are on one network",
    where: "router",
    because: ["NEIGHBOUR_SILENT", "GATEWAY_WRONG", "ROUTE_CONFLICT"],
  },
  WIRE_NO_ANSWER: {
    title: "a SYN was sent, and nothing came back",
    severity: "error",
    advice: "look for the SYN on the router; if it comes there, at the router's firewall",
    where: "router",
    because: ["NEIGHBOUR_FIXED", "SOURCE_LINK_LOCAL"],
  },
  WIRE_RESET: {
    title: "a SYN was sent, and a reset (RST) came back",
    severity: "error",
    advice: "restart the metadata service on the router; a firewall can send resets too",
    where: "router",
  },
  WIRE_ICMP: {
    title: "a SYN was sent, and an ICMP error came back",
    severity: "error",
    advice: "look at the firewall and the routes of whoever sent the error",
    where: "router",
  },
  WIRE_ANSWER_DROPPED: {
    title: "a SYN-ACK came back, and this instance did not go on",
    severity: "error",
    advice: "let answers of connections that this instance has opened in",
    where: "guest",
    because: ["INGRESS_BLOCKED"],
  },
  WIRE_NO_REPLY: {
    title: "the connection stood, the request was sent, and no reply came",
    severity: "error",
    advice: "restart the metadata service on the router; see that large packets pass",
    where: "router",
    because: ["MTU_BLACK_HOLE", "HTTP_SILENT"],
  },
};

export interface Flow {
  readonly host: string;
  readonly port: number;
  /** Where the request came from. */
  readonly localPort: number;
  /** Whose MAC address is needed: the gateway, or the host itself. */
  readonly nextHop: string;
}

export interface Packet {
  /** Seconds since 1970, as tcpdump prints them. */
  readonly at: number;
  readonly kind: "syn" | "syn-ack" | "ack" | "data" | "fin" | "rst" | "icmp" | "ask" | "tell";
  readonly from: "us" | "them";
  /** Bytes of data, or the words of an ICMP error and who sent it. */
  readonly bytes: number;
  readonly words: string;
}

/** `-tt` first; captures on `any` name the interface and the direction too. */
const LINE = /^(\d+\.\d+) (?:\S+ +(?:In|Out|B|M|P) +)?(IP6?|ARP,) (.*)$/;
const TCP = /^(\S+)\.(\d+) > (\S+)\.(\d+): Flags \[([A-Z.]+)\].*?length (\d+)/;
const ICMP = /^(\S+) > \S+: ICMP6?,? (.*), length \d+/;
const ICMP_ERROR = /unreachable|prohibited|exceeded|too big|need to frag/;
const ARP_ASK = /^Request who-has (\S+)/;
const ARP_TELL = /^Reply (\S+) is-at/;
const NDP_ASK = /^neighbor solicitation, who has ([^,\s]+)/;
const NDP_TELL = /^neighbor advertisement, tgt is ([^,\s]+)/;

/** The packets of this request among what tcpdump printed. */
export function packetsOf(lines: readonly string[], flow: Flow): readonly Packet[] {
  return lines.flatMap((line) => {
    const [, seconds = "", protocol, rest = ""] = LINE.exec(line) ?? [];
    const at = Number(seconds);
    const one = protocol === "ARP," ? arpOf(rest, flow) : (tcpOf(rest, flow) ?? icmpOf(rest, flow));
    return one === undefined || seconds === "" ? [] : [{ at, bytes: 0, words: "", ...one }];
  });
}

type Read = Pick<Packet, "kind" | "from"> & Partial<Packet>;

function tcpOf(text: string, { host, port, localPort }: Flow): Read | undefined {
  const [, from = "", fromPort, to = "", toPort, flags = "", length] = TCP.exec(text) ?? [];
  const isOurs = to === host && Number(toPort) === port && Number(fromPort) === localPort;
  const isTheirs = from === host && Number(fromPort) === port && Number(toPort) === localPort;
  if (!isOurs && !isTheirs) return undefined;
  const bytes = Number(length);
  return { kind: kindOf(flags, bytes), from: isOurs ? "us" : "them", bytes };
}

function kindOf(flags: string, bytes: number): Packet["kind"] {
  if (flags.includes("R")) return "rst";
  if (flags.includes("S")) return flags.includes(".") ? "syn-ack" : "syn";
  if (bytes > 0) return "data";
  return flags.includes("F") ? "fin" : "ack";
}

function icmpOf(text: string, { host, nextHop }: Flow): Read | undefined {
  const [, from = "", words = ""] = ICMP.exec(text) ?? [];
  if (NDP_ASK.exec(words)?.[1] === nextHop) return { kind: "ask", from: "us" };
  if (NDP_TELL.exec(words)?.[1] === nextHop) return { kind: "tell", from: "them" };
  if (!ICMP_ERROR.test(words) || !words.split(/[\s,]/).includes(host)) return undefined;
  return { kind: "icmp", from: "them", words: `${from} says: ${words}` };
}

function arpOf(text: string, { nextHop }: Flow): Read | undefined {
  if (ARP_ASK.exec(text)?.[1] === nextHop) return { kind: "ask", from: "us" };
  if (ARP_TELL.exec(text)?.[1] === nextHop) return { kind: "tell", from: "them" };
  return undefined;
}

/** A line for each packet, as one would tell it. */
export function tell(packets: readonly Packet[], { nextHop }: Flow): readonly string[] {
  const start = packets[0]?.at ?? 0;
  const names: Readonly<Record<Packet["kind"], (packet: Packet) => string>> = {
    syn: () => "SYN",
    "syn-ack": () => "SYN-ACK",
    ack: () => "ACK",
    fin: () => "FIN",
    rst: () => "RST",
    data: ({ bytes }) => `${bytes} bytes`,
    icmp: ({ words }) => `ICMP, ${words}`,
    ask: () => `who has ${nextHop}?`,
    tell: () => `${nextHop} is here`,
  };
  return packets.map((packet) => {
    const ms = Math.round((packet.at - start) * 1000);
    const arrow = packet.from === "us" ? "->" : "<-";
    return `${String(ms).padStart(5)} ms ${arrow} ${names[packet.kind](packet)}`;
  });
}

/** What the packets mean. */
export function read(packets: readonly Packet[], flow: Flow): Found<WireCode> {
  return { ...meaningOf(packets, flow), subjects: [flow.host] };
}

type Meaning = Omit<Found<WireCode>, "subjects">;

function meaningOf(packets: readonly Packet[], flow: Flow): Meaning {
  const count = counter(packets);
  if (count("data", "them") > 0) {
    const bytes = packets.reduce((sum, one) => sum + (one.from === "them" ? one.bytes : 0), 0);
    const seen = `SYN, SYN-ACK, the request, and ${bytes} bytes of a reply`;
    const cause = "the way there and back is open";
    return { code: "WIRE_ANSWERED", seen, cause, certainty: "certain" };
  }
  if (count("syn", "us") === 0) return notSent(packets, flow);
  if (count("syn-ack", "them") === 0) return notAnswered(packets, flow);
  if (count("ack", "us") + count("data", "us") === 0) {
    const seen = "SYN sent, SYN-ACK came back, and was not acknowledged";
    const cause = "a firewall of this instance drops what comes in";
    return { code: "WIRE_ANSWER_DROPPED", seen, cause, certainty: "likely", remedy: RULES };
  }
  const isReset = count("rst", "them") > 0;
  const arrived = count("ack", "them") > 0;
  const end = isReset ? "RST came back" : "nothing came back";
  const seen = `SYN-ACK, then the request; ${arrived ? "it was acknowledged, then " : ""}${end}`;
  const cause =
    arrived || isReset
      ? "the service takes connections and does not reply: it hangs, or fails"
      : "the request is lost on the way, or its answers are: a firewall, or the MTU";
  return { code: "WIRE_NO_REPLY", seen, cause, certainty: "possible", remedy: [RESTART_SERVICE] };
}

const RULES = ["nft list ruleset", "iptables-save"];

function counter(packets: readonly Packet[]) {
  return (kind: Packet["kind"], from: Packet["from"]): number =>
    packets.filter((packet) => packet.kind === kind && packet.from === from).length;
}

function notAnswered(packets: readonly Packet[], { host, port, nextHop }: Flow): Meaning {
  const count = counter(packets);
  const sent = `${times(count("syn", "us"), "SYN")} sent`;
  if (count("rst", "them") > 0) {
    const cause = "the service on the router does not run, or a firewall refuses for it";
    const [seen, remedy] = [`${sent}, RST came back`, [RESTART_SERVICE]];
    return { code: "WIRE_RESET", seen, cause, certainty: "likely", remedy };
  }
  const error = packets.find(({ kind }) => kind === "icmp");
  if (error !== undefined) {
    const cause = /prohibited|tcp port/.test(error.words)
      ? "a firewall there rejects it"
      : "a router there has no way to the service";
    const remedy = [...RULES, `ip route get ${host}`];
    const seen = `${sent}; ${error.words}`;
    return { code: "WIRE_ICMP", seen, cause, certainty: "likely", remedy };
  }
  const seen = `${sent} to ${nextHop}, no answer of any kind`;
  const cause = "a firewall on the way, the virtual switch, or the router drops it";
  const remedy = [`tcpdump -ni any 'host ${host} and tcp port ${port}'`, ...RULES];
  return { code: "WIRE_NO_ANSWER", seen, cause, certainty: "likely", remedy };
}

function notSent(packets: readonly Packet[], { host, nextHop }: Flow): Meaning {
  const asked = packets.filter(({ kind }) => kind === "ask").length;
  if (asked > 0 && !packets.some(({ kind }) => kind === "tell")) {
    return {
      code: "WIRE_NO_NEIGHBOUR",
      seen: `${times(asked, "time")} asked who has ${nextHop}, no answer; no SYN was sent`,
      cause: `${nextHop} is down, or on another network`,
      certainty: "likely",
      remedy: ["ip link show", "ip address show"],
    };
  }
  return {
    code: "WIRE_NOTHING_SENT",
    seen: "nothing of the request was on the wire",
    cause: "this instance stops it itself: a firewall's rule for what goes out, or a route",
    certainty: "likely",
    remedy: [...RULES, `ip route get ${host}`],
  };
}

function times(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

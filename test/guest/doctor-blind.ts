/**
 * Blind diagnoses: faults chosen by chance, one at a time, amid things that look odd and are not,
 * and `doctor` has to name the right one first.
 *
 * A round is known by its number: the same number makes the same choice, so that what went wrong
 * can be made again.
 */

import { FAULTS, type Fault } from "./doctor-faults.ts";
import { type DoctorLab, openDoctorLab } from "./doctor-lab.ts";

export interface Round {
  readonly seed: number;
  readonly fault: string;
  readonly odd: readonly string[];
  readonly wanted: string;
  /** What doctor named, first first, notes left out: `CODE certainty`. */
  readonly named: readonly string[];
  readonly isRight: boolean;
  /** Whether something that is not the fault was called certain. */
  readonly isFalselySure: boolean;
}

interface Oddity {
  readonly name: string;
  readonly make: (lab: DoctorLab) => unknown;
}

/** What an instance may have that stops nothing. */
const ODDITIES: readonly Oddity[] = [
  {
    name: "a firewall that stops others",
    make: (lab) =>
      lab.inGuest(
        `nft 'table inet others { chain o { type filter hook output priority 10;
           ip daddr 192.0.2.0/24 drop; tcp dport 25 reject; }; }'`,
      ),
  },
  {
    name: "a firewall that lets answers in, and little else",
    make: (lab) =>
      lab.inGuest(
        `nft 'table inet usual { chain i { type filter hook input priority 10; policy drop;
           iif lo accept; ct state established,related accept; tcp dport 22 accept;
           meta l4proto { icmp, ipv6-icmp } accept; }; }'`,
      ),
  },
  {
    name: "rules of iptables that count",
    make: (lab) =>
      lab.inGuest(
        "iptables -A OUTPUT -p tcp --dport 80",
        "iptables -A INPUT -p udp --dport 161 -j DROP",
      ),
  },
  {
    name: "a bridge of containers",
    make: (lab) =>
      lab.inGuest(
        "ip link add br-odd type bridge; ip address add 172.18.0.1/16 dev br-odd",
        "ip link set br-odd up",
      ),
  },
  {
    name: "a second card without a router",
    make: (lab) =>
      lab.inGuest(
        "ip link add odd0 type veth peer name odd1; ip link set odd0 up",
        "ip address add 192.168.77.5/24 dev odd0",
      ),
  },
  {
    name: "a route to somewhere else that is refused",
    make: (lab) => lab.inGuest("ip route add blackhole 198.51.100.0/24"),
  },
  {
    name: "a fixed neighbour that is somebody else",
    make: (lab) =>
      lab.inGuest("ip neigh replace 10.1.1.240 lladdr 02:00:5a:10:aa:aa dev eth0 nud permanent"),
  },
  {
    name: "a proxy with its exceptions",
    make: (lab) =>
      lab.write(
        "environment",
        "http_proxy=http://10.1.1.96:3128\nno_proxy=localhost,169.254.169.254,10.1.1.1,data-server\n",
      ),
  },
];

/** Rounds with these numbers, each in a network of its own. */
export async function blindRounds(
  seeds: readonly number[],
  say: (line: string) => void,
): Promise<readonly Round[]> {
  const rounds = seeds.map(async (seed) => {
    const round = await blindRound(seed);
    const odd = round.odd.length === 0 ? "" : `, with ${round.odd.join(" and ")}`;
    const verdict = round.isRight ? "right" : `WRONG, wanted ${round.wanted}`;
    say(`${seed}: ${round.fault}${odd}: ${round.named.join(", ") || "nothing"}: ${verdict}`);
    return round;
  });
  return await Promise.all(rounds);
}

async function blindRound(seed: number): Promise<Round> {
  const next = randomBy(seed);
  const fault = pick(FAULTS, next);
  const odd = ODDITIES.filter(() => next() < 2 / ODDITIES.length);
  await using lab = await openDoctorLab();
  for (const one of odd) await one.make(lab);
  await fault.make(lab);
  const { report } = await lab.doctor(fault.env);
  const found = report.findings.filter(({ severity }) => severity !== "info");
  return {
    seed,
    fault: fault.name,
    odd: odd.map(({ name }) => name),
    wanted: fault.code,
    named: found.map(({ code, certainty }) => `${code} ${certainty}`),
    isRight: found[0]?.code === fault.code,
    isFalselySure: found.some((one) => isWrongAndSure(one, fault)),
  };
}

function isWrongAndSure(
  { code, certainty }: { readonly code: string; readonly certainty: string },
  fault: Fault,
): boolean {
  return certainty === "certain" && code !== fault.code;
}

function pick<T>(list: readonly T[], next: () => number): T {
  return list[Math.floor(next() * list.length)] as T;
}

/** Numbers from 0 to 1, the same for the same seed: Marsaglia's xorshift, 32 bits. */
function randomBy(seed: number): () => number {
  let state = Math.imul(seed, 0x9e37_79b1) || 1;
  const step = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  // The first numbers of neighbouring seeds are neighbours.
  for (let i = 0; i < 8; i++) step();
  return step;
}

/** So many seeds in a row. Their start is chance, or FRONTDESK_SEED to make a run again. */
export function seedsOf(count: number): readonly number[] {
  const chosen = Number(process.env.FRONTDESK_SEED ?? Math.floor(Math.random() * 1_000_000));
  return Array.from({ length: count }, (_, i) => chosen + i);
}

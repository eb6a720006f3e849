/**
 * Rules of a firewall, whichever program shows them, and the packet that is led through them.
 *
 * nftables' JSON and iptables' lines become the same few forms. What we cannot judge is `unknown`,
 * never left out: a rule that may match makes what follows it a possibility.
 */

/** A condition of a rule: a property of the packet, and what it is compared with. */
export interface Match {
  readonly property: Property | "unknown";
  readonly negated: boolean;
  /** One of these: values, prefixes as `10.0.0.0/8`, ranges as `[low, high]`. */
  readonly among: readonly (string | number | readonly [number, number])[];
}

export type Property =
  | "daddr"
  | "saddr"
  | "dport"
  | "sport"
  | "protocol"
  | "family"
  | "state"
  | "uid"
  | "out"
  | "in";

/** `divert`: the packet goes on, to another address or port. */
export type Verdict =
  | { readonly kind: "accept" | "drop" | "reject" | "divert" | "return" | "unknown" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

export interface Rule {
  /** As its program prints it. */
  readonly text: string;
  readonly matches: readonly Match[];
  /** `undefined`: it only counts or logs. */
  readonly verdict: Verdict | undefined;
}

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
  /** Chains that the kernel enters. */
  readonly base?: {
    readonly hook: "output" | "input";
    readonly priority: number;
    readonly policy: "accept" | "drop";
  };
}

export interface Table {
  /** `inet filter`; for iptables `filter`. */
  readonly name: string;
  /** 0: both. */
  readonly family: 0 | 4 | 6;
  /** Who manages it, and in whose words a remedy is: `nft`, `iptables`, `ip6tables-legacy`. */
  readonly tool: string;
  readonly chains: readonly Chain[];
}

export type Ruleset = readonly Table[];

export interface Packet {
  readonly family: 4 | 6;
  readonly daddr: string;
  readonly saddr: string | undefined;
  readonly dport: number | undefined;
  readonly sport: number | undefined;
  readonly state: "new" | "established";
  readonly uid: number | undefined;
  readonly out: string | undefined;
  readonly in: string | undefined;
}

/** Why a packet does not pass. */
export interface Block {
  readonly table: Table;
  /** The base chain in which it was stopped. */
  readonly base: Chain;
  /** The rule; `undefined`: the policy of the base chain. */
  readonly rule: Rule | undefined;
  /** The chain that has the rule. */
  readonly chain: string;
  /** Whether every rule on the way could be judged. */
  readonly certain: boolean;
}

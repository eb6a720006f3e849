/** For tests: who an address is taken for, with a kernel's neighbour table that a test writes. */

import { type Ip, type Mac, parseCidr, parseIp, parseMac } from "../model/address.ts";
import type { Binding } from "../model/binding.ts";
import { Conditions } from "../observe/conditions.ts";
import type { Links } from "../platform/links.ts";
import type { Trust } from "../platform/neighbour-history.ts";
import type { Neighbour } from "../platform/neighbour-table.ts";
import type { Neighbours } from "../platform/neighbours.ts";
import { Directory } from "./directory.ts";
import { Identity, type IdentityPorts } from "./identity.ts";
import type { Policy } from "./policies.ts";

export const WEB: Ip = parseIp("10.1.1.5");
export const WEB_MAC: Mac = parseMac("02:00:00:00:00:05");

export type Scene = ReturnType<typeof open>;

/** One instance in a network on eth0; a second network lies on eth1. */
export function open(
  macEvidence: "audit" | "enforce",
  more: Partial<Pick<IdentityPorts, "leased" | "quietMs" | "keep" | "guarded">> = {},
) {
  const conditions = new Conditions(() => 0);
  const directory = new Directory({ epochBegan() {}, hostNameCut() {} });
  const remembered = new Map<string, Neighbour>();
  const kernel = new Map<string, Neighbour>();
  const asked: string[] = [];
  /** What the history says of an address, one after the other. */
  const trusts = new Map<string, Trust[]>();
  const links = (): Pick<Links, "deviceOf"> => ({
    deviceOf: (peer, zone) => zone ?? kernel.get(peer)?.device ?? "eth0",
  });
  const at = (table: Map<string, Neighbour>, address: Ip, device?: string) => {
    const row = table.get(address);
    return device === undefined || row?.device === device ? row : undefined;
  };
  let late = 0;
  const lookUpAt = async (address: Ip, device?: string) => {
    asked.push(device === undefined ? address : `${address} ${device}`);
    if (late-- > 0) return "late" as const;
    return at(kernel, address, device);
  };
  const neighbours = {
    at: (address: Ip, device?: string) => at(remembered, address, device),
    find: (address: Ip, device?: string) => at(remembered, address, device)?.mac,
    lookUpAt,
    trust: (address: Ip) => trusts.get(address)?.shift() ?? "steady",
  } as unknown as Neighbours;
  const identity = new Identity({
    ...{ directory, conditions, links, neighbours: () => neighbours, quietMs: 10, ...more },
  });
  identity.setPolicies([
    { ...policy("net", "eth0"), macEvidence },
    { ...policy("tier", "eth1"), macEvidence },
  ]);
  const put = (binding: Partial<Binding>): void =>
    directory.apply([{ kind: "put", binding: { ...BINDING, ...binding } }]);
  put({ address: WEB, mac: WEB_MAC, instance: "web" });
  return {
    ...{ identity, put, asked },
    trusts: (address: string, ...said: Trust[]) => trusts.set(address, said),
    withhold(address: Ip): void {
      const withheld = {
        network: "net",
        address,
        epoch: 1,
        since: 0,
        reason: "lease-removed",
      } as const;
      directory.apply([{ kind: "withhold", withheld }]);
    },
    /** The kernel does not say in time who that is, so often. */
    beLate(times: number): void {
      late = times;
    },
    inKernel: (address: Ip, mac: Mac, device = "eth0") => kernel.set(address, { mac, device }),
    /** In the kernel, and in what is remembered of it. */
    seen(address: Ip, mac: Mac, device = "eth0"): void {
      kernel.set(address, { mac, device });
      remembered.set(address, { mac, device });
    },
    raised: () => conditions.list().map(({ subject, detail }) => `${subject}: ${detail}`),
  };
}

const BINDING: Omit<Binding, "address"> & { address: Ip } = {
  ...{ network: "net", address: WEB, epoch: 1, instance: "web", name: "web", keys: [] },
  origin: { kind: "databag", place: "vmdata.json" },
};

export function policy(id: string, device: string): Policy {
  const cidrs = [parseCidr(id === "net" ? "10.1.1.0/24" : "10.1.2.0/24")];
  return { id, cidrs, devices: [device], routed: false, macEvidence: "audit" };
}

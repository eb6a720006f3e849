/**
 * Facts of a healthy instance, for tests of checks: each test changes what it is about.
 */

import type { Spoken } from "../../platform/speak.ts";
import { endpointAt } from "../endpoint.ts";
import type { Asked } from "../http.ts";
import type { Facts, Service, Target } from "./facts.ts";

export const OPEN: Spoken = { kind: "open", code: "", answered: false, ms: 2 };

export function reply(status: number, body = "", ms = 3): Asked {
  return { kind: "reply", status, headers: {}, body: Buffer.from(body), ms };
}

export function target(host: string, changed: Partial<Target> = {}): Target {
  const via = host.startsWith("169.254.") ? "link-local" : "gateway";
  const gateway = host === "10.1.1.1" ? undefined : "10.1.1.1";
  const route = {
    kind: "found",
    device: "eth0",
    gateway,
    source: "10.1.1.57",
    local: false,
  } as const;
  return {
    endpoint: endpointAt(host, { via }),
    ways: [],
    connect: OPEN,
    listing: reply(200, "instance-id\nvm-id"),
    serves: true,
    instanceId: "i-1",
    route,
    ...changed,
  };
}

export function service(changed: Partial<Service> = {}): Service {
  return {
    target: target("169.254.169.254"),
    names: ["instance-id", "vm-id"],
    keys: [{ name: "instance-id", listed: true, status: 200, bytes: 3 }],
    userData: reply(200, "#!/bin/sh\n"),
    sizes: { passed: [296, 3_200], lost: [] },
    password: { host: "10.1.1.1", spoken: OPEN },
    tokens: "offered",
    clock: { theirs: 1_000_000, ours: 1_000_000 },
    ...changed,
  };
}

export function facts(changed: Partial<Facts> = {}): Facts {
  return {
    isRoot: true,
    named: false,
    env: {},
    environmentFile: {},
    leases: [
      {
        client: "dhclient",
        file: "/var/lib/dhcp/dhclient.eth0.leases",
        interface: "eth0",
        address: "10.1.1.57",
        server: "10.1.1.1",
        routers: ["10.1.1.1"],
        writtenMs: 1,
      },
    ],
    gateways: [{ address: "10.1.1.1", device: "eth0", metric: 0 }],
    addresses: [{ device: "eth0", address: "10.1.1.57", prefix: 24, isUp: true, mtu: 1_500 }],
    routes: [],
    dataServer: { addresses: ["10.1.1.1"], silent: false, inHosts: false },
    targets: [target("169.254.169.254"), target("10.1.1.1")],
    service: service(),
    neighbours: [
      { address: "10.1.1.1", device: "eth0", state: "REACHABLE", mac: "02:00:00:00:00:01" },
    ],
    ruleset: [],
    productName: "CloudStack KVM Hypervisor",
    cloudInit: undefined,
    ...changed,
  };
}

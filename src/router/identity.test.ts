/** Who an address is taken for, with the kernel's neighbour table beside it. */

import { describe, expect, test } from "bun:test";
import { type Ip, type Mac, parseIp, parseMac } from "../model/address.ts";
import { open, policy, type Scene, WEB, WEB_MAC } from "./identity-scene.ts";
import type { Policy } from "./policies.ts";

const OTHER_MAC = parseMac("02:00:00:00:00:99");
const TIER = parseIp("10.1.2.5");
const PRIVACY = "fd00:5a::8d3f:11ff:fe22:1";

describe("in a network that enforces", () => {
  test("who has the lease's MAC address is answered at once", () => {
    const scene = open("enforce");
    scene.seen(WEB, WEB_MAC);
    expect(scene.identity.find(WEB)).toMatchObject({ kind: "bound", instance: "web" });
    expect(scene.asked).toEqual([]);
  });

  test("who has another is refused, and named, once the kernel was asked again", async () => {
    const scene = open("enforce");
    scene.seen(WEB, OTHER_MAC);
    expect(await scene.identity.find(WEB)).toMatchObject({ reason: "mac-mismatch" });
    expect(scene.asked).toEqual([`${WEB} eth0`]);
    expect(scene.raised()).toEqual([`${WEB} in net: seen with ${OTHER_MAC}, leased to ${WEB_MAC}`]);
    expect(scene.identity.mismatches).toBe(1);
  });

  test("whom the kernel does not know is refused", async () => {
    const scene = open("enforce");
    expect(await scene.identity.find(WEB)).toMatchObject({ reason: "mac-mismatch" });
    expect(scene.raised()).toEqual([]);
  });

  test("what memory has wrong is right after the kernel was asked", async () => {
    const scene = open("enforce");
    scene.seen(WEB, OTHER_MAC);
    scene.inKernel(WEB, WEB_MAC);
    expect(await scene.identity.find(WEB)).toMatchObject({ instance: "web" });
    expect(scene.raised()).toEqual([]);
  });

  test("a flood from a wrong MAC address is not a flood of look-ups", async () => {
    const scene = open("enforce");
    scene.seen(WEB, OTHER_MAC);
    for (let i = 0; i < 100; i++) await scene.identity.find(WEB);
    expect(scene.asked.length).toBe(1);
    expect(scene.identity.mismatches).toBe(100);
  });

  test("an address that passed on while the kernel was asked is the new instance's", async () => {
    const scene = open("enforce");
    scene.inKernel(WEB, OTHER_MAC);
    const found = scene.identity.find(WEB);
    scene.put({ address: WEB, mac: OTHER_MAC, instance: "new", epoch: 2 });
    expect(await found).toMatchObject({ instance: "new", epoch: 2 });
  });

  test("nobody is asked for a MAC address where no lease names one", () => {
    const scene = open("enforce");
    scene.put({ address: WEB, instance: "web" });
    expect(scene.identity.find(WEB)).toMatchObject({ instance: "web" });
  });

  test("a lease file names one where the source does not", async () => {
    const scene = open("enforce", { leased: () => WEB_MAC });
    scene.put({ address: WEB, instance: "web" });
    scene.seen(WEB, OTHER_MAC);
    expect(await scene.identity.find(WEB)).toMatchObject({ reason: "mac-mismatch" });
  });
});

test("before the source has named its networks, an address' range says which it is", async () => {
  const scene = open("enforce");
  const { cidrs } = policy("net", "eth0");
  scene.identity.setPolicies([{ ...policy("other name", "eth0"), cidrs, macEvidence: "enforce" }]);
  scene.seen(WEB, OTHER_MAC);
  expect(await scene.identity.find(WEB)).toMatchObject({ reason: "mac-mismatch" });
});

describe("in a network that audits", () => {
  test("who has another MAC address is answered at once, counted and named", async () => {
    const scene = open("audit");
    scene.seen(WEB, OTHER_MAC);
    for (let i = 0; i < 3; i++) {
      expect(scene.identity.find(WEB)).toMatchObject({ instance: "web" });
      await settled();
    }
    expect(scene.identity.mismatches).toBe(3);
    expect(scene.asked.length).toBe(1);
    expect(scene.raised().length).toBe(1);
  });

  test("whom the kernel does not know is no mismatch", async () => {
    const scene = open("audit");
    expect(scene.identity.find(WEB)).toMatchObject({ instance: "web" });
    await settled();
    expect(scene.identity.mismatches).toBe(0);
    expect(scene.raised()).toEqual([]);
  });
});

describe("a mismatch is over", () => {
  const cases: Readonly<Record<string, (scene: Scene) => void>> = {
    "when the lease is the other's": (scene) => {
      scene.put({ address: WEB, mac: OTHER_MAC, instance: "new", epoch: 2 });
      scene.identity.leasesChanged();
    },
    "when the owner is back": (scene) => {
      scene.seen(WEB, WEB_MAC);
      scene.identity.neighbourChanged(WEB);
    },
    "when the network no longer compares": (scene) => {
      scene.identity.setPolicies([{ ...policy("net", "eth0"), macEvidence: "off" }]);
    },
  };
  for (const [name, end] of Object.entries(cases)) {
    test(name, async () => {
      const scene = open("audit");
      scene.seen(WEB, OTHER_MAC);
      scene.identity.find(WEB);
      await settled();
      expect(scene.raised().length).toBe(1);
      end(scene);
      await Bun.sleep(50);
      expect(scene.raised()).toEqual([]);
    });
  }
});

test("a mismatch is over with the network's name, too", async () => {
  const scene = open("audit");
  scene.seen(WEB, OTHER_MAC);
  scene.identity.find(WEB);
  await settled();
  expect(scene.raised().length).toBe(1);
  scene.identity.setPolicies([]);
  await Bun.sleep(50);
  expect(scene.raised()).toEqual([]);
});

test("a guest that goes to and fro is one condition all the time", async () => {
  const scene = open("audit", { quietMs: 10_000 });
  for (let i = 0; i < 3; i++) {
    scene.seen(WEB, OTHER_MAC);
    scene.identity.find(WEB);
    await settled();
    expect(scene.raised().length).toBe(1);
    scene.seen(WEB, WEB_MAC);
    scene.identity.neighbourChanged(WEB);
    expect(scene.raised().length).toBe(1);
  }
});

describe("nothing is compared", () => {
  const cases: Readonly<Record<string, Partial<Policy>>> = {
    "where it is off": { macEvidence: "off" },
    "where guests are routed": { routed: true },
  };
  for (const [name, more] of Object.entries(cases)) {
    test(name, async () => {
      const scene = open("enforce");
      scene.identity.setPolicies([{ ...policy("net", "eth0"), ...more }]);
      scene.seen(WEB, OTHER_MAC);
      expect(scene.identity.find(WEB)).toMatchObject({ instance: "web" });
      scene.seen(parseIp(PRIVACY), WEB_MAC);
      expect(await scene.identity.find(PRIVACY)).toBeUndefined();
    });
  }
});

describe("a secondary IPv4 address, which no source knows", () => {
  const SECOND = parseIp("10.1.1.77");

  test("is whoever has its MAC address", async () => {
    const scene = open("audit");
    scene.inKernel(SECOND, WEB_MAC);
    expect(await scene.identity.find(SECOND)).toMatchObject({ instance: "web", address: WEB });
  });

  test("is nobody in the range of another network, or of none", async () => {
    const scene = open("audit");
    scene.inKernel(TIER, WEB_MAC);
    expect(await scene.identity.find(TIER)).toBeUndefined();
    scene.inKernel(parseIp("192.0.2.1"), WEB_MAC);
    expect(scene.identity.find("192.0.2.1")).toBeUndefined();
  });

  test("that is withheld is not somebody else by its MAC address", () => {
    const scene = open("audit");
    scene.withhold(SECOND);
    scene.seen(SECOND, WEB_MAC);
    expect(scene.identity.find(SECOND)).toMatchObject({ reason: "lease-removed" });
  });
});

describe("an IPv6 address that no source knows", () => {
  test("is whoever has its MAC address", () => {
    const scene = open("audit");
    scene.seen(parseIp(PRIVACY), WEB_MAC);
    expect(scene.identity.find(PRIVACY)).toMatchObject({ instance: "web", address: WEB });
  });

  test("is looked up when memory does not have it", async () => {
    const scene = open("audit");
    scene.inKernel(parseIp("fe80::1"), WEB_MAC);
    expect(await scene.identity.find("fe80::1%eth0")).toMatchObject({ instance: "web" });
    expect(await scene.identity.find("fe80::2")).toBeUndefined();
  });

  test("is nobody behind a device of another network, whatever its MAC address", () => {
    const scene = open("audit");
    scene.seen(parseIp(PRIVACY), WEB_MAC, "eth1");
    expect(scene.identity.find(PRIVACY)).toBeUndefined();
  });

  test("is nobody where two instances have its MAC address, and the NIC's of one network", () => {
    const scene = open("audit");
    scene.put({ address: TIER, mac: WEB_MAC, instance: "tier", network: "tier" });
    scene.seen(parseIp(PRIVACY), WEB_MAC, "eth1");
    expect(scene.identity.find(PRIVACY)).toMatchObject({ instance: "tier" });
    scene.put({ address: parseIp("10.1.2.6"), mac: WEB_MAC, instance: "x", network: "tier" });
    expect(scene.identity.find(PRIVACY)).toBeUndefined();
  });

  test("that had another MAC address a moment ago is nobody", async () => {
    const scene = open("audit");
    scene.seen(parseIp(PRIVACY), WEB_MAC);
    scene.trusts(PRIVACY, "changed");
    expect(scene.identity.find(PRIVACY)).toBeUndefined();
    scene.trusts(PRIVACY, "fresh", "changed", "changed");
    expect(await scene.identity.find(PRIVACY)).toBeUndefined();
  });

  test("that has come just now waits for what the kernel may say yet", async () => {
    const scene = open("audit");
    scene.seen(parseIp(PRIVACY), WEB_MAC);
    scene.trusts(PRIVACY, "fresh", "fresh", "steady");
    expect(await scene.identity.find(PRIVACY)).toMatchObject({ instance: "web" });
    scene.trusts(PRIVACY, "fresh", "fresh", "fresh");
    expect(await scene.identity.find(PRIVACY)).toMatchObject({ reason: "mac-unknown" });
  });

  test("is nobody in a network that enforces where no firewall keeps it so", async () => {
    const scene = open("enforce");
    scene.seen(parseIp(PRIVACY), WEB_MAC);
    expect(await scene.identity.find(PRIVACY)).toBeUndefined();
  });

  test("is answered in a network that enforces once the firewall keeps it so", async () => {
    const kept: string[] = [];
    const keep = async (address: Ip, mac: Mac): Promise<boolean> => {
      kept.push(`${address} ${mac}`);
      return kept.length > 1;
    };
    const scene = open("enforce", { keep });
    scene.seen(parseIp(PRIVACY), WEB_MAC);
    expect(await scene.identity.find(PRIVACY)).toMatchObject({ reason: "mac-unknown" });
    expect(await scene.identity.find(PRIVACY)).toMatchObject({ instance: "web" });
    expect(kept).toEqual([`${PRIVACY} ${WEB_MAC}`, `${PRIVACY} ${WEB_MAC}`]);
  });

  test("that is link-local is on the link that the listener is on", async () => {
    const scene = open("audit");
    scene.seen(parseIp("fe80::5"), WEB_MAC, "eth0");
    expect(scene.identity.find("fe80::5", "eth0")).toMatchObject({ instance: "web" });
    expect(await scene.identity.find("fe80::5", "eth1")).toBeUndefined();
    expect(await scene.identity.find("fe80::5%eth1")).toBeUndefined();
  });

  test("follows the lease to another instance", () => {
    const scene = open("audit");
    scene.seen(parseIp(PRIVACY), WEB_MAC);
    expect(scene.identity.find(PRIVACY)).toMatchObject({ instance: "web" });
    scene.put({ address: WEB, mac: OTHER_MAC, instance: "new", epoch: 2 });
    expect(scene.identity.find(PRIVACY)).toBeUndefined();
    scene.put({ address: parseIp("10.1.1.6"), mac: WEB_MAC, instance: "web" });
    expect(scene.identity.find(PRIVACY)).toMatchObject({ instance: "web", address: "10.1.1.6" });
  });
});

describe("where the kernel does not say in time who that is", () => {
  test("an IPv6 guest is told to come again, and not that there is nothing", async () => {
    const scene = open("audit");
    scene.inKernel(parseIp(PRIVACY), WEB_MAC);
    scene.beLate(1);
    expect(await scene.identity.find(PRIVACY)).toMatchObject({ reason: "mac-unknown" });
    expect(await scene.identity.find(PRIVACY)).toMatchObject({ instance: "web" });
  });

  test("a network that enforces answers nothing, and names no mismatch", async () => {
    const scene = open("enforce");
    scene.inKernel(WEB, WEB_MAC);
    scene.beLate(1);
    expect(await scene.identity.find(WEB)).toMatchObject({ reason: "mac-unknown" });
    expect(scene.identity.mismatches).toBe(0);
    expect(await scene.identity.find(WEB)).toMatchObject({ instance: "web" });
  });

  test("a network that audits answers, and names no mismatch", async () => {
    const scene = open("audit");
    scene.beLate(1);
    expect(scene.identity.find(WEB)).toMatchObject({ instance: "web" });
    await settled();
    expect(scene.identity.mismatches).toBe(0);
  });

  test("a password waits for it", async () => {
    const scene = open("enforce");
    scene.inKernel(WEB, WEB_MAC);
    scene.beLate(2);
    expect(await scene.identity.findPatiently(WEB)).toMatchObject({ instance: "web" });
  });
});

describe("why", () => {
  const cases: Readonly<Record<string, [Mac | undefined, RegExp]>> = {
    "says that the MAC address is right": [WEB_MAC, /has 02:00:00:00:00:05 there, as the lease/],
    "says which MAC address is wrong": [OTHER_MAC, /:99 there, but the lease says .*:05/],
    "says that nobody is there": [undefined, /nobody at this address now/],
  };
  for (const [name, [mac, evidence]] of Object.entries(cases)) {
    test(name, async () => {
      const scene = open("audit");
      if (mac !== undefined) scene.inKernel(WEB, mac);
      expect((await scene.identity.explain(WEB)).evidence).toMatch(evidence);
    });
  }

  test("counts nothing, and raises nothing", async () => {
    const scene = open("enforce");
    scene.seen(WEB, OTHER_MAC);
    expect((await scene.identity.explain(WEB)).entry).toMatchObject({ reason: "mac-mismatch" });
    expect(scene.identity.mismatches).toBe(0);
    expect(scene.raised()).toEqual([]);
  });

  test("keeps no address for anybody", async () => {
    const kept: string[] = [];
    const keep = (address: Ip): boolean => kept.push(address) > 0;
    const scene = open("enforce", { keep, guarded: () => true });
    scene.inKernel(parseIp(PRIVACY), WEB_MAC);
    const { entry } = await scene.identity.explain(parseIp(PRIVACY));
    expect([entry, kept]).toMatchObject([{ instance: "web" }, []]);
  });

  test("says which lease an IPv6 address leads to", async () => {
    const scene = open("audit");
    scene.inKernel(parseIp(PRIVACY), WEB_MAC);
    const { entry, evidence } = await scene.identity.explain(parseIp(PRIVACY));
    expect(entry).toMatchObject({ instance: "web" });
    expect(evidence).toMatch(/02:00:00:00:00:05 is the one that 10.1.1.5 is leased to/);
  });
});

/** What is looked up beside an answer has come. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

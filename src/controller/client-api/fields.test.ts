/**
 * Goal: tools read our answers as they read CloudStack's. Method: every field of ours is in a
 * recorded or a documented answer, and those that both have stand in one order.
 */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Fields } from "../../source/cloudstack/answer.ts";
import { LEAST, openTestLab, PUBLIC_KEY, WITH_PASSWORD } from "./testing.ts";

const FIXTURES = "fixtures/cloudstack";

/** In CloudStack's answers, and in none of those at hand. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  virtualmachine: ["password", "userdata"],
  nic: ["ip6address", "ip6cidr", "ip6gateway"],
  keypair: [],
  network: ["ip6cidr", "networkdomain", "subdomainaccess"],
  serviceoffering: [],
  job: [],
};

test("an instance, its NIC and its job have CloudStack's fields in its order", async () => {
  const lab = openTestLab();
  await lab.ok("registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY });
  const { userdata } = await lab.ok("registerUserData", { name: "u", userdata: "AAAA" });
  const more = {
    keypair: "alice",
    userdataid: (userdata as { id: string }).id,
    "userdatadetails[0].a": "b",
  };
  const job = await lab.job("deployVirtualMachine", { ...WITH_PASSWORD, ...more });
  const recorded = deployed();
  check("job", job, [recorded]);
  const instance = (job.jobresult as { virtualmachine: Fields }).virtualmachine;
  const recordedInstance = (recorded.jobresult as { virtualmachine: Fields }).virtualmachine;
  const documented = documentedInstance();
  check("virtualmachine", instance, [recordedInstance, documented]);
  const lacking = Object.keys(documented).filter((name) => !(name in instance));
  expect(lacking).toEqual(["publicipid", "publicip"]);
  const [nic] = instance.nic as [Fields];
  check("nic", nic, [first(recordedInstance.nic), first(documented.nic)]);
  const notOfNic = Object.keys(first(documented.nic)).filter((name) => !(name in nic));
  expect(notOfNic).toEqual(["isolationuri", "broadcasturi", "mtu"]);
  const listed = await lab.ok("listNics", { virtualmachineid: String(instance.id) });
  check("nic", first(listed.nic), [first(answerOf("listNics").nic)]);
});

test("networks, offerings, key pairs and user data do too", async () => {
  const lab = openTestLab();
  const networks = recordedOf("NetworkService", "listNetworks").listnetworksresponse as Fields;
  check("network", first((await lab.ok("listNetworks")).network), [first(networks.network)]);
  const offering = recordedOf("ServiceOfferingService", "createServiceOffering");
  const { serviceoffering } = offering.createserviceofferingresponse as { serviceoffering: Fields };
  const offerings = await lab.ok("listServiceOfferings");
  check("serviceoffering", first(offerings.serviceoffering), [serviceoffering]);
  const made = recordedOf("SSHService", "createSSHKeyPair").createsshkeypairresponse;
  const { keypair } = await lab.ok("createSSHKeyPair", { name: "bob" });
  check("keypair", keypair as Fields, [(made as { keypair: Fields }).keypair]);
  const { id } = await lab.done("deployVirtualMachine", { ...LEAST, userdata: "AAAA" });
  const data = await lab.ok("getVirtualMachineUserData", { virtualmachineid: String(id) });
  expect(Object.keys(data.virtualmachineuserdata as Fields)).toEqual(
    Object.keys(answerOf("getVirtualMachineUserData").virtualmachineuserdata as Fields),
  );
});

test("an answer to a change names the job, and of a new instance the instance", async () => {
  const lab = openTestLab();
  const deployed = await lab.ok("deployVirtualMachine", LEAST);
  expect(Object.keys(deployed)).toEqual(Object.keys(answerOf("deployVirtualMachine")));
  const { id } = await lab.done("deployVirtualMachine", LEAST);
  const stopped = await lab.ask("stopVirtualMachine", { id: String(id) });
  expect(stopped.name).toBe("stopvirtualmachineresponse");
  expect(Object.keys(stopped.content)).toEqual(["jobid"]);
});

function check(kind: string, ours: Fields, theirs: readonly Fields[]): void {
  const names = Object.keys(ours);
  const known = new Set([...(KNOWN[kind] ?? []), ...theirs.flatMap((one) => Object.keys(one))]);
  expect(names.filter((name) => !known.has(name))).toEqual([]);
  for (const one of theirs) {
    const order = Object.keys(one).filter((name) => names.includes(name));
    expect(order.length).toBeGreaterThan(3);
    expect(names.filter((name) => order.includes(name))).toEqual(order);
    for (const name of order) {
      if (one[name] !== null) expect([name, typeof ours[name]]).toEqual([name, typeof one[name]]);
    }
  }
}

function deployed(): Fields {
  const recorded = recordedOf("VirtualMachineService", "deployVirtualMachine");
  return recorded.deployvirtualmachineresponse as Fields;
}

function documentedInstance(): Fields {
  return first(answerOf("listVirtualMachines").virtualmachine);
}

function recordedOf(file: string, command: string): Fields {
  const text = readFileSync(`${FIXTURES}/api-recorded/${file}.json`, "utf8");
  return (JSON.parse(text) as Record<string, Fields>)[command] ?? {};
}

function answerOf(command: string): Fields {
  const text = readFileSync(`${FIXTURES}/api/${command}.response.json`, "utf8");
  return Object.values(JSON.parse(text) as Record<string, Fields>)[0] ?? {};
}

function first(items: unknown): Fields {
  return (items as Fields[])[0] ?? {};
}

/**
 * A cloud of its own process, whose API answers as CloudStack does, 500 a page, and checks
 * signatures: so its CPU time is nobody else's.
 *
 * Usage: cloud.ts COUNT BYTES, instances and bytes of user data of each. Prints the API's URL as
 * JSON. Then each line `RENAMED<tab>NAME` on standard input gives as many instances another name.
 */

import { createInterface } from "node:readline";
import { fill, instance, nic } from "../../src/source/cloudstack/example.ts";
import { FakeApi } from "../../src/source/cloudstack/testing.ts";
import { addressOf, makeGuest } from "../lab.ts";

export const NETWORK = "bench";

const [, , count = "0", bytes = "0"] = process.argv;
const instances = Number(count);

const api = await FakeApi.open();
const { cloud } = api;
fill(cloud);
cloud.networks.push({
  ...{ id: NETWORK, name: NETWORK, type: "Shared", traffictype: "Guest", state: "Implemented" },
  cidr: "127.0.0.0/8",
});
for (let index = 0; index < instances; index++) {
  const { mac, name } = makeGuest(index);
  const id = `${String(index).padStart(8, "0")}-3c2b-4a19-8e77-0f1e2d3c4b5a`;
  const card = nic(NETWORK, addressOf(index), { macaddress: mac, type: "Shared" });
  cloud.instances.push(instance(id, { name, nic: [card] }));
  cloud.volumes.push({ id: `disk-${index}`, virtualmachineid: id, state: "Ready" });
  const text = `#cloud-config\n# ${id}\n`.padEnd(Number(bytes), "#");
  cloud.userData.set(id, Buffer.from(text).toString("base64"));
}
console.log(JSON.stringify({ url: api.url.href }));

for await (const line of createInterface({ input: process.stdin })) {
  const [renamed = "", name = ""] = line.split("\t");
  const step = Math.max(1, Math.floor(instances / Number(renamed)));
  for (let change = 0; change < Number(renamed); change++) {
    const at = (change * step) % instances;
    cloud.instances[at] = { ...cloud.instances[at], name };
  }
  api.asked.length = 0; // It would grow for ever.
  console.log("{}");
}
process.exit(0);

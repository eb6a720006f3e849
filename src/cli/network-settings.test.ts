/** Which routers a configuration file asks for, and what no router could do. */

import { expect, test } from "bun:test";
import { readConfig } from "../config/read.ts";
import { groupsOf } from "./network-settings.ts";

const A = "- {id: a, cidrs: [10.1.1.0/24]";
const B = "- {id: b, cidrs: [10.1.2.0/24]";

test("networks are together by namespace, those of none in the program's own", () => {
  groups([`${A}}`, `${B}}`], ["own a b undefined"]);
  groups(
    [`${A}, netns: red, source: "databag:/r"}`, `${B}}`],
    ["red a databag:/r", "own b undefined"],
  );
  // One source for all networks of a namespace, whichever names it.
  groups([`${A}, netns: red}`, `${B}, netns: red, source: "databag:/r"}`], ["red a b databag:/r"]);
  groups([`${A}, netns: red, store: "sqlite:/s"}`], ["red a sqlite:/s"]);
  groups([], []);
});

test("what no router could do is refused with its line and field", () => {
  const one = "in one namespace there is one source";
  refused([`${A}, source: "databag:/r"}`], `2: networks[0].source: needs a netns: ${one}`);
  refused(
    [`${A}, netns: red, source: "databag:/r"}`, `${B}, netns: red, source: "databag:/s"}`],
    `3: networks[1].source: another one than databag:/r: ${one}`,
  );
  refused([`${A}, store: "sqlite:/s"}`], `2: networks[0].store: needs a netns: ${one}`);
  refused(
    [`${A}, netns: red, store: "memory:x"}`],
    '2: networks[0].store: no such store: "memory"; write sqlite:PATH',
  );
  refused(
    [`${A}, netns: red, source: "sqlite:/s"}`],
    '2: networks[0].source: no such source: "sqlite"; write databag:PATH or file:PATH',
  );
  refused([`${B}}`, `${A}, netns: red}`], "3: networks[1].netns: needs a source of its own");
  for (const netns of ["own", ".", "..", "a/b", "-x", "x".repeat(65), "a b"]) {
    refused([`${A}, netns: "${netns}"}`], "2: networks[0].netns: is no name of a namespace: ");
  }
  for (const listen of ["", ", listen: [auto]"]) {
    const network = `${A}, netns: red, source: "file:/r.yaml"${listen}}`;
    refused([network], "2: networks[0].listen: is needed: a file says no addresses of the router");
  }
  refused(
    [`${A}, netns: b, source: "databag:/r"}`, `${B}, netns: red, source: "databag:/s"}`],
    "3: networks[1].id: is the name of another namespace: --network means both",
  );
  refused([`${A}, hopLimit: 1}`], "2: networks[0].hopLimit: needs firewall.manage: true");
  refused(
    [`${A}, guests: {maxConnections: 1}}`],
    "2: networks[0].guests: needs firewall.manage: true",
  );
});

function groups(networks: readonly string[], expected: readonly string[]): void {
  const found = groupsOf(load(networks)).map(({ name, networks, source }) =>
    [name, ...networks.map(({ id }) => id), source].map(String).join(" "),
  );
  expect(found).toEqual([...expected]);
}

function refused(networks: readonly string[], message: string): void {
  expect(() => groupsOf(load(networks))).toThrow(`/c.yaml:${message}`);
}

function load(networks: readonly string[]) {
  const text = networks.length === 0 ? "{}" : `networks:\n${networks.join("\n")}\n`;
  const { config, problems, line } = readConfig(text, "/c.yaml");
  if (config === undefined) throw new Error(JSON.stringify(problems));
  return { file: "/c.yaml", config, line };
}

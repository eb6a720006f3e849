import { afterAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT } from "../command.ts";
import { openOutput } from "../output.ts";
import { runProgram } from "../program.ts";
import { commands } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "fd-config-"));
const FILE = join(folder, "frontdesk.yaml");
afterAll(() => rmSync(folder, { recursive: true }));

function check(content: string, ...flags: string[]) {
  writeFileSync(FILE, content);
  return run([FILE, ...flags]);
}

async function run(args: readonly string[]) {
  const seen = { code: -1, stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      seen[name] += text;
    },
  });
  seen.code = await runProgram(["config", "check", ...args], {
    name: "frontdesk",
    summary: "",
    versionLine: "",
    examples: [],
    entries: commands,
    out: openOutput(sink("stdout"), sink("stderr"), {}),
    debug: false,
  });
  return seen;
}

const BAD = "hosts: enforced\nlisten: [auto]\nnetwroks: []\n";

test("a good file is said to be good", async () => {
  expect(await check("source: file:lab.yaml\nhosts: enforce\n")).toEqual({
    code: EXIT.done,
    stdout: `${FILE}: nothing is wrong (settings, for --config)\n`,
    stderr: "",
  });
});

test("each problem is a line with file, line and field, and the exit code is 2", async () => {
  const { code, stdout, stderr } = await check(BAD);
  expect(code).toBe(EXIT.usage);
  expect(stderr).toBe("frontdesk: checked as a file of settings, for --config\n");
  const lines = stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toStartWith(`${FILE}:1: hosts: `);
  expect(lines[1]).toStartWith(`${FILE}:3: netwroks: `);
  expect(lines[1]).toContain('did you mean "networks"?');
});

test("--json says the same for programs", async () => {
  const { code, stdout } = await check(BAD, "--json");
  expect(code).toBe(EXIT.usage);
  expect(JSON.parse(stdout)).toMatchObject({
    file: FILE,
    kind: "settings",
    problems: [
      { line: 1, field: "hosts" },
      { line: 3, field: "netwroks" },
    ],
  });
});

test("a file that cannot be read is one line on stderr", async () => {
  const missing = join(folder, "missing.yaml");
  expect(await run([missing])).toEqual({
    code: EXIT.usage,
    stdout: "",
    stderr: `frontdesk: ${missing}: does not exist\n`,
  });
});

const LAB = `networks: [{id: a, cidrs: [10.1.1.0/24]}]
instances:
  - {id: i-1, name: web-01, nics: [{addresses: [10.1.1.5, 10.1.1.6]}]}
  - {id: i-2, name: db-01, address: 10.1.1.7}
`;

test("a file of instances is checked as what --source file: reads", async () => {
  const good = "instances, for --source file:; 2 instances at 3 addresses in 1 network";
  expect(await check(LAB)).toEqual({
    code: EXIT.done,
    stdout: `${FILE}: nothing is wrong (${good})\n`,
    stderr: "",
  });
  const bad = LAB.replace("10.1.1.7", "10.1.2.7").replace("name: web-01", "nmae: web-01");
  expect(await check(bad)).toEqual({
    code: EXIT.usage,
    stdout:
      `${FILE}:3: instances[0].nmae: there is no such field; did you mean "name"?\n` +
      `${FILE}:4: instances[1].address: 10.1.2.7 lies outside network a, 10.1.1.0/24\n`,
    stderr: "frontdesk: checked as a file of instances, for --source file:\n",
  });
  writeFileSync(join(folder, "boot.sh"), "#!/bin/sh");
  const named = (name: string) =>
    LAB.replace("name: db-01,", `name: d, userData: {file: ${name}},`);
  expect((await check(named("boot.sh"))).code).toBe(EXIT.done);
  expect((await check(named("none.sh"))).stdout).toContain('"none.sh" does not exist');
  const { stdout } = await check(LAB, "--json");
  expect(JSON.parse(stdout)).toEqual({
    file: FILE,
    kind: "instances",
    problems: [],
    holds: { instances: 2, addresses: 3, networks: 1 },
  });
});

test("which of the two a file holds is told by its content, also where it is wrong", async () => {
  const cases: readonly (readonly [text: string, kind: string])[] = [
    ["", "settings"],
    ["hosts: any", "settings"],
    ["networks: [{id: a, cidrs: [10.0.0.0/8]}]", "settings"],
    ["hostNames: [instances]", "settings"],
    ["- a", "settings"],
    ["listen: [", "settings"],
    ["instances: []", "instances"],
    ["\ufeffinstances: []", "instances"],
    ["{instances: []}", "instances"],
    ['{\n  "networks": [],\n  "instances": []\n}', "instances"],
    ["instances:\n  - [", "instances"],
    ["networks: [{id: a}]\ninstnaces: []", "instances"],
    ["instance: []", "instances"],
    ["hosts: any\ninstance: []", "settings"],
    ["hosts: any\ninstances: []", "instances"],
    [`${LAB}#${"x".repeat(2 ** 20)}`, "instances"],
  ];
  for (const [text, kind] of cases) {
    const { stdout } = await check(text, "--json");
    expect([text.slice(0, 80), JSON.parse(stdout).kind]).toEqual([text.slice(0, 80), kind]);
  }
});

test("settings without a mistake that the router would refuse need attention", async () => {
  const { code, stdout, stderr } = await check(
    "networks: [{id: a, cidrs: [10.0.0.0/8], netns: x}]",
  );
  expect(code).toBe(EXIT.attention);
  expect(stdout).toStartWith(`${FILE}: no mistake in itself (settings`);
  expect(stderr).toStartWith(`frontdesk: frontdesk router refuses this file: ${FILE}:1: networks`);
  const good = "networks: [{id: a, cidrs: [10.0.0.0/8], macEvidence: enforce}]";
  expect(await check(good)).toMatchObject({ code: EXIT.done, stderr: "" });
});

test("the controller's section is checked as the program checks it, each with its line", async () => {
  const good = `controller:
  source: cloudstack:https://cloud.example.org
  store: sqlite:/var/lib/frontdesk/store.sqlite
  apiListen: 192.0.2.10:8776
  guestListen: [10.1.1.1:80]
  pollSeconds: 60
  amqp: amqps://bus.example.org/cloudstack
`;
  expect(await check(good)).toMatchObject({ code: EXIT.done, stderr: "" });
  const cases: readonly (readonly [from: string, to: string, said: string])[] = [
    [
      "pollSeconds: 60",
      "polSeconds: 60",
      '6: controller.polSeconds: there is no such field; did you mean "pollSeconds"?',
    ],
    [
      "pollSeconds: 60",
      "pollSeconds: '60'",
      "6: controller.pollSeconds: expected a number, found text",
    ],
    ["pollSeconds: 60", "pollSeconds: 0", "6: controller.pollSeconds: must be 1 at least"],
    [
      "apiListen: 192.0.2.10:8776",
      "apiListen: 8776",
      "4: controller.apiListen: expected text, found a number; put it in quotes",
    ],
    [
      "192.0.2.10:8776",
      "169.254.169.254:80",
      "4: controller.apiListen: guests ask for metadata there; choose an address that guests do not reach, as 127.0.0.1:8776",
    ],
    [
      "192.0.2.10:8776",
      "10.1.1.1:8776",
      "4: controller.apiListen: guests are answered on 10.1.1.1:80; choose an address that guests do not reach, as 127.0.0.1:8776",
    ],
    [
      "192.0.2.10:8776\n  guestListen: [10.1.1.1:80]",
      "0.0.0.0:8776\n  guestListen: [auto]",
      "4: controller.apiListen: every address includes those of guests; choose one address",
    ],
    ["192.0.2.10:8776", "192.0.2.10", '4: controller.apiListen: "192.0.2.10" is not ADDR:PORT'],
    [
      "10.1.1.1:80",
      "auto:80",
      "5: controller.guestListen[0]: must be ADDR:PORT, [IPV6]:PORT or auto",
    ],
    ["sqlite:/", "sqlte:/", '3: controller.store: no such store: "sqlte"; did you mean "sqlite"?'],
    [
      "cloudstack:https",
      "cloudstack:ftp",
      "2: controller.source: not the API's address: write cloudstack:https://HOST[:PORT][/PATH]",
    ],
    [
      "//cloud.",
      "//me:EXAMPLE@cloud.",
      "2: controller.source: the API's address has a user, a query or a fragment: keys are read from FRONTDESK_API_KEY and FRONTDESK_SECRET_KEY, or a file of them",
    ],
    [
      "cloudstack:https",
      "nowhere:https",
      '2: controller.source: no such source: "nowhere"; write databag:PATH or file:PATH, or cloudstack:URL',
    ],
    ["amqps:", "http:", "7: controller.amqp: write amqp://HOST[:PORT][/VHOST], or amqps:"],
    [
      "//bus.",
      "//me:EXAMPLE@bus.",
      "7: controller.amqp: has a user or a query; the user is read from FRONTDESK_AMQP_USER and FRONTDESK_AMQP_PASSWORD, or --amqp-credentials-file",
    ],
    [
      "  pollSeconds: 60",
      "  apiCert: x.pem",
      "6: controller.apiCert: goes together with apiCertKey, which is missing",
    ],
  ];
  for (const [from, to, said] of cases) {
    const { code, stdout } = await check(good.replace(from, to));
    expect([code, stdout]).toEqual([EXIT.usage, `${FILE}:${said}\n`]);
  }
  const { stdout } = await check(
    good.replace("amqps:", "http:").replace("192.0.2.10", ""),
    "--json",
  );
  expect(JSON.parse(stdout)).toMatchObject({
    problems: [
      { line: 4, field: "controller.apiListen" },
      { line: 7, field: "controller.amqp" },
    ],
  });
});

test("what is wrong with the form hides nothing else that is wrong", async () => {
  const text = `source: foo:bar
hosts: all
networks:
  - {id: a, cidrs: [10.1.1.0/24]}
  - {id: a, cidrs: [10.1.2.0/24]}
proxied: [{listen: [127.0.0.1:81], trusted: [nobody]}]
controller:
  userDataMax: 9999999
  amqp: http://x
  apiListen: 169.254.169.254:80
  apiCert: cert.pem
  apiCertKey: 5
  guestListen: [x]
  pol: 1
`;
  const { code, stdout } = await check(text);
  expect(code).toBe(EXIT.usage);
  expect(stdout.split("\n").map((line) => line.split(": ", 2).join(": "))).toEqual([
    `${FILE}:1: source`,
    `${FILE}:2: hosts`,
    `${FILE}:5: networks[1].id`,
    `${FILE}:6: proxied[0].trusted[0]`,
    `${FILE}:8: controller.userDataMax`,
    `${FILE}:9: controller.amqp`,
    `${FILE}:10: controller.apiListen`,
    `${FILE}:12: controller.apiCertKey`,
    `${FILE}:13: controller.guestListen[0]`,
    `${FILE}:14: controller.pol`,
    "",
  ]);
  // What is wrong is not taken for missing.
  const cases: readonly (readonly [text: string, said: string])[] = [
    [
      "networks: [{id: a, cidrs: [x], netns: n}]\nproxied: [{listen: [127.0.0.1:81], trusted: [10.0.0.1], netns: n}]\n",
      "1: networks[0].cidrs[0]",
    ],
    ["controller: {apiCert: a, apiCertKey: 5}\n", "1: controller.apiCertKey"],
    ["- a\n", "1: expected a mapping, found a list"],
    ["controller: 5\n", "1: controller"],
  ];
  for (const [text, said] of cases) {
    const { stdout } = await check(text);
    expect(stdout.trimEnd().split("\n")).toEqual([expect.stringContaining(`${FILE}:${said}`)]);
  }
});

test("a controller's settings that lack one need attention, with the line", async () => {
  const cases: readonly (readonly [text: string, said: string | undefined])[] = [
    [
      "controller:\n  source: file:a.yaml\n  webhookSecretFile: hook\n",
      "3: controller.webhookSecretFile: is for apiListen, which is missing",
    ],
    [
      "controller:\n  source: file:a.yaml\n  apiCert: a\n  apiCertKey: b\n",
      "3: controller.apiCert: is for apiListen, which is missing",
    ],
    [
      "controller:\n  store: sqlite:a\n",
      "2: controller.store: nothing to keep it true by: give source, or apiListen to write by the API",
    ],
    ["controller:\n  store: sqlite:a\n  apiListen: 127.0.0.1:8776\n", undefined],
    // frontdesk serve has a store and an address of its own.
    ["controller: {userDataMax: 1000}\n", undefined],
  ];
  for (const [text, said] of cases) {
    const { code, stderr } = await check(text);
    const refused = `frontdesk: frontdesk controller refuses this file: ${FILE}:${said}\n`;
    expect([text, code, stderr]).toEqual(
      said === undefined ? [text, EXIT.done, ""] : [text, EXIT.attention, refused],
    );
  }
});

test("- is stdin", () => {
  for (const [input, code, text] of [
    ["hosts: any\n", EXIT.done, "stdin: nothing is wrong (settings"],
    ["hosts: all\n", EXIT.usage, "stdin:1: hosts: expected one of any"],
    [LAB, EXIT.done, "stdin: nothing is wrong (instances"],
  ] as const) {
    const args = [join(import.meta.dir, "../main.ts"), "config", "check", "-"];
    const { status, stdout } = spawnSync(process.execPath, args, { input, encoding: "utf8" });
    expect({ status, stdout: stdout.slice(0, text.length) }).toEqual({
      status: code,
      stdout: text,
    });
  }
});

test("what the router would refuse is a problem, with its line", async () => {
  const both = "source: file:a.yaml\nlisten: [127.0.0.1:80]\npasswordListen: [127.0.0.1:80]\n";
  const cases: readonly (readonly [text: string, line: string])[] = [
    ["hosts: any\nsource: foo:bar\n", '2: source: no such source: "foo"; write databag:PATH'],
    ["store: file:a\n", "1: store: "],
    [both, "3: passwordListen[0]: 127.0.0.1:80 is that of listen[0] on line 2: each needs its own"],
  ];
  for (const [text, line] of cases) {
    const { code, stdout } = await check(text);
    expect([text, code, stdout]).toEqual([text, EXIT.usage, expect.stringContaining(line)]);
  }
  expect((await check(both.replaceAll(":80]", ":0]"))).code).toBe(EXIT.done);
});

test("a file with nothing in it is a mistake", async () => {
  for (const text of ["", "\n \n", "# source: file:lab.yaml\n", "\ufeff# a\r\n"]) {
    const { code, stdout } = await check(text);
    expect([text, code, stdout]).toEqual([text, EXIT.usage, `${FILE}:1: the file is empty\n`]);
  }
});

test("instances that no guest or store can use are problems", async () => {
  const text = `networks: [{id: a}, {id: b}]
instances:
  - {id: i-1, network: a, name: web-01.lab, address: 10.0.0.1, publicKeys: [ssh-rsa AAAA me]}
  - {id: i-1, network: b, name: web_01, address: 10.0.0.2}
  - {id: i-2, network: a, name: web-02, address: 10.0.0.3, publicKeys: [me@laptop]}
  - {id: i-1, network: a, name: web-01, address: 10.0.0.4}
`;
  const { code, stdout } = await check(text);
  expect(code).toBe(EXIT.usage);
  expect(stdout.trimEnd().split("\n")).toEqual([
    `${FILE}:4: instances[1].name: is no host name: letters, digits and dashes, parts with dots between`,
    `${FILE}:5: instances[2].publicKeys[0]: is no public key: write TYPE BASE64, as ssh-keygen does`,
    `${FILE}:6: instances[3].id: "i-1" is given twice in network a, here and on line 3; one record has all its NICs`,
  ]);
});

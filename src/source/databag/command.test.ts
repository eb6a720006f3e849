import { expect, test } from "bun:test";
import fc from "fast-check";
import { CommandError } from "../../model/errors.ts";
import { parseCommand } from "./command.ts";
import { COMMAND_BYTES_MAX } from "./limits.ts";
import { commands, entry, type Json } from "./testing.ts";

const METADATA = { type: "vmdata", vm_ip_address: "10.1.1.5", vm_metadata: entry("I") };
const PASSWORD = { type: "vmpassword", ip_address: "10.1.1.5", password: "s3cret" };
const LEASE = {
  ...{ type: "dhcpentry", ipv4_address: "10.1.1.5", mac_address: "02:00:00:00:00:0A" },
  ...{ remove: false, host_name: "web-01" },
};

test("CloudStack's command files say what they are for, by their type or their name", () => {
  for (const { name, text } of commands("isolated").filter(({ name }) => /vm_/.test(name))) {
    const command = parseCommand(text, "any name");
    expect(name).toContain(
      { vmdata: "vm_metadata", vmpassword: "vm_password", dhcpentry: "vm_dhcp_entry" }[
        command.type
      ],
    );
    const { type, ...typeless } = JSON.parse(text);
    expect(parseCommand(JSON.stringify(typeless), name)).toEqual(command);
  }
  expect(parse(PASSWORD)).toEqual({
    ...{ type: "vmpassword", address: "10.1.1.5" as never, password: "s3cret" },
  });
  expect(parse(LEASE)).toMatchObject({ lease: { mac: "02:00:00:00:00:0a", removed: false } });
  expect(parse({ ...LEASE, remove: true })).toMatchObject({ lease: { removed: true } });
  expect(parse({ ...LEASE, add: false })).toMatchObject({ lease: undefined });
});

test("what is no command is refused with the file and the field", () => {
  check("", "is not JSON");
  check('{"password":"s3cret', "is not JSON");
  check("[]", "is not a JSON object");
  check("null", "is not a JSON object");
  check({}, "type: is not of a type that is taken: vm_metadata, vm_password, vm_dhcp_entry");
  check({ type: "ips" }, "type: is not of a type that is taken: ");
  check({ type: 7 }, "type: is not of a type that is taken: ");
  check({ ...METADATA, vm_ip_address: undefined }, "vm_ip_address: is not an address");
  check({ ...METADATA, vm_ip_address: "010.1.1.5" }, "vm_ip_address: is not an address");
  check({ ...METADATA, vm_metadata: {} }, "vm_metadata: is not a list of [folder, file, contents]");
  check({ ...PASSWORD, ip_address: ["10.1.1.5"] }, "ip_address: is not an address");
  check({ ...PASSWORD, password: 7 }, "password: is not a text of 1 to 1024 characters");
  check({ ...PASSWORD, password: "" }, "password: is not a text of 1 to 1024 characters");
  check({ ...PASSWORD, password: "x".repeat(1025) }, "password: is not a text of 1 to 1024");
  check({ ...LEASE, ipv4_address: null }, "ipv4_address: is not an address");
  check({ ...LEASE, mac_address: "02:00" }, "mac_address: is not a MAC address");
  check("x".repeat(COMMAND_BYTES_MAX + 1), "is longer than 4194304 bytes");
});

test("no error of a command says what is in it", () => {
  const fields = fc.record(
    {
      ...{ type: fc.constantFrom("vmdata", "vmpassword", "dhcpentry", "s3cret") },
      ...{ ip_address: fc.constantFrom("10.1.1.5", "s3cret"), password: fc.constant(["s3cret"]) },
      ...{ vm_ip_address: fc.constant("10.1.1.5"), vm_metadata: fc.constant("s3cret") },
      ...{ ipv4_address: fc.constant("10.1.1.5"), mac_address: fc.constant("s3cret") },
    },
    { requiredKeys: [] },
  );
  const text = fields.map((value) => JSON.stringify(value));
  const cut = fc.tuple(text, fc.nat(100)).map(([whole, at]) => whole.slice(0, at));
  fc.assert(
    fc.property(fc.oneof(text, cut), (command) => {
      try {
        parseCommand(command, "vm_password.json.1");
      } catch (error) {
        expect(error).toBeInstanceOf(CommandError);
        expect((error as Error).message).not.toContain("s3cret");
      }
    }),
  );
});

test("any text is a command or a CommandError", () => {
  const name = fc.constantFrom("vm_metadata.json.1", "vm_password.json.1", "vm_dhcp_entry.json.1");
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), name, (text, file) => {
      try {
        parseCommand(text, file);
      } catch (error) {
        expect(error).toBeInstanceOf(CommandError);
      }
    }),
  );
});

function parse(command: Json): unknown {
  return parseCommand(JSON.stringify(command), "file");
}

function check(command: Json | string, message: string): void {
  const text = typeof command === "string" ? command : JSON.stringify(command);
  let error: unknown;
  try {
    parseCommand(text, "file");
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(CommandError);
  expect((error as Error).message).toStartWith(`file: ${message}`);
}

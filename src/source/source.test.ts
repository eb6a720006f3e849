import { expect, test } from "bun:test";
import { parseIp } from "../model/address.ts";
import { parseCommand } from "./databag/command.ts";
import { passwordCommand } from "./source.ts";

test("a password that is handed in is a command that a router's databag takes", () => {
  const address = parseIp("10.1.1.5");
  const password = 'Pa$s "w0rd\\';
  const command = passwordCommand(address, password);
  expect(parseCommand(command, "save_password")).toEqual({ type: "vmpassword", address, password });
});

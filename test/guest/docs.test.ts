/**
 * docs/guest-tools.md has every command and option. To write it anew:
 * `FRONTDESK_UPDATE=1 bun test test/guest/docs.test.ts`.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GUEST_COMMANDS } from "../../src/guest/commands/index.ts";

const PAGE = join(import.meta.dirname, "../../docs/guest-tools.md");
const BLOCK = /(<!-- guest-commands: [^>]*-->\n)[\s\S]*?(<!-- \/guest-commands -->)/;

test("docs/guest-tools.md has every command and every option", async () => {
  const rows = await Promise.all(
    GUEST_COMMANDS.map(async ({ name, summary, load }) => {
      const options = (await load())[name]?.options ?? [];
      const flags = options.map((option) => `\`${option.flags}\``).join(" · ");
      return `| \`${name}\` | ${summary} | ${flags} |`;
    }),
  );
  const table = ["| command | does | options |", "|---|---|---|", ...rows].join("\n");
  const text = readFileSync(PAGE, "utf8");
  expect(text).toMatch(BLOCK);
  const wanted = text.replace(BLOCK, (_, before, after) => `${before}\n${table}\n\n${after}`);
  if (process.env.FRONTDESK_UPDATE === "1") writeFileSync(PAGE, wanted);
  else expect(text).toBe(wanted);
});

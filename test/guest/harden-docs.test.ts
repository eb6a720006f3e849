/**
 * What docs/guest-harden.md says of the code is made from it. To write it anew:
 * `FRONTDESK_UPDATE=1 bun test test/guest/harden-docs.test.ts`.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { nftScript } from "../../src/guest/harden/nft-rules.ts";
import { HARDEN_OPTIONS } from "../../src/guest/harden/options.ts";
import { makePolicy } from "../../src/guest/harden/policy.ts";
import { NOT_COVERED } from "../../src/guest/harden/report.ts";
import { parseIp } from "../../src/model/address.ts";

const PAGE = "docs/guest-harden.md";

test("docs/guest-harden.md has every option", () => {
  const rows = HARDEN_OPTIONS.map(({ flags, summary, repeatable, choices }) => {
    const more = [...(choices ?? []).map((one) => `\`${one}\``)].join(", ");
    const several = repeatable === true ? "; several with commas, or given again" : "";
    return `| \`${flags}\` | ${summary}${more === "" ? "" : `: ${more}`}${several} |`;
  });
  check("options", ["| option | is |", "|---|---|", ...rows]);
});

test("docs/guest-harden.md has the rules", () => {
  const policy = makePolicy({
    users: [33],
    groups: [4],
    ports: [],
    addresses: [parseIp("10.1.1.1")],
  });
  check("rules", ["```nft", nftScript(policy).trimEnd(), "```"]);
});

test("docs/guest-harden.md says what is not covered", () => {
  check(
    "limits",
    NOT_COVERED.map((text) => `- ${text}`),
  );
});

/** Compares what stands between `<!-- name: … -->` and `<!-- /name -->`, or writes it. */
function check(name: string, lines: readonly string[]): void {
  const text = readFileSync(PAGE, "utf8");
  const pattern = new RegExp(`(<!-- ${name}: [^>]*-->\n)([\\s\\S]*?)(<!-- /${name} -->)`);
  expect(text).toMatch(pattern);
  const wanted = text.replace(
    pattern,
    (_, before, _old, after) => `${before}\n${lines.join("\n")}\n\n${after}`,
  );
  if (process.env.FRONTDESK_UPDATE === "1") writeFileSync(PAGE, wanted);
  else expect(text).toBe(wanted);
}

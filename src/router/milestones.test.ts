import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "../../test/e2e/program.ts";

const MAIN = join(import.meta.dir, "../cli/main.ts");
const YAML = "networks:\n  - {id: lab, cidrs: [127.0.0.0/8]}\ninstances:\n";
const RECORD = "  - {id: i-1, name: web-01, address: 127.0.0.1}\n";

/** A router as a process of its own, and what its log says. */
function launch(folder: string, source: string, ...more: readonly string[]) {
  const state = ["--state-dir", join(folder, "state")];
  const program = start([process.execPath, MAIN, "router", "--source", source, ...state, ...more]);
  const lines = () =>
    program
      .output()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { program, said: (msg: string) => lines().filter((line) => line.msg === msg) };
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-milestones-"));
  mkdirSync(join(folder, "state"), { mode: 0o700 });
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the log says what starts, and then what is ready, on both ports", async () => {
  await inFolder(async (folder) => {
    writeFileSync(join(folder, "lab.yaml"), YAML + RECORD);
    const listen = ["--listen", "127.0.0.1:18310", "--password-listen", "127.0.0.1:18311"];
    const { program, said } = launch(folder, `file:${join(folder, "lab.yaml")}`, ...listen);
    await using _ = program;
    await program.says(/"router ready"/);
    const ports = { listen: ["127.0.0.1:18310"], passwordListen: ["127.0.0.1:18311"] };
    expect(said("router starting")).toEqual([
      expect.objectContaining({ source: `file:${join(folder, "lab.yaml")}`, ...ports }),
    ]);
    expect(said("router ready")).toEqual([
      expect.objectContaining({ bindings: 1, tookMs: expect.any(Number), ...ports }),
    ]);
    // A later look at the source is no second start.
    writeFileSync(join(folder, "lab.yaml"), `${YAML}${RECORD}${RECORD.replaceAll("1", "2")}`);
    program.signal("SIGHUP");
    await Bun.sleep(200);
    expect(said("router ready")).toHaveLength(1);
  });
}, 20_000);

test("until it is ready the log does not say so", async () => {
  await inFolder(async (folder) => {
    const ports = ["--listen", "127.0.0.1:0", "--password-listen", "127.0.0.1:0"];
    const { program, said } = launch(folder, `databag:${folder}`, ...ports);
    await using _ = program;
    await program.says(/waiting for the source/);
    expect(said("router starting")).toHaveLength(1);
    expect(said("router ready")).toEqual([]);
    const bag = { "127.0.0.1": [["metadata", "instance-id", "i-1"]] };
    writeFileSync(join(folder, "vmdata.json"), JSON.stringify(bag));
    await program.says(/"router ready"/);
    const [ready] = said("router ready");
    expect(ready).toMatchObject({ bindings: 1 });
    expect(ready?.listen).toEqual([expect.stringMatching(/^127\.0\.0\.1:[1-9]\d+$/)]);
    expect(ready?.passwordListen).toEqual([expect.stringMatching(/^127\.0\.0\.1:[1-9]\d+$/)]);
  });
}, 20_000);

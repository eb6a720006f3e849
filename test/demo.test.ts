/**
 * The demo as a stranger meets it: each line that it prints is typed, and answers what it says.
 */

import { expect, test } from "bun:test";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
/** How long a demo may take to print what to try, and an edit to be seen. ms. */
const PATIENCE_MS = 15_000;

/** Elsewhere the other loopback addresses have to be set up first. */
const canPlay = process.platform === "linux" && Bun.which("curl") !== null;
if (!canPlay) console.error("test/demo.test.ts: skipped, it needs Linux and curl");

interface Scene {
  /** `--topology`; absent for the sample file. */
  readonly topology?: string;
  readonly headline: string;
  readonly name: string;
  /** How its user data begins. */
  readonly userData: string;
  readonly another?: string;
  readonly unanswered?: string;
}

const SCENES: readonly Scene[] = [
  {
    headline: "Frontdesk answers 12 sample instances.",
    ...{ name: "web-01", userData: "#cloud-config", another: "db-01" },
  },
  {
    topology: "isolated",
    headline: "Frontdesk answers 2 instances of the isolated topology.",
    ...{ name: "web-01", userData: "#cloud-config", another: "db-01", unanswered: "gz-01" },
  },
  {
    topology: "vpc",
    headline: "Frontdesk answers 2 instances of the vpc topology.",
    ...{ name: "app-01", userData: "#!/bin/bash", another: "cache-01" },
  },
  {
    topology: "shared",
    headline: "Frontdesk answers 1 instance of the shared topology.",
    ...{ name: "mail-01", userData: "#!/bin/bash" },
  },
  {
    topology: "redundant",
    headline: "Frontdesk answers 1 instance of the redundant topology.",
    ...{ name: "ha-01", userData: "#cloud-config" },
  },
];

for (const scene of SCENES) {
  const what = scene.topology ?? "sample";
  test.skipIf(!canPlay)(`each line that the ${what} demo prints answers as it says`, async () => {
    const demo = await Demo.start(scene.topology);
    try {
      await play(demo, scene);
    } finally {
      await demo.end();
    }
    expect(existsSync(demo.edit)).toBe(false);
  });
}

test.skipIf(!canPlay)("however it ends, the demo leaves nothing behind", async () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const demo = await Demo.start("shared");
    expect(existsSync(demo.edit)).toBe(true);
    await demo.end(signal);
    expect([signal, existsSync(dirname(demo.edit))]).toEqual([signal, false]);
  }
  const demo = await Demo.start("shared");
  demo.stopReading();
  // It prints a line for each request, and nobody reads it; the answer may be lost with it.
  await demo.try("its user data").catch(() => {});
  await demo.ended;
  expect(existsSync(dirname(demo.edit))).toBe(false);
});

test.skipIf(!canPlay)("a busy port is said, and that of serve's APIs is left alone", async () => {
  const holder = createServer().on("error", () => {}); // Another has it: as good.
  holder.listen(8775, "127.0.0.1");
  await Bun.sleep(50);
  const demo = await Demo.start(undefined);
  try {
    const [, port] = /127\.0\.0\.1:8775 is busy: .* port (\d+)/.exec(demo.text) ?? [];
    expect([undefined, "8775", "8776", "8778"]).not.toContain(port);
    expect(demo.tries.get("its user data")).toContain(`:${port}/`);
  } finally {
    await demo.end();
    holder.close();
  }
});

async function play(demo: Demo, scene: Scene): Promise<void> {
  expect(demo.text).toContain(scene.headline);
  expect(await demo.try(`what ${scene.name} is told`)).toContain("local-hostname\n");
  expect(await demo.try("its user data")).toStartWith(scene.userData);
  const password = await demo.try("its password");
  expect(password).toMatch(/^[\w-]{8}$/);
  expect(await demo.try("the guest confirms")).toBe("saved_password");
  expect(await demo.try("its password")).toBe("saved_password");
  if (scene.topology !== undefined) {
    await demo.try("CloudStack sets a new one");
    const next = await demo.try("its password");
    expect(next).toMatch(/^[\w-]{9}$/);
    expect(next).not.toBe(password);
  }
  if (scene.another !== undefined) {
    expect((await demo.try("another guest's name")).trim()).toBe(scene.another);
  }
  expect(await demo.try("who ")).toContain(scene.name);
  if (scene.unanswered !== undefined) {
    expect(await demo.try(`why ${scene.unanswered} gets nothing`)).toContain("404");
  }
  // All that is printed has been typed.
  expect([...demo.tries.keys()].filter((about) => !demo.tried.has(about))).toEqual([]);

  const listing = demo.tries.get(`what ${scene.name} is told`) ?? "";
  const edited = readFileSync(demo.edit, "utf8").replaceAll(scene.name, "renamed");
  writeFileSync(demo.edit, edited);
  const name = `${listing.trim()}local-hostname`;
  const deadline = Date.now() + PATIENCE_MS;
  while ((await shell(name)).trim() !== "renamed" && Date.now() < deadline) await Bun.sleep(20);
  expect((await shell(name)).trim()).toBe("renamed");
}

/** A demo that runs, and what it has printed. */
class Demo {
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly tries: ReadonlyMap<string, string>;
  readonly tried = new Set<string>();
  readonly text: string;
  /** The file that it says to edit. */
  readonly edit: string;

  private constructor(child: ChildProcess, text: string) {
    this.#child = child;
    this.ended = new Promise((resolve) => child.once("exit", resolve));
    this.text = text;
    this.tries = new Map(
      [...text.matchAll(/^ {2}# (.*)\n {2}(.*)$/gm)].map(([, about = "", command = ""]) => {
        return [about, command];
      }),
    );
    this.edit = /^Edit (.*)$/m.exec(text)?.[1] ?? "";
  }

  static async start(topology: string | undefined): Promise<Demo> {
    const args = ["demo", ...(topology === undefined ? [] : ["--topology", topology])];
    const child = spawn(join(ROOT, "bin/frontdesk"), args, { cwd: ROOT });
    let text = "";
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not ready: ${text}`)), PATIENCE_MS);
      const take = (chunk: Buffer): void => {
        text += chunk;
        if (!text.includes("Ctrl-C ends the demo.")) return;
        clearTimeout(timer);
        resolve();
      };
      child.stdout?.on("data", take);
      child.stderr?.on("data", take);
      child.on("exit", () => reject(new Error(`ended: ${text}`)));
    });
    await ready;
    return new Demo(child, text);
  }

  /** Types the line whose description begins so. */
  async try(about: string): Promise<string> {
    const found = [...this.tries].find(([text]) => text.startsWith(about));
    expect([about, found]).not.toEqual([about, undefined]);
    const [text, command] = found ?? ["", "false"];
    this.tried.add(text);
    return shell(command);
  }

  stopReading(): void {
    this.#child.stdout?.destroy();
  }

  async end(signal: NodeJS.Signals = "SIGINT"): Promise<void> {
    this.#child.kill(signal);
    await this.ended;
  }
}

function shell(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, http_proxy: "", all_proxy: "", NO_COLOR: "1" };
    const options = { cwd: ROOT, env, timeout: PATIENCE_MS };
    execFile("sh", ["-c", command.replace(/^curl/, "curl -sS")], options, (error, stdout) => {
      // `why` ends with 3 where nothing is answered.
      if (error !== null && error.code !== 3) reject(error);
      else resolve(stdout);
    });
  });
}

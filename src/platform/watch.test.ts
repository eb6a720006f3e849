import { expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Latch, watchFiles } from "./watch.ts";

/** Sooner than the next look at the stamps: only an event can have told. ms. */
const SOON_MS = 500;
/** Time enough for a look at the stamps on a busy machine. ms. */
const LATER_MS = 4000;

test("the first thing told is that something may have changed before", async () => {
  await using lab = await watching(["a.json"]);
  expect(lab.count).toBe(1);
});

test("a file that is written in place, made, renamed or removed is told at once", async () => {
  await using lab = await watching(["a.json"]);
  writeFileSync(lab.path("a.json"), "1");
  expect(await lab.told(SOON_MS)).toBe(true);
  appendFileSync(lab.path("a.json"), "2");
  expect(await lab.told(SOON_MS)).toBe(true);
  writeFileSync(lab.path("b"), "3");
  renameSync(lab.path("b"), lab.path("a.json"));
  expect(await lab.told(SOON_MS)).toBe(true);
  rmSync(lab.path("a.json"));
  expect(await lab.told(SOON_MS)).toBe(true);
});

test("nothing is told when nothing happens", async () => {
  await using lab = await watching(["a.json"]);
  writeFileSync(lab.path("a.json"), "1");
  await lab.quiet();
  expect(await lab.told(1300)).toBe(false);
});

test("many writes at once are told a few times", async () => {
  await using lab = await watching(["a.json"]);
  for (let i = 0; i < 1000; i++) appendFileSync(lab.path("a.json"), "x");
  await lab.quiet();
  expect(lab.count).toBeGreaterThan(1);
  expect(lab.count).toBeLessThan(20);
});

test("a folder that is replaced is followed into its successor", async () => {
  await using lab = await watching(["a.json"]);
  renameSync(lab.dir, `${lab.dir}.old`);
  mkdirSync(lab.dir);
  writeFileSync(lab.path("a.json"), "1");
  expect(await lab.told(LATER_MS)).toBe(true);
  await lab.quiet();
  writeFileSync(lab.path("a.json"), "2");
  expect(await lab.told(SOON_MS)).toBe(true);
  rmSync(`${lab.dir}.old`, { recursive: true });
});

test("a folder that is not there yet is waited for", async () => {
  await using lab = await watching(["a.json"], "later");
  expect(await lab.told(100)).toBe(false);
  mkdirSync(lab.dir);
  writeFileSync(lab.path("a.json"), "1");
  expect(await lab.told(LATER_MS)).toBe(true);
});

test("stamps tell what no event does", async () => {
  await using lab = await watching(["sub/a.json"]);
  mkdirSync(lab.path("sub"));
  writeFileSync(lab.path("sub/a.json"), "1");
  await lab.quiet();
  utimesSync(lab.path("sub/a.json"), 1, 1);
  expect(await lab.told(LATER_MS)).toBe(true);
});

test("watching ends when the signal is aborted", async () => {
  const stop = new AbortController();
  const dir = mkdtempSync(join(tmpdir(), "frontdesk-watch-"));
  const news = watchFiles(dir, [], stop.signal);
  const next = news.next();
  stop.abort();
  expect((await next).done).toBe(true);
  expect((await watchFiles(dir, [], stop.signal).next()).done).toBe(true);
  rmSync(dir, { recursive: true });
});

test("a latch that is set before it is waited for is not missed, and is set once", async () => {
  const latch = new Latch();
  latch.set();
  latch.set();
  expect(await latch.wait(new AbortController().signal)).toBe(true);
  const stop = new AbortController();
  const wait = latch.wait(stop.signal);
  stop.abort();
  expect(await wait).toBe(false);
});

/** Begins to watch, and waits for the first thing told. */
async function watching(names: string[], sub = ""): Promise<Lab> {
  const lab = new Lab(names, sub);
  expect(await lab.told(SOON_MS)).toBe(true);
  return lab;
}

/** A folder that is watched. */
class Lab {
  readonly #root = mkdtempSync(join(tmpdir(), "frontdesk-watch-"));
  readonly dir: string;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #latch = new Latch();
  count = 0;

  constructor(names: string[], sub: string) {
    this.dir = sub === "" ? join(this.#root, "dir") : join(this.#root, sub);
    if (sub === "") mkdirSync(this.dir);
    this.#done = this.#follow(names);
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** Whether something is told within some time. */
  async told(ms: number): Promise<boolean> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ms)]);
    const told = await this.#latch.wait(signal);
    if (told) await this.quiet();
    return told;
  }

  /** Waits until nothing more is told of what happened. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.count; ) {
      before = this.count;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (await this.#latch.wait(AbortSignal.timeout(1))) return;
  }

  async #follow(names: string[]): Promise<void> {
    for await (const _ of watchFiles(this.dir, names, this.#stop.signal)) {
      this.count++;
      this.#latch.set();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
    rmSync(this.#root, { recursive: true, force: true });
  }
}

import { afterAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scratch } from "../../../test/state/samples.ts";
import { StateError } from "../../model/errors.ts";
import { takeLock } from "./lock.ts";

const PROGRAM = join(import.meta.dir, "../../../test/state/holder.ts");
const children: ChildProcess[] = [];

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** Starts a program that takes the lock, and waits for what it says: "held" or why not. */
function holder(
  lock: string,
): Promise<{ child: ChildProcess; said: string; ended: Promise<void> }> {
  const child = spawn(process.execPath, [PROGRAM, lock], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.stdout?.once("data", (said: Buffer) => {
      resolve({ child, said: said.toString().trim(), ended });
    });
  });
}

/** Whether the lock can be had: undefined, or what the refusal says. */
async function refusal(lock: string): Promise<string | undefined> {
  try {
    (await takeLock(lock)).release();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(StateError);
    expect((error as StateError).code).toBe("STATE_LOCKED");
    return (error as StateError).message;
  }
}

describe("the lock", () => {
  test("names the process that holds it, and is gone when it is given back", async () => {
    using folder = scratch();
    const path = join(folder.path, "lock");
    const lock = await takeLock(path);
    expect(readFileSync(path, "utf8")).toStartWith(`${process.pid} `);
    lock.release();
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("is refused while another process holds it, with that process's id", async () => {
    using folder = scratch();
    const path = join(folder.path, "lock");
    const { child, said } = await holder(path);
    expect(said).toBe("held");
    expect(await refusal(path)).toContain(`process ${child.pid}`);
    child.stdin?.end();
  });

  test("is refused to the process that holds it already", async () => {
    using folder = scratch();
    const path = join(folder.path, "lock");
    const lock = await takeLock(path);
    expect(await refusal(path)).toContain(`process ${process.pid}`);
    lock.release();
    expect(await refusal(path)).toBeUndefined();
  });

  test("of a process that was killed is taken over", async () => {
    using folder = scratch();
    const path = join(folder.path, "lock");
    const { child, said, ended } = await holder(path);
    expect(said).toBe("held");
    child.kill("SIGKILL");
    await ended;
    expect(await refusal(path)).toBeUndefined();
  });

  const identity = (pid: number): string[] => {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return [String(pid), stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "", boot];
  };

  const stale: Readonly<Record<string, () => string>> = {
    "whose process id another process has now": () => {
      const [pid, , boot] = identity(process.pid);
      return `${pid} 1 ${boot} pid:[4026531836]`;
    },
    "from before the machine was started": () => {
      const [pid, start] = identity(process.pid);
      return `${pid} ${start} 00000000-0000-0000-0000-000000000000 pid:[4026531836]`;
    },
    "from another container": () => `${identity(process.pid).join(" ")} pid:[1]`,
    "that holds nothing, as a full disk leaves it": () => "",
    "that holds something else": () => "hello",
  };
  for (const [name, content] of Object.entries(stale)) {
    test(`${name} is taken over`, async () => {
      using folder = scratch();
      const path = join(folder.path, "lock");
      writeFileSync(path, content());
      expect(await refusal(path)).toBeUndefined();
    });
  }

  test("left by a program that died while it took over is no obstacle", async () => {
    using folder = scratch();
    const path = join(folder.path, "lock");
    writeFileSync(path, "999999999 1 x y");
    writeFileSync(`${path}.takeover`, "999999998 1 x y");
    expect(await refusal(path)).toBeUndefined();
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("of a dead process is left alone while another program takes it over", async () => {
    using folder = scratch();
    const path = join(folder.path, "lock");
    const stale = "999999999 1 x y";
    const other = await takeLock(`${path}.takeover`); // In the name of this process, which lives.
    writeFileSync(path, stale);
    expect(await refusal(path)).toContain("taking it over");
    expect(readFileSync(path, "utf8")).toBe(stale);
    other.release();
    expect(await refusal(path)).toBeUndefined();
  });

  test("goes to one of several programs that find a dead one's at the same moment", async () => {
    for (let round = 0; round < 3; round++) {
      using folder = scratch();
      const path = join(folder.path, "lock");
      writeFileSync(path, "999999999 1 x y");
      const all = await Promise.all(Array.from({ length: 6 }, () => holder(path)));
      expect(all.filter(({ said }) => said === "held").length).toBe(1);
      for (const { said } of all) expect(said).toMatch(/^held$|^STATE_LOCKED$/);
      for (const { child } of all) child.stdin?.end();
      await Promise.all(all.map(({ ended }) => ended));
    }
  }, 30_000);
});

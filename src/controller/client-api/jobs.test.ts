import { expect, test } from "bun:test";
import { setImmediate as turn } from "node:timers/promises";
import { ClientApiError } from "../../model/errors.ts";
import { errorBody } from "./errors.ts";
import { Jobs } from "./jobs.ts";
import { JOB_MS_MAX, JOBS_MAX } from "./limits.ts";

const WHAT = { command: "startVirtualMachine", instance: "i-1" };

function open(clock: { time: number } = { time: 0 }): Jobs {
  const explain = (error: unknown) => errorBody(error as ClientApiError);
  return new Jobs({ now: () => clock.time, explain });
}

test("so many jobs are remembered, and those that ended longest ago go first", async () => {
  const jobs = open();
  const ids = [];
  for (let n = 0; n < JOBS_MAX + 10; n++) {
    ids.push(jobs.begin(WHAT, async () => ({ n })));
    await Promise.resolve();
    await Promise.resolve();
  }
  expect(ids.filter((id) => jobs.get(id) === undefined)).toEqual(ids.slice(0, 10));
});

test("a job that is under way is not forgotten, and too many of them are refused", async () => {
  const jobs = open();
  const ends: (() => void)[] = [];
  const pending = (): Promise<object> =>
    new Promise((resolve) => ends.push(() => resolve({ done: true })));
  const ids = Array.from({ length: JOBS_MAX }, () => jobs.begin(WHAT, pending as never));
  expect(() => jobs.begin(WHAT, async () => ({}))).toThrow("Too many jobs");
  expect(jobs.get(ids[0] ?? "")).toMatchObject({ jobstatus: 0, jobinstanceid: "i-1" });
  for (const end of ends) end();
  await turn();
  expect(jobs.get(ids[0] ?? "")).toMatchObject({ jobstatus: 1, jobresult: { done: true } });
  jobs.begin(WHAT, async () => ({}));
  expect(jobs.get(ids[0] ?? "")).toBeUndefined();
});

test("a failure is a result, with CloudStack's numbers, and goes after its time", async () => {
  const clock = { time: 0 };
  const jobs = open(clock);
  const id = jobs.begin(WHAT, async () => {
    throw new ClientApiError(533, "full");
  });
  await turn();
  expect(jobs.get(id)).toMatchObject({
    cmd: "startVirtualMachine",
    jobstatus: 2,
    jobresultcode: 530,
    jobresult: { errorcode: 533, errortext: "full" },
    created: "1970-01-01T00:00:00+0000",
  });
  clock.time = JOB_MS_MAX;
  expect(jobs.get(id)).toBeDefined();
  clock.time++;
  expect(jobs.get(id)).toBeUndefined();
});

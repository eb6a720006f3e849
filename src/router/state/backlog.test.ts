import { expect, test } from "bun:test";
import { put } from "../../../test/state/samples.ts";
import { Backlog } from "./backlog.ts";

const waiting = (number: number, bytes: number) => ({ number, bytes, entry: put(number) });

test("what is kept is taken in the order of appending, whichever write failed first", () => {
  const backlog = new Backlog(100);
  for (const number of [7, 9, 3]) backlog.keep(waiting(number, 10));
  expect(backlog.take().map(({ number }) => number)).toEqual([3, 7, 9]);
  expect([backlog.take(), backlog.lost]).toEqual([[], false]);
});

test("what went is lost until all of it is durable, though an early write failed last", () => {
  const backlog = new Backlog(100);
  backlog.keep(waiting(7, 60));
  backlog.keep(waiting(3, 60));
  expect([backlog.take(), backlog.lost]).toEqual([[], true]);
  backlog.forget(7);
  expect(backlog.lost).toBe(true);
  backlog.forget(8);
  expect(backlog.lost).toBe(false);
});

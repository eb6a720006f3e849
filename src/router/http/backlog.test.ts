import { expect, mock, spyOn, test } from "bun:test";
import { createServer } from "node:net";
import { raiseBacklogs } from "./backlog.ts";

const isLinux = process.platform === "linux";

test.skipIf(!isLinux)("the C library is let go of, whatever happens", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = mock();
  const getsockopt = mock(() => {
    throw new Error("no such call");
  });
  const library = { symbols: { listen: mock(), getsockopt }, close };
  const ffi = { dlopen: () => library } as unknown as NodeJS.Module;
  using _ = spyOn(process, "getBuiltinModule").mockReturnValue(ffi as never);
  expect(raiseBacklogs()).toBeUndefined();
  server.close();
  expect([getsockopt.mock.calls.length, close.mock.calls.length]).toEqual([1, 1]);
});

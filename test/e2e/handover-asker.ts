/**
 * A guest that asks without a pause, in a namespace of its own: a program of `handover-lan.test.ts`.
 *
 *     handover-asker.ts ROUTER ADDRESS
 *
 * Prints a line for each answer with a mark: when it was asked for (ms since 1970), what was asked
 * for, and the numbers in it.
 */

import { createConnection } from "node:net";

const [router = "", address = ""] = process.argv.slice(2);
/** What is dropped is not waited for: a new connection may be answered. ms. */
const ANSWER_MS_MAX = 300;
const PAUSE_MS = 5;

/** Asks on one connection, again and again where it is kept, until nothing comes any more. */
function ask(path: string, port: number, keeps: boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: router, port, localAddress: address });
    let sentAt = 0;
    let text = "";
    let late: NodeJS.Timeout | undefined;
    const send = (): void => {
      late = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
      text = "";
      sentAt = Date.now();
      const lines = ["Host: x", "DomU_Request: send_my_password", ...(keeps ? [] : [CLOSE])];
      socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    };
    late = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
    socket.on("connect", () => {
      clearTimeout(late);
      send();
    });
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
      const end = text.indexOf("\r\n\r\n");
      if (end === -1 || text.length < end + 4 + length) return;
      clearTimeout(late);
      const marks = new Set([...text.matchAll(/of-(\d+)-/g)].map(([, n]) => n));
      if (marks.size > 0) console.log(`${sentAt} ${path} ${[...marks].join(",")}`);
      if (keeps) setTimeout(send, PAUSE_MS);
    });
    socket.on("close", () => {
      clearTimeout(late);
      resolve();
    });
  });
}

const CLOSE = "Connection: close";

async function keepAsking(path: string, port: number, keeps: boolean): Promise<void> {
  for (;;) {
    await ask(path, port, keeps);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

for (const keeps of [true, false]) {
  void keepAsking("/latest/instance-id", 80, keeps);
  void keepAsking("/latest/user-data", 80, keeps);
  void keepAsking("/", 8080, keeps);
}

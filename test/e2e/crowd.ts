/**
 * Asks for its instance id from one address again and again, or from each of many: a program that
 * runs in a guest's namespace.
 *
 *     crowd.ts URL TIMES AT_A_TIME PAUSE_MS ADDRESS
 *
 * An ADDRESS that ends in a colon is the begin of many; the number of the request is the rest.
 * Prints one line of JSON: how often which answer came, and the longest wait.
 */

import { request } from "node:http";

const [url = "", times = "1", atATime = "1", pauseMs = "0", address = ""] = process.argv.slice(2);
/** The shortest time limit of a client that boots a machine. ms. */
const ANSWER_MS_MAX = 1_000;
const TRIES_MAX = 20;
const AGAIN_MS = 100;

export interface Crowd {
  readonly answers: Readonly<Record<string, number>>;
  readonly longestMs: number;
}

function ask(localAddress: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { localAddress, agent: false, timeout: ANSWER_MS_MAX };
    const asking = request(url, options, (reply) => {
      let body = "";
      reply.setEncoding("utf8");
      reply.on("data", (text: string) => {
        body += text;
      });
      reply.on("end", () => resolve(reply.statusCode === 200 ? body : String(reply.statusCode)));
    });
    asking.on("timeout", () => asking.destroy(new Error("late")));
    asking.on("error", (error) => resolve(error.message));
    asking.end();
  });
}

/** "Come again" is no answer: whoever boots tries again. */
async function askPatiently(localAddress: string): Promise<string> {
  for (let tries = 1; ; tries++) {
    const answer = await ask(localAddress);
    if (answer !== "503" || tries === TRIES_MAX) return answer;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

const answers: Record<string, number> = {};
let longestMs = 0;
let next = 0;
async function work(): Promise<void> {
  while (next < Number(times)) {
    const source = address.endsWith(":") ? `${address}${(next++).toString(16)}` : address;
    if (source === address) next++;
    const begun = performance.now();
    const answer = await askPatiently(source);
    longestMs = Math.max(longestMs, performance.now() - begun);
    answers[answer] = (answers[answer] ?? 0) + 1;
    if (Number(pauseMs) > 0) await new Promise((resolve) => setTimeout(resolve, Number(pauseMs)));
  }
}
await Promise.all(Array.from({ length: Number(atATime) }, work));
console.log(JSON.stringify({ answers, longestMs } satisfies Crowd));

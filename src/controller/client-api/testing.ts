/**
 * For the tests of this folder: a lab in memory, and somebody with keys who asks it.
 */

import type { Hono } from "hono";
import type { InstanceRecord } from "../../model/record.ts";
import { Conditions } from "../../observe/conditions.ts";
import { createLog } from "../../observe/log.ts";
import type { Fields } from "../../source/cloudstack/answer.ts";
import { type Credentials, type Params, signedQuery } from "../../source/cloudstack/sign.ts";
import { MemoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import type { ApiPorts } from "../parts.ts";
import { USER_DATA_CHARS_DEFAULT } from "../user-data.ts";
import { clientApi } from "./app.ts";
import { OFFERINGS, TEMPLATES, ZONE } from "./catalogue.ts";

export const KEYS: Credentials = { apiKey: "EXAMPLE-api-key", secretKey: "EXAMPLE-secret-key" };

export const NOW: number = Date.UTC(2026, 10, 23, 12);

/** What a deployment says at least. */
export const LEAST: Params = {
  serviceofferingid: OFFERINGS[0]?.id ?? "",
  templateid: TEMPLATES[0]?.id ?? "",
  zoneid: ZONE.id,
};

/** A template whose instances get a password. */
export const WITH_PASSWORD: Params = { ...LEAST, templateid: TEMPLATES[1]?.id ?? "" };

/** From nobody's computer. */
export const PUBLIC_KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA alice@laptop";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The one name that the answer stands under. */
  readonly name: string;
  readonly content: Fields;
  readonly text: string;
}

export interface Asking {
  readonly post?: boolean;
  readonly credentials?: Credentials;
  readonly expires?: number;
}

export interface TestLab {
  readonly app: Hono;
  readonly store: Store;
  /** Lines of the log. */
  readonly lines: string[];
  time: number;
  ask(command: string, params?: Params, how?: Asking): Promise<Answer>;
  /** The content of an answer that is no error. */
  ok(command: string, params?: Params, how?: Asking): Promise<Fields>;
  /** The end of a job. */
  job(command: string, params?: Params, how?: Asking): Promise<Fields>;
  /** The instance that a job which succeeded answers. */
  done(command: string, params?: Params, how?: Asking): Promise<Fields>;
  /** The only record of an instance. */
  record(id: unknown): Promise<InstanceRecord | undefined>;
}

export function openTestLab(options: Partial<ApiPorts> = {}): TestLab {
  const store = options.store ?? new MemoryStore();
  const lines: string[] = [];
  const sink = { write: (line: string) => lines.push(line), dropped: 0, flushSync: () => {} };
  const now = (): number => lab.time;
  const app = clientApi(
    {
      store,
      conditions: new Conditions(now),
      now,
      log: createLog(sink, "info"),
      userDataMax: USER_DATA_CHARS_DEFAULT,
      readOnly: false,
      hint: () => {},
      ...options,
    },
    new Map([[KEYS.apiKey, KEYS.secretKey]]),
  );
  const ask: TestLab["ask"] = async (command, params = {}, how = {}) => {
    const expires = how.expires ?? lab.time + 60_000;
    return asked(app, signedQuery(command, params, how.credentials ?? KEYS, expires), how.post);
  };
  const ok: TestLab["ok"] = async (command, params, how) => {
    const { status, content, text } = await ask(command, params, how);
    if (status !== 200) throw new Error(`${command}: ${status} ${text}`);
    return content;
  };
  const job: TestLab["job"] = async (command, params, how) => {
    const { jobid } = await ok(command, params, how);
    for (;;) {
      const result = await ok("queryAsyncJobResult", { jobid: String(jobid) });
      if (result.jobstatus !== 0) return result;
    }
  };
  const lab: TestLab = {
    ...{ app, store, lines, time: NOW, ask, ok, job },
    done: async (command, params, how) => {
      const { jobstatus, jobresult } = await job(command, params, how);
      if (jobstatus !== 1) throw new Error(`${command}: ${JSON.stringify(jobresult)}`);
      return (jobresult as Fields).virtualmachine as Fields;
    },
    record: async (id) => {
      const { records } = await store.list();
      const found = records.filter(({ record }) => record.id === id);
      if (found.length > 1) throw new Error("it has several");
      return found[0]?.record;
    },
  };
  return lab;
}

/** Asks with a query that may be signed or not. */
export async function asked(app: Hono, query: string, post = false): Promise<Answer> {
  const response = post
    ? await app.request("/", {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: query,
      })
    : await app.request(`/?${query}`);
  const text = await response.text();
  const [[name, content] = ["", {}], ...others] = Object.entries(JSON.parse(text) as object);
  if (others.length > 0) throw new Error("the answer has several names");
  const { status, headers } = response;
  return { status, headers, name, content: content as Fields, text };
}

/** Base64 of so many characters. */
export function base64Of(chars: number): string {
  return Buffer.alloc((chars / 4) * 3, "a").toString("base64");
}

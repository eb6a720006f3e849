/** What the tests of the operator API share: an app on a store in memory, and a way to ask it. */

import type { Network } from "../../model/change.ts";
import { Conditions } from "../../observe/conditions.ts";
import { createLog, type Log } from "../../observe/log.ts";
import { MemoryStore } from "../../store/memory.ts";
import { bearerOf, hashToken, ROLES, type Role, type Tokens } from "../tokens.ts";
import { USER_DATA_CHARS_DEFAULT } from "../user-data.ts";
import { operatorApi } from "./app.ts";
import type { OperatorApp, OperatorPorts } from "./routes.ts";

/** A token of each role, named after it. */
export const TOKENS: Readonly<Record<Role, string>> = {
  read: `fd_${"r".repeat(43)}`,
  write: `fd_${"w".repeat(43)}`,
  admin: `fd_${"a".repeat(43)}`,
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; `undefined` if it is none. */
  readonly json: unknown;
  /** The code of an error. */
  readonly code: string | undefined;
}

export interface Asked {
  readonly role?: Role;
  readonly token?: string;
  readonly headers?: Record<string, string>;
  /** Sent as JSON, unless it is text or bytes. */
  readonly body?: unknown;
  readonly peer?: string;
}

export interface Api {
  readonly app: OperatorApp;
  readonly ports: OperatorPorts;
  readonly store: MemoryStore;
  /** Lines of the log. */
  readonly logged: readonly string[];
  /** `ask("GET /v1/instances")`, as the admin if nobody else is named. */
  ask(request: string, asked?: Asked): Promise<Answer>;
}

/** As if somebody had made the networks that the tests use, until a test makes one. */
class LabStore extends MemoryStore {
  override async networks(): Promise<readonly Network[]> {
    const own = await super.networks();
    return own.length > 0 ? own : ["204", "205"].map((id) => ({ id, cidrs: [] }));
  }
}

export function openApi(
  changed: Partial<OperatorPorts> = {},
  store: MemoryStore = new LabStore(),
): Api {
  const logged: string[] = [];
  const log: Log = createLog({ write: (line: string) => void logged.push(line) } as never, "debug");
  const ports: OperatorPorts = {
    ...{ store, log, conditions: new Conditions(() => 0), now: () => 0, hint: () => {} },
    ...{ userDataMax: USER_DATA_CHARS_DEFAULT, readOnly: false, tokens: fixedTokens() },
    ...changed,
  };
  const app = operatorApi(ports);
  return { app, ports, store, logged, ask: (request, asked) => ask(app, request, asked) };
}

function fixedTokens(): Tokens {
  const entries = ROLES.map((role) => ({ name: role, role, hash: hashToken(TOKENS[role]) }));
  return { bearer: async (token) => bearerOf(entries, token) };
}

async function ask(
  app: OperatorApp,
  request: string,
  { role = "admin", token = TOKENS[role], headers = {}, body, peer }: Asked = {},
): Promise<Answer> {
  const [method = "GET", path = "/"] = request.split(" ");
  const isRaw = typeof body === "string" || body instanceof Uint8Array;
  const answer = await app.request(
    path,
    {
      method,
      headers: {
        ...(token !== "" && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: isRaw ? (body as string) : JSON.stringify(body) }),
    },
    { ...(peer !== undefined && { peer }) },
  );
  const text = await answer.text();
  const json = parsed(text);
  const code = (json as { error?: { code?: string } } | undefined)?.error?.code;
  return { status: answer.status, headers: answer.headers, text, json, code };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

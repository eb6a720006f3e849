/**
 * One admin view of several routers: what each says of itself, put together.
 *
 * An address may be in several networks, so `why` and `apply` take `network`, the id of one or the
 * name of a namespace; without it, an address that only one of them knows is meant.
 */

import { AdminError, UsageError } from "../model/errors.ts";
import { CONDITIONS, type Condition, type Conditions } from "../observe/conditions.ts";
import type { Reply } from "../protocol/http.ts";
import { answering, failure, json, type Routes, text } from "../protocol/operator.ts";
import type { Handler, RimRequest } from "./http/rim.ts";
import type { MemberSettings } from "./supervisor.ts";

/** Asks a member's admin socket. */
export type AskMember = (
  socket: string,
  request: { readonly method: string; readonly path: string; readonly body?: Uint8Array },
) => Promise<{ readonly status: number; readonly text: string }>;

export interface MembersAdminPorts {
  readonly members: readonly MemberSettings[];
  readonly ask: AskMember;
  readonly conditions: Conditions;
  readonly version: string;
  readonly status: () => readonly { readonly name: string; readonly pid: number | undefined }[];
}

const ROUTES: Routes<MembersAdminPorts, RimRequest> = {
  "GET /livez": async () => text(200, "ok\n"),
  "GET /readyz": async (_request, _query, ports) => {
    const replies = await all(ports, "/readyz");
    const ready = replies.every(({ status }) => status === 200);
    const errors = (await conditionsOf(ports)).filter(({ severity }) => severity === "error");
    return json(ready ? 200 : 503, { ready, conditions: errors });
  },
  "GET /conditions": async (_request, _query, ports) => json(200, await conditionsOf(ports)),
  "GET /metrics": async (_request, _query, ports) => {
    const replies = await all(ports, "/metrics");
    return text(200, mergeMetrics(replies.filter(({ status }) => status === 200)));
  },
  "GET /status": async (_request, _query, ports) => {
    const { version, members } = ports;
    const running = new Map(ports.status().map(({ name, pid }) => [name, pid]));
    const replies = await all(ports, "/status");
    const namespaces = members.map(({ name, networks }, index) => {
      const said = parsed(replies[index]) as object | undefined;
      return { namespace: name, networks, pid: running.get(name), ...said };
    });
    return json(200, { version, namespaces });
  },
  "GET /why": async (_request, query, ports) => {
    const asked = await Promise.all(
      chosen(query, ports).map(async (member) => ({
        member,
        reply: await one(ports, member, { method: "GET", path: withoutNetwork("/why", query) }),
      })),
    );
    const isKnown = ({ reply }: (typeof asked)[number]): boolean =>
      (parsed(reply) as { identity?: string } | undefined)?.identity !== "unknown";
    const known = asked.filter((each) => each.reply.status === 200 && isKnown(each));
    if (known.length > 1) throw ambiguous(known.map(({ member }) => member));
    const silent = asked.find(({ reply }) => reply.status === 0);
    if (silent !== undefined && asked.length > 1) {
      const { name } = silent.member;
      throw new UsageError(`the router of ${name} does not answer, so add --network ID`);
    }
    const reply = (known[0] ?? asked.find(({ reply }) => reply.status !== 0) ?? asked[0])?.reply;
    return reply === undefined || reply.status === 0 ? down() : relay(reply);
  },
  "POST /apply": async (request, query, ports) => {
    const members = chosen(query, ports);
    const [member] = members;
    if (member === undefined || members.length > 1) throw ambiguous(members);
    const body = await request.body();
    const reply = await one(ports, member, {
      method: "POST",
      path: withoutNetwork("/apply", query),
      body,
    });
    return reply.status === 0 ? down() : relay(reply);
  },
};

export function membersAdminHandler(ports: MembersAdminPorts): Handler {
  return answering(ROUTES, ports);
}

/** The members that a request means: the one that it names, or all. @throws {UsageError} */
function chosen(query: URLSearchParams, { members }: MembersAdminPorts): readonly MemberSettings[] {
  const named = query.get("network");
  if (named === null) return members;
  const found = members.filter(({ name, networks }) => name === named || networks.includes(named));
  if (found.length === 0) {
    const known = members.flatMap(({ networks }) => networks).join(", ");
    throw new UsageError(`--network: there is no such network; there are ${known}`);
  }
  return found;
}

function ambiguous(members: readonly MemberSettings[]): UsageError {
  const names = members.flatMap(({ networks, name }) => (networks.length > 0 ? networks : [name]));
  return new UsageError(`several networks may be meant: add --network ${names.join(" or ")}`);
}

/** A member may call its network by another name. */
function withoutNetwork(path: string, query: URLSearchParams): string {
  const rest = new URLSearchParams(query);
  rest.delete("network");
  return `${path}?${rest}`;
}

interface MemberReply {
  readonly name: string;
  /** 0 where it did not answer. */
  readonly status: number;
  readonly text: string;
}

async function one(
  { ask }: MembersAdminPorts,
  { name, admin }: MemberSettings,
  request: Parameters<AskMember>[1],
): Promise<MemberReply> {
  const reply = await ask(admin, request).catch(() => ({ status: 0, text: "" }));
  return { name, ...reply };
}

function all(ports: MembersAdminPorts, path: string): Promise<readonly MemberReply[]> {
  return Promise.all(ports.members.map((member) => one(ports, member, { method: "GET", path })));
}

async function conditionsOf(ports: MembersAdminPorts): Promise<readonly Condition[]> {
  const replies = await all(ports, "/conditions");
  const theirs = replies.flatMap((reply) =>
    ((parsed(reply) as readonly Condition[] | undefined) ?? []).map((condition) => ({
      ...condition,
      subject: `${reply.name}: ${condition.subject}`,
    })),
  );
  const own = ports.conditions.list();
  const isSaid = (name: string) => own.some(({ subject }) => subject === name);
  const silent = replies.filter(({ status, name }) => status === 0 && !isSaid(name));
  return [...own, ...silent.map(({ name }) => unanswered(name)), ...theirs];
}

/** It runs, and does not answer: or the supervisor would say that it is down. */
function unanswered(subject: string): Condition {
  const detail = "it does not answer on its admin socket";
  return {
    ...CONDITIONS.NAMESPACE_DOWN,
    code: "NAMESPACE_DOWN",
    subject,
    detail,
    since: Date.now(),
  };
}

/** Each sample with its namespace as a label; each metric's lines together, as the format wants. */
function mergeMetrics(texts: readonly { name: string; text: string }[]): string {
  const families = new Map<string, { head: string[]; samples: string[] }>();
  for (const { name, text } of texts) {
    let family = { head: [] as string[], samples: [] as string[] };
    for (const line of text.split("\n")) {
      const comment = /^# (?:HELP|TYPE) (\S+)/.exec(line);
      if (comment !== null) {
        const metric = comment[1] as string;
        family = families.get(metric) ?? { head: [], samples: [] };
        families.set(metric, family);
        if (!family.head.includes(line)) family.head.push(line);
      } else if (line !== "" && !line.startsWith("#")) {
        family.samples.push(line.replace(/^([^{ ]+)(?:\{(.*)\})? /, label(name)));
      }
    }
  }
  const lines = [...families.values()].flatMap(({ head, samples }) => [...head, ...samples]);
  return `${lines.join("\n")}\n`;
}

/** A namespace's name needs no escape: it has letters, digits and `_.-` only. */
function label(name: string): (all: string, metric: string, labels?: string) => string {
  const own = `namespace="${name}"`;
  return (_all, metric, labels = "") => `${metric}{${own}${labels === "" ? "" : `,${labels}`}} `;
}

function parsed(reply: MemberReply | undefined): unknown {
  if (reply === undefined || reply.status === 0) return undefined;
  try {
    return JSON.parse(reply.text);
  } catch {
    return undefined;
  }
}

function relay({ status, text: body }: MemberReply): Reply {
  return { status, body, type: "application/json" };
}

function down(): Reply {
  const { code, message } = new AdminError("the router of that namespace does not answer");
  return failure(503, code, message);
}

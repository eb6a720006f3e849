/**
 * An address that passes from one instance to another and back, while guests ask from it.
 *
 * Goal: once a hand-over is visible, no byte of a former instance comes any more, whatever was kept
 * of it: document, user data on the disk, validator, password. Method: each instance has its number
 * in every value. CloudStack's three commands are handed in, in its order: a lease with another
 * MAC address, the password, the metadata. Meanwhile clients ask without a pause, on connections
 * that they keep and on new ones. Before each request a client notes the least number that it may
 * be answered with, and in the answer it looks at every one.
 */

import { connect, type Wire, type WireReply } from "../clients/wire.ts";
import { writeDatabags } from "./databags.ts";
import { scratchFolder } from "./leftovers.ts";
import { freePort } from "./loopback.ts";
import { until } from "./program.ts";
import { type Rim, type Router, startRouter } from "./router.ts";

const ROUTER = "127.93.0.1";
/** The address that passes on. */
const CONTESTED = "127.93.1.1";
/** The two NICs that have it by turns. */
const MACS = ["02:00:00:00:00:0a", "02:00:00:00:00:0b"];
/** Beyond this, user data lies on the disk and is read when it is asked for. Bytes. */
const LARGE_BYTES = 100_000;
/** A client on new connections pauses, or it would run out of ports. ms. */
const PAUSE_MS = 2;
/** All clients have got an answer of the new instance by then. ms. */
const ROUND_MS_MAX = 20_000;

export interface Outcome {
  readonly rounds: number;
  /** Requests, by what they were answered with: `200`, `304`, `503`, `password` … */
  readonly answers: Readonly<Record<string, number>>;
  /** What should not have come, in words; at most a few. */
  readonly wrong: readonly string[];
}

const PATHS = ["instance-id", "local-hostname", "public-keys/0/openssh-key", "user-data"];

/** Who may be answered at this moment. */
interface Now {
  /** Nobody before this instance: its lease is visible. */
  floor: number;
  /** All of this one's commands are visible. */
  whole: number;
  /** The last one whose commands were begun. */
  ceiling: number;
  over: boolean;
}

export async function handOvers(rim: Rim, rounds: number): Promise<Outcome> {
  using folder = scratchFolder("handover", "in memory");
  const databags = `${folder.path}/databags`;
  const instances = { [CONTESTED]: metadataOf(0) };
  writeDatabags(databags, { router: ROUTER, prefix: 16, instances });
  const ports = { metadata: await freePort(ROUTER), password: await freePort(ROUTER) };
  await using router = await startRouter({
    ...{ rim, source: `databag:${databags}`, stateDir: `${folder.path}/state` },
    listen: [`${ROUTER}:${ports.metadata}`],
    passwordListen: [`${ROUTER}:${ports.password}`],
  });
  const now: Now = { floor: 0, whole: 0, ceiling: 0, over: false };
  const book = new Book();
  const clients = PATHS.flatMap((path) => [
    new Client({ now, book, path, port: ports.metadata, keeps: true }),
    new Client({ now, book, path, port: ports.metadata, keeps: false }),
  ]);
  clients.push(new Client({ now, book, port: ports.password, keeps: true }));
  clients.push(new Client({ now, book, port: ports.password, keeps: false }));
  const asking = Promise.all(clients.map((client) => client.run()));
  try {
    for (let n = 1; n <= rounds; n++) {
      await handOver(router, now, n);
      const all = () => clients.every(({ last }) => last === n) || book.wrong.length > 0;
      await until(`everybody to see instance ${n}`, ROUND_MS_MAX, all);
      if (book.wrong.length > 0) break;
    }
  } finally {
    now.over = true;
    await asking;
  }
  return { rounds: now.whole, answers: Object.fromEntries(book.answers), wrong: book.wrong };
}

/** CloudStack's commands, one after the other; each is visible when it is answered. */
async function handOver(router: Router, now: Now, n: number): Promise<void> {
  now.ceiling = n;
  const apply = async (name: string, command: object): Promise<void> => {
    const { status, body } = await router.post(`/apply?name=${name}.json`, JSON.stringify(command));
    if (status !== 200) throw new Error(`${name}: ${status} ${body}`);
  };
  await apply("vm_dhcp_entry", {
    ...{ host_name: `vm-${n}`, mac_address: MACS[n % 2], ipv4_address: CONTESTED },
    ...{ default_gateway: ROUTER, default_entry: true, remove: false, type: "dhcpentry" },
  });
  now.floor = n;
  const password = { ip_address: CONTESTED, password: `${mark(n)}password`, type: "vmpassword" };
  if (hasPassword(n)) await apply("vm_password", password);
  const vm_metadata = metadataOf(n);
  await apply("vm_metadata", { vm_ip_address: CONTESTED, vm_metadata, type: "vmdata" });
  now.whole = n;
}

/** Not every instance is made with one: then there is none, least of all a former one's. */
function hasPassword(n: number): boolean {
  return n > 0 && n % 4 !== 3;
}

function mark(n: number): string {
  return `of-${n}-`;
}

function metadataOf(n: number): [folder: "userdata" | "metadata", key: string, value: string][] {
  const bytes = n % 3 === 0 ? LARGE_BYTES : 300;
  const userData = Buffer.alloc(bytes, `${mark(n)}user-data\n`).toString("base64");
  return [
    ["userdata", "user-data", userData],
    ["metadata", "instance-id", `${mark(n)}id`],
    ["metadata", "local-hostname", `${mark(n)}name`],
    ["metadata", "public-keys", `ssh-ed25519 AAAA ${mark(n)}key`],
    // What two instances have in common may be the same bytes.
    ["metadata", "availability-zone", "zone-1"],
  ];
}

class Book {
  readonly answers = new Map<string, number>();
  readonly wrong: string[] = [];

  count(what: string): void {
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
  }
}

interface Asked {
  readonly now: Now;
  readonly book: Book;
  /** Absent: the password is asked for. */
  readonly path?: string;
  readonly port: number;
  /** Whether it keeps its connection. */
  readonly keeps: boolean;
}

class Client {
  /** Whose answer it got last. */
  last = -1;
  readonly #asked: Asked;
  #wire: Wire | undefined;
  #turn = 0;
  #tag: { readonly text: string; readonly of: number } | undefined;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  async run(): Promise<void> {
    const { now, keeps } = this.#asked;
    while (!now.over) {
      const before = { ...now };
      // Every other time it asks for the whole, so that it does not only see validators.
      const sent = this.#turn++ % 2 === 0 ? this.#tag : undefined;
      const reply = await this.#exchange(sent?.text).catch(() => undefined);
      if (reply === undefined) this.#asked.book.count("no answer");
      else this.#judge(reply, before, sent?.of);
      if (reply === undefined || !keeps) this.#wire = void this.#wire?.[Symbol.dispose]();
      if (reply === undefined || !keeps) await Bun.sleep(PAUSE_MS);
    }
    this.#wire?.[Symbol.dispose]();
  }

  async #exchange(tag: string | undefined): Promise<WireReply> {
    const { path, port, keeps } = this.#asked;
    this.#wire ??= await connect({ host: ROUTER, port, from: CONTESTED });
    const target = path === undefined ? "/" : `/latest/${path === "user-data" ? "" : "meta-data/"}`;
    const lines = [
      `GET ${target}${path ?? ""} HTTP/1.1\r\nHost: x`,
      ...(path === undefined ? ["DomU_Request: send_my_password"] : []),
      ...(tag === undefined ? [] : [`If-None-Match: ${tag}`]),
      ...(keeps ? [] : ["Connection: close"]),
    ];
    return this.#wire.exchange(`${lines.join("\r\n")}\r\n\r\n`);
  }

  #judge(reply: WireReply, before: Now, tagOf: number | undefined): void {
    const { now, book, path } = this.#asked;
    const head = reply.headers.map((field) => field.join(": ")).join("\n");
    const text = `${head}\n${reply.body.toString("latin1")}`;
    const seen = new Set([...text.matchAll(/of-(\d+)-/g)].map(([, n]) => Number(n)));
    if (reply.status === 304 && tagOf !== undefined) seen.add(tagOf);
    const [of = -1] = seen;
    const isPassword = path === undefined && seen.size > 0;
    book.count(isPassword ? "password" : String(reply.status));
    const say = (what: string): void => {
      const when = `lease ${before.floor}, whole ${before.whole}`;
      if (book.wrong.length < 5) book.wrong.push(`${path ?? "password"}: ${what}; ${when}`);
    };
    if (seen.size > 1) say(`bytes of ${[...seen].join(" and ")} in one answer`);
    if (seen.size > 0 && of < before.floor) say(`a byte of instance ${of}`);
    if (of > now.ceiling) say(`instance ${of} is not there yet`);
    if (seen.size > 0) this.last = of;
    // Nothing was under way while it asked: then the instance is there.
    if (before.whole === now.ceiling) {
      const isEmpty = path === undefined && !hasPassword(now.whole);
      if (isEmpty && seen.size === 0) this.last = now.whole;
      else if (of !== now.whole) say(`${reply.status} without a byte of instance ${now.whole}`);
    }
    const etag = reply.headers.find(([name]) => name === "etag")?.[1];
    if (reply.status === 200 && etag !== undefined) this.#tag = { text: etag, of };
  }
}

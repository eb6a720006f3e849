/**
 * Asks every address at which the service may be, and the one that serves about all the rest.
 *
 * Nothing is changed by asking: the password server is connected to and not spoken to, because a
 * password can be fetched only once.
 */

import type { Spoken } from "../../platform/speak.ts";
import type { Client } from "../client.ts";
import { type Endpoint, HTTP_PORT, PASSWORD_PORT } from "../endpoint.ts";
import { type Asked, headerOf } from "../http.ts";
import { LISTING_BYTES_MAX, USER_DATA_BYTES_MAX, VALUE_BYTES_MAX } from "../limits.ts";
import { isMetadataListing, parseListing } from "../listing.ts";
import { LISTING_TARGET, USER_DATA_TARGET } from "../path.ts";
import type { KeyAnswer, PathSizes, Service, Target } from "./facts.ts";
import { ANSWER_MS, CONNECT_MS, HEADERS_BYTES, LARGE_BYTES, SIZE_MS, SIZES } from "./limits.ts";
import { lookUpRoute } from "./network.ts";
import type { DoctorPorts } from "./ports.ts";

/** Keys without which some client does not boot, or of which people ask first. */
export const ESSENTIAL_KEYS = ["instance-id", "local-hostname", "local-ipv4"] as const;
/** What CloudStack's router lists besides; asked for where they are listed. */
const LISTED_KEYS_MAX = 40;
const INSTANCE_ID = `${LISTING_TARGET}instance-id`;
const DATE_CHARS_MAX = 64;
/** Longer ones are nobody's identity. */
const ID_CHARS_MAX = 128;

export async function askTarget(
  ports: DoctorPorts,
  { endpoint, ways }: { endpoint: Endpoint; ways: readonly string[] },
  signal: AbortSignal,
): Promise<Target> {
  const [connect, route] = await Promise.all([
    ports.speak(endpoint, { bytes: "", timeoutMs: CONNECT_MS }),
    lookUpRoute(ports.exec, endpoint.host),
  ]);
  const none = { listing: undefined, serves: false, instanceId: undefined };
  if (connect.kind !== "open") return { endpoint, ways, connect, route, ...none };
  const client = ports.open(endpoint);
  try {
    const [listing, id] = await Promise.all([
      get(client, LISTING_TARGET, LISTING_BYTES_MAX, signal),
      get(client, INSTANCE_ID, VALUE_BYTES_MAX, signal),
    ]);
    const serves =
      listing.kind === "reply" && listing.status === 200 && isMetadataListing(listing.body);
    const text = id.kind === "reply" && id.status === 200 ? id.body.toString("latin1").trim() : "";
    const instanceId = text === "" || text.length > ID_CHARS_MAX ? undefined : text;
    return { endpoint, ways, connect, route, listing, serves, instanceId };
  } finally {
    client.close();
  }
}

/**
 * The rest, of one target that at least connects. The password is asked for at the router's own
 * address, because CloudStack's clients do.
 */
export async function askService(
  ports: DoctorPorts,
  { target, own }: { target: Target; own: Target },
  signal: AbortSignal,
): Promise<Service> {
  const { endpoint, listing } = target;
  const client = ports.open(endpoint);
  const names = listing?.kind === "reply" && target.serves ? parseListing(listing.body).names : [];
  const wanted = [...names.filter((name) => !name.endsWith("/") && !name.includes("="))];
  for (const name of ESSENTIAL_KEYS) if (!wanted.includes(name)) wanted.push(name);
  try {
    const first = await get(client, INSTANCE_ID, VALUE_BYTES_MAX, signal);
    const ours = ports.now();
    // A token that we have now was demanded: the first request was refused without one.
    const required = client.hasToken;
    const [offered, keys, userData, sizes, password] = await Promise.all([
      client.fetchToken(signal).catch(() => false),
      target.serves ? askKeys(client, { wanted, names }, signal) : [],
      target.serves ? get(client, USER_DATA_TARGET, USER_DATA_BYTES_MAX, signal) : undefined,
      askSizes(ports, endpoint),
      askPassword(ports, own.endpoint),
    ]);
    const date = first.kind === "reply" ? headerOf(first, "date", DATE_CHARS_MAX) : undefined;
    const theirs = date === undefined ? Number.NaN : Date.parse(date);
    return {
      target,
      names,
      keys,
      userData,
      sizes,
      password: password === undefined ? undefined : { host: own.endpoint.host, spoken: password },
      tokens: required ? "required" : offered ? "offered" : "none",
      clock: Number.isNaN(theirs) ? undefined : { theirs, ours },
    };
  } finally {
    client.close();
  }
}

async function askKeys(
  client: Client,
  { wanted, names }: { wanted: readonly string[]; names: readonly string[] },
  signal: AbortSignal,
): Promise<readonly KeyAnswer[]> {
  return await Promise.all(
    wanted.slice(0, LISTED_KEYS_MAX).map(async (name) => {
      const asked = await get(
        client,
        `${LISTING_TARGET}${encodeURIComponent(name)}`,
        VALUE_BYTES_MAX,
        signal,
      );
      const isReply = asked.kind === "reply";
      const bytes = isReply ? asked.body.length : 0;
      return { name, listed: names.includes(name), status: isReply ? asked.status : 0, bytes };
    }),
  );
}

/**
 * Requests of several sizes, each one packet: which of them are answered tells what the path lets
 * through. Only when a large one is lost and a small one is not are the sizes between tried.
 */
async function askSizes(ports: DoctorPorts, endpoint: Endpoint): Promise<PathSizes | undefined> {
  if (endpoint.host.includes(":")) return undefined; // Other headers, and another least.
  const passes = async (size: number): Promise<boolean> => {
    const bytes = padded(endpoint, size - HEADERS_BYTES);
    return (await ports.speak(endpoint, { bytes, timeoutMs: SIZE_MS })).answered;
  };
  const small = SIZES.at(-1) ?? 0;
  const [smallPassed, largePassed] = await Promise.all([passes(small), passes(LARGE_BYTES)]);
  if (!smallPassed) return undefined;
  if (largePassed) return { passed: [small, LARGE_BYTES], lost: [] };
  const all = await Promise.all(SIZES.map(async (bytes) => ({ bytes, ok: await passes(bytes) })));
  const sizes = (ok: boolean): number[] =>
    all.filter((one) => one.ok === ok).map((one) => one.bytes);
  return { passed: sizes(true), lost: [LARGE_BYTES, ...sizes(false)] };
}

/** A request of so many bytes, for what every service answers, whatever its words. */
function padded({ host }: Endpoint, bytes: number): string {
  const head = `GET ${INSTANCE_ID}?`;
  const tail = ` HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  return head + "x".repeat(Math.max(0, bytes - head.length - tail.length)) + tail;
}

async function askPassword(ports: DoctorPorts, endpoint: Endpoint): Promise<Spoken | undefined> {
  if (endpoint.port !== HTTP_PORT) return undefined; // Nobody says where it is then.
  return await ports.speak(
    { ...endpoint, port: PASSWORD_PORT },
    { bytes: "", timeoutMs: CONNECT_MS },
  );
}

function get(
  client: Client,
  target: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Asked> {
  return client.get(target, { bytesMax, timeoutMs: ANSWER_MS }, signal);
}

/**
 * The bridge: IPv6 guests before a metadata service that speaks IPv4 only.
 *
 * Start reading here. What is put into the kernel comes first and goes last, so that no request is
 * passed on in a name that is not the guest's.
 */

import type { Ip } from "../model/address.ts";
import { AccessLog } from "../observe/access-log.ts";
import { createLog } from "../observe/log.ts";
import type { Sink } from "../observe/sink.ts";
import { Links } from "../platform/links.ts";
import { openNeighbours } from "../platform/neighbours.ts";
import type { Reply } from "../protocol/http.ts";
import { adminHandler, Report } from "./admin.ts";
import { Guests } from "./guests.ts";
import { Sources, type Target } from "./kernel.ts";
import { LeaseBook } from "./leases.ts";
import { REQUEST_BODY_BYTES_MAX } from "./limits.ts";
import { metadataBridge, type PlanePorts } from "./metadata.ts";
import { passwordBridge } from "./passwords.ts";
import type { Answered, BridgeHandler, BridgeRequest, GuestSide } from "./ports.ts";

/** An IPv6 address to listen on. */
export interface Listen {
  readonly host: Ip;
  /** The device of a link-local one. */
  readonly zone?: string;
  readonly port: number;
}

export interface BridgeSettings {
  /** The devices of the guests' networks. */
  readonly devices: readonly string[];
  readonly listen: readonly Listen[];
  readonly passwordListen: readonly Listen[];
  readonly upstream: Target;
  readonly passwordUpstream: Target | undefined;
  readonly leaseFiles: readonly string[];
  /** Sends a PROXY header in place of the guest's own address. */
  readonly proxyProtocol: boolean;
}

interface Closable {
  close(graceMs: number): Promise<void>;
}

export interface BridgePorts {
  readonly guestSide: GuestSide;
  /** Where log lines go. */
  readonly sink: Sink;
  readonly logLevel: string;
  readonly version: string;
  /** That of the guests' side, for the metrics. */
  readonly runtime: string;
  /** Listens for the operator; absent where nobody wants to ask. */
  readonly listenAdmin?: (handler: (request: BridgeRequest) => Promise<Reply>) => Promise<Closable>;
}

export interface Bridge {
  /** Lets requests under way end for `graceMs`, then takes everything out of the kernel. */
  close(graceMs: number): Promise<void>;
}

/**
 * Starts a bridge. What was opened is closed again when the start fails.
 *
 * @throws {ConfigError} if a lease file cannot be read, or the kernel may not be changed.
 * @throws {ListenError} if an address cannot be listened on.
 */
export async function openBridge(settings: BridgeSettings, ports: BridgePorts): Promise<Bridge> {
  const closers: ((graceMs: number) => Promise<unknown>)[] = [];
  const close = async (graceMs: number): Promise<void> => {
    // Last opened, first closed: listeners, then what they need.
    for (const step of closers.splice(0).reverse()) await step(graceMs).catch(() => {});
  };
  try {
    await assemble(settings, ports, closers);
  } catch (error) {
    await close(0);
    throw error;
  }
  return { close };
}

async function assemble(
  settings: BridgeSettings,
  ports: BridgePorts,
  closers: ((graceMs: number) => Promise<unknown>)[],
): Promise<void> {
  const { devices, upstream, passwordUpstream } = settings;
  const log = createLog(ports.sink, ports.logLevel);
  const report = new Report();
  const tell = (what: string) => (why: string | undefined) => {
    report.tell(what, why);
    if (why === undefined) log.info({ what }, "over");
    else log.warn({ what, why }, "something is wrong");
  };
  const leases = new LeaseBook(settings.leaseFiles, (path, why) => tell(path)(why));
  const as = await opener(settings, closers, tell("kernel"));
  const neighbours = openNeighbours({
    devices: () => devices,
    onTrouble: tell("neighbour table"),
  });
  closers.push(() => neighbours.close());
  await neighbours.ready;

  const access = new AccessLog(ports.sink, () => Date.now());
  const onAnswer = (answered: Answered): void => {
    const { plane, peer, device, guest, what, status } = answered;
    report.count(answered);
    // The bridge knows no instance's id: a guest's IPv4 address is its name here.
    access.record({ plane, address: peer, network: device, instance: guest, what, status });
  };
  const links = new Links(devices);
  const shared = { guests: new Guests({ links, neighbours, leases }), as, onAnswer };
  const planes: [readonly Listen[], BridgeHandler][] = [
    [settings.listen, metadataBridge({ ...shared, upstream })],
  ];
  if (passwordUpstream !== undefined) {
    const handler = passwordBridge({ ...shared, upstream: passwordUpstream });
    planes.push([settings.passwordListen, handler]);
  }
  const open: Closable[] = [];
  closers.push(async (graceMs) => {
    log.info("draining");
    await Promise.all(open.map((listener) => listener.close(graceMs)));
  });
  for (const plane of planes) await listenOn(plane, ports.guestSide, open);
  const { sink, version, runtime } = ports;
  const handler = adminHandler({ report, leases, sink, accessLog: access, version, runtime });
  const admin = await ports.listenAdmin?.(handler);
  if (admin !== undefined) closers.push(() => admin.close(0));
  const { listen, passwordListen } = settings;
  log.info({ listen, passwordListen, upstream, passwordUpstream }, "bridge started");
}

/** Opens what guests ask on one port of theirs. */
async function listenOn(
  [addresses, handler]: readonly [readonly Listen[], BridgeHandler],
  guestSide: GuestSide,
  open: Closable[],
): Promise<void> {
  for (const { host, zone, port } of addresses) {
    const listener = await guestSide.listen({
      at: { host: zone === undefined ? host : `${host}%${zone}`, port },
      handler: (request) => handler(request, zone),
      bodyBytesMax: REQUEST_BODY_BYTES_MAX,
    });
    open.push(listener);
  }
}

/** How the upstream is told whose request it is. */
async function opener(
  { upstream, passwordUpstream, proxyProtocol, listen, passwordListen }: BridgeSettings,
  closers: ((graceMs: number) => Promise<unknown>)[],
  onTrouble: (why: string | undefined) => void,
): Promise<PlanePorts["as"]> {
  if (proxyProtocol) return async (guest) => ({ proxyFor: guest });
  const upstreams = passwordUpstream === undefined ? [upstream] : [upstream, passwordUpstream];
  const sources = new Sources({
    ...{ upstreams, onTrouble },
    listen: [...listen, ...passwordListen],
  });
  await sources.open();
  closers.push(() => sources.close());
  return async (guest) => ({ localAddress: await sources.sourceOf(guest) });
}

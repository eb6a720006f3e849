/**
 * The router: reads a source, keeps its directory true, answers guests from memory.
 *
 * Start reading here. The order of the start is the order of the lines of `openRouter`: state,
 * listeners, source, admin. So a router that is restarted answers from its snapshot before its
 * source is readable, and one that has not looked yet tells nobody "unknown".
 */

import type { HostsMode } from "../config/settings.ts";
import type { Ip } from "../model/address.ts";
import type { Change } from "../model/change.ts";
import { AccessLog } from "../observe/access-log.ts";
import { type Condition, Conditions } from "../observe/conditions.ts";
import { createLog, type Log } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { Sink } from "../observe/sink.ts";
import { passwordCommand, type Source } from "../source/source.ts";
import { adminHandler } from "./admin.ts";
import { listenAdmin } from "./admin-socket.ts";
import { Around, type Listen, targets } from "./around.ts";
import { conflictReports } from "./conflict-reports.ts";
import { Directory, type Entry } from "./directory.ts";
import { Evidence, type EvidenceSettings } from "./evidence.ts";
import { Feed } from "./feed.ts";
import { allowedHosts } from "./hosts.ts";
import type { Handler, ListenAddress, Rim } from "./http/rim.ts";
import { checkInstances, isStore, openInstances, realmOf } from "./instances.ts";
import { Listeners, type ListenTarget, type Plane } from "./listeners.ts";
import { LoopDelay } from "./loop-delay.ts";
import { metadataHandler } from "./metadata-server.ts";
import { Milestones } from "./milestones.ts";
import { guestsOf, Newcomers } from "./newcomers.ts";
import {
  ownAddresses,
  type PasswordAnswer,
  passwordHandler,
  type Recipient,
} from "./password-server.ts";
import { tokenFile } from "./password-token.ts";
import { Passwords } from "./passwords.ts";
import { Proxied, type ProxiedSettings } from "./proxied.ts";
import { samples } from "./samples.ts";
import { settle } from "./settle.ts";
import { openState } from "./state/state.ts";
import type { Served } from "./store/served.ts";
import { type OnAccess, Traffic } from "./traffic.ts";
import { explain } from "./why.ts";

export interface RouterSettings {
  /** `databag:DIR`, `file:PATH`, or a store: `sqlite:PATH`. */
  readonly source: string;
  readonly listen: Listen;
  readonly passwordListen: Listen;
  readonly admin: ListenAddress;
  readonly stateDir: string;
  readonly network?: string;
  /** Of a store. @default all of its networks */
  readonly served?: Served;
  readonly sealKeyFile?: string;
  readonly cacheDir?: string;
  readonly passwordTokenFile?: string;
  readonly hosts: HostsMode;
  /** Further names that guests may call the router by. */
  readonly hostNames: readonly string[];
  /** What the operator says of single networks, and whether the router keeps a firewall. */
  readonly evidence?: EvidenceSettings;
  /** Listeners for bridges. */
  readonly proxied?: readonly ProxiedSettings[];
}

export interface RouterPorts {
  readonly rim: Rim;
  /** Where log lines go. */
  readonly sink: Sink;
  readonly logLevel: string;
  readonly version: string;
  readonly onAccess?: OnAccess;
  /** Told when a condition begins to hold, or is over. */
  readonly onCondition?: (condition: Condition, holds: boolean) => void;
}

export interface Router {
  /** What guests can connect to, with real ports. */
  readonly listening: readonly ListenTarget[];
  readonly conditions: Conditions;
  /** Whether guests are answered from a source that has been read, on every listener. */
  readonly ready: boolean;
  /** Resolves when the source has been read once. @throws what the source threw. */
  readonly loaded: Promise<void>;
  /** Looks at the source and at its own firewall again (SIGHUP). */
  reload(): Promise<void>;
  /** Lets requests under way end for `graceMs`, saves, closes (SIGTERM). */
  close(graceMs: number): Promise<void>;
}

/** How often this machine's own addresses are looked at. ms. */
const LOOK_AROUND_MS = 5000;

/**
 * Starts a router. What was opened is closed again when the start fails.
 *
 * @throws {StateError} if the state directory is held by another program or cannot be used.
 * @throws {ListenError} if an address that was named cannot be listened on.
 */
export async function openRouter(settings: RouterSettings, ports: RouterPorts): Promise<Router> {
  checkInstances(settings.source); // A mistake leaves nothing behind.
  const closers: (() => unknown)[] = [];
  try {
    return await assemble(settings, ports, closers);
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

async function assemble(
  settings: RouterSettings,
  ports: RouterPorts,
  closers: (() => unknown)[],
): Promise<Router> {
  const now = () => Date.now();
  const { rim, sink } = ports;
  const log = createLog(sink, ports.logLevel);
  const conditions = new Conditions(now, (condition, holds) => {
    tell(log, condition, holds);
    ports.onCondition?.(condition, holds);
    if (!holds) milestones.look();
  });
  const milestones = new Milestones(log, now, { ...settings, version: ports.version });

  const { stateDir: dir, sealKeyFile } = settings;
  const sealKey = sealKeyFile === undefined ? {} : { sealKeyFile };
  const state = await openState({
    dir,
    realm: realmOf(settings.source, settings.served),
    conditions,
    now,
    ...sealKey,
  });
  closers.push(() => state.close());
  const { digestKey } = state;
  const journal = state.append.bind(state);
  const passwords = new Passwords({
    ...{ journal, digestKey, now, conditions },
    onDelivered: (delivered) => source?.delivered?.(delivered),
  });
  passwords.restore(state.recovered.passwords);
  const directory = new Directory({
    epochBegan: (network, address, epoch) => passwords.epochBegan(network, address, epoch),
    hostNameCut: (network, address, cut) =>
      conditions[cut ? "raise" : "clear"]("VALUE_CUT", `${address} in ${network}`),
    ...conflictReports(conditions),
  });
  directory.apply(state.recovered.changes);

  let source: Source | undefined; // Opened later: a port that is taken is said first.
  const hasten = (peer: string) => source && feed.hasten(source, peer);
  const evidence = new Evidence(settings.evidence ?? { networks: [] }, {
    ...{ directory, conditions, hasten },
  });
  closers.push(() => evidence.close());
  const { identity } = evidence;

  const accessLog = new AccessLog(sink, now);
  const traffic = new Traffic(accessLog, ports.onAccess);
  const newcomers = isStore(settings.source)
    ? new Newcomers({ isGuests: guestsOf(directory, evidence), now })
    : undefined;
  const onVisible = (changes: readonly Change[]): void => {
    evidence.tell(changes);
    newcomers?.tell(changes);
  };
  const feed = new Feed({ directory, passwords, state, conditions, log, now, onVisible });
  const loadingSince = () => feed.loadingSince;
  const token = tokenFile(settings.passwordTokenFile);
  let allowed: ReadonlySet<string> = new Set();
  const shared = {
    metadata: {
      ...{ traffic, conditions, now, loadingSince },
      ...(newcomers && { waits: (peer: string) => newcomers.ask(peer) }),
      hosts: {
        mode: (network: string | undefined) => evidence.hostsOf(network) ?? settings.hosts,
        allowed: () => allowed,
      },
    },
    password: {
      ...{ passwords, token },
      locate: (ip: Ip) => recipient(directory.find(ip), "any"),
      handIn: (address: Ip, password: string) =>
        source?.apply === undefined
          ? undefined
          : feed.applyCommand(source, passwordCommand(address, password), "save_password"),
      onAnswer: (answer: PasswordAnswer) => record(traffic, directory, answer),
    },
  };
  const own = ownAddresses(() => listeners.hosts, now);
  const handler = (plane: Plane, link?: string): Handler =>
    plane === "metadata"
      ? metadataHandler({ ...shared.metadata, find: (peer) => identity.find(peer, link) })
      : passwordHandler({
          ...shared.password,
          identify: async (peer) => recipient(await identity.findPatiently(peer, link), "bound"),
          ownAddresses: own,
        });
  const listeners: Listeners = new Listeners({
    rim,
    conditions,
    handlers: { metadata: handler("metadata"), password: handler("password") },
    onLink: handler,
  });
  const proxied = new Proxied(settings.proxied ?? [], {
    ...{ rim, directory, conditions, hasten, ...shared },
    recipient: (entry) => recipient(entry, "bound"),
  });
  const grace = { ms: 0 };
  closers.push(() => Promise.all([listeners.close(grace.ms), proxied.close(grace.ms)]));
  if (settings.listen !== "auto") await listeners.require(settings.listen);
  // Opened for a moment, so that a taken port is said now; guests ask it when there are answers.
  if (settings.passwordListen !== "auto") await listeners.probe(settings.passwordListen);
  await proxied.require();

  const { network, cacheDir, served } = settings;
  const context = {
    ...{ conditions, now, firstStart: state.firstStart },
    ...(network === undefined ? {} : { network }),
    ...(cacheDir === undefined ? {} : { cacheDir }),
    ...(served === undefined ? {} : { served }),
  };
  const opened = await openInstances(settings.source, context, state);
  source = opened;
  closers.push(() => opened[Symbol.asyncDispose]());
  opened.restore(state.recovered.changes, state.recovered.passwords);
  state.provideSnapshot(
    () => feed.entries(),
    (network, address) => feed.current(network, address),
  );

  const loopDelay = new LoopDelay(conditions);
  closers.push(() => loopDelay.stop());
  const isReady = () => feed.loadingSince === undefined && listeners.complete && proxied.complete;
  const sampled = {
    directory,
    passwords,
    traffic,
    conditions,
    feed,
    evidence,
    proxied,
    loopDelay,
    accessLog,
  };
  const { version } = ports;
  const admin = await listenAdmin(settings.admin, rim, {
    guestHosts: settings.listen === "auto" ? "auto" : listeners.hosts,
    handler: adminHandler({
      conditions,
      metrics: new Metrics(() => samples({ ...sampled, sink, ready: isReady, rim, version })),
      beforeMetrics: () => evidence.readDrops(),
      ready: isReady,
      networks: () => [
        ...opened.networks().map(({ id }) => id),
        ...(settings.evidence?.networks ?? []).map(({ id }) => id),
      ],
      apply: (text, name) => feed.applyCommand(opened, text, name),
      why: (ip, path) =>
        explain(ip, path, {
          ...{ directory, now, loadingSince, passwords, source: settings.source },
          ...(newcomers && { waits: (peer: string) => newcomers.wouldWait(peer as Ip) }),
          troubles: () => sourceTroubles(conditions),
          identify: async (address) =>
            proxied.explain(address) ?? (await identity.explain(address)),
        }),
      status: () => ({
        ...{ version, source: settings.source, ready: isReady(), listening: listeners.open },
        ...{ pid: process.pid, loadingSince: feed.loadingSince, proxied: proxied.open },
        ...{ bindings: directory.size, networks: opened.networks() },
        ...evidence.status(),
      }),
    }),
  });
  closers.push(() => admin.close(0));

  const bindings = () => directory.size;
  const progress = { isReady, bindings, listening: () => listeners.open };
  const around = new Around();
  const onLook = async ({ isDue = false } = {}): Promise<void> => {
    const arePasswordsKnown = feed.loadingSince === undefined || feed.servesRemembered;
    const facts = [opened.networks(), opened.endpoints(), arePasswordsKnown];
    if (around.isAsSettled(facts) && !isDue) return milestones.look(progress);
    directory.setNetworks(opened.networks());
    await proxied.follow(arePasswordsKnown);
    await listeners.follow([
      ...targets(settings.listen, "metadata", opened),
      // Before the passwords are read, "there is none" would be believed.
      ...(arePasswordsKnown ? targets(settings.passwordListen, "password", opened) : []),
    ]);
    allowed = allowedHosts(
      [...listeners.names, ...proxied.names],
      opened.networks(),
      settings.hostNames,
    );
    evidence.follow(opened.networks(), listeners.open);
    around.settle(facts);
    milestones.look(progress);
  };
  allowed = allowedHosts([...listeners.names, ...proxied.names], [], settings.hostNames);
  // Devices and their addresses come and go without a word in the source.
  const lookAround = setInterval(() => {
    const isKnown = feed.loadingSince === undefined || feed.servesRemembered;
    if (isKnown)
      void onLook({ isDue: true }).catch((error: unknown) => {
        log.error({ err: error }, "a look at this machine's addresses failed");
      });
  }, LOOK_AROUND_MS);
  lookAround.unref();
  closers.push(() => clearInterval(lookAround));
  const stop = new AbortController();
  closers.push(() => stop.abort());
  closers.push(settle(() => feed.loadingSince !== undefined, rim));
  const loaded = feed.run(opened, onLook, stop.signal);
  // Whoever started the router awaits it, perhaps later.
  loaded.then(() => milestones.loaded()).catch(() => {});

  return {
    conditions,
    loaded,
    get listening() {
      return listeners.open;
    },
    get ready() {
      return isReady();
    },
    reload: async () => {
      await Promise.all([feed.look(opened, onLook, stop.signal), evidence.refresh()]);
    },
    close: async (graceMs) => {
      grace.ms = graceMs;
      log.info("draining");
      await closeAll(closers);
      log.info("stopped");
    },
  };
}

/** Last opened, first closed; each once. */
async function closeAll(closers: (() => unknown)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const close of closers.splice(0).reverse()) {
    try {
      await close();
    } catch (error) {
      errors.push(error); // The state must be saved whatever else goes wrong.
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** A password may come before the metadata, but is given only to whom the address is bound. */
function recipient(entry: Entry | undefined, who: "bound" | "any"): Recipient | undefined {
  if (entry === undefined || (who === "bound" && entry.kind !== "bound")) return undefined;
  const { network, address, epoch } = entry;
  return { network, address, epoch, sealed: entry.kind === "bound" && entry.sealed === true };
}

function record(traffic: Traffic, directory: Directory, answer: PasswordAnswer): void {
  const { peer: address, via, outcome: what, status, recipient } = answer;
  const entry = recipient && directory.at(recipient.network, recipient.address);
  const { instance, name } = entry?.kind === "bound" ? entry : NOBODY;
  // Known by the address, perhaps, and not believed.
  const network = recipient?.network ?? directory.find(address)?.network;
  traffic.record({ plane: "password", address, via, network, instance, name, what, status });
}

/** A source that is not what it should be may answer with what it was. */
function sourceTroubles(conditions: Conditions): readonly string[] {
  return conditions
    .list()
    .filter(({ code }) => /^(SOURCE|STORE)_/.test(code) || code === "LEASES_ABSENT")
    .map(({ subject, detail, title }) => `${subject}: ${detail || title}`);
}

const NOBODY = { instance: undefined, name: undefined };

export function tell(
  log: Log,
  { code, subject, detail, title, severity }: Condition,
  holds: boolean,
): void {
  const level = holds ? (severity === "info" ? "info" : "warn") : "info";
  log[level]({ code, subject, detail }, holds ? title : `over: ${title}`);
}

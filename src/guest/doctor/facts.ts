/**
 * What `doctor` knows when it judges. A fact that could not be learned is `undefined`, which is
 * not the same as "none": a check that needs it says so instead of concluding from nothing.
 */

import type { Ruleset } from "../../platform/firewall/model.ts";
import type { Spoken } from "../../platform/speak.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Asked } from "../http.ts";
import type { Lease } from "../leases/lease.ts";
import type { Gateway } from "../routes.ts";
import type { CloudInit } from "./cloud-init.ts";
import type { Address, Neighbour, Route, RouteLookup } from "./network.ts";

/** One address at which the service may be. */
export interface Target {
  readonly endpoint: Endpoint;
  /** Ways by which this address was found, in words. */
  readonly ways: readonly string[];
  readonly connect: Spoken;
  /** The listing of the metadata; `undefined` where there was no connection. */
  readonly listing: Asked | undefined;
  /** Whether the listing is one of an instance's metadata. */
  readonly serves: boolean;
  readonly instanceId: string | undefined;
  /** Where the kernel would send a packet to it. */
  readonly route: RouteLookup | undefined;
}

export interface KeyAnswer {
  readonly name: string;
  readonly listed: boolean;
  /** 0: no answer. */
  readonly status: number;
  readonly bytes: number;
}

/** What a path lets through: sizes of packets, in bytes, with and without an answer. */
export interface PathSizes {
  readonly passed: readonly number[];
  readonly lost: readonly number[];
}

/** More about the target that serves, or that at least connects. */
export interface Service {
  readonly target: Target;
  readonly names: readonly string[];
  readonly keys: readonly KeyAnswer[];
  readonly userData: Asked | undefined;
  readonly sizes: PathSizes | undefined;
  readonly password: { readonly host: string; readonly spoken: Spoken } | undefined;
  readonly tokens: "none" | "offered" | "required";
  /** The `Date` of its answer, and our own clock at that moment; ms since 1970. */
  readonly clock: { readonly theirs: number; readonly ours: number } | undefined;
}

export interface Name {
  /** In the resolver's order. */
  readonly addresses: readonly string[];
  /** Whether the resolver gave no answer at all in time. */
  readonly silent: boolean;
  /** Whether /etc/hosts names it. */
  readonly inHosts: boolean;
}

export interface Facts {
  readonly isRoot: boolean;
  /** Whether `--endpoint` named the only one to ask. */
  readonly named: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** /etc/environment, as variables. */
  readonly environmentFile: Readonly<Record<string, string | undefined>>;
  readonly leases: readonly Lease[];
  readonly gateways: readonly Gateway[];
  readonly addresses: readonly Address[] | undefined;
  readonly routes: readonly Route[] | undefined;
  readonly dataServer: Name;
  readonly targets: readonly Target[];
  readonly service: Service | undefined;
  /** Read after the targets were asked. */
  readonly neighbours: readonly Neighbour[] | undefined;
  /** `undefined`: not root, or no tool to read it. */
  readonly ruleset: Ruleset | undefined;
  readonly productName: string | undefined;
  readonly cloudInit: CloudInit | undefined;
}

/**
 * For the tests of this folder: an API that answers as CloudStack does, from lists of what a cloud
 * has, and fails on demand.
 *
 * It checks signatures by code of its own, tells the command that was asked, and never more of a
 * list than a page.
 */

import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Credentials } from "./sign.ts";

export const SIGNAL: AbortSignal = new AbortController().signal;

export const KEYS: Credentials = { apiKey: "EXAMPLE-api-key", secretKey: "EXAMPLE-secret-key" };

type Raw = Readonly<Record<string, unknown>>;

/** What a cloud has, each thing as the API writes it. */
export interface Cloud {
  instances: Raw[];
  /** As base64, by the instance's id. */
  userData: Map<string, string>;
  networks: Raw[];
  publicAddresses: Raw[];
  offerings: Raw[];
  volumes: Raw[];
  accounts: Raw[];
  /** By name, or `name@id` where an account, a domain or a zone has its own. */
  settings: Map<string, string>;
  identifier: string;
  version: string;
}

export function emptyCloud(): Cloud {
  return {
    instances: [],
    userData: new Map(),
    networks: [],
    publicAddresses: [],
    offerings: [],
    volumes: [],
    accounts: [],
    settings: new Map(),
    identifier: "6f1c0000-0000-4000-8000-000000000001",
    version: "4.22.0.0",
  };
}

/** An answer instead of the right one. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the connection after half of the body. */
  readonly cut?: boolean;
  /** Never answers. */
  readonly hang?: boolean;
  /** Happens first; the answer is the right one where nothing else is said. */
  readonly before?: () => void;
}

/** An error as CloudStack writes it. */
export function errorFault(errorcode: number, errortext: string, cserrorcode = 9999): Fault {
  const error = { uuidList: [], errorcode, cserrorcode, errortext };
  return { status: errorcode, body: JSON.stringify({ errorresponse: error }) };
}

export class FakeApi implements AsyncDisposable {
  readonly cloud: Cloud = emptyCloud();
  /** Each request, in order. */
  readonly asked: { readonly command: string; readonly method: string; readonly params: Raw }[] =
    [];
  /** Of each command, what comes instead of the next answers. */
  readonly faults: Map<string, Fault[]> = new Map();
  /** Commands that the keys' role may not use. */
  readonly forbidden: Set<string> = new Set();
  /** How far its clock is ahead. ms. */
  ahead = 0;
  /** The most that a page may have. */
  pageSizeMax = 500;
  underWayMost = 0;
  readonly #server: Server;
  #underWay = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async open(): Promise<FakeApi> {
    const api = new FakeApi();
    await new Promise<void>((resolve) => api.#server.listen(0, "127.0.0.1", resolve));
    return api;
  }

  get url(): URL {
    const { port } = this.#server.address() as AddressInfo;
    return new URL(`http://127.0.0.1:${port}/client/api`);
  }

  fail(command: string, ...faults: Fault[]): void {
    this.faults.set(command, [...(this.faults.get(command) ?? []), ...faults]);
  }

  /** How often a command was asked. */
  count(command: string): number {
    return this.asked.filter((request) => request.command === command).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.underWayMost = Math.max(this.underWayMost, ++this.#underWay);
    response.on("close", () => this.#underWay--);
    let form = "";
    for await (const chunk of request) form += String(chunk);
    const query = request.method === "POST" ? form : (request.url?.split("?")[1] ?? "");
    const params = Object.fromEntries(
      query.split("&").map((pair) => {
        const [name = "", value = ""] = pair.split("=");
        return [name, decodeURIComponent(value)];
      }),
    );
    const { command = "" } = params;
    this.asked.push({ command, method: request.method ?? "", params });
    const fault = this.faults.get(command)?.shift();
    fault?.before?.();
    if (fault?.hang === true) return;
    const right = fault?.body === undefined && fault?.status === undefined;
    const answer = right ? this.#answer(command, params) : { status: 200, body: "" };
    const body = fault?.body ?? answer.body;
    const headers = { "content-type": "application/json;charset=UTF-8", ...fault?.headers };
    const bytes = Buffer.from(body);
    response.sendDate = false;
    response.writeHead(fault?.status ?? answer.status, {
      ...headers,
      "content-length": bytes.length,
    });
    if (fault?.cut !== true) {
      response.end(bytes);
      return;
    }
    response.write(bytes.subarray(0, bytes.length / 2), () => {
      setTimeout(() => response.socket?.destroy(), 20);
    });
  }

  #answer(command: string, params: Record<string, string>): { status: number; body: string } {
    const name = `${command.toLowerCase()}response`;
    const refuse = (errorcode: number, errortext: string, wrapper = name) => ({
      status: errorcode,
      body: JSON.stringify({ [wrapper]: { uuidList: [], errorcode, errortext } }),
    });
    if (!this.#isSigned(params)) {
      return refuse(401, "unable to verify user credentials and/or request signature");
    }
    const answer = this.#commands[command];
    if (answer === undefined || this.forbidden.has(command)) {
      const said = `The API [${command}] does not exist or is not available for the account`;
      return refuse(432, said, "errorresponse");
    }
    if (Number(params.pagesize ?? 0) > this.pageSizeMax) {
      return refuse(
        431,
        `The parameter pageSize exceeds its max allowed value ${this.pageSizeMax}`,
      );
    }
    return { status: 200, body: JSON.stringify({ [name]: answer(params) }) };
  }

  #isSigned({ signature, ...params }: Record<string, string>): boolean {
    if (params.apiKey !== KEYS.apiKey || params.signatureVersion !== "3") return false;
    const text = Object.keys(params)
      .sort()
      .map((name) => `${name}=${javaEncoded(params[name] ?? "")}`)
      .join("&");
    const right = createHmac("sha1", KEYS.secretKey).update(text.toLowerCase()).digest("base64");
    return signature === right && Date.parse(params.expires ?? "") > Date.now() + this.ahead;
  }

  readonly #commands: Readonly<Record<string, (params: Record<string, string>) => Raw>> = {
    listCapabilities: () => ({ capability: { cloudstackversion: this.cloud.version } }),
    listVirtualMachines: (params) =>
      paged("virtualmachine", this.#owned(this.cloud.instances, params), params, (instance) => {
        const userdata = this.cloud.userData.get(instance.id as string);
        const has = params.userdata === "true" && this.cloud.version >= "4.18";
        return has && userdata !== undefined ? { ...instance, userdata } : instance;
      }),
    getVirtualMachineUserData: ({ virtualmachineid = "" }) => {
      const userdata = this.cloud.userData.get(virtualmachineid);
      return { virtualmachineuserdata: { virtualmachineid, userdata } };
    },
    listProjects: () => {
      const lists = [this.cloud.instances, this.cloud.networks].flat();
      const ids = new Set(lists.flatMap(({ projectid }) => projectid ?? []));
      return ids.size === 0 ? {} : { count: ids.size, project: [...ids].map((id) => ({ id })) };
    },
    listNetworks: (params) => paged("network", this.#owned(this.cloud.networks, params), params),
    listPublicIpAddresses: (params) =>
      paged("publicipaddress", this.#owned(this.cloud.publicAddresses, params), params),
    listServiceOfferings: (params) => paged("serviceoffering", this.cloud.offerings, params),
    listVolumes: (params) => paged("volume", this.#owned(this.cloud.volumes, params), params),
    listAccounts: (params) => paged("account", this.cloud.accounts, params),
    getUser: ({ userapikey }) => (userapikey === KEYS.apiKey ? { user: { id: "u-1" } } : {}),
    getCloudIdentifier: ({ userid }) =>
      userid === "u-1"
        ? { cloudidentifier: { userid, cloudidentifier: this.cloud.identifier, signature: "x" } }
        : {},
    listConfigurations: ({ name = "", accountid, domainid, zoneid }) => {
      const own = this.cloud.settings.get(`${name}@${accountid ?? domainid ?? zoneid}`);
      const value = own ?? this.cloud.settings.get(name);
      return value === undefined ? {} : { count: 1, configuration: [{ name, value }] };
    },
  };

  /** Without `projectid` nothing of a project; with -1 and `listall`, everything. */
  #owned(all: readonly Raw[], params: Record<string, string>): readonly Raw[] {
    const { projectid, id, virtualmachineid } = params;
    // One that is named is found wherever it is.
    if (id !== undefined) return all.filter((item) => item.id === id);
    const items =
      virtualmachineid === undefined
        ? all
        : all.filter((item) => item.virtualmachineid === virtualmachineid);
    return projectid === "-1" ? items : items.filter((item) => item.projectid === undefined);
  }
}

function paged(
  name: string,
  items: readonly Raw[],
  params: Record<string, string>,
  shown: (item: Raw) => Raw = (item) => item,
): Raw {
  const size = Number(params.pagesize ?? 500);
  const from = (Number(params.page ?? 1) - 1) * size;
  const page = items.slice(from, from + size).map(shown);
  return items.length === 0 ? {} : { count: items.length, [name]: page };
}

/** As `java.net.URLEncoder`, with `%20` for a space, byte by byte. */
function javaEncoded(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      if (/[A-Za-z0-9.*_-]/.test(character)) return character;
      return `%${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");
}

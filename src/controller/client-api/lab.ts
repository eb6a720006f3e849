/**
 * What commands work with: the store, what is remembered beside it, the jobs, and one queue for all
 * that changes something, so that no two changes meet.
 */

import type { Ip } from "../../model/address.ts";
import { StoreConflictError } from "../../model/errors.ts";
import type { InstanceRecord, RecordName, StoredRecord } from "../../model/record.ts";
import { Ledger } from "../ledger.ts";
import type { ApiPorts } from "../parts.ts";
import { type InTurn, turns } from "../turns.ts";
import { LAB_NETWORK } from "./catalogue.ts";
import { type ErrorBody, errorBody, refusalOf, refuse } from "./errors.ts";
import { Inventory, type Records } from "./inventory.ts";
import { Jobs } from "./jobs.ts";
import { WRITE_ATTEMPTS_MAX } from "./limits.ts";
import {
  type KeyPair,
  type Management,
  parseKeyPair,
  parseManagement,
  parseUserData,
  presumed,
  type RegisteredUserData,
} from "./management.ts";

/** An instance as commands see it. */
export interface Known {
  readonly id: string;
  readonly records: Records;
  readonly management: Management;
}

export class Lab {
  readonly ports: ApiPorts;
  readonly inventory: Inventory;
  readonly jobs: Jobs;
  readonly instances: Ledger<Management>;
  /** By name. */
  readonly keyPairs: Ledger<KeyPair>;
  /** By id. */
  readonly userData: Ledger<RegisteredUserData>;
  /** By network, the address that was given last: the next one lies behind it. */
  readonly lastGiven: Map<string, Ip> = new Map();
  /** One change after the other. */
  readonly change: InTurn = turns();

  private constructor(
    ports: ApiPorts,
    inventory: Inventory,
    ledgers: Pick<Lab, "instances" | "keyPairs" | "userData">,
  ) {
    this.ports = ports;
    this.inventory = inventory;
    this.instances = ledgers.instances;
    this.keyPairs = ledgers.keyPairs;
    this.userData = ledgers.userData;
    const explain = (error: unknown): ErrorBody => errorBody(refusalOf(error, ports.log));
    this.jobs = new Jobs({ now: () => ports.now(), explain });
  }

  /** A store without networks gets the lab's, unless a source owns it. */
  static async open(ports: ApiPorts): Promise<Lab> {
    const { store, readOnly } = ports;
    const inventory = new Inventory(store);
    const instances = await Ledger.open(store, "client-api-instance", parseManagement);
    const keyPairs = await Ledger.open(store, "client-api-key-pair", parseKeyPair);
    const userData = await Ledger.open(store, "client-api-user-data", parseUserData);
    if (!readOnly) {
      if ((await store.networks()).length === 0) await store.putNetworks([LAB_NETWORK]);
      const there = new Set((await inventory.all()).map(([{ record }]) => record.id));
      await instances.delete([...instances.ids()].filter((id) => !there.has(id)));
    }
    return new Lab(ports, inventory, { instances, keyPairs, userData });
  }

  async find(id: string): Promise<Known | undefined> {
    const records = await this.inventory.one(id);
    return records && this.#known(records);
  }

  /** @throws {ClientApiError} 431 */
  async get(id: string, param = "id"): Promise<Known> {
    const known = await this.find(id);
    if (known === undefined) throw refuse("parameter", `${param}: there is no such instance`);
    return known;
  }

  async all(): Promise<readonly Known[]> {
    return (await this.inventory.all()).map((records) => this.#known(records));
  }

  /**
   * Changes every record of an instance. An acknowledgement meanwhile is kept: then it is read and
   * changed again.
   *
   * @throws {ClientApiError} 431 if there is no such instance
   * @throws {StoreError} if the store refuses, also if others write the record again and again.
   * @throws {RecordError} if what comes of it cannot be kept.
   */
  async update(
    id: string,
    changed: (record: InstanceRecord, isFirst: boolean) => InstanceRecord,
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { records } = await this.get(id);
        for (const [at, { record, revision }] of records.entries()) {
          await this.inventory.put(changed(record, at === 0), revision);
        }
        return;
      } catch (error) {
        if (!(error instanceof StoreConflictError) || attempt >= WRITE_ATTEMPTS_MAX) throw error;
      }
    }
  }

  /**
   * Puts all records of a new instance, or none.
   *
   * @throws {StoreError} if the store refuses, an address that another has for one.
   * @throws {RecordError} if a record cannot be kept.
   */
  async add(id: string, management: Management, records: readonly InstanceRecord[]): Promise<void> {
    const done: StoredRecord[] = [];
    // First: a record without it would look like one of somebody else's.
    await this.instances.put([[id, management]]);
    try {
      for (const record of records) done.push(await this.inventory.put(record, 0));
    } catch (error) {
      for (const { record } of done) await this.inventory.delete(record);
      await this.instances.delete([id]);
      throw error;
    }
  }

  /** @throws {ClientApiError | StoreError} if there is no such instance, or the store refuses. */
  async remove(id: string): Promise<void> {
    const names: readonly RecordName[] = (await this.get(id)).records.map(({ record }) => record);
    for (const name of names) await this.inventory.delete(name);
    await this.instances.delete([id]);
  }

  #known(records: Records): Known {
    const { id } = records[0].record;
    return { id, records, management: this.instances.get(id) ?? presumed(records) };
  }
}

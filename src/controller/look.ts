/**
 * How a controller looks at a source: at all of it, or at one instance where the source can.
 */

export interface Looked {
  /** Instances that the source has now. */
  readonly instances: number;
  readonly written: number;
  readonly deleted: number;
  /** Something must be seen a second time before it is believed: look again after so long. ms. */
  readonly againMs?: number;
}

export interface Look {
  /**
   * Looks at everything, and makes the store say so.
   *
   * @throws {MetadataError} if that was not possible; what is not certain stayed as it was.
   */
  all(signal: AbortSignal): Promise<Looked>;

  /**
   * Looks at a few instances, also while a look at everything is under way.
   *
   * @returns whether that was enough; if not, only a look at everything can say more
   * @throws {MetadataError} as `all`.
   */
  some(ids: readonly string[], signal: AbortSignal): Promise<boolean>;

  /** Trusts nothing that is remembered: the next look asks the store about each record. */
  doubt(): void;
}

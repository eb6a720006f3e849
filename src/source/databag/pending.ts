/**
 * What has happened to an address since it was looked at.
 */

export interface Pending {
  /** Metadata came, be it the same. */
  readonly arrived: boolean;
  /** A guest would see a difference. */
  readonly differs: boolean;
}

export const TOUCHED: Pending = { arrived: false, differs: false };
const ARRIVED: Pending = { arrived: true, differs: false };
export const DIFFERS: Pending = { arrived: false, differs: true };
const ARRIVED_AND_DIFFERS: Pending = { arrived: true, differs: true };

/** One of four, because there is one for each address when all are read. */
export function pendingOf(arrived: boolean, differs: boolean): Pending {
  if (arrived) return differs ? ARRIVED_AND_DIFFERS : ARRIVED;
  return differs ? DIFFERS : TOUCHED;
}

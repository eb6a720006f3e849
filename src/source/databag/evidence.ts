/**
 * Where the databag source has an address's lease from, for `frontdesk why`. Notes are the source's
 * own, so they are read here.
 */

import type { Binding, Withheld } from "../../model/binding.ts";
import { readBindingNote, readWithheldNote } from "./memory.ts";

/** Whether a command brought the lease, or took it, and dhcpentry.json says something older. */
export function isLeaseCommanded(known: Pick<Binding, "note"> | Withheld): boolean {
  const note = "reason" in known ? readWithheldNote(known) : readBindingNote(known.note);
  return note?.leaseOver !== undefined;
}

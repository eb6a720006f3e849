/**
 * The snapshot: all that is known, written beside the old one and put in its place by rename.
 *
 * It begins by ending the journal's generation; what is appended meanwhile goes to the next one,
 * which the snapshot names. Until the rename the old snapshot and all journals count, afterwards
 * the new one and the journals from that generation on: whenever the program dies, one of the two
 * is whole.
 */

import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { StoredBody } from "../../model/binding.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { FrameEncoder } from "./encode.ts";
import type { SnapshotEntry } from "./entry.ts";
import type { Cut } from "./journal.ts";
import { FRAME_BYTES, SLICE_MS } from "./limits.ts";
import { Sealer } from "./seal.ts";
import { rest } from "./turn.ts";

/** Entries between two looks at the clock. */
const ENTRIES_BETWEEN_LOOKS = 32;

export interface SnapshotOptions {
  readonly folder: string;
  readonly realm: string;
  readonly disk: Disk;
  readonly sealKey: Uint8Array;
  readonly cut: Cut;
  readonly entries: Iterable<SnapshotEntry>;
  readonly onStored: (body: StoredBody) => void;
  /** Makes the bodies that the snapshot names durable, before it counts. */
  readonly syncBodies: () => Promise<void>;
}

/** Writes a snapshot and puts it in force. A failure leaves the old one as it was. */
export async function writeSnapshot(options: SnapshotOptions): Promise<void> {
  const { folder, disk } = options;
  const made = join(folder, "snapshot.new");
  await disk.remove(made);
  const file = await disk.create(made);
  try {
    await writeFrames(file, options);
    await options.syncBodies();
    await file.sync();
  } catch (error) {
    await file.close().catch(() => {});
    await disk.remove(made).catch(() => {}); // Its space may be what is missing.
    throw error;
  }
  await file.close();
  await disk.rename(made, join(folder, "snapshot"));
  await disk.syncFolder(folder);
}

async function writeFrames(file: DiskFile, options: SnapshotOptions): Promise<void> {
  const { sealKey, realm, cut, onStored } = options;
  const sealer = new Sealer(sealKey, { kind: "snapshot", label: realm }, cut.generation);
  await file.write(sealer.header);
  const encoder = new FrameEncoder(onStored);
  let sliceBegan = performance.now();
  let count = 0;
  for (const entry of options.entries) {
    encoder.add(entry);
    if (encoder.bytes >= FRAME_BYTES) {
      await file.write(sealer.seal(encoder.finish()));
      await rest();
      sliceBegan = performance.now();
    } else if (++count % ENTRIES_BETWEEN_LOOKS === 0 && isOver(sliceBegan)) {
      await rest();
      sliceBegan = performance.now();
    }
  }
  await file.write(sealer.seal(encoder.finish(), true));
}

function isOver(sliceBegan: number): boolean {
  return performance.now() - sliceBegan > SLICE_MS - 2; // Leaves room to finish a frame.
}

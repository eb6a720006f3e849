/**
 * The key that a store is sealed with: that of the state directory, or a file of one's own, by the
 * rules of the router. Made at the first start.
 */

import { randomBytes } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { StateError } from "../model/errors.ts";
import { nodeDisk, reasonOf } from "../router/state/disk.ts";
import { checkOurs } from "../router/state/ours.ts";
import { placeOf, readSealKey, SEAL_KEY_BYTES, writeSealKey } from "../router/state/place.ts";

/**
 * @param file in place of the state directory's own
 * @throws {StateError} if the key cannot be used as it is, or kept, or the directory is not ours.
 */
export async function openSealKey(stateDir: string, file: string | undefined): Promise<Uint8Array> {
  const place = placeOf(stateDir, "controller");
  try {
    checkOurs(stateDir);
    const made = await mkdir(stateDir, { recursive: true, mode: 0o700 });
    if (made !== undefined) await chmod(stateDir, 0o700);
    await mkdir(join(stateDir, "run"), { recursive: true, mode: 0o700 });
    const key = readSealKey(place, file);
    if (key !== undefined) return key;
    const fresh = randomBytes(SEAL_KEY_BYTES);
    await writeSealKey(place, fresh, nodeDisk);
    return fresh;
  } catch (error) {
    if (error instanceof StateError) throw error;
    const message = `cannot use the state directory ${stateDir} (${reasonOf(error)})`;
    throw new StateError("STATE_UNWRITABLE", message, { cause: error });
  }
}

/** Whether the key that seals the state can be used: who may read it, and its size. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { FindingKind, Found } from "../../../observe/doctor/finding.ts";
import { word } from "../../../observe/doctor/words.ts";
import { SEAL_KEY_BYTES } from "../../state/place.ts";
import type { Check } from "../check.ts";
import { octal } from "../words.ts";

type Code = "SEAL_KEY_OPEN" | "SEAL_KEY_UNREADABLE" | "SEAL_KEY_SIZE" | "SEAL_KEY_ABSENT";

const KIND = { severity: "error", where: "router" } as const;
/** Of a key in the state directory, and of one that a service manager hands out. */
const FORBIDDEN = { own: 0o077, elsewhere: 0o037 };
const OWNER_READS = 0o400;

export const sealKey: Check<Code> = {
  name: "seal-key",
  title: "the key that seals the state can be used",
  kinds: {
    SEAL_KEY_OPEN: {
      ...KIND,
      title: "others may read the key that seals the state; a router does not start with it",
      advice: "make it its owner's alone, and think about who may have read it",
    },
    SEAL_KEY_UNREADABLE: {
      ...KIND,
      title: "the router's user cannot read the key that seals the state",
      advice: "give the key back to the user who has the state directory",
    },
    SEAL_KEY_SIZE: {
      ...KIND,
      title: "the key that seals the state has not its 32 bytes; a router does not start with it",
      advice: "put back a copy of the key; without it a new one, and passwords that wait are lost",
    },
    SEAL_KEY_ABSENT: {
      ...KIND,
      title: "the key that --seal-key names is not there; a router does not start without it",
      advice: "put it back, or correct --seal-key",
    },
  } satisfies Record<Code, FindingKind>,
  judge({ state, sealKey: { path, isElsewhere, file } }) {
    if (typeof state === "string" && !isElsewhere) return skipped("there is no state to look at");
    const key = word(path);
    const say = (found: Found<Code>) => ({ seen: found.seen, found: [found] });
    if (file === undefined) {
      if (!isElsewhere) return fine("not made yet, or kept elsewhere");
      const seen = `${path} does not exist, or its folder is closed`;
      const cause = "whoever keeps the key has not put it there";
      return say({ code: "SEAL_KEY_ABSENT", seen, cause, certainty: "likely" });
    }
    const { uid, mode, bytes } = file;
    const seen = `${path}: user ${uid}, mode ${octal(mode)}, ${bytes} bytes`;
    if ((mode & (isElsewhere ? FORBIDDEN.elsewhere : FORBIDDEN.own)) !== 0) {
      const cause = "the mode lets others than its owner read or write it";
      const remedy = [`chmod 0600 ${key}`];
      return say({ code: "SEAL_KEY_OPEN", seen, cause, certainty: "certain", remedy });
    }
    const owner = typeof state === "string" ? uid : state.uid;
    if (!isElsewhere && (uid !== owner || (mode & OWNER_READS) === 0)) {
      const cause = `the state directory is user ${owner}'s, whom the key keeps out`;
      const remedy = [`chown ${owner} ${key}`, `chmod 0600 ${key}`];
      return say({ code: "SEAL_KEY_UNREADABLE", seen, cause, certainty: "likely", remedy });
    }
    if (bytes !== SEAL_KEY_BYTES) {
      const cause = "it was cut, by a full disk for instance, or is another file";
      const remedy = [`ls -l ${key}`];
      return say({ code: "SEAL_KEY_SIZE", seen, cause, certainty: "certain", remedy });
    }
    return fine(seen);
  },
};

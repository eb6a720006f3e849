/** Whether what the router reads is there, may be read, and can be understood. */

import { counted } from "../../../model/count.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { FindingKind, Found } from "../../../observe/doctor/finding.ts";
import { and, word } from "../../../observe/doctor/words.ts";
import { NAMES } from "../../../source/databag/files.ts";
import type { Check } from "../check.ts";
import type { SourceFacts, SourceFile } from "../facts.ts";
import { ageWords } from "../words.ts";

type Code =
  | "SOURCE_ABSENT"
  | "SOURCE_FILE_ABSENT"
  | "SOURCE_FILE_UNREADABLE"
  | "SOURCE_FILE_DAMAGED";

const KIND = { severity: "error", where: "router" } as const;

/** Databags without which guests are served wrongly or not at all; the others come with a use. */
const NEEDED: Readonly<Record<string, string>> = {
  [NAMES.metadata]: "without it the router knows no metadata but what it remembers",
  [NAMES.leases]: "without it the router cannot tell which instances still have their address",
  [NAMES.ips]: "without it the router does not know its guests' networks",
};
const REWRITE = "restart the network in CloudStack with clean-up, so that it is written anew";

export const source: Check<Code> = {
  name: "source",
  title: "the source is there, may be read, and can be understood",
  kinds: {
    SOURCE_ABSENT: {
      ...KIND,
      title: "the source is not there, or may not be read",
      advice: "correct --source; on a virtual router it is databag:/etc/cloudstack",
    },
    SOURCE_FILE_ABSENT: { ...KIND, title: "a file of the source is not there", advice: REWRITE },
    SOURCE_FILE_UNREADABLE: {
      ...KIND,
      title: "a file of the source cannot be read",
      advice: "give it back to the router's user, readable; where the disk fails, see its log",
    },
    SOURCE_FILE_DAMAGED: {
      ...KIND,
      title: "a file of the source is not what it should be; the last good state stays in force",
      advice: `wait if it is being written; else ${REWRITE}`,
    },
  } satisfies Record<Code, FindingKind>,
  judge({ source, now }) {
    if (source === undefined) return skipped("nobody says what it is: --source names it");
    if (source.fault === undefined && source.files.length === 0) {
      return skipped(`${source.text} is not looked at from here`);
    }
    if (source.fault !== undefined) {
      const seen = `${source.path} ${source.fault}`;
      const cause = "the folder was removed, or --source names another place";
      const remedy = [`ls -ld ${word(source.path)}`];
      return { seen, found: [{ code: "SOURCE_ABSENT", seen, cause, certainty: "likely", remedy }] };
    }
    const found = source.files.flatMap((file) => findingOf(source, file));
    const changed = source.files.flatMap((file) => file.changed ?? []);
    const age =
      changed.length === 0 ? "" : `, newest change ${ageWords(now - Math.max(...changed))} ago`;
    if (found.length === 0) {
      const count = source.files.filter(({ state }) => state === "good").length;
      return fine(`${source.text}: ${counted(count, "file")}${age}`);
    }
    const names = new Set(found.flatMap(({ subjects = [] }) => subjects));
    return { seen: `${source.text}: look at ${and([...names])}${age}`, found };
  },
};

function findingOf({ scheme }: SourceFacts, file: SourceFile): readonly Found<Code>[] {
  const { name, path, state } = file;
  const base = { subjects: [name], remedy: [`ls -l ${word(path)}`] };
  if (state === "good") return [];
  if (state === "absent") {
    if (scheme === "file") {
      const cause = "the file was removed, or --source names another one";
      const seen = `${path} does not exist`;
      return [{ ...base, code: "SOURCE_ABSENT", seen, cause, certainty: "likely" }];
    }
    const cause = NEEDED[name];
    if (cause === undefined) return [];
    const seen = `${path} does not exist`;
    return [{ ...base, code: "SOURCE_FILE_ABSENT", seen, cause, certainty: "certain", remedy: [] }];
  }
  if (state === "unreadable") {
    const seen = `${path} cannot be read`;
    const cause = "its owner or mode keeps this user out, it is no file, or the disk fails";
    return [{ ...base, code: "SOURCE_FILE_UNREADABLE", seen, cause, certainty: "possible" }];
  }
  const seen = `${path} is not JSON, or not an object`;
  const cause = "it was cut while it was written, by a full disk for instance, or is being written";
  return [{ ...base, code: "SOURCE_FILE_DAMAGED", seen, cause, certainty: "likely" }];
}

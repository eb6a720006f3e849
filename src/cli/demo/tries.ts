/**
 * What the demo says to try: command lines that answer as they stand, from the folder in which the
 * demo was started.
 */

import type { Ip } from "../../model/address.ts";
import { passwordCommand } from "../../source/source.ts";
import { programName } from "./program-name.ts";

export interface Guest {
  readonly address: Ip;
  readonly name: string;
  /** Absent where it is answered; else why not, as the end of a sentence. */
  readonly unanswered?: string;
}

/** Where the demo's router can be asked. */
export interface Place {
  /** What plain curl asks from. */
  readonly host: Ip;
  readonly port: number;
  readonly passwordPort: number;
  /** As `--admin` takes it. */
  readonly admin: string;
}

/** A command line, and what it shows. */
export interface Try {
  readonly command: string;
  readonly about: string;
}

/** The password that CloudStack sets while one watches. */
const NEW_PASSWORD = "k8Wd-2rTm";

/** @param takesCommands whether the router stands for CloudStack's own, and takes its commands */
export function tries(guests: readonly Guest[], place: Place, takesCommands: boolean): Try[] {
  const { host, port, passwordPort, admin } = place;
  const [first, second] = guests.filter(({ unanswered }) => unanswered === undefined);
  if (first === undefined) return [];
  const at = `http://${host}:${port}/latest`;
  const as = ({ address }: Guest): string =>
    address === host ? "curl" : `curl --interface ${address}`;
  const password = (word: string): string =>
    `${as(first)} -H 'DomU_Request: ${word}' http://${host}:${passwordPort}/`;
  const asked: Try[] = [
    { command: `${as(first)} ${at}/meta-data/`, about: `what ${first.name} is told` },
    { command: `${as(first)} ${at}/user-data`, about: "its user data" },
    { command: password("send_my_password"), about: "its password" },
    {
      command: password("saved_password"),
      about: "the guest confirms that it has set it: then it is gone",
    },
  ];
  if (takesCommands) {
    const command = passwordCommand(first.address, NEW_PASSWORD);
    asked.push({
      command: `echo '${command}' | ${program()} apply --admin ${admin} -`,
      about: "CloudStack sets a new one: ask for the password again",
    });
  }
  if (second !== undefined) {
    asked.push({ command: `${as(second)} ${at}/local-hostname`, about: "another guest's name" });
  }
  asked.push({
    command: `${program()} why --admin ${admin} ${first.address}`,
    about: `who ${first.address} is, and why`,
  });
  for (const { address, name, unanswered } of guests) {
    if (unanswered === undefined) continue;
    asked.push({
      command: `${program()} why --admin ${admin} ${address}`,
      about: `why ${name} gets nothing: ${unanswered}`,
    });
  }
  return asked;
}

function program(): string {
  const { execPath, argv, env } = process;
  const here = { module: import.meta.url, cwd: process.cwd(), path: env.PATH };
  return programName({ ...here, execPath, script: argv[1] });
}

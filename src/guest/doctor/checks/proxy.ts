/** Whether programs here would send metadata requests to a proxy, as curl and wget do. */

import { fine } from "../../../observe/doctor/check.ts";
import { and, word } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import type { Facts } from "../facts.ts";
import { reliedOn, serving } from "../words.ts";

const PROXIES = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const EXCEPTIONS = ["no_proxy", "NO_PROXY"];
const FILE = "/etc/environment";

type Variables = Facts["env"];

export const proxy: Check<"PROXY_SET"> = {
  name: "proxy",
  title: "no proxy stands before the service",
  kinds: {
    PROXY_SET: {
      title: "a proxy is set, and the service is not excepted from it",
      severity: "warning",
      advice: "name the service's addresses in no_proxy",
      where: "guest",
    },
  },
  judge(facts) {
    // Who is asked in vain needs no exception: an old lease's server, a router that is gone.
    const served = serving(facts);
    const hosts = (served.length > 0 ? served : reliedOn(facts)).map((one) => one.endpoint.host);
    const here = exposed(facts.env, hosts);
    const there = exposed(facts.environmentFile, hosts);
    if (here === undefined && there === undefined) return fine("none is set, or all are excepted");
    const names = [here, there].flatMap((one) => one?.names ?? []);
    const missing = [...new Set([here, there].flatMap((one) => one?.missing ?? []))];
    const where = here === undefined ? ` in ${FILE}` : " in the environment";
    const remedy = [
      ...(here === undefined ? [] : [`export ${linesFor(facts.env, here.missing).join(" ")}`]),
      ...(there === undefined
        ? []
        : linesFor(facts.environmentFile, there.missing).map(
            (line) => `echo ${word(line)} >> ${FILE}`,
          )),
    ];
    const seen = `${[...new Set(names)].join(", ")}${where}, without ${and(missing)} in no_proxy`;
    return {
      seen,
      found: [
        {
          code: "PROXY_SET",
          seen,
          cause:
            "programs such as curl ask the proxy, which is not this instance, or reaches nobody",
          certainty: served.length > 0 ? "certain" : "likely",
          remedy,
        },
      ],
    };
  },
};

/** The exceptions that are set already, and these. */
function linesFor(variables: Variables, missing: readonly string[]): readonly string[] {
  const value = [variables.no_proxy ?? variables.NO_PROXY, ...missing].filter(Boolean).join(",");
  return EXCEPTIONS.map((name) => `${name}=${word(value)}`);
}

/** Names of proxies that are set, never their values: these may hold a password. */
function exposed(variables: Variables, hosts: readonly string[]) {
  const names = PROXIES.filter((name) => (variables[name] ?? "") !== "");
  if (names.length === 0) return undefined;
  const excepted = EXCEPTIONS.flatMap((name) => (variables[name] ?? "").split(/[\s,]+/));
  const missing = hosts.filter((host) => !excepted.includes("*") && !isExcepted(host, excepted));
  return missing.length === 0 ? undefined : { names, missing };
}

function isExcepted(host: string, excepted: readonly string[]): boolean {
  // Prefixes are understood by some programs only; what counts for all is the address itself.
  return excepted.some((one) => one === host);
}

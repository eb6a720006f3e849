/** A check of this doctor: what every doctor's check is, on the facts of a router's machine. */

import type { Check as CheckOf } from "../../observe/doctor/check.ts";
import type { Facts } from "./facts.ts";

export type Check<Code extends string = string> = CheckOf<Facts, Code>;

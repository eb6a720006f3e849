/**
 * What can be wrong with a store, for who writes it and for who follows it: a part of the table in
 * `conditions.ts`. To add one, add a line.
 */

import type { ConditionKind } from "./conditions.ts";

export const STORE_CONDITIONS = {
  STORE_MISSING: {
    title: "the store that the router follows is not there yet; the last answers stay in force",
    severity: "error",
    advice: "start the program that writes it, or correct its path",
    where: "router",
  },
  STORE_UNREADABLE: {
    title: "the store that the router follows cannot be read; the last answers stay in force",
    severity: "error",
    advice: "check the file's permissions and its disk; its writer sets a damaged file aside",
    where: "router",
  },
  STORE_KEY: {
    title: "the store is sealed with another key than the router's; the last answers stay in force",
    severity: "error",
    advice: "give the router the seal key of the program that writes the store: --seal-key FILE",
    where: "router",
  },
  STORE_FORMAT: {
    title: "the store is of a version that this router does not read; the last answers stay",
    severity: "error",
    advice: "run the router and the program that writes the store in versions next to each other",
    where: "router",
  },
  STORE_UNSUPPORTED: {
    title: "this runtime cannot read the store; the last answers stay in force",
    severity: "error",
    advice: "run the binary, or Node.js 22.13 or later",
    where: "router",
  },
  STORE_REPLACED: {
    title: "the store is a new one, and what it lacks is still answered as before",
    severity: "warning",
    advice: "wait until its writer has filled it; check why it was replaced",
    where: "router",
  },
  STORE_SET_ASIDE: {
    title: "the store's file was damaged and was set aside; the store began empty",
    severity: "error",
    advice: "check the disk; the source fills the store again, or put back a copy of the file",
    where: "router",
  },
  STORE_RECORD_DAMAGED: {
    title: "a record in the store cannot be opened; its guest keeps its last answers",
    severity: "error",
    advice: "check the disk; write the instance again, or let the source do so",
    where: "router",
  },
  PAYLOAD_LACKING: {
    title: "a payload of an instance is not on the router's disk; its guest cannot fetch it",
    severity: "error",
    advice: "free space in the router's state directory, or add the payload to the store again",
    where: "router",
  },
  STORE_UNWRITABLE: {
    title: "the store cannot be written; what it holds stays in force",
    severity: "error",
    advice: "free space on the disk, or correct the file's permissions",
    where: "controller",
  },
} as const satisfies Readonly<Record<string, ConditionKind>>;

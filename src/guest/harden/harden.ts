/**
 * `frontdesk guest harden`: only chosen users of this instance may ask the metadata service.
 *
 * `harden` plans everything first, so that wrong usage changes nothing; then it does what the mode
 * says. Doing it twice changes nothing the second time, and `remove` leaves what was there before.
 */

import { HardenError } from "../../model/errors.ts";
import { type Accounts, resolveAccounts } from "./accounts.ts";
import { type Choice, chooseBackend, type Script } from "./backend.ts";
import { type GuardedPlaces, guardedPlaces } from "./endpoints.ts";
import type { HardenOptions } from "./options.ts";
import {
  disableUnits,
  enableUnits,
  forgetUnits,
  noUnitFiles,
  unitConflict,
  unitFiles,
} from "./persist.ts";
import { planPin, planUnpin, type Wish } from "./pin.ts";
import { makePolicy, type Policy } from "./policy.ts";
import type { HardenPorts } from "./ports.ts";
import { type HardenedFile, type HardenResult, NOT_COVERED } from "./report.ts";

/**
 * @throws {UsageError} for wrong usage, and for users that do not exist
 * @throws {HardenError | ExecError} if it cannot be done; what was planned is then not in force
 */
export async function harden(options: HardenOptions, ports: HardenPorts): Promise<HardenResult> {
  if (options.mode !== "show" && !ports.isRoot) {
    throw new HardenError("HARDEN_NOT_ROOT", `--${options.mode} needs root: run it with sudo`);
  }
  const plan = await makePlan(options, ports);
  if (options.mode === "remove") return remove(plan, ports);
  if (options.mode === "check") return check(plan, ports);
  return options.mode === "apply" ? apply(plan, ports) : show(plan, ports);
}

interface Plan {
  readonly options: HardenOptions;
  readonly choice: Choice;
  readonly accounts: Accounts;
  readonly guarded: GuardedPlaces;
  readonly policy: Policy;
  readonly units: readonly Wish[];
  readonly pin: readonly Wish[];
  readonly scripts: readonly Script[];
  readonly notes: readonly string[];
}

async function makePlan(options: HardenOptions, ports: HardenPorts): Promise<Plan> {
  const choice = await chooseBackend(options.backend, ports);
  const accounts = await resolveAccounts(options, ports);
  const wanted = options.mode !== "remove";
  const found = wanted ? await ports.candidates() : [];
  const guarded = guardedPlaces(options.endpoints, found);
  const policy = makePolicy({
    users: [
      ...accounts.users.map(({ id }) => id),
      ...accounts.groups.flatMap(({ members }) => members.map(({ id }) => id)),
    ],
    groups: accounts.groups.map(({ id }) => id),
    addresses: guarded.places.map(({ address }) => address),
    ports: guarded.ports,
  });
  const pin = wanted && options.pin ? planPin(options.endpoints, found, ports.files) : undefined;
  const changes = options.mode === "show" || options.mode === "apply";
  const conflict = changes ? unitConflict(options, ports) : undefined;
  const units = wanted && options.persist ? unitFiles(options, policy, ports) : [];
  return {
    ...{ options, choice, accounts, guarded, policy, units },
    pin: pin?.wishes ?? [],
    scripts: await choice.backend.scripts(policy),
    notes: [
      ...choice.backend.gaps,
      ...(conflict === undefined ? [] : [conflict]),
      ...guarded.notes,
      ...accounts.unknown.map((name) => `there is no ${name}: left out`),
      ...(pin?.notes ?? []),
    ],
  };
}

async function show(plan: Plan, ports: HardenPorts): Promise<HardenResult> {
  const { backend } = plan.choice;
  const inForce = ports.isRoot ? await backend.holds(plan.policy) : undefined;
  return report(plan, { inForce, files: wishes(plan).map((wish) => compare(wish, ports)) });
}

async function apply(plan: Plan, ports: HardenPorts): Promise<HardenResult> {
  const { backend, others } = plan.choice;
  let changed = false;
  if (!(await backend.holds(plan.policy))) {
    await backend.apply(plan.policy);
    changed = true;
    if (!(await backend.holds(plan.policy))) {
      const message = `${backend.title} took the rules, and they are not in force`;
      throw new HardenError("HARDEN_NOT_IN_FORCE", message);
    }
  }
  for (const other of others) if (await other.remove()) changed = true;
  const files = wishes(plan).map((wish) => fulfil(wish, ports));
  if (plan.units.length > 0) await enableUnits(ports);
  if (files.some(({ action }) => action !== "keep")) changed = true;
  return report(plan, { inForce: true, files, changed });
}

async function check(plan: Plan, ports: HardenPorts): Promise<HardenResult> {
  const { options, choice, policy } = plan;
  const findings: string[] = [];
  const installed = await choice.backend.installed();
  const isNamed = options.allow.length + options.allowGroups.length > 0;
  let inForce = false;
  if (installed === undefined) findings.push("no rules of ours are in force");
  else {
    // Addresses that were found earlier may stay guarded; those of now must be.
    const users = isNamed ? policy : installed;
    const expected = { ...installed, users: users.users, groups: users.groups };
    inForce = await choice.backend.holds(makePolicy(expected));
    if (!inForce) findings.push("the rules in force are not those that --apply would make");
    const missing = policy.addresses.filter((address) => !installed.addresses.includes(address));
    for (const address of missing) findings.push(`${address} is not guarded`);
    if (policy.ports.some((port) => !installed.ports.includes(port))) {
      findings.push(`of the ports ${policy.ports.join(", ")} not all are guarded`);
    }
    inForce &&= findings.length === 0;
  }
  const files = wishes(plan).map((wish) => compare(wish, ports));
  for (const { path, action } of files) {
    if (action !== "keep") findings.push(`${path} is not as --apply would write it`);
  }
  return report(plan, { inForce, files, findings, installed: isNamed ? undefined : installed });
}

async function remove(plan: Plan, ports: HardenPorts): Promise<HardenResult> {
  // The units first, or the timer would put the rules back.
  const units = noUnitFiles().filter(({ path }) => ports.files.read(path) !== undefined);
  if (units.length > 0) await disableUnits(ports);
  const files = [...units, ...planUnpin(ports.files)].map((wish) => fulfil(wish, ports));
  if (units.length > 0) await forgetUnits(ports);
  let changed = files.some(({ action }) => action !== "keep");
  for (const backend of [plan.choice.backend, ...plan.choice.others]) {
    if (await backend.remove()) changed = true;
  }
  return report(plan, { inForce: false, files, changed });
}

const wishes = ({ units, pin }: Plan): readonly Wish[] => [...units, ...pin];

function compare({ path, text }: Wish, { files }: HardenPorts): HardenedFile {
  const same = files.read(path) === text;
  const action = same ? "keep" : text === undefined ? "remove" : "write";
  // Files are bytes to us; a reader of the report wants characters.
  const shown = text === undefined ? {} : { text: Buffer.from(text, "latin1").toString() };
  return { path, action, ...shown };
}

function fulfil(wish: Wish, ports: HardenPorts): HardenedFile {
  const file = compare(wish, ports);
  if (file.action === "write" && wish.text !== undefined) ports.files.write(wish.path, wish.text);
  if (file.action === "remove") ports.files.remove(wish.path);
  return file;
}

interface Outcome {
  readonly inForce: boolean | undefined;
  readonly files: readonly HardenedFile[];
  readonly changed?: boolean;
  readonly findings?: readonly string[];
  /** What is in force, where that is what was asked. */
  readonly installed?: Policy | undefined;
}

function report(plan: Plan, outcome: Outcome): HardenResult {
  const { options, choice, accounts, guarded, policy } = plan;
  const { installed, findings = [] } = outcome;
  const bare = (id: number) => ({ name: id === 0 ? "root" : `${id}`, id });
  return {
    format: 1,
    mode: options.mode,
    backend: { name: choice.backend.name, title: choice.backend.title, why: choice.why },
    users: installed === undefined ? accounts.users : installed.users.map(bare),
    groups:
      installed === undefined
        ? accounts.groups
        : installed.groups.map((id) => ({ name: `${id}`, id, members: [] })),
    endpoints: guarded.places,
    ports: policy.ports,
    scripts: options.mode === "show" || options.mode === "apply" ? plan.scripts : [],
    files: outcome.files,
    inForce: outcome.inForce,
    changed: outcome.changed ?? false,
    findings,
    notes: plan.notes,
    notCovered: NOT_COVERED,
    code: options.mode === "check" && findings.length > 0 ? 3 : 0,
  };
}

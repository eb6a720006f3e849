/**
 * What a machine with only Node.js and npm needs before the tests: `npm run setup`, and the first
 * part of `npm test`. Each step says what it did or why it could not; none is fatal but the first.
 *
 * FRONTDESK_NO_APT=1 leaves the system's packages alone.
 */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { capture, ROOT, run } from "./run.mjs";

const NODE18 = join(ROOT, ".cache", "node18");
/** Part of every system that can run Node.js at all. */
const LIBRARIES_OF_THE_SYSTEM = ["libc6", "libgcc-s1", "libstdc++6", "zlib1g"];

/** npm ci, unless node_modules is what package-lock.json asks for. */
export async function installPinned() {
  const bun = join(ROOT, "node_modules", ".bin", "bun");
  if (isCurrent() && capture(bun, ["--version"]).ok) {
    return { ok: true, what: "npm packages: there" };
  }
  const { ok } = await run("sh", ["scripts/install.sh"]);
  if (!ok) return { ok, what: "npm packages: npm ci failed" };
  const { ok: runs, out } = capture(bun, ["--version"]);
  // An illegal instruction shows as no output at all.
  const why = out || "it does not start; Bun needs a CPU with SSE4.2";
  return { ok: runs, what: runs ? `npm packages: installed, Bun ${out}` : `Bun: ${why}` };
}

/** The Debian packages that end-to-end tests start. No service is started by it. */
export function installDebianPackages() {
  const wanted = readFileSync(join(ROOT, "scripts", "packages.txt"), "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((name) => name !== "");
  const missing = wanted.filter((name) => !isInstalled(name));
  const list = missing.join(" ");
  if (missing.length === 0) return { ok: true, what: "Debian packages: there" };
  const without = (why) => ({ ok: false, what: `Debian packages: without ${list}: ${why}` });
  if (process.env.FRONTDESK_NO_APT === "1") return without("FRONTDESK_NO_APT is set");
  if (!capture("apt-get", ["--version"]).ok) return without("this system has no apt-get");
  if (process.getuid?.() !== 0) return without(`as root: apt-get install ${list}`);
  console.log(`setup: apt-get install ${list}`);
  const update = apt(["update"]);
  const install = withoutServices(() =>
    apt(["install", "-y", "--no-install-recommends", ...missing]),
  );
  if (install.ok) return { ok: true, what: `Debian packages: installed ${list}` };
  return without(lastLine(update.ok ? install.out : update.out));
}

/** Debian 12's own Node.js 18 beside the newer one, as `.cache/node18/node`. */
export function fetchNode18() {
  const wrapper = join(NODE18, "node");
  const version = () => capture(wrapper, ["-p", "process.version"]);
  if (existsSync(wrapper) && version().ok) return { ok: true, what: "Node.js 18: there" };
  const without = (why) => ({ ok: false, what: `Node.js 18: without it, ${why}` });
  if (process.env.FRONTDESK_NO_APT === "1") return without("FRONTDESK_NO_APT is set");
  const newest = newestOf("nodejs", /^18\./);
  if (newest === undefined) return without("this system's package lists have no nodejs 18");
  const work = join(ROOT, ".cache", `node18.${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const failure = unpackNode(work, newest);
    if (failure !== undefined) return without(failure);
    rmSync(NODE18, { recursive: true, force: true });
    renameSync(work, NODE18);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const { ok, out } = version();
  return ok ? { ok, what: `Node.js 18: fetched ${out}` } : without(firstLine(out));
}

/** Everything, in order; tells each step's outcome. False when the tests cannot run at all. */
export async function setUp() {
  const pinned = await installPinned();
  console.log(`setup: ${pinned.what}`);
  if (!pinned.ok) return false;
  for (const step of [installDebianPackages, fetchNode18]) console.log(`setup: ${step().what}`);
  return true;
}

/** The same question as in bin/frontdesk: is node_modules what package-lock.json asks for? */
function isCurrent() {
  const lock = join(ROOT, "package-lock.json");
  const byNpm = join(ROOT, "node_modules", ".package-lock.json");
  const byUs = join(ROOT, "node_modules", ".frontdesk-lock");
  if (!existsSync(byNpm)) return false;
  if (statSync(lock).mtimeMs <= statSync(byNpm).mtimeMs) return true;
  return existsSync(byUs) && readFileSync(lock).equals(readFileSync(byUs));
}

/** Downloads Node.js and the libraries it names into `work`; answers what went wrong. */
function unpackNode(work, newest) {
  const libnode = `libnode${nodeAbi(newest)}`;
  const direct = [`nodejs=${newest}`, `${libnode}=${newest}`];
  const depends = capture("apt-cache", ["show", `${libnode}=${newest}`]).stdout;
  const libraries = (/^Depends: (.*)$/m.exec(depends)?.[1] ?? "")
    .split(",")
    .map((entry) => entry.trim().split(/[ :]/)[0])
    .filter((name) => name.startsWith("lib") && !LIBRARIES_OF_THE_SYSTEM.includes(name));
  const fetched = capture("apt-get", ["download", ...direct, ...libraries], { cwd: work });
  if (!fetched.ok) return lastLine(fetched.out);
  for (const deb of readdirSync(work).filter((name) => name.endsWith(".deb"))) {
    const unpacked = capture("dpkg-deb", ["-x", deb, "root"], { cwd: work });
    if (!unpacked.ok) return lastLine(unpacked.out);
    rmSync(join(work, deb));
  }
  const [triplet] = readdirSync(join(work, "root", "usr", "lib")).filter((name) =>
    name.includes("-linux-"),
  );
  writeFileSync(
    join(work, "node"),
    `#!/bin/sh
# Debian's Node.js ${newest}, unpacked here with its libraries.
here=$(CDPATH='' cd -P -- "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$here/root/usr/lib/${triplet} exec "$here/root/usr/bin/node" "$@"
`,
  );
  chmodSync(join(work, "node"), 0o755);
  return undefined;
}

function newestOf(name, pattern) {
  return capture("apt-cache", ["madison", name])
    .stdout.split("\n")
    .map((line) => (line.split("|")[1] ?? "").trim())
    .find((version) => pattern.test(version));
}

/** `libnode108`: the number in its name, as the package itself states it. */
function nodeAbi(version) {
  const { stdout } = capture("apt-cache", ["show", `nodejs=${version}`]);
  return /^Depends:.*\blibnode(\d+)/m.exec(stdout)?.[1] ?? "";
}

function isInstalled(name) {
  return /^Status: .* installed$/m.test(capture("dpkg-query", ["-s", name]).stdout);
}

function apt(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return capture("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", ...args], { env });
}

/**
 * Runs `work` while Debian's policy forbids packages to start services, and cloud-init to take
 * this machine for a guest at its next boot.
 */
function withoutServices(work) {
  const policy = "/usr/sbin/policy-rc.d";
  const own = !existsSync(policy);
  if (own) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  if (!isInstalled("cloud-init") && !existsSync("/etc/cloud")) {
    mkdirSync("/etc/cloud", { recursive: true });
    writeFileSync("/etc/cloud/cloud-init.disabled", "installed for the tests of Frontdesk\n");
  }
  try {
    return work();
  } finally {
    if (own) rmSync(policy, { force: true });
  }
}

function firstLine(text) {
  return text.split("\n")[0] ?? "";
}

function lastLine(text) {
  return text.split("\n").at(-1) ?? "";
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.exitCode = (await setUp()) ? 0 : 1;
}

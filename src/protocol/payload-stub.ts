/**
 * User data that stands for a payload: a shell script that fetches it, checks it and runs it.
 *
 * It needs a POSIX shell, wget or curl, and sha256sum or openssl, as the smallest images have them.
 * Nothing is run whose size and SHA-256 are not what stands in the script. All that is put into it
 * is a hash, numbers, and a path of harmless characters: so nothing can be said through it.
 */

import { RecordError } from "../model/errors.ts";
import { PART_BYTES, partsOf, SHA256, type StoredPayload } from "../model/payload.ts";

/** What a stub begins with, behind the line that names the shell. */
export const STUB_MARK = "# Frontdesk payload";

/** Where payloads are kept in a guest. */
export const GUEST_FOLDER = "/var/lib/frontdesk/payloads";

/** Characters of a path: what Linux takes, and a stub stays small. */
const PATH_CHARS_MAX = 255;

/** Each step has a name of its own: no `.`, no `..`, and none that an option could be. */
const PATH = /^(\/[A-Za-z0-9_.][A-Za-z0-9._-]*)+$/;

export interface StubOptions {
  /** Puts the content there, and runs nothing. */
  readonly to?: string;
}

/** @throws {RecordError} if it is not an absolute path of harmless characters. */
export function checkGuestPath(to: string): void {
  const isPlain = to.length <= PATH_CHARS_MAX && PATH.test(to);
  if (isPlain && !/\/\.{1,2}(\/|$)/.test(to)) return;
  const rule = "must be absolute, of A-Z a-z 0-9 . _ - and /, without . and .. as a step";
  throw new RecordError("to", rule);
}

/**
 * @throws {RecordError} if the path will not do, or there is none for what can only be a file.
 */
export function stubFor({ sha256, bytes, kind }: StoredPayload, { to }: StubOptions = {}): string {
  if (to !== undefined) checkGuestPath(to);
  if (to === undefined && kind === "file") {
    throw new RecordError("to", "is needed: the payload is neither a script nor an archive");
  }
  if (!SHA256.test(sha256) || !Number.isSafeInteger(bytes))
    throw new RecordError("payload", "is none");
  const what = to === undefined ? "then runs it once" : "then puts it in place";
  return SCRIPT.replaceAll(/@(\w+)@/g, (_, name: string) => {
    const values: Readonly<Record<string, string>> = {
      ...{ sha256, what, bytes: String(bytes), parts: String(partsOf(bytes)) },
      ...{ part: String(PART_BYTES), folder: GUEST_FOLDER, mark: STUB_MARK },
      once: to === undefined ? ONCE : "",
      act: to === undefined ? ACTS[kind] : PUT.replace("@to@", to),
    };
    return values[name] ?? "";
  });
}

/** Whether user data is a stub for this payload. */
export function isStubFor(userData: Uint8Array, sha256: string): boolean {
  return isStub(userData) && textOf(userData).includes(`\nsum=${sha256}\n`);
}

/** Whether it is one for any. */
export function isStub(userData: Uint8Array): boolean {
  return textOf(userData).startsWith(`#!/bin/sh\n${STUB_MARK}`);
}

function textOf({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}

/** The marker comes first: what was begun once is never begun again by itself. */
const ONCE = `
[ -e begun ] && { echo "frontdesk payload: was run before" >&2; exit 0; }`;

const ACTS: Readonly<Record<StoredPayload["kind"], string>> = {
  script: `: > begun
chmod 700 payload
./payload`,
  tar: unpacked("tar -xof payload -C files"),
  "tar.gz": unpacked("gzip -dc payload | tar -xof - -C files"),
  file: "",
};

const PUT = `to='@to@'
mkdir -p "\${to%/*}/" && mv payload "$to.frontdesk" && mv -f "$to.frontdesk" "$to" ||
  die "cannot write $to"`;

function unpacked(how: string): string {
  return `mkdir -p files && ${how} || die "cannot unpack it"
rm -f payload
cd files && : > ../begun && chmod 700 run || die "there is no run in it"
./run`;
}

const SCRIPT = `#!/bin/sh
@mark@: fetches @bytes@ bytes from this instance's metadata service,
# checks their SHA-256, @what@. It goes on where it was interrupted.
# FRONTDESK_URL=http://ADDRESS:PORT asks there and nowhere else.
sum=@sha256@
bytes=@bytes@ parts=@parts@ part=@part@ known=
umask 077
die() { echo "frontdesk payload: $*" >&2; exit 1; }
dir=@folder@/$sum
mkdir -p $dir && chmod 700 $dir && cd $dir || die "cannot use $dir"@once@
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY

# The service may be at a fixed address, the DHCP server, data-server, or the gateway.
places() {
  if [ "$FRONTDESK_URL" ]; then echo "\${FRONTDESK_URL%/}"; return; fi
  {
    echo 169.254.169.254
    cat /run/systemd/netif/leases/* /run/NetworkManager/devices/* \\
      /var/lib/NetworkManager/*lease* /var/lib/dhcp/*lease* /var/lib/dhclient/*lease* \\
      /run/udhcpc* /run/udhcpc/* |
      sed -n 's/^.*SERVER_ADDRESS=//p; s/^.*dhcp_server_identifier=//p; s/^.*serverid=//p
        s/^.*dhcp-server-identifier //p' | tr -d "\\"';" | sort -u
    echo data-server
    while read -r _ net gw _; do
      c=\${gw#??} b=\${gw#????}
      [ $net = 00000000 ] &&
        printf '%d.%d.%d.%d\\n' 0x\${gw#??????} 0x\${b%??} 0x\${c%????} 0x\${gw%??????}
    done < /proc/net/route
    echo '[fd00:ec2::254]'
  } 2>/dev/null | while read -r at; do
    case $at in '' | 0.0.0.0 | *[!][0-9a-z.:-]*) ;; *) echo "http://$at" ;; esac
  done
}
has() { command -v $1 >/dev/null; }
get() {
  if has curl; then curl -qfs --noproxy '*' --connect-timeout 5 -m $secs -o new "$1"
  elif has timeout; then timeout $secs wget -q -Y off -O new "$1"
  else wget -q -Y off -O new "$1"
  fi 2>/dev/null
}
size() { [ -f $1 ] && [ $(($(wc -c < $1))) -eq $2 ]; }
take() {
  for at in \${known:-$(places)}; do
    rm -f new
    get "$at/latest/payloads/$sum/$1" && size new $2 && mv new part.$1 && known=$at && return
  done
  known=
  return 1
}

n=0
while [ $n -lt $parts ]; do
  want=$((bytes - n * part))
  [ $want -gt $part ] && want=$part
  secs=10 tries=1
  until size part.$n $want || take $n $want; do
    [ $tries -ge 12 ] && die "nobody has part $n of $parts: start this again later"
    [ $tries -eq 1 ] && echo "frontdesk payload: asking again" >&2
    sleep $((tries < 5 ? 1 << tries : 30))
    secs=60 tries=$((tries + 1))
  done
  n=$((n + 1))
done
n=0
while [ $n -lt $parts ]; do cat part.$n && n=$((n + 1)) || die "cannot write"; done > payload
if has sha256sum; then got=$(sha256sum < payload)
else got=$(openssl dgst -sha256 -r < payload); fi
rm -f part.*
[ "\${got%% *}" = $sum ] || { rm payload; die "what came is not $sum: nothing was run"; }
@act@
`;

/**
 * Calls the C library through Bun's own interface to it, for the few things that Bun has no option
 * for. Everything works without them, so where it cannot be had nothing is said.
 */

/** The functions that are wanted, and the types of their arguments, as `bun:ffi` names them. */
type Functions = Readonly<
  Record<string, { readonly args: readonly string[]; readonly returns: string }>
>;

interface Ffi {
  dlopen(library: string, functions: Functions): { symbols: unknown; close(): void };
}

/** Never throws, whatever `use` does; calls it on Linux only, whose numbers callers know. */
export function withLibc<Libc>(functions: Functions, use: (libc: Libc) => void): void {
  if (process.platform !== "linux") return;
  try {
    const ffi = process.getBuiltinModule("bun:ffi") as unknown as Ffi;
    const library = ffi.dlopen("libc.so.6", functions);
    try {
      use(library.symbols as Libc);
    } finally {
      library.close();
    }
  } catch {} // Another C library, or no /proc.
}

/**
 * Commands that a person runs, not a script in a loop, and that weigh more than all others.
 *
 * In the small file they lie deflated, and are compiled when one of them is called: compiling them
 * each time was a fifth of what a `get` costs, and their text half of the file.
 */

export { doctor } from "./doctor.ts";
export { harden } from "./harden.ts";

/**
 * Commands that a person runs, not a script in a loop, and that weigh more than all others.
 *
 * In the small file they lie as text, which is compiled when one of them is called: compiling it
 * each time was a fifth of what a `get` costs.
 */

export { harden } from "./harden.ts";

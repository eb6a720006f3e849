/** `frontdesk guest harden`, for the command line: options, the deed, the report. */

export { harden } from "./harden.ts";
export type { HardenOptions, OptionValues } from "./options.ts";
export { HARDEN_EXAMPLES, HARDEN_OPTIONS, readHardenOptions } from "./options.ts";
export type { HardenPorts } from "./ports.ts";
export { systemPorts } from "./ports.ts";
export type { HardenResult } from "./report.ts";
export { renderHarden } from "./report.ts";

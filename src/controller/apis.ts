/**
 * The table of what answers on the API listener, one line each. Each is imported when a listener is
 * opened, so that a controller without one pays for none.
 */

import type { ControllerPart } from "./parts.ts";

export const apis: readonly ControllerPart[] = [];

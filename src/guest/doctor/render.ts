/** A capture for people. What came from the network is made harmless before it is shown. */

import { clean } from "../../model/clean.ts";
import { renderFinding } from "../../observe/doctor/render.ts";
import type { Capture } from "./capture.ts";

/** What was seen on the wire, and what it means; or why nothing could be seen. */
export function renderCapture(capture: Capture): readonly string[] {
  if (capture.state === "none") {
    return [
      "",
      `No capture: ${clean(capture.why)}`,
      ...capture.remedy.map((one) => `      ${one}`),
    ];
  }
  const { endpoint, packets, reading } = capture;
  return ["", `One request to ${endpoint} on the wire:`, ...packets.map((one) => `  ${clean(one)}`)]
    .concat(packets.length === 0 ? ["  nothing"] : [])
    .concat(renderFinding(reading));
}

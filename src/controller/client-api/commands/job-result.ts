/** `queryAsyncJobResult`: how far a job is, and what came of it. */

import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";

export const queryJob: Command = define({
  kind: "read",
  params: { jobid: { kind: "text", required: true } },
  answer: async ({ jobid }, { lab }) => {
    const job = lab.jobs.get(jobid);
    if (job === undefined)
      throw refuse("parameter", "jobid: there is no such job, or not any more");
    return job;
  },
});

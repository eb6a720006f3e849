/**
 * What is done after the answer: a job has an id, is asked for, and is forgotten after a while.
 *
 * Jobs run one after the other with every other change. They are kept in memory only: who has
 * lost one lists its instance.
 */

import { randomUUID } from "node:crypto";
import type { Fields } from "../../source/cloudstack/answer.ts";
import { timestamp } from "../../source/cloudstack/sign.ts";
import { ACCOUNT, USER } from "./catalogue.ts";
import { CODES, type ErrorBody, refuse } from "./errors.ts";
import { JOB_MS_MAX, JOBS_MAX } from "./limits.ts";

/** CloudStack's `jobstatus`. */
const PENDING = 0;
const DONE = 1;
const FAILED = 2;

interface Job {
  readonly id: string;
  readonly command: string;
  readonly instance: string | undefined;
  readonly created: number;
  status: typeof PENDING | typeof DONE | typeof FAILED;
  completed?: number;
  result?: Fields | ErrorBody;
}

export interface JobsOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What a client may know of a failure. */
  readonly explain: (error: unknown) => ErrorBody;
}

export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #options: JobsOptions;

  constructor(options: JobsOptions) {
    this.#options = options;
  }

  /**
   * Begins `work`, and does not wait for it.
   *
   * @returns the job's id
   * @throws {ClientApiError} 429 while too many are under way.
   */
  begin(
    { command, instance }: { readonly command: string; readonly instance: string | undefined },
    work: () => Promise<Fields>,
  ): string {
    this.#forget();
    const id = randomUUID();
    const job: Job = { id, command, instance, created: this.#options.now(), status: PENDING };
    this.#jobs.set(id, job);
    // Its failure is its result: nobody else waits for it.
    void this.#run(job, work);
    return id;
  }

  /** As `queryAsyncJobResult` answers it. */
  get(id: string): Fields | undefined {
    const job = this.#jobs.get(id);
    if (job === undefined || this.#isOver(job)) return undefined;
    const failed = job.status === FAILED;
    return {
      accountid: ACCOUNT.id,
      userid: USER.id,
      cmd: job.command,
      jobstatus: job.status,
      jobprocstatus: 0,
      jobresultcode: failed ? CODES.internal.errorCode : 0,
      ...(job.result !== undefined && { jobresulttype: "object", jobresult: job.result }),
      ...(job.instance !== undefined && {
        jobinstancetype: "VirtualMachine",
        jobinstanceid: job.instance,
      }),
      created: timestamp(job.created),
      ...(job.completed !== undefined && { completed: timestamp(job.completed) }),
      jobid: job.id,
    };
  }

  async #run(job: Job, work: () => Promise<Fields>): Promise<void> {
    try {
      job.result = await work();
      job.status = DONE;
    } catch (error) {
      job.result = this.#options.explain(error);
      job.status = FAILED;
    }
    job.completed = this.#options.now();
  }

  /** Makes place for one more: what has ended longest ago goes first. */
  #forget(): void {
    for (const job of this.#jobs.values()) {
      const isPending = job.status === PENDING;
      if (!isPending && (this.#isOver(job) || this.#jobs.size >= JOBS_MAX)) {
        this.#jobs.delete(job.id);
      }
    }
    if (this.#jobs.size >= JOBS_MAX) throw refuse("busy", "Too many jobs are under way; try later");
  }

  #isOver({ completed }: Job): boolean {
    return completed !== undefined && this.#options.now() - completed > JOB_MS_MAX;
  }
}

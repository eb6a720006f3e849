/** One after the other: what must not meet takes turns. */

/** Does `work` when everything before it has ended, however it did. */
export type InTurn = <Result>(work: () => Promise<Result>) => Promise<Result>;

export function turns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => {}); // Who waits for it hears of it.
    return mine;
  };
}

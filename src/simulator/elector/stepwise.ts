/** Work that is written as a generator, so that long simulations can be interrupted and short ones need not wait. */

/** Time between two looks at the outside world, ms. */
const SPAN = 50;

/** To the end, in one go. */
export function finish<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** To the end, letting other events through now and then. @throws the signal's reason when it is aborted */
export async function finishInterruptibly<T>(work: Generator<void, T>, signal: AbortSignal | undefined): Promise<T> {
  let began = performance.now();
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - began < SPAN) continue;
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    began = performance.now();
  }
}

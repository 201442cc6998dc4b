// Waiting that a signal ends.

/** Rejects with the signal's reason when it is aborted, and lets `work` go on: a token that is being refreshed must be stored. */
export async function untilAborted<T>(work: PromiseLike<T> | T, signal: AbortSignal): Promise<T> {
  const working = Promise.resolve(work);
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([aborted, working]);
  } finally {
    signal.removeEventListener('abort', stop);
    // Whichever lost the race is awaited by nothing.
    for (const promise of [working, aborted]) promise.catch(() => undefined);
  }
}

/** Wall-clock seconds of a run's stages: kept apart in results, since they differ between equal runs. */
export function stopwatch() {
  const timings: Record<string, number> = {};
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const value = await work();
    timings[name] = (performance.now() - start) / 1000;
    return value;
  };
  return { timings, timed };
}

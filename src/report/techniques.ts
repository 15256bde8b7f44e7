/** Which techniques a run compares, and whose trace each machine played. */
import type { RunResult } from '../experiment/result.js';

type Compared = Pick<RunResult, 'technique' | 'rivals'>;

/** The run's own technique and its rivals, as the experiment calls them; a name that comes again is numbered. */
export function techniqueNames({ technique, rivals = [] }: Compared): string[] {
  const seen = new Map<string, number>();
  const called = [technique.name, ...rivals.map((rival) => rival.name ?? rival.technique.name)];
  return called.map((name) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return times === 1 ? name : `${name} (${times})`;
  });
}

/** The technique whose trace each machine of a rival played; all others played the trace of the run's own technique. */
export function rivalTraces(result: Compared): Map<string, string> {
  const names = techniqueNames(result);
  return new Map(
    (result.rivals ?? []).flatMap(({ machines }, index) => machines.map((name) => [name, names[index + 1]!] as const)),
  );
}

/** The technique whose trace each machine played; empty where there is but one. */
export function traces(result: Compared & Pick<RunResult, 'machines'>): Map<string, string> {
  if (!result.rivals?.length) return new Map();
  const others = rivalTraces(result);
  return new Map(result.machines.map(({ name }) => [name, others.get(name) ?? result.technique.name]));
}

/** What all machines share: playing a trace with progress and cancellation, and turning counts into a result. */
import type { ActionCounts, Composition } from '../hardware/compose.js';
import type { TraceRecord } from '../trace/types.js';
import type { ConservationLaws } from './conservation.js';
import type { PartResult, SimulationOptions, SimulationResult, TimelineLane } from './types.js';

/** Visits every record in order. @throws the signal's reason when it is aborted. */
export async function playRecords(
  records: AsyncIterable<TraceRecord>,
  { onProgress, signal }: Pick<SimulationOptions, 'onProgress' | 'signal'>,
  visit: (record: TraceRecord) => void,
): Promise<void> {
  let done = 0;
  for await (const record of records) {
    signal?.throwIfAborted();
    visit(record);
    onProgress?.(++done);
  }
}

/** A part's counts before energy is known. */
export interface PartActivity {
  readonly layer: string;
  readonly head?: number;
  readonly cycles: number;
  readonly utilisation: number;
  readonly counts: Readonly<Record<string, number>>;
  /** How often each action of each component happened. */
  readonly actions: ActionCounts;
}

/** A finished simulation before its energy and area are summed. */
export interface Outcome {
  readonly name: string;
  readonly machine: string;
  readonly configuration: unknown;
  readonly fidelity: 'cycle' | 'fast';
  readonly cyclesError?: number;
  /** Total, which is less than the sum of the parts' cycles when parts run side by side. */
  readonly cycles: number;
  readonly composition: Composition;
  readonly parts: readonly PartActivity[];
  readonly utilisation: Readonly<Record<string, number>>;
  readonly histograms: SimulationResult['histograms'];
  readonly timeline: readonly TimelineLane[];
  /** Checked so far; the sums are added. */
  readonly laws: ConservationLaws;
  readonly remarks: readonly string[];
}

/** Sums energy, area and counts, and checks that the parts add up to the total. */
export function resultOf(outcome: Outcome): SimulationResult {
  const { composition, parts, laws, cycles } = outcome;
  const energy = composition.energy(sumActions(parts.map(({ actions }) => actions)), cycles);
  const area = composition.area();
  const partCycles = parts.reduce((sum, part) => sum + part.cycles, 0);
  const partResults = parts.map(({ actions, ...part }): PartResult => {
    // Leakage belongs to all parts that run side by side, in proportion to their cycles.
    const share = partCycles === 0 ? 0 : (part.cycles / partCycles) * cycles;
    return { ...part, energyPicojoules: composition.energy(actions, share).picojoules };
  });
  laws.close(
    'energies of the parts sum to the total',
    sumOf(partResults, 'energyPicojoules'),
    parts.length > 0 ? energy.picojoules : 0,
  );
  for (const [unit, share] of Object.entries(outcome.utilisation))
    laws.atMost(`utilisation of the ${unit} is at most 1`, share, 1);
  return {
    feasible: true,
    name: outcome.name,
    machine: outcome.machine,
    configuration: outcome.configuration,
    fidelity: outcome.fidelity,
    ...(outcome.cyclesError !== undefined && { cyclesError: outcome.cyclesError }),
    cycles,
    clockHertz: composition.technology.clockHertz,
    energyPicojoules: energy.picojoules,
    energyInterval: energy.interval,
    areaSquareMicrometres: area.squareMicrometres,
    areaInterval: area.interval,
    energy: energy.shares,
    area: area.shares,
    utilisation: outcome.utilisation,
    counts: sumCounts(parts.map(({ counts }) => counts)),
    parts: partResults,
    histograms: outcome.histograms,
    timeline: outcome.timeline,
    constants: composition.constants,
    conservation: [...laws.checks, ...energy.checks, ...area.checks],
    remarks: outcome.remarks,
  };
}

function sumOf<Key extends string>(items: readonly Record<Key, number>[], key: Key): number {
  return items.reduce((sum, item) => sum + item[key], 0);
}

export function sumCounts(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const counts of all) {
    for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

export function sumActions(all: readonly ActionCounts[]): ActionCounts {
  const sum: Record<string, Record<string, number>> = {};
  for (const actions of all) {
    for (const [component, counts] of Object.entries(actions)) {
      sum[component] = sumCounts([sum[component] ?? {}, counts]);
    }
  }
  return sum;
}

/** Counts by bin, as results carry them: bins in order, empty ones left out. */
export class Histogram {
  readonly #counts = new Map<number, number>();

  add(bin: number, count = 1): void {
    if (count > 0) this.#counts.set(bin, (this.#counts.get(bin) ?? 0) + count);
  }

  get bins(): { readonly bin: number; readonly count: number }[] {
    return [...this.#counts].map(([bin, count]) => ({ bin, count })).sort((a, b) => a.bin - b.bin);
  }
}

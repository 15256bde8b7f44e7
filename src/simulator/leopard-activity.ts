/** One attention head on one tile: its cycles, and how often the parts of the tile work. */
import { dramBytesPerSecond } from '../hardware/components/index.js';
import { visibleKeys } from '../trace/statistics.js';
import type { AttentionHeadRecord } from '../trace/types.js';
import type { TileActivity } from './leopard-components.js';
import { type LeopardConfig, stepBits } from './leopard-config.js';
import type { HeadProfile } from './leopard-profile.js';
import { HeadSchedule, type ScheduleParameters, type ScheduleResult } from './leopard-schedule.js';
import { type HeadStops, KEPT } from './leopard-stops.js';
import type { Infeasible } from './types.js';

/** How a head maps onto a tile. */
export interface Mapping extends ScheduleParameters {
  /** Keys whose K and V fit the buffers at once, and how often the keys must be gone through in such blocks. */
  readonly keysPerPass: number;
  readonly passes: number;
  /** Most steps of a score. */
  readonly steps: number;
}

export type Misfit = Pick<Infeasible, 'resource' | 'demand' | 'bound' | 'unit' | 'levers'>;

type HeadSizes = Pick<AttentionHeadRecord, 'keys' | 'headDim' | 'valueDim' | 'bits' | 'valueBits'>;

/** The mapping, or what the head does not fit. */
export function mapHead(config: LeopardConfig, head: HeadSizes): Mapping | Misfit {
  const { frontEnd, backEnd, buffers } = config;
  for (const setting of ['queryBits', 'keyBits'] as const) {
    if (head.bits > frontEnd[setting])
      return misfit('operand width', head.bits, frontEnd[setting], 'bits', `frontEnd.${setting}`);
  }
  if (head.valueBits > backEnd.valueBits)
    return misfit('value width', head.valueBits, backEnd.valueBits, 'bits', 'backEnd.valueBits');
  // Rows are stored in words of all taps.
  const stepCycles = Math.max(1, Math.ceil(head.headDim / frontEnd.taps));
  const survivorCycles = Math.max(1, Math.ceil(head.valueDim / backEnd.taps));
  const keyBytes = Math.ceil((stepCycles * frontEnd.taps * frontEnd.keyBits) / 8);
  const valueBytes = Math.ceil((survivorCycles * backEnd.taps * backEnd.valueBits) / 8);
  if (keyBytes > buffers.keyBytes) return misfit('K buffer', keyBytes, buffers.keyBytes, 'bytes', 'buffers.keyBytes');
  if (valueBytes > buffers.valueBytes)
    return misfit('V buffer', valueBytes, buffers.valueBytes, 'bytes', 'buffers.valueBytes');
  const keysPerPass = Math.min(Math.floor(buffers.keyBytes / keyBytes), Math.floor(buffers.valueBytes / valueBytes));
  return {
    units: frontEnd.units,
    stepCycles,
    fifoDepth: config.fifo.depth,
    survivorCycles,
    keysPerPass,
    passes: Math.max(1, Math.ceil(head.keys / keysPerPass)),
    steps: frontEnd.kind === 'bit-serial' ? Math.ceil(head.bits / frontEnd.bitsPerCycle) : 1,
  };
}

function misfit(resource: string, demand: number, bound: number, unit: string, lever: string): Misfit {
  return { resource, demand, bound, unit, levers: [`${lever} ≥ ${demand}`] };
}

/** Stop bytes of a bit-parallel unit: every score takes one step and survives. */
export function denseStops(record: AttentionHeadRecord): HeadStops {
  const { queries, keys, causal, bits } = record;
  const stops = new Uint8Array(queries * keys).fill(1 | KEPT);
  return { format: { bits, bitsPerStep: bits }, queries, keys, causal, stops, kept: new Uint8Array(0), rescues: [] };
}

export type Timing = ScheduleResult;

const NO_TIME: Timing = {
  cycles: 0,
  frontEndCycles: 0,
  busyUnitCycles: 0,
  frozenUnitCycles: 0,
  pushes: 0,
  pops: 0,
  backEndBusyCycles: 0,
  rescueCycles: 0,
};

export function addTimings(a: Timing, b: Timing): Timing {
  const names = Object.keys(NO_TIME) as (keyof Timing)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as Timing;
}

/**
 * Plays the head cycle by cycle. Keys beyond the buffers come in further passes over all queries; between passes the
 * tile drains. Rows without survivor are scanned again right away, or, with several passes, in passes of their own.
 */
export function playHead(config: LeopardConfig, mapping: Mapping, head: HeadStops): Timing {
  const { keysPerPass, passes } = mapping;
  const rescues = config.emptyRow === 'keep-largest' ? head.rescues : [];
  let timing = NO_TIME;
  for (let pass = 0; pass < passes; pass++) {
    const schedule = new HeadSchedule(mapping, mapping.steps);
    const first = pass * keysPerPass;
    let rescue = 0;
    for (let query = 0; query < head.queries; query++) {
      const last = Math.min(visibleKeys(head, query), first + keysPerPass);
      if (last > first) schedule.scan(head.stops, query * head.keys + first, query * head.keys + last);
      if (passes === 1 && rescues[rescue]?.query === query) schedule.rescue(rescues[rescue++]!.stops, 0, last, true);
    }
    timing = addTimings(timing, schedule.finish());
  }
  for (let pass = 0; passes > 1 && rescues.length > 0 && pass < passes; pass++) {
    const schedule = new HeadSchedule(mapping, mapping.steps);
    const first = pass * keysPerPass;
    for (const { stops } of rescues) {
      schedule.rescue(
        stops,
        Math.min(first, stops.length),
        Math.min(first + keysPerPass, stops.length),
        pass === passes - 1,
      );
    }
    timing = addTimings(timing, schedule.finish());
  }
  return timing;
}

/**
 * The same in closed form, from sums only: the front end does all steps on all units, plus the wait at the end of each
 * row; the back end takes survivors one by one; the slower of both decides.
 */
export function estimateHead(config: LeopardConfig, mapping: Mapping, profile: HeadProfile): Timing {
  const { units, stepCycles, survivorCycles, passes } = mapping;
  const rescued = config.emptyRow === 'keep-largest' ? profile.emptyRows : 0;
  const rescueSteps = rescued > 0 ? profile.rescueSteps : 0;
  const wait = rowEndWait(profile, units) * stepCycles;
  const rescueCycles = (rescueSteps * stepCycles) / units + rescued * wait;
  const frontEndCycles = (profile.steps * stepCycles) / units + profile.rows * passes * wait + rescueCycles;
  const pushes = profile.kept + rescued;
  const backEndBusyCycles = pushes * survivorCycles;
  return {
    cycles: Math.max(frontEndCycles + survivorCycles, backEndBusyCycles + mapping.steps * stepCycles),
    frontEndCycles,
    busyUnitCycles: (profile.steps + rescueSteps) * stepCycles,
    frozenUnitCycles: 0,
    pushes,
    pops: pushes,
    backEndBusyCycles,
    rescueCycles,
  };
}

/**
 * Steps by which the last unit of a row finishes after the mean unit (derived). When the row's last score starts, the
 * other units have been at work for a random while: r steps are left with probability P(stop ≥ r) / mean stop, the
 * equilibrium of renewal theory. The row ends with the largest of these and the full length of the last score.
 */
function rowEndWait({ scores, steps, stops }: HeadProfile, units: number): number {
  if (scores === 0) return 0;
  const mean = steps / scores;
  const last = stops.length - 1;
  let [expectedLargest, meanLeft, leftAtMost, stopAtMost] = [0, 0, 0, 0];
  for (let step = 1; step <= last; step++) {
    const leftExactly = (1 - stopAtMost) / mean;
    // E[max] = Σ_r P(max ≥ r) = Σ_r 1 − P(stop < r)·P(left < r)^(units − 1)
    expectedLargest += 1 - stopAtMost * leftAtMost ** (units - 1);
    meanLeft += step * leftExactly;
    leftAtMost += leftExactly;
    stopAtMost += stops[step]! / scores;
  }
  return expectedLargest - ((units - 1) * meanLeft + mean) / units;
}

export interface HeadOutcome {
  readonly cycles: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly activity: TileActivity;
}

/** Adds to the tile's timing what lies around it, and counts the work of every part. */
export function headOutcome(
  config: LeopardConfig,
  mapping: Mapping,
  record: AttentionHeadRecord,
  profile: HeadProfile,
  timing: Timing,
): HeadOutcome {
  const { stepCycles, survivorCycles, passes } = mapping;
  const rescued = config.emptyRow === 'keep-largest' ? profile.emptyRows : 0;
  const survivors = profile.kept + rescued;
  const passesRun = passes + (passes > 1 && rescued > 0 ? passes : 0);
  const fill = passesRun * (config.frontEnd.fillCycles + config.backEnd.fillCycles);
  // A row's running maximum, sum and output go to the V buffer and come back once per further pass.
  const carriedWords = (passes - 1) * profile.rows * survivorCycles;
  const compute = timing.cycles + fill + 2 * carriedWords;
  const transfer = transferOf(config, mapping, record, passesRun);
  const unitSteps = profile.steps + (rescued > 0 ? profile.rescueSteps : 0);
  const denseSteps = profile.scores * mapping.steps;
  const attended = config.emptyRow === 'drop' ? profile.rows - profile.emptyRows : profile.rows;
  return {
    cycles: transfer.hidden ? Math.max(compute, transfer.cycles) : compute + transfer.cycles,
    counts: {
      heads: 1,
      rows: profile.rows,
      emptyRows: profile.emptyRows,
      scores: profile.scores,
      survivors,
      pruned: profile.scores - survivors,
      unitSteps: profile.steps,
      skippedSteps: denseSteps - profile.steps,
      denseSteps,
      rescueSteps: unitSteps - profile.steps,
      bitsProcessed: profile.bits,
      busyUnitCycles: timing.busyUnitCycles,
      frozenUnitCycles: timing.frozenUnitCycles,
      frontEndCycles: timing.frontEndCycles,
      backEndBusyCycles: timing.backEndBusyCycles,
      rescueCycles: timing.rescueCycles,
      fillCycles: fill,
      carryCycles: 2 * carriedWords,
      transferCycles: transfer.cycles,
      fifoPushes: timing.pushes,
      fifoPops: timing.pops,
    },
    activity: {
      busyUnitCycles: timing.busyUnitCycles,
      unitSteps,
      pruned: profile.scores - profile.kept,
      queryWords: profile.rows * stepCycles * passes,
      keyWordsWritten: record.keys * stepCycles * Math.ceil(config.frontEnd.keyBits / stepBits(config)),
      survivors,
      rows: attended,
      valueElements: (survivors + attended) * record.valueDim,
      valueWordsRead: survivors * survivorCycles + carriedWords,
      valueWordsWritten: record.keys * survivorCycles + carriedWords,
      dramBitsRead: transfer.bitsRead,
      dramBitsWritten: transfer.bitsWritten,
    },
  };
}

/** Q once per pass, K and V once, results once; hidden behind the previous head when the buffers hold two heads. */
function transferOf(
  config: LeopardConfig,
  { passes, keysPerPass }: Mapping,
  record: AttentionHeadRecord,
  passesRun: number,
) {
  const { queries, keys, headDim, valueDim } = record;
  if (config.dram === 'none') return { cycles: 0, hidden: true, bitsRead: 0, bitsWritten: 0 };
  const again = passesRun > passes ? 2 : 1;
  const queryBits = queries * headDim * config.frontEnd.queryBits * passesRun;
  const keyBits = keys * headDim * config.frontEnd.keyBits * again;
  const bitsRead = queryBits + keyBits + keys * valueDim * config.backEnd.valueBits;
  const bitsWritten = queries * valueDim * config.backEnd.valueBits;
  // Tiles share the memory evenly.
  const bitsPerCycle = (8 * dramBytesPerSecond(config.dram)) / config.technology.clockHertz / config.tiles;
  return {
    cycles: Math.ceil((bitsRead + bitsWritten) / bitsPerCycle),
    hidden: 2 * keys <= keysPerPass,
    bitsRead,
    bitsWritten,
  };
}

/** What a run of the published cycle model reports: energy, stalls, utilisation, and how they went over time. */
import { ConservationLaws } from '../conservation.js';
import type { ConservationCheck, TimeSeries } from '../types.js';
import type { ElectorConfig } from './config.js';
import {
  BUFFERS,
  type BufferName,
  bufferMegabytes,
  CLOCK_MEGAHERTZ,
  laneCost,
  layerNormCost,
  type ModuleCost,
  softmaxCost,
} from './constants.js';
import { type PublishedCycleMachine, STALLS } from './published-cycle-machine.js';
import { bufferBits, type UnitKind } from './published-cycle-program.js';

/** nJ */
export interface PublishedEnergy {
  readonly dynamic: number;
  readonly leakage: number;
}

type BufferPart = 'activationBuffer' | 'weightBuffer' | 'maskBuffer';

export interface PublishedCycleRun {
  readonly feasible: true;
  readonly cycles: number;
  /** Memory operations and tile operations, as the published program counts them. */
  readonly operations: number;
  /** Tile operations: those of the model; issues that repeat one; those that were passed over. */
  readonly tiles: { readonly total: number; readonly repeated: number; readonly skipped: number };
  /** nJ. Buffers include main memory's energy for what they load. `processingElements` is the sum of the units. */
  readonly energy: Readonly<Record<UnitKind | BufferPart | 'processingElements', PublishedEnergy>>;
  /** Events by cause, see STALLS; in its order. */
  readonly stalls: Readonly<Record<(typeof STALLS)[number], number>>;
  /** Means over the cycles, 0 … 1: busy units, filled part of the buffers. */
  readonly utilisation: Readonly<Record<UnitKind | BufferPart, number>>;
  readonly overTime: TimeSeries;
  readonly conservation: readonly ConservationCheck[];
  /** What a reader of the numbers must know. */
  readonly remarks: readonly string[];
}

export const countOnes = (flags: Uint8Array) => flags.reduce((sum, flag) => sum + flag, 0);

export function publishedCycleRun(machine: PublishedCycleMachine): PublishedCycleRun {
  const { config, program, log, stalls } = machine;
  const distinct = countOnes(machine.issued);
  const units = unitKinds(config);
  const buffers = BUFFER_NAMES.map((name) => bufferPart(config, name));
  const unitEnergy = mapValues(units, ({ cost }, name) => moduleEnergy(cost, log.total(name)));
  const bufferEnergy = Object.fromEntries(
    buffers.map(({ part, name, leakage }) => [
      part,
      { dynamic: log.total(`${name}Nanojoules`), leakage: log.total(`${name}Busy`) * leakage },
    ]),
  ) as Record<BufferPart, PublishedEnergy>;
  const used = buffers.map(({ part, name, bits }) => [part, log.total(`${name}Used`) / bits / machine.cycle]);
  return {
    feasible: true,
    cycles: machine.cycle,
    operations: program.operationCount,
    tiles: {
      total: program.operationOf.length,
      repeated: machine.tilesIssued - distinct,
      skipped: program.operationOf.length - distinct,
    },
    energy: { ...unitEnergy, processingElements: sum(Object.values(unitEnergy)), ...bufferEnergy },
    stalls: Object.fromEntries(STALLS.map((cause, index) => [cause, stalls[index]!])) as PublishedCycleRun['stalls'],
    utilisation: {
      ...mapValues(units, ({ count }, name) => log.total(name) / count / machine.cycle),
      ...(Object.fromEntries(used) as Record<BufferPart, number>),
    },
    overTime: overTime(machine),
    conservation: laws(machine),
    remarks: remarks(machine.tilesIssued - distinct, program.operationOf.length - distinct),
  };
}

function laws({ cycle, log, units, config }: PublishedCycleMachine): readonly ConservationCheck[] {
  const laws = new ConservationLaws('elector');
  laws.equal('cycles in the log = cycles of the run', log.cycles, cycle);
  for (const [name, pool] of Object.entries(units) as [UnitKind, (typeof units)[UnitKind]][]) {
    const work = pool.handedOut - pool.unfinished(cycle);
    laws.equal(`busy cycles of ${LABELS[name]} = cycles of their tile operations up to the end`, log.total(name), work);
  }
  for (const { part, name, bits } of BUFFER_NAMES.map((name) => bufferPart(config, name))) {
    laws.atMost(`bits in the ${LABELS[part]} ≤ its size, on average`, log.total(`${name}Used`) / cycle, bits);
  }
  return laws.checks;
}

function remarks(repeated: number, skipped: number): string[] {
  const remarks = ['published-cycle: constant sparsities; idle modules and buffers leak nothing; quirks are kept'];
  if (repeated > 0) remarks.push(`the published scheduler issued ${repeated} tile operations a second time`);
  if (skipped > 0) remarks.push(`the published scheduler passed over ${skipped} tile operations, which never ran`);
  return remarks;
}

function overTime({ config, log }: PublishedCycleMachine): TimeSeries {
  const units = Object.entries(unitKinds(config)) as [UnitKind, { count: number; cost: ModuleCost }][];
  const buffers = BUFFER_NAMES.map((name) => bufferPart(config, name));
  const unitPower = units.map(([name, { cost }]) =>
    log.means(name).map((busy) => busy * (cost.dynamicMilliwatts.value + cost.leakageMilliwatts.value)),
  );
  const bufferPower = buffers.map(({ name, leakage }) => {
    const busy = log.means(`${name}Busy`);
    return log.means(`${name}Nanojoules`).map((dynamic, at) => (dynamic + busy[at]! * leakage) * CLOCK_MEGAHERTZ);
  });
  const series = (quantity: 'utilisation' | 'power', name: string, values: readonly number[]) => ({
    name,
    quantity,
    values,
  });
  return {
    cyclesPerSample: log.cyclesPerSample,
    series: [
      ...units.map(([name, { count }]) =>
        series(
          'utilisation',
          LABELS[name],
          log.means(name).map((busy) => busy / count),
        ),
      ),
      ...buffers.map(({ part, name, bits }) =>
        series(
          'utilisation',
          LABELS[part],
          log.means(`${name}Used`).map((used) => used / bits),
        ),
      ),
      series('power', 'PEs', addUp(unitPower)),
      series('power', 'buffers and main memory', addUp(bufferPower)),
    ],
  };
}

const BUFFER_NAMES = ['activation', 'weight', 'mask'] as const;

const LABELS: Readonly<Record<UnitKind | BufferPart, string>> = {
  macLanes: 'MAC lanes',
  softmax: 'softmax',
  layerNorm: 'layer norm',
  activationBuffer: 'activation buffer',
  weightBuffer: 'weight buffer',
  maskBuffer: 'mask buffer',
};

function unitKinds(config: ElectorConfig): Record<UnitKind, { count: number; cost: ModuleCost }> {
  return {
    macLanes: { count: config.pes * config.lanesPerPe, cost: laneCost(config) },
    softmax: { count: config.pes * config.softmaxPerPe, cost: softmaxCost(config) },
    layerNorm: { count: config.pes, cost: layerNormCost(config) },
  };
}

/** Leakage in nJ per busy cycle: idle modules and buffers are power-gated. */
function bufferPart(config: ElectorConfig, name: BufferName) {
  const leakage = (BUFFERS[name].leakagePerMegabyte.value * bufferMegabytes(config, name)) / CLOCK_MEGAHERTZ;
  return { name, part: `${name}Buffer` as const, leakage, bits: bufferBits(config, name) };
}

function moduleEnergy({ dynamicMilliwatts, leakageMilliwatts }: ModuleCost, cycles: number): PublishedEnergy {
  return {
    dynamic: (cycles * dynamicMilliwatts.value) / CLOCK_MEGAHERTZ,
    leakage: (cycles * leakageMilliwatts.value) / CLOCK_MEGAHERTZ,
  };
}

function sum(energies: readonly PublishedEnergy[]): PublishedEnergy {
  return energies.reduce(
    (total, { dynamic, leakage }) => ({ dynamic: total.dynamic + dynamic, leakage: total.leakage + leakage }),
    { dynamic: 0, leakage: 0 },
  );
}

function addUp(lists: readonly (readonly number[])[]): number[] {
  return lists[0]!.map((_, at) => lists.reduce((total, list) => total + list[at]!, 0));
}

function mapValues<Key extends string, From, To>(
  record: Readonly<Record<Key, From>>,
  map: (value: From, key: Key) => To,
): Record<Key, To> {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => [key, map(value as From, key as Key)]),
  ) as Record<Key, To>;
}

/**
 * The published cycle-accurate simulator of AccelTran (arXiv 2302.14705), which TransCODE uses: inference on constant
 * sparsities. Its results are reproduced, quirks included; modes without "published" do better.
 */
import { TandemError } from '../../errors.js';
import type { TransformerArchitecture } from '../../workload/transformer.js';
import type { Infeasible } from '../types.js';
import type { ElectorConfig } from './config.js';
import { type BufferName, bufferMegabytes, requireTechnology } from './constants.js';
import { type Failure, PublishedCycleMachine } from './published-cycle-machine.js';
import { bitsPerElement, bufferBits, type PublishedProgram, publishedProgram } from './published-cycle-program.js';
import { countOnes, type PublishedCycleRun, publishedCycleRun } from './published-cycle-results.js';
import { publishedOperations } from './published-generator.js';

export type { PublishedCycleRun, PublishedEnergy } from './published-cycle-results.js';

/** Why the machine cannot run the model; the caller adds the names. */
export type PublishedMisfit = Omit<Infeasible, 'name' | 'machine'>;

/**
 * @throws TANDEM_CONFIG_INVALID for training, which the published cycle model cannot run, and for sizes or a technology
 *   without published costs
 */
export function simulatePublishedCycle(
  config: ElectorConfig,
  architecture: TransformerArchitecture,
): PublishedCycleRun | PublishedMisfit {
  refuseTraining(config);
  requireTechnology(config);
  const sizes = { batch: config.batch, tokens: architecture.tokens };
  const program = publishedProgram(config, publishedOperations(architecture, sizes, 'inference'));
  const misfit = tooLarge(config, program) ?? endless(config, program);
  if (misfit) return misfit;
  const machine = new PublishedCycleMachine(config, program);
  machine.run();
  return machine.failure ? explain(machine, machine.failure) : publishedCycleRun(machine);
}

/** Its loop looks at the last step, which in a backward pass is a layer's heads and has no end of its own. */
function refuseTraining({ phase }: ElectorConfig): void {
  if (phase === 'inference') return;
  throw new TandemError('TANDEM_CONFIG_INVALID', 'The published cycle-accurate simulator cannot run training.', {
    place: 'phase',
    remedy: 'Use mode published-fast or cycle for training, or phase inference.',
  });
}

function tooLarge(config: ElectorConfig, program: PublishedProgram): PublishedMisfit | undefined {
  for (const step of program.memory.flat(2)) {
    for (const name of [step.buffer, 'mask'] as const) {
      const demand = step.elements * bitsPerElement(config, name);
      if (demand > bufferBits(config, name)) return bufferMisfit(config, name, program.data[step.data]!, demand);
    }
  }
  return undefined;
}

function bufferMisfit(config: ElectorConfig, name: BufferName, data: string, demandBits: number): PublishedMisfit {
  const megabytes = demandBits / 8 / 1024 / 1024;
  return {
    feasible: false,
    resource: `${name} buffer, for ${data}`,
    demand: megabytes,
    bound: bufferMegabytes(config, name),
    unit: 'MB',
    levers: [`buffers.${name}Megabytes ≥ ${Math.ceil(megabytes * 1000) / 1000}`, 'a smaller model or batch'],
  };
}

/** The published count of a convolution tile becomes negative where the kernel is longer than a row, and never ends. */
function endless({ tile }: ElectorConfig, { operations }: PublishedProgram): PublishedMisfit | undefined {
  const stuck = operations.find(({ cycles }) => cycles < 0);
  return (
    stuck && {
      feasible: false,
      resource: `cycles of a tile of ${stuck.name}, which the published model counts from tile.y − kernel`,
      demand: stuck.cycles,
      bound: 0,
      unit: 'cycles',
      levers: [`tile.y > ${tile.y}`, 'a shorter kernel', ...OTHER_MODES],
    }
  );
}

function explain(machine: PublishedCycleMachine, failure: Failure): PublishedMisfit {
  const { config, program } = machine;
  switch (failure.kind) {
    case 'buffer': {
      const { name, bitsPerElement: bits } = failure.buffer.sizes;
      const demand = failure.buffer.usedBits + failure.data.elements * bits;
      return bufferMisfit(config, name, `${program.data[failure.data.number]} beside what may not leave`, demand);
    }
    case 'softmax':
      return {
        feasible: false,
        resource: 'PEs with free softmax units: the published scheduler gives each softmax tile a whole PE',
        demand: failure.operations,
        bound: failure.freePes,
        unit: 'PEs',
        levers: ['schedulerBatch that divides pes', 'softmaxPerPe = 1', ...OTHER_MODES],
      };
    case 'deadlock':
      return deadlock(machine, failure);
  }
}

function deadlock({ config, program, done }: PublishedCycleMachine, failure: Failure & { kind: 'deadlock' }) {
  const { cycle, tooWide, missing } = failure;
  if (tooWide) {
    return {
      feasible: false,
      resource: 'units for a window of the published scheduler',
      demand: tooWide.operations,
      bound: tooWide.units,
      unit: 'tile operations',
      levers: [`schedulerBatch < ${Math.min(tooWide.units, config.schedulerBatch)}`, ...OTHER_MODES],
    } as const;
  }
  const waits =
    missing.length > 0
      ? `waits for ever for ${list(missing.map((data) => program.data[data]!))}`
      : 'has passed over the last tile';
  const heads = Math.max(...program.heads.map((layer) => layer.length));
  const fewerHeads = heads > 2 ? ['layers of at most 2 heads'] : [];
  return {
    feasible: false,
    resource: `progress: from cycle ${cycle} on, the published scheduler ${waits}`,
    demand: done.length,
    bound: countOnes(done),
    unit: 'tile operations',
    levers: [...fewerHeads, 'schedulerBatch that divides the tiles of each operation', ...OTHER_MODES],
  } as const;
}

const MAXIMUM_NAMES = 3;

function list(names: readonly string[]): string {
  const more = names.length - MAXIMUM_NAMES;
  return names.slice(0, MAXIMUM_NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Both run what the published scheduler cannot. */
const OTHER_MODES = ['mode = cycle', 'mode = published-fast'];

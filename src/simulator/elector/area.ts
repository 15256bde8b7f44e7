/** ELECTOR as a list of components: area by module, and what a busy cycle or an access of each costs. */
import { type Estimate, estimate, product } from '../../hardware/certainty.js';
import { Composition } from '../../hardware/compose.js';
import { NOTHING, toCost } from '../../hardware/cost.js';
import type { ComponentCost } from '../../hardware/types.js';
import type { ElectorConfig } from './config.js';
import {
  BUFFERS,
  type BufferName,
  bufferMegabytes,
  CLOCK_MEGAHERTZ,
  DATAFLOW,
  DMA,
  FIFO,
  laneCost,
  layerNormCost,
  type ModuleCost,
  memoryCost,
  POST_SPARSITY,
  PRE_SPARSITY,
  requireTechnology,
  STOCHASTIC_ROUNDING,
  softmaxCost,
} from './constants.js';
import { timedMainMemory } from './main-memory.js';

const PICOJOULES_PER_NANOJOULE = 1000;
export const SQUARE_MICROMETRES_PER_SQUARE_MILLIMETRE = 1e6;

/**
 * All modules with their counts. Actions: "cycle" of the modules (one busy cycle of one instance), "access" of buffers
 * and main memory (one block; how large is the caller's to say). A training machine has stochastic rounding in each lane. Main memory has no
 * published area or leakage, unless it is a timed one.
 * @throws TANDEM_CONFIG_INVALID for sizes or a technology without published costs
 */
export function electorComposition(config: ElectorConfig): Composition {
  requireTechnology(config);
  const lanes = config.pes * config.lanesPerPe;
  const composition = new Composition(config.technology)
    .add('MAC lanes', moduleCost(laneCost(config)), lanes)
    .add('FIFOs', moduleCost(FIFO), lanes);
  if (config.sparsityModules) {
    composition
      .add('pre-compute sparsity', moduleCost(PRE_SPARSITY), lanes)
      .add('post-compute sparsity', moduleCost(POST_SPARSITY), lanes);
  }
  if (config.phase === 'training') composition.add('stochastic rounding', moduleCost(STOCHASTIC_ROUNDING), lanes);
  composition
    .add('softmax', moduleCost(softmaxCost(config)), config.pes * config.softmaxPerPe)
    .add('layer norm', moduleCost(layerNormCost(config)), config.pes)
    .add('dataflow', moduleCost(DATAFLOW), config.pes)
    .add('DMA', moduleCost(DMA), config.pes)
    .add('activation buffer', bufferCost(config, 'activation'))
    .add('weight buffer', bufferCost(config, 'weight'))
    .add('mask buffer', bufferCost(config, 'mask'))
    .add(
      'main memory',
      timedMainMemory(config)?.cost ?? toCost({ energy: { access: access(config) }, area: NOTHING, leakage: NOTHING }),
    );
  if (config.powerGating) {
    for (const { name } of composition.instances) if (GATED.has(name)) composition.gate(name, 'cycle');
  }
  return composition;
}

/** AccelTran switches idle modules off. FIFOs hold operands, buffers data, and dataflow and DMA are in control: always on. */
const GATED: ReadonlySet<string> = new Set([
  'MAC lanes',
  'pre-compute sparsity',
  'post-compute sparsity',
  'stochastic rounding',
  'softmax',
  'layer norm',
]);

/** Of the chip: PEs and buffers, without main memory. */
export function areaSquareMillimetres(config: ElectorConfig): number {
  return electorComposition(config).areaSquareMicrometres / SQUARE_MICROMETRES_PER_SQUARE_MILLIMETRE;
}

function moduleCost({ areaSquareMicrometres, dynamicMilliwatts, leakageMilliwatts }: ModuleCost): ComponentCost {
  return toCost({
    // mW / MHz = nJ
    energy: { cycle: product(estimate(dynamicMilliwatts), PICOJOULES_PER_NANOJOULE / CLOCK_MEGAHERTZ) },
    area: estimate(areaSquareMicrometres),
    leakage: estimate(leakageMilliwatts),
  });
}

function bufferCost(config: ElectorConfig, name: BufferName): ComponentCost {
  const { accessNanojoules, areaPerMegabyte, leakagePerMegabyte } = BUFFERS[name];
  const megabytes = bufferMegabytes(config, name);
  return toCost({
    energy: { access: product(estimate(accessNanojoules), Math.sqrt(megabytes) * PICOJOULES_PER_NANOJOULE) },
    area: product(estimate(areaPerMegabyte), megabytes),
    leakage: product(estimate(leakagePerMegabyte), megabytes),
  });
}

function access({ memory }: ElectorConfig): Estimate {
  return product(estimate(memoryCost(memory).accessNanojoules), PICOJOULES_PER_NANOJOULE);
}

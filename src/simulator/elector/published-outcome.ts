/** What the published models of ELECTOR count, as results like those of every machine: pJ, µm², parts, laws, remarks. */
import { certaintyInterval, distinct, weighted } from '../../hardware/certainty.js';
import type { Certainty, EnergyShare } from '../../hardware/types.js';
import type { TransformerArchitecture } from '../../workload/transformer.js';
import { ConservationLaws } from '../conservation.js';
import { sumCounts } from '../engine.js';
import type { Infeasible, PartResult, SimulationOptions, SimulationResult } from '../types.js';
import { electorComposition } from './area.js';
import type { ElectorConfig } from './config.js';
import { BUFFER_BANDWIDTH, CLOCK_MEGAHERTZ, laneCost, memoryCost } from './constants.js';
import { simulatePublishedCycle } from './published-cycle.js';
import type { PublishedCycleRun } from './published-cycle-results.js';
import {
  type EmbeddingDemand,
  type EnergyPair,
  embeddingDemand,
  type PublishedFastPart,
  publishedFast,
} from './published-fast.js';
import { publishedOperations } from './published-generator.js';

export const ELECTOR = 'elector';
const PICOJOULES_PER_NANOJOULE = 1000;

/** The closed-form published model. @throws TANDEM_CONFIG_INVALID for sizes without published costs */
export function publishedFastResult(
  config: ElectorConfig,
  architecture: TransformerArchitecture,
  { name }: SimulationOptions,
): SimulationResult | Infeasible {
  const sizes = { batch: config.batch, tokens: architecture.tokens };
  const operations = publishedOperations(architecture, sizes, config.phase);
  const embeddings = embeddingDemand(config, operations);
  if (embeddings.demandBits > embeddings.boundBits) return tooLargeEmbeddings(config, embeddings, name);
  const { cycles, energy, parts } = publishedFast(config, operations);
  const laws = new ConservationLaws(ELECTOR);
  const macCycles = parts.reduce((sum, part) => sum + part.counts.macCycles, 0);
  laws.close(
    'lane energy = busy cycles × lanes × power',
    energy.macLanes[0],
    (macCycles * config.pes * config.lanesPerPe * laneCost(config).dynamicMilliwatts.value) / CLOCK_MEGAHERTZ,
  );
  return assemble(config, {
    name,
    fidelity: 'fast',
    cycles,
    shares: [
      share('MAC lanes', energy.macLanes),
      share('softmax', energy.softmax),
      share('layer norm', energy.layerNorm),
      share('sparsity modules', energy.sparsity),
      share('FIFOs, DMA and dataflow', energy.others),
      share('buffers', [energy.buffer, 0], 'derived'),
      share('main memory', [energy.mainMemory, 0]),
    ],
    parts: parts.map(fastPart),
    utilisation: {
      'MAC lanes': busyShare(macCycles, cycles),
      softmax: busyShare(
        parts.reduce((sum, part) => sum + part.counts.softmaxCycles, 0),
        cycles,
      ),
      'layer norm': busyShare(
        parts.reduce((sum, part) => sum + part.counts.layerNormCycles, 0),
        cycles,
      ),
    },
    laws,
    remarks: fastRemarks(config, architecture),
  });
}

/** The published cycle-accurate model. @throws TANDEM_CONFIG_INVALID for training, and sizes without published costs */
export function publishedCycleResult(
  config: ElectorConfig,
  architecture: TransformerArchitecture,
  { name }: SimulationOptions,
): SimulationResult | Infeasible {
  const run = simulatePublishedCycle(config, architecture);
  if (!run.feasible) return { ...run, name, machine: ELECTOR };
  const { cycles, energy, utilisation, stalls, overTime, tiles, operations } = run;
  const pair = (part: keyof PublishedCycleRun['energy']): EnergyPair => [energy[part].dynamic, energy[part].leakage];
  const shares = [
    share('MAC lanes', pair('macLanes')),
    share('softmax', pair('softmax')),
    share('layer norm', pair('layerNorm')),
    share('activation buffer', pair('activationBuffer'), 'derived'),
    share('weight buffer and main memory', pair('weightBuffer'), 'derived'),
    share('mask buffer and main memory', pair('maskBuffer'), 'derived'),
  ];
  const laws = new ConservationLaws(ELECTOR);
  const { macLanes, softmax, layerNorm, activationBuffer, weightBuffer, maskBuffer } = utilisation;
  const shown = {
    'MAC lanes': macLanes,
    softmax,
    'layer norm': layerNorm,
    'activation buffer': activationBuffer,
    'weight buffer': weightBuffer,
    'mask buffer': maskBuffer,
  };
  for (const [unit, value] of Object.entries(shown)) laws.atMost(`utilisation of the ${unit} is at most 1`, value, 1);
  laws.close('power over time sums to the energy', energyOverTime(run), total(shares) / PICOJOULES_PER_NANOJOULE);
  const counts = {
    operations,
    tileOperations: tiles.total,
    repeatedTiles: tiles.repeated,
    skippedTiles: tiles.skipped,
  };
  const layer = architecture.name === '' ? 'all layers' : architecture.name;
  return assemble(config, {
    name,
    fidelity: 'cycle',
    cycles,
    shares,
    parts: [{ layer, cycles, energyPicojoules: total(shares), utilisation: macLanes, counts }],
    utilisation: shown,
    laws,
    overTime,
    stalls,
    remarks: [...CYCLE_REMARKS, ...(tiles.skipped + tiles.repeated > 0 ? [windowRemark(run)] : [])],
  });
}

interface Published {
  readonly name: string;
  readonly fidelity: 'cycle' | 'fast';
  readonly cycles: number;
  readonly shares: readonly EnergyShare[];
  readonly parts: readonly PartResult[];
  readonly utilisation: SimulationResult['utilisation'];
  readonly laws: ConservationLaws;
  readonly overTime?: SimulationResult['overTime'];
  readonly stalls?: SimulationResult['stalls'];
  readonly remarks: readonly string[];
}

function assemble(config: ElectorConfig, published: Published): SimulationResult {
  const { shares, parts, laws, overTime, stalls, ...rest } = published;
  const composition = electorComposition(config);
  const area = composition.area();
  const energyPicojoules = total(shares);
  const ends = (side: 0 | 1) => shares.reduce((sum, { interval }) => sum + interval[side], 0);
  laws.equal(
    'cycles of the parts sum to the total',
    parts.reduce((sum, part) => sum + part.cycles, 0),
    rest.cycles,
  );
  laws.close(
    'energies of the parts sum to the total',
    parts.reduce((sum, part) => sum + part.energyPicojoules, 0),
    energyPicojoules,
  );
  const { publishedBitsPerCycle } = memoryCost(config.memory);
  return {
    feasible: true,
    machine: ELECTOR,
    configuration: config,
    ...rest,
    clockHertz: config.technology.clockHertz,
    energyPicojoules,
    energyInterval: [ends(0), ends(1)],
    areaSquareMicrometres: area.squareMicrometres,
    areaInterval: area.interval,
    energy: shares,
    area: area.shares,
    counts: sumCounts(parts.map(({ counts }) => counts)),
    parts,
    histograms: {},
    timeline: [],
    ...(overTime && { overTime }),
    ...(stalls && { stalls }),
    constants: distinct([...composition.constants, BUFFER_BANDWIDTH.publishedBitsPerCycle, publishedBitsPerCycle]),
    conservation: [...laws.checks, ...area.checks],
  };
}

/** @param nanojoules dynamic and leakage @param certainty of what the dynamic energy is made of */
function share(component: string, nanojoules: EnergyPair, certainty: Certainty = 'published'): EnergyShare {
  const [dynamic, leakage] = nanojoules.map((value) => value * PICOJOULES_PER_NANOJOULE) as [number, number];
  const [low, high] = weighted([
    { value: dynamic, interval: certaintyInterval(certainty) },
    { value: leakage, interval: certaintyInterval('assumed') },
  ]);
  const sum = dynamic + leakage;
  // A convolution with less than no work gives energy back; the interval is in order all the same.
  const interval = sum < 0 ? ([sum * high, sum * low] as const) : ([sum * low, sum * high] as const);
  return { component, dynamicPicojoules: dynamic, leakagePicojoules: leakage, interval };
}

const total = (shares: readonly EnergyShare[]): number =>
  shares.reduce((sum, { dynamicPicojoules, leakagePicojoules }) => sum + dynamicPicojoules + leakagePicojoules, 0);

/** Negative convolutions can shorten a run below what its units are busy. */
const busyShare = (busy: number, cycles: number): number => (cycles > 0 ? Math.min(1, Math.max(0, busy / cycles)) : 0);

function fastPart({ layer, cycles, energy, counts }: PublishedFastPart): PartResult {
  const { buffer, mainMemory, macLanes, softmax, layerNorm, sparsity, others } = energy;
  const modules = [macLanes, softmax, layerNorm, sparsity, others];
  const nanojoules = modules.reduce((sum, [dynamic, leakage]) => sum + dynamic + leakage, buffer + mainMemory);
  return {
    layer: layer < 0 ? 'embeddings' : `layer ${layer}`,
    cycles,
    energyPicojoules: nanojoules * PICOJOULES_PER_NANOJOULE,
    utilisation: busyShare(counts.macCycles, cycles),
    counts: { ...counts },
  };
}

function tooLargeEmbeddings(config: ElectorConfig, { demandBits }: EmbeddingDemand, name: string): Infeasible {
  const megabytes = demandBits / 8 / 2 ** 20;
  return {
    feasible: false,
    name,
    machine: ELECTOR,
    resource: 'weight buffer, for the embeddings',
    demand: megabytes,
    bound: config.buffers.weightMegabytes,
    unit: 'MB',
    levers: [
      `buffers.weightMegabytes ≥ ${Math.ceil(megabytes * 1000) / 1000}`,
      'a smaller vocabulary or first hidden size',
    ],
  };
}

/** nJ: power in mW over cycles in 1 / MHz. The last sample may be shorter than the others. */
function energyOverTime({ cycles, overTime: { cyclesPerSample, series } }: PublishedCycleRun): number {
  const power = series.filter(({ quantity }) => quantity === 'power');
  return power.reduce(
    (sum, { values }) =>
      values.reduce((part, milliwatts, sample) => {
        const length = Math.min(cyclesPerSample, cycles - sample * cyclesPerSample);
        return part + (milliwatts * length) / CLOCK_MEGAHERTZ;
      }, sum),
    0,
  );
}

const WEIGHTS_REMARK =
  'As published: each sequence of the batch loads its own weights, and zeros have the shares of the configuration.';

function fastRemarks({ tile, phase }: ElectorConfig, { layers, tokens }: TransformerArchitecture): string[] {
  const kernels = layers.flatMap(({ heads }) => heads.flatMap((head) => (head.kind === 'conv' ? [head.kernel] : [])));
  const longest = Math.max(0, ...kernels, ...(phase === 'training' && kernels.length > 0 ? [tokens] : []));
  const remarks = [
    'The closed-form simulator of AccelTran and TransCODE as published, its errors included; use mode fast for estimates that are meant to be right.',
    WEIGHTS_REMARK,
    'As published: the inner dimension of a product is cut into tiles twice, nothing overlaps memory outside heads, and a non-linearity takes as long as the norm before it has tiles.',
    'As published: sparsity and other modules spend energy as if each tile kept the whole machine busy, and only in heads; idle modules and main memory do not leak.',
  ];
  if (longest > tile.y) {
    remarks.push(
      `As published: convolutions with a kernel of ${longest} take negative time on tiles of ${tile.y} columns.`,
    );
  }
  return remarks;
}

const CYCLE_REMARKS: readonly string[] = [
  'The cycle-accurate simulator of AccelTran and TransCODE as published, its errors included; use mode cycle for results that are meant to be right.',
  WEIGHTS_REMARK,
  'As published: the mask buffer pays main memory’s energy for as many words as the data have, FIFOs, sparsity units, dataflow and DMA cost nothing, and only busy units and buffers leak.',
  'Energy of main memory is in the buffer that it fills.',
];

const windowRemark = ({ tiles }: PublishedCycleRun): string =>
  `As published: the scheduler’s windows issue ${tiles.repeated} of ${tiles.total} tile operations twice and pass over ${tiles.skipped}.`;

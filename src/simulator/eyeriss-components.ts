/**
 * Eyeriss's energy hierarchy as components: a MAC of the array's width at the technology, and an access to each level as a
 * multiple of it (Chen, Emer and Sze, ISCA 2016). Areas come from the memories and multipliers themselves.
 */
import { sram } from '../hardware/components/index.js';
import { type ActionCounts, Composition } from '../hardware/compose.js';
import { toCost } from '../hardware/cost.js';
import { type EyerissConfig, HIERARCHY } from './eyeriss-config.js';
import { level, macEstimate } from './eyeriss-levels.js';
import type { MappingCosts } from './eyeriss-mapping.js';
import { eyerissMemory, isHierarchy } from './eyeriss-memory.js';

export function eyerissComposition(config: EyerissConfig): Composition {
  const { technology, array, operandBits, registerFile, bufferBytes } = config;
  const pes = array.rows * array.columns;
  const words = registerFile.inputWords + registerFile.filterWords + registerFile.sumWords;
  const memory = (bytes: number) => sram.estimate({ bytes, wordBits: operandBits }, technology);
  return new Composition(technology)
    .add('MACs', toCost(macEstimate(config)), pes)
    .add('register files', level(config, 'registerFile', memory((words * operandBits) / 8)), pes)
    .add('PE network', level(config, 'betweenPes'))
    .add('global buffer', level(config, 'buffer', memory(bufferBytes)))
    .add('DRAM', eyerissMemory(config).cost);
}

/** Energy of an off-chip word relative to a MAC. */
export function dramPerMac(config: EyerissConfig): number {
  if (isHierarchy(config)) return HIERARCHY.dram;
  const memory = eyerissMemory(config);
  const prices = memory.cost.energyPicojoules;
  const word = Object.entries(memory.actions({ readBits: config.operandBits, writtenBits: 0 })).reduce(
    (sum, [action, times]) => sum + times * prices[action]!,
    0,
  );
  return word / macEstimate(config).energy.mac!.value;
}

export function eyerissActions(config: EyerissConfig, costs: MappingCosts): ActionCounts {
  const fetched = costs.inputsFetched + costs.filtersFetched + costs.sumsFetched;
  const bits = config.operandBits;
  return {
    MACs: { mac: costs.macs },
    'register files': { access: costs.registerFile },
    'PE network': { access: costs.betweenPes },
    'global buffer': { access: costs.bufferReads + costs.bufferWrites },
    DRAM: eyerissMemory(config).actions({ readBits: fetched * bits, writtenBits: costs.sumsStored * bits }),
  };
}

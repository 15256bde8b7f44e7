/**
 * Eyeriss's energy hierarchy as components: a MAC of the array's width at the technology, and an access to each level as a
 * multiple of it (Chen, Emer and Sze, ISCA 2016). Areas come from the memories and multipliers themselves.
 */
import { estimate, product } from '../hardware/certainty.js';
import { dram, mac, sram } from '../hardware/components/index.js';
import { type ActionCounts, Composition } from '../hardware/compose.js';
import { type CostEstimate, NOTHING, toCost } from '../hardware/cost.js';
import type { ComponentCost, Constant } from '../hardware/types.js';
import { type EyerissConfig, HIERARCHY } from './eyeriss-config.js';
import type { MappingCosts } from './eyeriss-mapping.js';

const LEVELS: Readonly<Record<keyof typeof HIERARCHY, string>> = {
  registerFile: 'a register file',
  betweenPes: 'the network between PEs',
  buffer: 'the global buffer',
  dram: 'off-chip memory',
};

const constantOf = (level: keyof typeof HIERARCHY): Constant => ({
  name: `eyeriss.${level}PerMac`,
  value: HIERARCHY[level],
  unit: '1',
  source: 'Chen, Emer and Sze, ISCA 2016 (65 nm, 16 bits); recalled',
  certainty: 'derived',
  nodeNanometres: 65,
  note: `energy of an access to ${LEVELS[level]} over that of a MAC`,
});

const macEstimate = ({ operandBits: bits, technology }: EyerissConfig): CostEstimate =>
  mac.estimate({ aBits: bits, bBits: bits, accumulatorBits: bits }, technology);

/** An access to a level, with the area and leakage of the memory that it is. Action: "access", one word. */
function level(config: EyerissConfig, name: keyof typeof HIERARCHY, memory?: CostEstimate): ComponentCost {
  const access = product(macEstimate(config).energy.mac!, estimate(constantOf(name)));
  return toCost({ energy: { access }, area: memory?.area ?? NOTHING, leakage: memory?.leakage ?? NOTHING });
}

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
    .add(
      'DRAM',
      config.dram.type === 'hierarchy' ? level(config, 'dram') : dram.cost({ type: config.dram.type }, technology),
    );
}

/** Energy of an off-chip word relative to a MAC. */
export function dramPerMac(config: EyerissConfig): number {
  if (config.dram.type === 'hierarchy') return HIERARCHY.dram;
  const { read } = dram.cost({ type: config.dram.type }, config.technology).energyPicojoules;
  return (read! * config.operandBits) / macEstimate(config).energy.mac!.value;
}

export function eyerissActions(config: EyerissConfig, costs: MappingCosts): ActionCounts {
  const fetched = costs.inputsFetched + costs.filtersFetched + costs.sumsFetched;
  const bits = config.operandBits;
  return {
    MACs: { mac: costs.macs },
    'register files': { access: costs.registerFile },
    'PE network': { access: costs.betweenPes },
    'global buffer': { access: costs.bufferReads + costs.bufferWrites },
    DRAM:
      config.dram.type === 'hierarchy'
        ? { access: fetched + costs.sumsStored }
        : { read: fetched * bits, write: costs.sumsStored * bits },
  };
}

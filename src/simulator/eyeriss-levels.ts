/** Levels of Eyeriss's memory hierarchy: an access costs a multiple of a MAC (Chen, Emer and Sze, ISCA 2016). */
import { estimate, product } from '../hardware/certainty.js';
import { mac } from '../hardware/components/index.js';
import { type CostEstimate, NOTHING, toCost } from '../hardware/cost.js';
import type { ComponentCost, Constant } from '../hardware/types.js';
import { type EyerissConfig, HIERARCHY } from './eyeriss-config.js';

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

export const macEstimate = ({ operandBits: bits, technology }: EyerissConfig): CostEstimate =>
  mac.estimate({ aBits: bits, bBits: bits, accumulatorBits: bits }, technology);

/** An access to a level, with the area and leakage of the memory that it is. Action: "access", one word. */
export function level(config: EyerissConfig, name: keyof typeof HIERARCHY, memory?: CostEstimate): ComponentCost {
  const access = product(macEstimate(config).energy.mac!, estimate(constantOf(name)));
  return toCost({ energy: { access }, area: memory?.area ?? NOTHING, leakage: memory?.leakage ?? NOTHING });
}

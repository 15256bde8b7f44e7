import { estimate, product } from '../certainty.js';
import { defineComponent } from '../component.js';
import {
  ALADDIN,
  HOROWITZ,
  MULTIPLIER_AREA_PER_BIT_PRODUCT,
  MULTIPLIER_ENERGY_PER_BIT_PRODUCT,
  MULTIPLIER_LEAKAGE_PER_AREA,
} from '../constants.js';
import { type CostEstimate, logicLeakage } from '../cost.js';
import { areaScale, energyScale } from '../scaling.js';
import type { Technology } from '../types.js';

/** An array multiplier has one cell per pair of operand bits, so its energy and area follow aBits · bBits. */
function array(action: string, bitProducts: number, technology: Technology): CostEstimate {
  const areaAtSource = product(estimate(MULTIPLIER_AREA_PER_BIT_PRODUCT), bitProducts);
  return {
    energy: {
      [action]: product(estimate(MULTIPLIER_ENERGY_PER_BIT_PRODUCT), bitProducts, energyScale(HOROWITZ, technology)),
    },
    area: product(areaAtSource, areaScale(ALADDIN, technology)),
    leakage: logicLeakage(areaAtSource, estimate(MULTIPLIER_LEAKAGE_PER_AREA), ALADDIN, technology),
  };
}

/** Array multiplier of an aBits by a bBits operand, one product per cycle. Action: "multiply". */
export const multiplier = defineComponent<{ aBits: number; bBits: number }>(
  'multiplier',
  ({ aBits, bBits }, technology) => array('multiply', aBits * bBits, technology),
);

/**
 * One tap of a bit-serial dot product: aBits in parallel by bitsPerCycle of the serial operand. Action: "step", one
 * cycle. Shifting and accumulating the partial products are the adder tree's and the accumulator's.
 */
export const bitSerialMultiplier = defineComponent<{ aBits: number; bitsPerCycle: number }>(
  'bit-serial multiplier',
  ({ aBits, bitsPerCycle }, technology) => array('step', aBits * bitsPerCycle, technology),
);

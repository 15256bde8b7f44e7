import { defineComponent } from '../component.js';
import { combine } from '../cost.js';
import { lookupTable } from './lookup-table.js';
import { multiplier } from './multiplier.js';
import { register } from './register.js';

/**
 * Exponential of a `bits`-wide number as the product of two table look-ups, of its upper and of its lower half:
 * e^(h + l) = e^h · e^l. Action: "exponent".
 */
export const exponentUnit = defineComponent<{ bits: number }>('exponent unit', ({ bits }, technology) => {
  const entries = 2 ** Math.ceil(bits / 2);
  return combine(
    ['exponent'],
    [
      {
        count: 2,
        cost: lookupTable.estimate({ entries, wordBits: bits }, technology),
        uses: { exponent: { lookup: 2 } },
      },
      { cost: multiplier.estimate({ aBits: bits, bBits: bits }, technology), uses: { exponent: { multiply: 1 } } },
      { cost: register.estimate({ bits }, technology), uses: { exponent: { write: 1 } } },
    ],
  );
});

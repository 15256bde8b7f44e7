import { defineComponent } from '../component.js';
import { combine } from '../cost.js';
import { adder } from './adder.js';

/** Number of adders of each width in a binary tree over `inputs` operands of `bits`; the last sum has bits + ⌈log2 inputs⌉. */
export function adderTreeLevels(inputs: number, bits: number): { readonly adders: number; readonly bits: number }[] {
  const levels: { adders: number; bits: number }[] = [];
  for (let operands = inputs, width = bits; operands > 1; operands = Math.ceil(operands / 2), width += 1) {
    levels.push({ adders: Math.floor(operands / 2), bits: width });
  }
  return levels;
}

/** Binary tree that sums `inputs` operands of `bits` without loss. Action: "add", one reduction of all inputs. */
export const adderTree = defineComponent<{ inputs: number; bits: number }>(
  'adder tree',
  ({ inputs, bits }, technology) =>
    combine(
      ['add'],
      adderTreeLevels(inputs, bits).map((level) => ({
        count: level.adders,
        cost: adder.estimate({ bits: level.bits }, technology),
        uses: { add: { add: level.adders } },
      })),
    ),
);

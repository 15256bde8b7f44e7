import { defineComponent } from '../component.js';
import { combine } from '../cost.js';
import { sram } from './sram.js';

/** Table of `entries` words of `wordBits`, in SRAM. Actions: "lookup", "write" (loading an entry). */
export const lookupTable = defineComponent<{ entries: number; wordBits: number }>(
  'look-up table',
  ({ entries, wordBits }, technology) =>
    combine(
      ['lookup', 'write'],
      [
        {
          cost: sram.estimate({ bytes: (entries * wordBits) / 8, wordBits }, technology),
          uses: { lookup: { read: 1 }, write: { write: 1 } },
        },
      ],
    ),
);

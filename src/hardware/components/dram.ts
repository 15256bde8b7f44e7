import { estimate } from '../certainty.js';
import { defineComponent } from '../component.js';
import { DRAM, type DramType } from '../constants.js';
import { NOTHING } from '../cost.js';

export const DRAM_TYPES = Object.keys(DRAM) as readonly DramType[];

/**
 * Off-chip memory. Actions: "read", "write", in pJ per bit, at the standard's own technology (not scaled). Background
 * and refresh power are not modelled; its area is not on the chip.
 */
export const dram = defineComponent<{ type: DramType }>('DRAM', ({ type }) => {
  const perBit = estimate(DRAM[type].energyPerBit);
  return { energy: { read: perBit, write: perBit }, area: NOTHING, leakage: NOTHING };
});

/** Peak bandwidth of one channel (DDR, LPDDR) or stack (HBM), in bytes per second. */
export function dramBytesPerSecond(type: DramType): number {
  return DRAM[type].bytesPerSecond.value;
}

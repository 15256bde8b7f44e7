import { estimate, product } from '../certainty.js';
import { defineComponent } from '../component.js';
import {
  ALADDIN,
  HOROWITZ,
  SRAM_AREA_PER_BIT,
  SRAM_ENERGY_PER_ROOT_KILOBYTE,
  SRAM_LEAKAGE_PER_AREA,
} from '../constants.js';
import { energyScale, leakageScale } from '../scaling.js';

/**
 * Single-ported SRAM of `bytes`, read and written in words of `wordBits`. Actions: "read", "write", one word.
 *
 * Energy: a 64-bit access costs e·√KB. A wider word comes from wordBits / 64 slices that hold a share of the capacity
 * each, so an access costs (w/64)·e·√(KB·64/w) = e·√(KB·w/64); the same law serves narrower words. Writes cost what reads
 * do (CACTI figures published with AccelTran differ by 1 %). Area is the cell's, in squared feature sizes; it does not
 * depend on the word.
 */
export const sram = defineComponent<{ bytes: number; wordBits: number }>('SRAM', ({ bytes, wordBits }, technology) => {
  const access = product(
    estimate(SRAM_ENERGY_PER_ROOT_KILOBYTE),
    Math.sqrt((bytes / 1024) * (wordBits / 64)),
    energyScale(HOROWITZ, technology),
  );
  const squareMicrometres = (nanometres: number) => bytes * 8 * (nanometres / 1000) ** 2;
  const areaAtSource = product(estimate(SRAM_AREA_PER_BIT), squareMicrometres(ALADDIN.nodeNanometres));
  return {
    energy: { read: access, write: access },
    area: product(estimate(SRAM_AREA_PER_BIT), squareMicrometres(technology.nodeNanometres)),
    leakage: product(areaAtSource, estimate(SRAM_LEAKAGE_PER_AREA), leakageScale(ALADDIN, technology)),
  };
});

/**
 * The measured and published figures that all components are built from. Nothing else in hardware/ holds a physical
 * number, except the scaling table (scaling.ts).
 */
import type { Corner } from './scaling.js';
import type { Constant } from './types.js';

/** Corner of the energies in Horowitz's table: 45 nm, 0.9 V. */
export const HOROWITZ: Corner = { nodeNanometres: 45, voltage: 0.9 };
/** Corner of the cell figures in the Aladdin library: a commercial 40 nm general-purpose process; 0.9 V is its nominal supply (recalled). */
export const ALADDIN: Corner = { nodeNanometres: 40, voltage: 0.9 };

const horowitz = 'M. Horowitz, "Computing\'s energy problem", ISSCC 2014 (45 nm, 0.9 V)';
const aladdin = 'Y. S. Shao et al., Aladdin, ISCA 2014, functional-unit library (40 nm, 2 ns)';

/**
 * Adder energy is a line through the published 8-bit (0.03 pJ) and 32-bit (0.1 pJ) additions:
 * slope (0.1 − 0.03) / 24 = 2.9167 fJ per bit, intercept 0.03 − 8 · 2.9167 fJ = 6.667 fJ.
 */
export const ADDER_ENERGY_PER_BIT: Constant = {
  name: 'adder.energyPerBit',
  value: 0.07 / 24,
  unit: 'pJ/bit',
  source: horowitz,
  certainty: 'derived',
  nodeNanometres: 45,
  note: 'slope between the 8-bit (0.03 pJ) and 32-bit (0.1 pJ) integer addition',
};

export const ADDER_ENERGY_OFFSET: Constant = {
  name: 'adder.energyOffset',
  value: 0.03 - (8 * 0.07) / 24,
  unit: 'pJ',
  source: horowitz,
  certainty: 'derived',
  nodeNanometres: 45,
  note: 'intercept of the same line',
};

/**
 * Multiplier energy follows the number of partial-product bits: 0.2 pJ / 8² = 3.125 fJ and 3.1 pJ / 32² = 3.027 fJ per
 * bit product; the geometric mean is 3.076 fJ, 1.6 % from either.
 */
export const MULTIPLIER_ENERGY_PER_BIT_PRODUCT: Constant = {
  name: 'multiplier.energyPerBitProduct',
  value: Math.sqrt((0.2 / 64) * (3.1 / 1024)),
  unit: 'pJ/bit²',
  source: horowitz,
  certainty: 'derived',
  nodeNanometres: 45,
  note: 'geometric mean of 0.2 pJ / 8² and 3.1 pJ / 32²',
};

/** 179.443 µm² / 32 bits. */
export const ADDER_AREA_PER_BIT: Constant = {
  name: 'adder.areaPerBit',
  value: 179.443 / 32,
  unit: 'µm²/bit',
  source: aladdin,
  certainty: 'derived',
  nodeNanometres: 40,
  note: '32-bit adder, 179.443 µm², over its width',
};

/** 5137.736 µm² / 32². An 8-bit multiplier of 282 µm² at 45 nm (recalled from public slides) is 4.4 µm² per bit product. */
export const MULTIPLIER_AREA_PER_BIT_PRODUCT: Constant = {
  name: 'multiplier.areaPerBitProduct',
  value: 5137.736 / 1024,
  unit: 'µm²/bit²',
  source: aladdin,
  certainty: 'derived',
  nodeNanometres: 40,
  note: '32 × 32-bit multiplier, 5137.736 µm², over its bit products',
};

export const REGISTER_AREA_PER_BIT: Constant = {
  name: 'register.areaPerBit',
  value: 5.981433,
  unit: 'µm²/bit',
  source: aladdin,
  certainty: 'published',
  nodeNanometres: 40,
};

/** Internal plus switching energy of a clocked flip-flop; a gated one costs nothing. */
export const REGISTER_ENERGY_PER_BIT: Constant = {
  name: 'register.energyPerBit',
  value: 9.011432e-3,
  unit: 'pJ/bit',
  source: aladdin,
  certainty: 'published',
  nodeNanometres: 40,
};

/** 2.380803 µW / 179.443 µm². */
export const ADDER_LEAKAGE_PER_AREA: Constant = {
  name: 'adder.leakagePerArea',
  value: 2.380803e-3 / 179.443,
  unit: 'mW/µm²',
  source: aladdin,
  certainty: 'derived',
  nodeNanometres: 40,
};

/** 48.31147 µW / 5137.736 µm². */
export const MULTIPLIER_LEAKAGE_PER_AREA: Constant = {
  name: 'multiplier.leakagePerArea',
  value: 4.831147e-2 / 5137.736,
  unit: 'mW/µm²',
  source: aladdin,
  certainty: 'derived',
  nodeNanometres: 40,
};

/** 73.95312 nW per bit. */
export const REGISTER_LEAKAGE_PER_AREA: Constant = {
  name: 'register.leakagePerArea',
  value: 7.395312e-5 / 5.981433,
  unit: 'mW/µm²',
  source: aladdin,
  certainty: 'derived',
  nodeNanometres: 40,
};

/**
 * Reading 64 bits costs 10 pJ from 8 KB, 20 pJ from 32 KB and 100 pJ from 1 MB. Divided by √(capacity in KB) that is
 * 3.536, 3.536 and 3.125 pJ: a square-root law with the geometric mean 3.393 pJ, at most 8 % off at the three points.
 */
export const SRAM_ENERGY_PER_ROOT_KILOBYTE: Constant = {
  name: 'sram.energyPer64BitRootKilobyte',
  value: Math.cbrt((10 / Math.sqrt(8)) * (20 / Math.sqrt(32)) * (100 / Math.sqrt(1024))),
  unit: 'pJ/√KB',
  source: horowitz,
  certainty: 'derived',
  nodeNanometres: 45,
  note: '64-bit reads of 8 KB (10 pJ), 32 KB (20 pJ), 1 MB (100 pJ); square-root law in capacity',
};

/**
 * Area of a bit, decoders and sense amplifiers included, in squared feature sizes: a six-transistor cell of 146 F²
 * (CACTI, recalled) over an array efficiency of 0.65. Published CACTI results bracket it: 179 F² for megabyte buffers
 * (AccelTran, 14 nm) and 409 F² for 16 KB with separate read and write ports (Bit Fusion, 45 nm).
 */
export const SRAM_AREA_PER_BIT: Constant = {
  name: 'sram.areaPerBit',
  value: 146 / 0.65,
  unit: 'F²/bit',
  source: '6T cell of 146 F² over 65 % array efficiency; between CACTI results of AccelTran (179) and Bit Fusion (409)',
  certainty: 'scaled',
};

/** Leakage of SRAM per area as that of the adder's library; high-performance cells at 360 K leak 20 times as much in CACTI. */
export const SRAM_LEAKAGE_PER_AREA: Constant = {
  name: 'sram.leakagePerArea',
  value: 1.2e-5,
  unit: 'mW/µm²',
  source: 'as the logic cells of the Aladdin library (40 nm)',
  certainty: 'assumed',
  nodeNanometres: 40,
};

/** Reading one word of a flip-flop FIFO switches a multiplexer path; taken as one register write. */
export const FIFO_READ_PER_WRITE: Constant = {
  name: 'fifo.readPerWrite',
  value: 1,
  unit: '1',
  source: 'read multiplexer as costly as the write',
  certainty: 'assumed',
};

export type DramType = 'ddr3' | 'ddr4' | 'lpddr4' | 'hbm2';

export interface DramFigures {
  readonly energyPerBit: Constant;
  /** Peak of one channel (DDR, LPDDR) or stack (HBM). */
  readonly bytesPerSecond: Constant;
}

const dram = (
  type: DramType,
  energy: Pick<Constant, 'value' | 'source' | 'certainty'> & { note?: string },
  bandwidth: Pick<Constant, 'value' | 'source'>,
): DramFigures => ({
  energyPerBit: { name: `dram.${type}.energyPerBit`, unit: 'pJ/bit', ...energy },
  bytesPerSecond: { name: `dram.${type}.bytesPerSecond`, unit: 'B/s', certainty: 'derived', ...bandwidth },
});

/** Interface and access energy; background and refresh power are not included. */
export const DRAM: Readonly<Record<DramType, DramFigures>> = {
  ddr3: dram(
    'ddr3',
    { value: 1950 / 64, source: horowitz, certainty: 'derived', note: 'middle of 1.3 … 2.6 nJ per 64 bits' },
    { value: 12.8e9, source: 'DDR3-1600: 1.6 Gb/s on 64 pins' },
  ),
  ddr4: dram(
    'ddr4',
    { value: 15, source: 'between DDR3 and LPDDR4 (recalled: 15 … 20 pJ/bit)', certainty: 'assumed' },
    { value: 25.6e9, source: 'DDR4-3200: 3.2 Gb/s on 64 pins' },
  ),
  lpddr4: dram(
    'lpddr4',
    {
      value: 14,
      source: 'H. Ha, thesis, Stanford 2018, simulated 32 Gb LPDDR4',
      certainty: 'published',
      note: '4 … 8 pJ/bit is often quoted for the interface alone (recalled)',
    },
    { value: 12.8e9, source: 'LPDDR4-3200: 3.2 Gb/s on 32 pins' },
  ),
  hbm2: dram(
    'hbm2',
    { value: 3.92, source: "M. O'Connor et al., Fine-grained DRAM, MICRO 2017", certainty: 'published' },
    { value: 256e9, source: 'HBM2: 2 Gb/s on 1024 pins' },
  ),
};

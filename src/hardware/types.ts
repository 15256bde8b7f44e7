/**
 * Hardware costs with their provenance. Units: picojoules (pJ), square micrometres (µm²), nanometres (nm), volts (V),
 * milliwatts (mW) for leakage. Runs in a browser: no Node here.
 */

/** How sure a constant is. Drives the interval printed beside results. */
export type Certainty =
  /** printed in a paper, data sheet or standard */
  | 'published'
  /** follows from published figures by arithmetic that is shown */
  | 'derived'
  /** published at another node, width or size and scaled by a published method */
  | 'scaled'
  /** our choice, for want of a source */
  | 'assumed';

/** One number with where it comes from. */
export interface Constant {
  /** Dotted path, unique in a result, e.g. "sram.energyPerBit". */
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly source: string;
  readonly certainty: Certainty;
  /** Node in nm at which the source gives it. */
  readonly nodeNanometres?: number;
  readonly note?: string;
}

/** A technology point at which a machine is built. */
export interface Technology {
  readonly nodeNanometres: number;
  readonly voltage: number;
  readonly clockHertz: number;
}

/** Cost of one instance of a component at a technology point. */
export interface ComponentCost {
  /** Energy of each action of the component: "read", "write", "multiply", "step" …, in pJ. */
  readonly energyPicojoules: Readonly<Record<string, number>>;
  readonly areaSquareMicrometres: number;
  readonly leakageMilliwatts: number;
  /** Constants that went into it. */
  readonly constants: readonly Constant[];
  /** Relative factors (low, high) on energy and area that the constants' certainty implies, e.g. [0.7, 1.4]. */
  readonly interval: readonly [number, number];
}

/** A part of a machine: how many instances, and what each costs. */
export interface ComponentInstance {
  /** Role in the machine, e.g. "K buffer", "bit-serial dot product". */
  readonly name: string;
  readonly count: number;
  readonly cost: ComponentCost;
}

/** What one component spent in a run. */
export interface EnergyShare {
  /** Name of the component instance, as in ComponentInstance. */
  readonly component: string;
  readonly dynamicPicojoules: number;
  readonly leakagePicojoules: number;
  /** Lowest and highest pJ that the constants' certainty implies for the sum of both. */
  readonly interval: readonly [number, number];
}

/** What one component occupies. */
export interface AreaShare {
  readonly component: string;
  readonly count: number;
  readonly squareMicrometres: number;
  /** Lowest and highest µm² that the constants' certainty implies. */
  readonly interval: readonly [number, number];
}

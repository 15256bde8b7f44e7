/** What a machine is to the rest of Tandem, and what a simulation returns. Cycles, pJ, µm². */
import type { ZodType } from 'zod';
import type { AreaShare, Constant, EnergyShare } from '../hardware/types.js';
import type { Named } from '../registry.js';
import type { TraceHeader, TraceRecord } from '../trace/types.js';
import type { MemoryRequest } from '../workload/requests.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import type { GemmLayer } from '../workload/types.js';

export type { AreaShare, EnergyShare } from '../hardware/types.js';

/** A simulation's input. A trace is a stream, so that one larger than memory can be played. */
export type Workload =
  | { readonly kind: 'trace'; readonly header: TraceHeader; readonly records: AsyncIterable<TraceRecord> }
  | { readonly kind: 'gemms'; readonly layers: readonly GemmLayer[] }
  | { readonly kind: 'transformer'; readonly architecture: TransformerArchitecture }
  | {
      readonly kind: 'requests';
      /**
       * Requests to memory in the order of their cycles, some at a time.
       * @throws TANDEM_WORKLOAD_INVALID for an address that does not lie below the capacity
       */
      requests(capacityBytes: number): AsyncIterable<readonly MemoryRequest[]>;
    };

/** A law that was checked, with both sides; a broken one is thrown as TANDEM_CONSERVATION, never returned. */
export interface ConservationCheck {
  readonly law: string;
  readonly left: number;
  readonly right: number;
}

/** Results of a part of the workload: a layer and head of a trace, or a GEMM. */
export interface PartResult {
  readonly layer: string;
  /** Undefined for GEMMs. */
  readonly head?: number;
  readonly cycles: number;
  readonly energyPicojoules: number;
  /** 0 … 1 */
  readonly utilisation: number;
  /** Machine-specific counts: "scores", "survivors", "sramReads" … */
  readonly counts: Readonly<Record<string, number>>;
}

/** What a unit did over time, for the timeline figure: busy intervals [start, end) in cycles. */
export interface TimelineLane {
  readonly lane: string;
  /** Apart from each other, in order of time. */
  readonly busy: readonly { readonly start: number; readonly end: number; readonly label: string }[];
}

/** Quantities sampled over the run's time: utilisation of units and buffers, power. */
export interface TimeSeries {
  /** Sample s covers cycles [s · cyclesPerSample, (s + 1) · cyclesPerSample). */
  readonly cyclesPerSample: number;
  readonly series: readonly {
    readonly name: string;
    readonly quantity: 'utilisation' | 'power';
    /**
     * utilisation: 0 … 1, mean over the sample; power: milliwatts, mean over the sample. The power series of a machine
     * are its parts and add up to the whole.
     */
    readonly values: readonly number[];
  }[];
}

/** An array of PEs over an example: what each PE did until the last one was done. PEs row by row. */
export interface Wavefront {
  readonly title: string;
  readonly rows: number;
  readonly columns: number;
  /** Cycles at work, and waiting; they add up to `cycles` for each PE. */
  readonly worked: readonly number[];
  readonly waited: readonly number[];
  /** Cycle at which the PE finished its last step. */
  readonly finished: readonly number[];
  readonly cycles: number;
}

/** Cycles from a request to its last data. Percentiles are at most a 32nd below the exact ones. */
export interface LatencySummary {
  readonly mean: number;
  readonly least: number;
  readonly median: number;
  readonly percentile95: number;
  readonly percentile99: number;
  readonly most: number;
}

/** What a memory gave to those who asked. */
export interface MemorySummary {
  readonly bytesPerSecond: number;
  readonly peakBytesPerSecond: number;
  /** Share of bursts that found their row open, 0 … 1. */
  readonly rowHitShare: number;
  /** Absent without requests of the kind. */
  readonly readLatency?: LatencySummary;
  readonly writeLatency?: LatencySummary;
}

export interface SimulationResult {
  readonly feasible: true;
  /** Name for people: the preset's, e.g. "ae-leopard". */
  readonly name: string;
  readonly machine: string;
  /** The resolved configuration that was simulated. */
  readonly configuration: unknown;
  readonly fidelity: 'cycle' | 'fast';
  /** Fast fidelity: estimated over exact cycles minus 1, measured on the part of this workload that was also played exactly. */
  readonly cyclesError?: number;
  readonly cycles: number;
  readonly clockHertz: number;
  readonly energyPicojoules: number;
  readonly energyInterval: readonly [number, number];
  readonly areaSquareMicrometres: number;
  readonly areaInterval: readonly [number, number];
  readonly energy: readonly EnergyShare[];
  readonly area: readonly AreaShare[];
  /** Busy share of each unit kind, 0 … 1. */
  readonly utilisation: Readonly<Record<string, number>>;
  /** Totals of the parts' counts. */
  readonly counts: Readonly<Record<string, number>>;
  readonly parts: readonly PartResult[];
  /** Histograms over the whole workload, e.g. "stopBits": share or count by bin label, in order. */
  readonly histograms: Readonly<Record<string, readonly { readonly bin: number; readonly count: number }[]>>;
  /** A part of the workload as an example; empty when the machine has none. */
  readonly timeline: readonly TimelineLane[];
  /** What the timeline shows, as a title says it: "one head" (when absent), "the first layer", "the whole run" … */
  readonly timelineOf?: string;
  /** The same example in several ways, for comparison. */
  readonly wavefronts?: readonly Wavefront[];
  /** Absent where a machine does not record it. */
  readonly overTime?: TimeSeries;
  /** Of a memory that is simulated on its own. */
  readonly memory?: MemorySummary;
  /** Waiting events or cycles by cause, as the machine's documentation defines them. */
  readonly stalls?: Readonly<Record<string, number>>;
  readonly constants: readonly Constant[];
  readonly conservation: readonly ConservationCheck[];
  /** Modelling remarks that a reader of the numbers must know. */
  readonly remarks: readonly string[];
}

/** The workload cannot run on this machine: a result, not an exception. */
export interface Infeasible {
  readonly feasible: false;
  readonly name: string;
  readonly machine: string;
  readonly resource: string;
  readonly demand: number;
  readonly bound: number;
  readonly unit: string;
  /** Settings that would make it fit, e.g. "buffers.keyBytes ≥ 98304". */
  readonly levers: readonly string[];
}

export interface SimulationOptions {
  /** Name for the result. */
  readonly name: string;
  readonly fidelity?: 'cycle' | 'fast';
  /** Called now and then with the number of records or layers done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

/** Lets machines be compared at equal area, or with equal multipliers. */
export interface Sizing<Config> {
  /** Of all multipliers together: the product of their operands' widths, summed, bits². */
  multiplierBits(config: Config): number;
  /**
   * The machine with about `factor` times the multipliers, and buffers, other units and bandwidth to match, in the sizes
   * that it can have: never less than the smallest one.
   */
  resized(config: Config, factor: number): Config;
  areaSquareMicrometres(config: Config): number;
}

/** A machine: a small program over components. `Config` is what the user's YAML describes. */
export interface Machine<Config = unknown> extends Named {
  /** Configuration with defaults, descriptions and units; also the source of the JSON Schema and of `--set`. */
  readonly schema: ZodType<Config>;
  readonly accepts: readonly Workload['kind'][];
  /** Names of the preset files under hardware/presets/ that configure this machine; the first is the default. */
  readonly presets: readonly string[];
  /** Absent for a machine that has no sizes to compare at. */
  readonly sizing?: Sizing<Config>;
  /** Whether it plays steps of decoding, in traces of bits per token. */
  readonly decodes?: true;
  /**
   * Widths of tokens that it serves, bits; absent for a machine that plays any.
   * @throws TANDEM_CONFIG_INVALID for a configuration that contradicts itself
   */
  tokenWidths?(config: Config): readonly number[];
  simulate(config: Config, workload: Workload, options: SimulationOptions): Promise<SimulationResult | Infeasible>;
  /**
   * Several configurations over one pass of the workload, for machines that share work between them.
   * Results in the order of the configurations.
   */
  simulateMany?(
    configs: readonly { readonly name: string; readonly config: Config }[],
    workload: Workload,
    options: Omit<SimulationOptions, 'name'>,
  ): Promise<(SimulationResult | Infeasible)[]>;
}

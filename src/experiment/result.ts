/** What a run writes to result.json: the whole evidence in numbers. `schemaVersion` rises with any incompatible change. */
import type { Infeasible, SimulationResult } from '../simulator/types.js';

export const RESULT_SCHEMA_VERSION = 1;

export type MachineOutcome =
  | (SimulationResult & {
      /** Cycles of the reference machine (the first one listed) over this machine's, at equal clocks: time ratio. */
      readonly speedup: number;
      /** Energy of the reference machine over this one's: above 1, this one needs less. */
      readonly energyRatio: number;
      /** Area of this machine over the reference machine's: above 1, this one is larger. */
      readonly areaRatio: number;
    })
  | Infeasible;

export interface AttentionHeadStatistics {
  readonly layer: number;
  readonly head: number;
  /** Learned threshold, in units of the scaled score q·k/√d. */
  readonly threshold: number;
  readonly scores: number;
  readonly survivors: number;
  readonly pruningRate: number;
  readonly meanBits: number;
  /** Rows where every score lay below the threshold (the largest one is kept). */
  readonly emptyRows: number;
  readonly rows: number;
}

/** Sparsity against accuracy of one pruning rule as its parameter moves. */
export interface SparsityCurve {
  /** "dynatran", "top-k", "dynatran + weight pruning" … */
  readonly rule: string;
  /** What moves along the curve: "τ" or "k". */
  readonly parameter: string;
  readonly points: readonly SparsityPoint[];
  /** Parameter of the point that the run goes on with, where it lies on this curve. */
  readonly chosen?: number;
  /** Where the points' accuracy was measured; absent: as RunResult.accuracy, on the test split. */
  readonly measured?: { readonly split: string; readonly examples: number; readonly baseline: number };
}

export interface SparsityPoint {
  readonly parameter: number;
  /** Zeros over elements of all pruned activation matrices, real tokens only. */
  readonly sparsity: number;
  readonly accuracy: number;
  /** What a point costs on each machine; empty where it was not simulated. */
  readonly costs: readonly { readonly machine: string; readonly cycles: number; readonly energyPicojoules: number }[];
}

/** Zeros of one matrix over everything that was recorded; weights and activations of one layer stand side by side. */
export interface MatrixZeros {
  readonly layer: number;
  /** As in the trace: MaskRecord.matrix and MaskRecord.phase. */
  readonly matrix: string;
  readonly phase: 'forward' | 'backward' | 'update';
  readonly zeros: number;
  readonly elements: number;
}

export interface TrainingPoint {
  readonly stage: 'warm-up' | 'baseline' | 'adapted';
  readonly step: number;
  readonly loss: number;
  /** The pruning term before its weight; 0 without a technique. */
  readonly penalty: number;
  readonly thresholds: readonly number[];
  /**
   * What the technique watches, e.g. "alive", the share of scores above their threshold. Names that start with
   * "sparsity." are shares of zeros, and are drawn over the steps.
   */
  readonly monitors: Readonly<Record<string, number>>;
}

/** Options of a technique found by search, and how they were found. */
export interface SearchOutcome {
  /** Machine whose cost was made small, by name. */
  readonly machine: string;
  readonly minimised: 'cycles' | 'energy' | 'energy-delay';
  /** Accuracy that may be lost against the baseline, 0 … 1. */
  readonly accuracyBudget: number;
  /** How sure the confirmation had to be that no more is lost. */
  readonly confidence: number;
  readonly dimensions: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** Where trials were measured; and other examples, where the chosen point was checked. */
  readonly calibration: { readonly examples: number; readonly baseline: number };
  readonly confirmation: { readonly examples: number; readonly baseline: number } & ConfirmationSteps;
  /** Cost of the point that changes the model least: all costs are relative to it. */
  readonly referenceCost: number;
  /** The first sampler is the one whose trials the choice comes from. */
  readonly samplers: readonly {
    readonly name: string;
    readonly runs: readonly { readonly seed: number; readonly trials: readonly SearchTrial[] }[];
  }[];
  readonly chosen: SearchTrial & {
    /** On the examples of the confirmation. */
    readonly confirmed: number;
    /** Upper end of the interval for the loss of accuracy that the confirmation shows, at `confidence`. */
    readonly confirmedAtMost: number;
  };
}

/** Points that the confirmation tested, the dearest first; only the last one may have failed. */
export interface ConfirmationSteps {
  /** How many there were to test. */
  readonly steps: number;
  readonly tests: readonly {
    /** Relative to `referenceCost`. */
    readonly cost: number;
    /** Upper end of the interval for what is lost, on the examples of the confirmation. */
    readonly atMost: number;
  }[];
}

export interface SearchTrial {
  /** For each dimension, the index of one of its values. */
  readonly point: readonly number[];
  /** Relative to `referenceCost`. */
  readonly cost: number;
  readonly accuracy: number;
  /** Upper end of the interval for the loss of accuracy, at `confidence`, on the same examples. */
  readonly atMost: number;
}

/** Tokens of some texts and the bits that each got, layer by layer. */
export interface TokenWidthsExample {
  readonly sequence: number;
  readonly tokens: readonly string[];
  readonly layers: readonly { readonly layer: number; readonly bits: readonly number[] }[];
}

/** Share of the tokens of the traced sequences at each width, by layer; widths descending. */
export interface WidthShares {
  readonly layer: number;
  readonly shares: readonly { readonly bits: number; readonly share: number }[];
}

/** Another technique on the same trained baseline, with machines of its own. */
export interface RivalOutcome {
  /** As the experiment calls it, where it does. */
  readonly name?: string;
  readonly technique: { readonly name: string; readonly options: unknown };
  readonly accuracy: number;
  readonly pruningRate: number;
  readonly pruned?: string;
  readonly trace: { readonly file: string; readonly sequences: number; readonly bytes: number };
  readonly widthShares?: readonly WidthShares[];
  readonly search?: SearchOutcome;
  /** Names of its machines among `RunResult.machines`. */
  readonly machines: readonly string[];
}

/** The shares measured here, on the sizes of another model: nothing of that model itself was run. */
export interface ShapeOutcome {
  readonly model: string;
  readonly tokens: number;
  readonly machines: readonly (
    | {
        readonly name: string;
        readonly feasible: true;
        readonly cycles: number;
        readonly energyPicojoules: number;
        readonly speedup: number;
        readonly energyRatio: number;
      }
    | Infeasible
  )[];
}

export interface RunResult {
  readonly schemaVersion: typeof RESULT_SCHEMA_VERSION;
  readonly name: string;
  readonly tandemVersion: string;
  readonly seed: number;
  readonly model: {
    readonly name: string;
    readonly parameters: number;
    readonly source: string;
    readonly licence: string;
    readonly sha256: string;
  };
  readonly data: {
    readonly name: string;
    readonly metric: string;
    readonly train: number;
    readonly validation: number;
    readonly test: number;
    readonly sha256: { readonly train: string; readonly validation: string; readonly test: string };
  };
  readonly technique: { readonly name: string; readonly options: unknown };
  /** Shares in 0 … 1 (accuracy), on the held-out test split. */
  readonly accuracy: { readonly baseline: number; readonly adapted: number; readonly examples: number };
  /** All metrics of the task for both models, by name. */
  readonly metrics: {
    readonly baseline: Readonly<Record<string, number>>;
    readonly adapted: Readonly<Record<string, number>>;
  };
  readonly pruningRate: number;
  /** What `pruningRate` counts, where it is neither scores below thresholds nor activations that are zero. */
  readonly pruned?: string;
  readonly meanBits: number;
  readonly heads: readonly AttentionHeadStatistics[];
  /** Accuracy and pruning at scaled thresholds around the learned ones, for the accuracy-against-pruning figure. */
  readonly tradeoff: readonly { readonly shift: number; readonly accuracy: number; readonly pruningRate: number }[];
  /** Curves of techniques that are profiled over their threshold. */
  readonly curves?: readonly SparsityCurve[];
  /** Zero share of every recorded matrix, of techniques that record masks. */
  readonly masks?: readonly MatrixZeros[];
  /** Bits per token, of techniques that record them. */
  readonly widthShares?: readonly WidthShares[];
  readonly tokenWidths?: readonly TokenWidthsExample[];
  readonly search?: SearchOutcome;
  readonly rivals?: readonly RivalOutcome[];
  readonly shapes?: readonly ShapeOutcome[];
  /** What machines were made equal in before they were compared; absent: nothing, each is as configured. */
  readonly equal?: 'area' | 'multipliers';
  readonly training: readonly TrainingPoint[];
  /** Mean over the adapted model's steps of each monitor that is a share of zeros, by the rest of its name. */
  readonly trainingSparsity?: Readonly<Record<string, number>>;
  /** Masks of some training steps, of techniques that prune while training. */
  readonly trainingTrace?: { readonly file: string; readonly steps: readonly number[]; readonly bytes: number };
  readonly machines: readonly MachineOutcome[];
  readonly trace: { readonly file: string; readonly sequences: number; readonly bytes: number };
  /** Wall-clock seconds by stage: kept apart, since the only part of a result that differs between equal runs. */
  readonly timings: Readonly<Record<string, number>>;
  readonly remarks: readonly string[];
}

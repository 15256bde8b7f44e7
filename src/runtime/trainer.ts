import { TandemError } from '../errors.js';
import { inputsFromInitializers, pruneUnused, withOutputs } from '../graph/edit.js';
import { type DifferentiateOptions, defaultGradientName, differentiate } from '../graph/gradients/index.js';
import type { Graph, Tensor } from '../graph/types.js';
import { AdamW } from './optimizer.js';
import type { ParameterArray } from './parameters.js';
import { Session } from './session.js';
import type { Feeds, Fetched, OptimizerOptions, RuntimeOptions } from './types.js';

export interface TrainerOptions {
  /** A forward graph that ends in a loss. */
  readonly graph: Graph;
  /** Initializers to train, float32; the others stay as they are. */
  readonly trainable: readonly string[];
  /** The scalar value to minimise. */
  readonly loss: string;
  readonly optimizer: OptimizerOptions;
  /** Steps of the whole training; the learning-rate schedule spans them. */
  readonly steps: number;
  /** Further values to hand out at each step: of the graph, trained ones, or those that `gradientRules` make. */
  readonly extras?: readonly string[];
  /** Gradients that replace an operator's own, as in `differentiate`. */
  readonly gradientRules?: DifferentiateOptions['rules'];
  readonly runtime?: Partial<RuntimeOptions>;
}

export interface StepResult {
  /** 0 for the first step. */
  readonly step: number;
  /** Mean over the step's batches, before the update. */
  readonly loss: number;
  /** Euclidean norm of the mean gradient, before clipping. */
  readonly gradNorm: number;
  /** One per parameter group. */
  readonly learningRates: readonly number[];
  /** Of the step's last batch, before the update. */
  readonly extras: Fetched;
}

/** What continues a training exactly: each map holds one float32 tensor per trained parameter. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly first: ReadonlyMap<string, Tensor>;
  readonly second: ReadonlyMap<string, Tensor>;
}

/** Trains weights of a graph: one session computes loss and gradients, a kernel updates the weights where they lie. */
export class Trainer {
  readonly steps: number;
  readonly optimizer: OptimizerOptions;
  /** Named in the error when training fails, so that the user knows where to start again. */
  lastCheckpoint: string | undefined;
  readonly #options: TrainerOptions;
  readonly #session: Session;
  readonly #adam: AdamW;
  readonly #parameters: Feeds;
  readonly #gradients: Fetched;
  readonly #fetches: readonly string[];
  #observing: { readonly session: Session; readonly values: readonly string[] } | undefined;
  #done = 0;

  private constructor(options: TrainerOptions, session: Session, adam: AdamW) {
    this.#options = options;
    this.#session = session;
    this.#adam = adam;
    this.optimizer = options.optimizer;
    this.steps = options.steps;
    this.#parameters = this.#tensors('parameters');
    this.#gradients = this.#tensors('gradients', defaultGradientName);
    this.#fetches = [...new Set([options.loss, ...computed(options), ...Object.keys(this.#gradients)])];
  }

  /**
   * @throws TANDEM_NO_GRADIENT, TANDEM_CONFIG_INVALID (optimiser options, a weight that is not float32), and whatever
   *   Session.create throws
   */
  static async create(options: TrainerOptions): Promise<Trainer> {
    const { graph, trainable, loss, optimizer, steps } = options;
    const adam = new AdamW(weights(graph, trainable), optimizer, steps);
    const session = await Session.create(trainingGraph(options), options.runtime);
    for (const { name } of adam.memory.places) {
      if (session.outputs.some((output) => output.name === defaultGradientName(name))) continue;
      throw new TandemError('TANDEM_INTERNAL', `The gradient of "${name}" with respect to "${loss}" is missing.`);
    }
    return new Trainer(options, session, adam);
  }

  get stepsDone(): number {
    return this.#done;
  }

  /**
   * One optimiser step over one batch, or over the mean of several (`accumulate` > 1). Parameters are left untouched
   * if it fails.
   * @throws TANDEM_LOSS_NOT_FINITE, TANDEM_CONFIG_INVALID after the last step, and whatever Session.run throws
   */
  async step(...batches: readonly Feeds[]): Promise<StepResult> {
    const step = this.#done;
    this.#checkCall(batches.length);
    const accumulating = batches.length > 1;
    if (accumulating) this.#adam.clearSums();
    let total = 0;
    let fetched: Fetched = {};
    for (const feeds of batches) {
      fetched = await this.#session.run({ ...feeds, ...this.#parameters }, this.#fetches, this.#gradients);
      total += Number(fetched[this.#options.loss]!.data[0]);
      if (accumulating) this.#adam.addToSums();
    }
    const from = accumulating ? 'sums' : 'gradients';
    const loss = total / batches.length;
    const gradNorm = this.#adam.norm(from) / batches.length;
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) throw this.#notFinite(loss, gradNorm);
    const extras = this.#extras(fetched);
    const { clipNorm } = this.optimizer;
    const clip = clipNorm > 0 && gradNorm > clipNorm ? clipNorm / gradNorm : 1;
    this.#adam.update(step, from, clip / batches.length);
    this.#done++;
    return { step, loss, gradNorm, learningRates: this.#adam.learningRates(step), extras };
  }

  /**
   * Values at the present parameters, without a step: of the graph, its weights (copies), gradients of those that are
   * trained (`grad:<weight>`), or what `gradientRules` make. They come from a session of their own, made at the first call, so that steps stay as fast as they are.
   */
  async observe(feeds: Feeds, values: readonly string[]): Promise<Fetched> {
    const { graph, runtime } = this.#options;
    const weights = new Map([...graph.initializers, ...this.#map('parameters')]);
    const fetches = values.filter((name) => !weights.has(name));
    if (this.#observing?.values.join() !== fetches.join()) {
      await this.#observing?.session.dispose();
      const extras = fetches.filter((name) => !Object.hasOwn(this.#gradients, name));
      const session = await Session.create(trainingGraph({ ...this.#options, extras }), runtime);
      this.#observing = { session, values: fetches };
    }
    const fetched = await this.#observing.session.run({ ...feeds, ...this.#parameters }, fetches);
    const weight = (name: string) => [name, copy(weights.get(name)!)] as const;
    return { ...fetched, ...Object.fromEntries(values.filter((name) => weights.has(name)).map(weight)) };
  }

  /** The trained values now, by initializer name; copies. */
  parameters(): Map<string, Tensor> {
    return copies(this.#map('parameters'));
  }

  /** The graph that was given, with the trained values in it. */
  trained(): Graph {
    const initializers = new Map(this.#options.graph.initializers);
    for (const [name, value] of this.parameters()) initializers.set(name, value);
    return { ...this.#options.graph, initializers };
  }

  /** Views of the live arrays: to be written away before the next step. */
  state(): TrainingState {
    return {
      step: this.#done,
      parameters: this.#map('parameters'),
      first: this.#map('first'),
      second: this.#map('second'),
    };
  }

  /** Continues from a state of a trainer of the same parameters. @throws TANDEM_CHECKPOINT_INVALID */
  restore(state: TrainingState): void {
    for (const array of ['parameters', 'first', 'second'] as const) {
      for (const place of this.#adam.memory.places) {
        const value = state[array].get(place.name);
        if (value?.dtype === 'float32' && value.shape.join() === place.shape.join()) continue;
        const found = value ? `${value.dtype} [${value.shape.join(', ')}]` : 'nothing';
        const message = `For "${place.name}" (${array}) the checkpoint has ${found}; the model needs float32 [${place.shape.join(', ')}].`;
        throw new TandemError('TANDEM_CHECKPOINT_INVALID', message, {
          place: `parameter ${place.name}`,
          remedy: 'Resume with the model and the trainable weights that the checkpoint was made with.',
        });
      }
    }
    for (const array of ['parameters', 'first', 'second'] as const) {
      for (const place of this.#adam.memory.places) {
        this.#adam.memory.view(array, place).set(state[array].get(place.name)!.data as Float32Array);
      }
    }
    this.#done = state.step;
  }

  async dispose(): Promise<void> {
    await this.#session.dispose();
    await this.#observing?.session.dispose();
  }

  #checkCall(batches: number): void {
    if (this.#done >= this.steps) {
      throw new TandemError(
        'TANDEM_CONFIG_INVALID',
        `The training was announced as ${this.steps} steps; all are done.`,
        {
          place: 'steps',
          remedy: 'Create the trainer with the number of steps of the whole training.',
        },
      );
    }
    const { accumulate } = this.optimizer;
    if (batches >= 1 && batches <= accumulate) return;
    throw new TandemError('TANDEM_CONFIG_INVALID', `A step got ${batches} batches; it takes 1 to ${accumulate}.`, {
      place: 'optimizer.accumulate',
      remedy: 'Set accumulate to the largest number of batches in a step.',
    });
  }

  #notFinite(loss: number, gradNorm: number): TandemError {
    const what = Number.isFinite(loss) ? `The gradient's norm is ${gradNorm}` : `The loss is ${loss}`;
    const from = this.lastCheckpoint
      ? `Resume from the last good checkpoint, ${this.lastCheckpoint}, or start again`
      : 'No checkpoint was written: start again';
    return new TandemError('TANDEM_LOSS_NOT_FINITE', `${what} in step ${this.#done}.`, {
      place: `step ${this.#done}`,
      remedy: `${from} with a smaller learning rate, longer warm-up or clipNorm; the parameters still hold step ${this.#done}'s start.`,
    });
  }

  #extras(fetched: Fetched): Fetched {
    const { extras = [], trainable } = this.#options;
    const trained = this.#map('parameters');
    const extra = (name: string) => (trainable.includes(name) ? copy(trained.get(name)!) : fetched[name]!);
    return Object.fromEntries(extras.map((name) => [name, extra(name)]));
  }

  #map(array: ParameterArray): Map<string, Tensor> {
    const { memory } = this.#adam;
    return new Map(memory.places.map((place) => [place.name, memory.tensor(array, place)]));
  }

  #tensors(array: ParameterArray, nameOf = (name: string) => name): Feeds {
    return Object.fromEntries([...this.#map(array)].map(([name, value]) => [nameOf(name), value]));
  }
}

/** Extras that the graph computes; trained values are read from memory instead. */
const computed = ({ extras = [], trainable }: TrainerOptions): string[] =>
  extras.filter((name) => !trainable.includes(name));

/** The graph that a step runs: parameters as inputs; loss, extras and gradients as outputs. */
export function trainingGraph(options: TrainerOptions): Graph {
  const { graph, trainable, loss, gradientRules } = options;
  const extras = computed(options);
  const forward = pruneUnused(withOutputs(graph, [loss, ...extras.filter((name) => graph.types.has(name))]));
  return differentiate(inputsFromInitializers(forward, trainable), {
    loss,
    wrt: trainable,
    rules: gradientRules,
    outputs: extras,
  });
}

function weights(graph: Graph, names: readonly string[]): Map<string, Tensor> {
  return new Map(
    names.map((name) => {
      const value = graph.initializers.get(name);
      if (value?.dtype === 'float32') return [name, value];
      const found = value ? `is ${value.dtype}` : 'is no initializer of the graph';
      throw new TandemError('TANDEM_CONFIG_INVALID', `"${name}" ${found}; only float32 weights can be trained.`, {
        place: 'trainable',
        remedy: 'Name float32 initializers.',
      });
    }),
  );
}

const copy = (value: Tensor): Tensor => ({ ...value, data: (value.data as Float32Array).slice() });
const copies = (values: ReadonlyMap<string, Tensor>): Map<string, Tensor> =>
  new Map([...values].map(([name, value]) => [name, copy(value)]));

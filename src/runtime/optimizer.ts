import { TandemError } from '../errors.js';
import type { Tensor } from '../graph/types.js';
import { type AdamWKernel, adamwKernel } from './kernels/adamw.js';
import { ParameterMemory } from './parameters.js';
import { fallingFactor, scheduleFactor } from './schedule.js';
import type { OptimizerOptions, ParameterGroup } from './types.js';

/** A group's parameters lie side by side, so one kernel call updates them all. */
interface Range {
  readonly group: ParameterGroup;
  readonly offset: number;
  readonly count: number;
}

/** AdamW with decoupled weight decay, parameter groups, clipping by the global norm, and a schedule. */
export class AdamW {
  readonly memory: ParameterMemory;
  readonly #ranges: readonly Range[];
  readonly #kernel: AdamWKernel;

  /**
   * @param parameters float32, by name
   * @param steps steps of the whole training, which the schedule spans
   * @throws TANDEM_CONFIG_INVALID if an option is out of range or a parameter matches no group
   */
  constructor(
    parameters: ReadonlyMap<string, Tensor>,
    readonly options: OptimizerOptions,
    readonly steps: number,
  ) {
    checkOptions(options, steps);
    const byGroup = options.groups.map((group) => ({ group, names: [] as string[] }));
    for (const name of parameters.keys()) groupOf(byGroup, name).names.push(name);
    const ordered = byGroup.flatMap(({ names }) => names);
    this.memory = new ParameterMemory(
      ordered.map((name) => ({ name, value: parameters.get(name)! })),
      options.accumulate > 1,
    );
    const starts = new Map(this.memory.places.map(({ name, offset }) => [name, offset]));
    let end = this.memory.count;
    const ranges: Range[] = [];
    for (const { group, names } of byGroup.toReversed()) {
      if (names.length === 0) continue;
      const offset = starts.get(names[0]!)!;
      ranges.unshift({ group, offset, count: end - offset });
      end = offset;
    }
    this.#ranges = ranges;
    this.#kernel = adamwKernel(this.memory.memory);
  }

  /** Forgets accumulated gradients. */
  clearSums(): void {
    this.memory.array('sums').fill(0);
  }

  /** Adds the gradients to the accumulated ones. */
  addToSums(): void {
    const { memory } = this;
    this.#kernel.accumulate(memory.address('sums'), memory.address('gradients'), memory.count);
  }

  /** The Euclidean norm over all gradients together. */
  norm(from: 'gradients' | 'sums'): number {
    return Math.sqrt(this.#kernel.sumOfSquares(this.memory.address(from), this.memory.count));
  }

  /** The learning rate of each group in a step (0 …). */
  learningRates(step: number): number[] {
    return this.options.groups.map((group) => this.#learningRate(group, step));
  }

  #learningRate({ learningRate, until }: ParameterGroup, step: number): number {
    const { options, steps } = this;
    return (
      learningRate * (until === undefined ? scheduleFactor(options, step, steps) : fallingFactor(until, step, steps))
    );
  }

  /**
   * Updates the parameters.
   * @param step 0 for the first
   * @param scale factor on the gradients
   */
  update(step: number, from: 'gradients' | 'sums', scale: number): void {
    const { beta1, beta2, epsilon } = this.options;
    for (const { group, offset, count } of this.#ranges) {
      const learningRate = this.#learningRate(group, step);
      const at = (array: 'parameters' | 'gradients' | 'sums' | 'first' | 'second') =>
        this.memory.address(array) + offset * 4;
      this.#kernel.adamw(at('parameters'), at(from), at('first'), at('second'), count, {
        scale,
        beta1,
        beta2,
        rate: learningRate / (1 - beta1 ** (step + 1)),
        root: 1 / Math.sqrt(1 - beta2 ** (step + 1)),
        epsilon,
        decay: 1 - learningRate * group.weightDecay,
      });
    }
  }
}

function groupOf<T extends { readonly group: ParameterGroup }>(groups: readonly T[], name: string): T {
  const found = groups.find(({ group }) => name.search(group.match) >= 0);
  if (found) return found;
  throw new TandemError('TANDEM_CONFIG_INVALID', `No parameter group matches "${name}".`, {
    place: 'optimizer.groups',
    remedy: 'Add a last group that matches everything: /./',
  });
}

function checkOptions(options: OptimizerOptions, steps: number): void {
  const { beta1, beta2, epsilon, clipNorm, warmup, accumulate, groups } = options;
  const demand = (holds: boolean, setting: string, allowed: string) => {
    if (holds) return;
    throw new TandemError('TANDEM_CONFIG_INVALID', `The optimiser's ${setting} is out of range.`, {
      place: `optimizer.${setting}`,
      remedy: `Use ${allowed}.`,
    });
  };
  demand(beta1 >= 0 && beta1 < 1, 'beta1', '0 ≤ beta1 < 1');
  demand(beta2 >= 0 && beta2 < 1, 'beta2', '0 ≤ beta2 < 1');
  demand(epsilon > 0, 'epsilon', 'a number above 0');
  demand(clipNorm >= 0, 'clipNorm', 'a number above 0, or 0 for no clipping');
  demand(warmup >= 0 && warmup <= 1, 'warmup', 'a share of the steps, 0 to 1');
  demand(Number.isInteger(accumulate) && accumulate >= 1, 'accumulate', 'a whole number of batches, at least 1');
  demand(Number.isInteger(steps) && steps >= 1, 'steps', 'a whole number of steps, at least 1');
  for (const { learningRate, weightDecay } of groups) {
    demand(learningRate >= 0 && Number.isFinite(learningRate), 'groups.learningRate', 'a number of at least 0');
    demand(weightDecay >= 0 && Number.isFinite(weightDecay), 'groups.weightDecay', 'a number of at least 0');
  }
}

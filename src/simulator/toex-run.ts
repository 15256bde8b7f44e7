/** One configuration's way through a trace: plays its sequences one after the other, and sums up by part. */
import type { ExitChecks } from '../trace/exits.js';
import type { TokenExitsRecord } from '../trace/types.js';
import { Histogram } from './engine.js';
import type { ToexConfig } from './toex-config.js';
import { Controller, type Step, stepsOf } from './toex-controller.js';
import { checkOperations, finalOperations, inputOperation } from './toex-exit.js';
import { Estimate } from './toex-fast.js';
import { layerOperations, passTokens } from './toex-layer.js';
import { type MemoryTiming, memoryTiming } from './toex-memory.js';
import { type Decoder, sum } from './toex-model.js';
import { type Activity, bytesOf, noActivity, type Operation } from './toex-operations.js';
import { Recorder } from './toex-recorder.js';
import { Schedule, type Waits } from './toex-schedule.js';

/** Activity and time of one part of the work. */
export interface Part {
  readonly name: string;
  cycles: number;
  readonly activity: Activity;
}

/** Sums of a run, from the exits and the model's sizes alone: right-hand sides of laws. */
export interface Expected {
  /** Pairs of token and layer of a decoder without exits, and those that are still to be done, or never were. */
  tokenLayers: number;
  left: number;
  decodersLoaded: number;
  weightBytes: number;
  checks: number;
  pendingStateBytes: number;
}

/** Steps of a sequence that a fast run also plays exactly, of sequences 1, 2, 4, 8, … */
const REPLAYED_STEPS = 64;

export class ToexRun {
  readonly parts: Part[];
  readonly #input: Part;
  readonly #checks: Part;
  readonly #logits: Part;
  readonly timing: MemoryTiming;
  readonly expected: Expected = {
    tokenLayers: 0,
    left: 0,
    decodersLoaded: 0,
    weightBytes: 0,
    checks: 0,
    pendingStateBytes: 0,
  };
  readonly exits = new Histogram();
  /** Tokens that share a layer’s weights. */
  readonly batches = new Histogram();
  cycles = 0;
  memoryBusy = 0;
  readonly waits: Waits & { tail: number } = { memory: 0, special: 0, exit: 0, tail: 0 };
  readonly replayed = { estimated: 0, exact: 0, steps: 0 };
  readonly recorder = new Recorder();
  steps = 0;
  #sequences = 0;
  readonly #most: number;

  constructor(
    readonly config: ToexConfig,
    readonly decoder: Decoder,
    readonly checks: ExitChecks,
    readonly fidelity: 'cycle' | 'fast',
  ) {
    const part = (name: string): Part => ({ name, cycles: 0, activity: noActivity() });
    this.#input = part('input embedding');
    this.#checks = part('exit checks');
    this.#logits = part('output embedding');
    const layers = decoder.layers.map((_, index) => part(`layer ${index + 1}`));
    this.parts = [this.#input, ...layers, this.#checks, this.#logits];
    this.#most = passTokens(config, decoder);
    this.timing = memoryTiming(config);
  }

  play(record: TokenExitsRecord): void {
    const { config, decoder, fidelity } = this;
    const depth = decoder.layers.length;
    const controller = new Controller(depth, config.backFill, this.#most);
    const clock = fidelity === 'cycle' ? new Schedule(this.timing) : new Estimate(this.timing);
    this.#sequences++;
    const isReplayed = fidelity === 'fast' && (this.#sequences & (this.#sequences - 1)) === 0;
    let replay = isReplayed ? new Schedule(this.timing) : undefined;
    let steps = 0;
    for (const [tokens, traced] of stepsOf(record)) {
      const exit = config.tokens === 'dense' ? depth : traced;
      const step = controller.step(tokens, exit);
      this.#expectStep(step);
      const run = (part: Part, operations: readonly Operation[]) => {
        const before = clock.end;
        for (const operation of operations) {
          if (clock instanceof Schedule) this.recorder.run(clock, operation, part.name, steps);
          else clock.run(operation);
          replay?.run(operation);
        }
        part.cycles += clock.end - before;
      };
      this.#step(step, run);
      steps++;
      if (steps === REPLAYED_STEPS && replay !== undefined) replay = this.#addReplay(clock.end, replay, steps);
    }
    if (replay !== undefined) this.#addReplay(clock.end, replay, steps);
    this.steps += steps;
    this.recorder.close();
    this.#finish(clock);
    this.#expectSequence(record.exits.length, controller);
  }

  #step({ tokens, exit, runs }: Step, run: (part: Part, operations: readonly Operation[]) => void): void {
    const { config, decoder, checks } = this;
    const input = inputOperation(config, decoder.hidden, tokens, this.#input.activity);
    run(this.#input, [input]);
    for (const layerRun of runs) {
      const { layer, keyValueOnly, tokens: ran } = layerRun;
      const part = this.parts[layer]!;
      run(part, layerOperations(config, decoder, layerRun, this.#most, part.activity));
      this.batches.add(keyValueOnly + ran);
      if (config.tokens === 'exits' && checks.checks.includes(layer))
        run(this.#checks, checkOperations(config, decoder, checks.candidates, this.#checks.activity));
    }
    if (exit === decoder.layers.length)
      run(this.#logits, finalOperations(config, decoder, checks.candidates, this.#logits.activity));
  }

  /** What is still to be written once the last step is done belongs to the logits. */
  #finish(clock: Schedule | Estimate): void {
    const before = clock.end;
    const cycles = clock.finish();
    this.#logits.cycles += cycles - before;
    this.cycles += cycles;
    if (!(clock instanceof Schedule)) return;
    this.memoryBusy += clock.memoryBusy;
    this.waits.memory += clock.waits.memory;
    this.waits.special += clock.waits.special;
    this.waits.exit += clock.waits.exit;
    this.waits.tail += clock.tail;
  }

  #addReplay(estimated: number, exact: Schedule, steps: number): undefined {
    this.replayed.estimated += estimated;
    this.replayed.exact += exact.end;
    this.replayed.steps += steps;
  }

  #expectStep({ exit, tokens }: Step): void {
    const { config, decoder, checks, expected } = this;
    this.exits.add(exit, tokens);
    expected.decodersLoaded += exit;
    expected.weightBytes += sum(decoder.layers.slice(0, exit).map((layer) => this.#layerBytes(layer)));
    if (config.tokens === 'exits') expected.checks += checks.checks.filter((layer) => layer <= exit).length;
  }

  #layerBytes({ queryWords, keyValueWords, contextWords, feedForwardWords }: Decoder['layers'][number]): number {
    const matrices = [queryWords + keyValueWords, contextWords, ...feedForwardWords];
    return sum(matrices.map((words) => bytesOf(words, this.config.words.weightBits)));
  }

  #expectSequence(tokens: number, controller: Controller): void {
    const { config, decoder, expected } = this;
    const depth = decoder.layers.length;
    expected.tokenLayers += depth * tokens;
    for (let layer = 1; layer <= depth; layer++) expected.left += tokens - controller.done(layer);
    const pending = config.backFill === 'none' ? 0 : tokens - controller.done(depth);
    expected.pendingStateBytes += pending * bytesOf(decoder.hidden, config.words.activationBits);
  }
}

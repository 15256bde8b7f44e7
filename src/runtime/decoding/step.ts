/**
 * One step of decoding with early exit and lazy back-fill: each sequence of a batch runs its new tokens until they may
 * stop, and tokens that stopped earlier run along through the layers whose weights are loaded anyway.
 */
import type { BackFill, Candidate, Choices, ExitPolicy } from './exit-types.js';
import type { Sequence } from './sequence.js';
import type { DecoderSessions } from './sessions.js';
import { runSpan, type Share, sideBySide } from './span.js';

export interface StepOutcome {
  /** By sequence: layers that the newest token ran before its successor was chosen. */
  readonly exits: readonly number[];
  /** By sequence: what comes next. */
  readonly choices: readonly Choices[];
  /** Layers whose weights were read. */
  readonly loads: number;
  /** Rows that ran a layer, over all layers. */
  readonly tokenLayers: number;
}

export interface StepOptions {
  /** Default: no token stops early. */
  readonly policy?: ExitPolicy;
  readonly backFill?: BackFill;
}

/** Runs the tokens of each sequence that have not run yet: a prompt as a whole, afterwards one token at a time. */
export async function step(
  sessions: DecoderSessions,
  batch: readonly Sequence[],
  { policy, backFill = 'lazy' }: StepOptions = {},
): Promise<StepOutcome> {
  const { layers } = sessions.sizes;
  const starts = batch.map((sequence) => begin(sessions, sequence));
  const exits = batch.map(() => layers);
  const choices = new Array<Choices | undefined>(batch.length);
  const states = new Array<Float32Array>(batch.length);
  let running = batch.map((_, at) => at);
  let loads = 0;
  let tokenLayers = 0;
  for (const [number, span] of sessions.spans.entries()) {
    if (running.length === 0) break;
    const shares: Share[][] = [];
    for (let layer = span.from; layer < span.to; layer++) {
      shares.push(
        batch
          .map((sequence, at) => shareOf(sequence, layer, starts[at]!, running.includes(at), backFill))
          .filter((share) => share !== undefined),
      );
      for (const { sequence, whole, to } of shares.at(-1)!) {
        // Already: rows of the next layer are those that will have run this one.
        sequence.done[layer] = to;
        tokenLayers += to - whole;
      }
      loads++;
    }
    await runSpan(sessions, number, shares);
    const depth = span.to;
    const candidates = running.map((at) => candidate(batch[at]!, at, sessions.sizes.hidden));
    const verdicts = depth < layers ? await policy?.afterLayer(depth, candidates) : undefined;
    const stopped = candidates.filter((_, i) => depth === layers || verdicts?.[i]?.exit);
    for (const { sequence, state } of stopped) {
      exits[sequence] = depth;
      // A copy: the token may run deeper for the sake of others before its successor is chosen.
      states[sequence] = state.slice();
      choices[sequence] = verdicts?.[running.indexOf(sequence)]?.choices;
    }
    running = running.filter((at) => !stopped.some(({ sequence }) => sequence === at));
  }
  return { exits, choices: await completed(sessions, states, choices), loads, tokenLayers };
}

/** Embeds the tokens that have not begun; returns the first of them. */
function begin(sessions: DecoderSessions, sequence: Sequence): number {
  const { hidden } = sessions.sizes;
  const start = sequence.begun;
  for (let token = start; token < sequence.tokens.length; token++) {
    const row = sequence.states.subarray(token * hidden, (token + 1) * hidden);
    sessions.embed(sequence.tokens[token]!, token, row);
  }
  sequence.begun = sequence.tokens.length;
  return start;
}

/** What a sequence runs of a layer that is loaded; nothing, where no token waits. */
function shareOf(
  sequence: Sequence,
  layer: number,
  start: number,
  running: boolean,
  backFill: BackFill,
): Share | undefined {
  const done = sequence.done[layer]!;
  const to = sequence.reached(layer);
  if (backFill === 'lazy') return done < to ? { sequence, from: done, whole: done, to } : undefined;
  if (!running) return undefined;
  if (backFill === 'propagate') return { sequence, from: done, whole: start, to: sequence.begun };
  sequence.absent[layer]!.fill(1, done, start);
  return { sequence, from: start, whole: start, to: sequence.begun };
}

function candidate(sequence: Sequence, at: number, hidden: number): Candidate {
  const token = sequence.begun - 1;
  return { sequence: at, token, state: sequence.states.subarray(token * hidden, (token + 1) * hidden) };
}

/** Reads the output embedding once for all rows whose successors nothing has narrowed down. */
async function completed(
  sessions: DecoderSessions,
  states: readonly Float32Array[],
  choices: readonly (Choices | undefined)[],
): Promise<Choices[]> {
  const { vocabulary } = sessions.sizes;
  const open = states.filter((_, at) => !choices[at]);
  if (open.length === 0) return choices as Choices[];
  const logits = await sessions.logits(await sessions.norm(sideBySide(open)));
  let row = 0;
  return choices.map((given) => given ?? { logits: logits.subarray(row * vocabulary, ++row * vocabulary) });
}

/**
 * One step of decoding with early exit and lazy back-fill: each sequence of a batch runs its new tokens until they may
 * stop, and tokens that stopped earlier run along through the layers whose weights are loaded anyway.
 */
import type { BackFill, Candidate, Choices, ExitPolicy } from './exit-types.js';
import { type Sequence, wholeBlocks } from './sequence.js';
import type { DecoderSessions } from './sessions.js';

/** A score that softmax turns into exactly 0 in float32. */
const MASKED_SCORE = -1e9;

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

/** Rows of one sequence in one layer. */
interface Share {
  readonly sequence: Sequence;
  /** First token whose keys and values are computed. */
  readonly from: number;
  /** First token that runs the whole layer. */
  readonly whole: number;
  readonly to: number;
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
  for (let layer = 0; layer < layers && running.length > 0; layer++) {
    const shares = batch
      .map((sequence, at) => shareOf(sequence, layer, starts[at]!, running.includes(at), backFill))
      .filter((share) => share !== undefined);
    await runLayer(sessions, layer, shares);
    loads++;
    for (const { whole, to } of shares) tokenLayers += to - whole;
    const depth = layer + 1;
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

async function runLayer(sessions: DecoderSessions, layer: number, shares: readonly Share[]): Promise<void> {
  const { hidden } = sessions.sizes;
  const entering = gather(shares.map(({ sequence, from, to }) => sequence.states.subarray(from * hidden, to * hidden)));
  const [query, key, value] = await sessions.enter(layer, entering);
  const contexts: Float32Array[] = [];
  let row = 0;
  for (const share of shares) {
    const { sequence, from, whole, to } = share;
    const rows = [row * hidden, (row + to - from) * hidden] as const;
    sequence.keys[layer]!.set(key.subarray(...rows), from * hidden);
    sequence.values[layer]!.set(value.subarray(...rows), from * hidden);
    sequence.done[layer] = to;
    const seen = wholeBlocks(to) * hidden;
    const keys = sequence.keys[layer]!.subarray(0, seen);
    const values = sequence.values[layer]!.subarray(0, seen);
    const queries = query.subarray((row + whole - from) * hidden, rows[1]);
    contexts.push(await sessions.attend(queries, keys, values, maskOf(share, layer)));
    row += to - from;
  }
  const leaving = gather(
    shares.map(({ sequence, whole, to }) => sequence.states.subarray(whole * hidden, to * hidden)),
  );
  const output = await sessions.leave(layer, gather(contexts), leaving);
  let at = 0;
  for (const { sequence, whole, to } of shares) {
    const size = (to - whole) * hidden;
    sequence.states.set(output.subarray(at, at + size), whole * hidden);
    at += size;
  }
}

/** [queries, keys]: no query sees a later key, or one that is absent. */
function maskOf({ sequence, whole, to }: Share, layer: number): Float32Array {
  const keys = wholeBlocks(to);
  const mask = new Float32Array((to - whole) * keys);
  const absent = sequence.absent[layer]!;
  for (let query = whole; query < to; query++) {
    const row = mask.subarray((query - whole) * keys, (query - whole + 1) * keys);
    row.fill(MASKED_SCORE, query + 1);
    for (let key = absent.indexOf(1); key >= 0 && key < query; key = absent.indexOf(1, key + 1))
      row[key] = MASKED_SCORE;
  }
  return mask;
}

/** Rows one below the other; a single part is not copied. */
function gather(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
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
  const logits = await sessions.logits(await sessions.norm(gather(open)));
  let row = 0;
  return choices.map((given) => given ?? { logits: logits.subarray(row * vocabulary, ++row * vocabulary) });
}

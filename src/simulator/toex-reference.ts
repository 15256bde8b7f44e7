/** Lazy back-fill and its rivals told token by token, without the counters of toex-controller.ts: slow, and plain. */
import type { TokenExitsRecord } from '../trace/types.js';
import type { ToexConfig } from './toex-config.js';

export interface StepCounts {
  /** Layers whose weights the step loads. */
  readonly loads: number;
  /** Pairs of token and layer that ran, those of them that are not the step's own, and pairs with keys and values alone. */
  readonly tokenLayers: number;
  readonly backFilled: number;
  readonly keyValueOnly: number;
  /** Pairs of token and layer whose keys and values were stored before the layer ran, and were read by it. */
  readonly keysRead: number;
  /** States fetched from the pending buffer, and put into it. */
  readonly statesRead: number;
  readonly statesWritten: number;
}

/** All states are taken to fit the chip within a step. */
export function referenceSteps(
  { exits, prompt, layers }: Pick<TokenExitsRecord, 'exits' | 'prompt' | 'layers'>,
  backFill: ToexConfig['backFill'],
): StepCounts[] {
  /** depth[token]: layers that the token has run. stored[token]: layers where it has keys and values. */
  const depth: number[] = [];
  const stored: Set<number>[] = [];
  const steps: StepCounts[] = [];
  for (let first = 0; first < exits.length; ) {
    const own = Array.from({ length: first === 0 ? prompt : 1 }, (_, at) => first + at);
    const exit = exits[own.at(-1)!]!;
    const counts = { loads: 0, tokenLayers: 0, backFilled: 0, keyValueOnly: 0, keysRead: 0, statesRead: 0 };
    const onChip = new Set(own);
    for (const token of own) {
      depth[token] = 0;
      stored[token] = new Set();
    }
    for (let layer = 1; layer <= exit; layer++) {
      counts.loads++;
      counts.keysRead += stored.filter((has) => has.has(layer)).length;
      for (let token = 0; token <= own.at(-1)!; token++) {
        if (stored[token]!.has(layer)) continue;
        const isOwn = token >= first;
        if (backFill === 'none' && !isOwn) continue;
        if (!onChip.has(token)) counts.statesRead++;
        onChip.add(token);
        stored[token]!.add(layer);
        if (backFill === 'propagate' && !isOwn) counts.keyValueOnly++;
        else {
          if (depth[token] !== layer - 1) throw new Error(`token ${token} ran ${depth[token]} layers before ${layer}`);
          depth[token] = layer;
          counts.tokenLayers++;
          if (!isOwn) counts.backFilled++;
        }
      }
    }
    const changed = [...onChip].filter((token) => depth[token]! < layers && (token >= first || backFill === 'lazy'));
    steps.push({ ...counts, statesWritten: backFill === 'none' ? 0 : changed.length });
    first += own.length;
  }
  return steps;
}

/**
 * Bits per token as measured on one model, on the sizes of another: for a model that is too large to be run here. Nothing
 * of that model is known but its sizes; that it would need what the measured one did at the same relative depth is assumed.
 */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { TandemError } from '../errors.js';
import { ARCHITECTURE_NOTE } from '../trace/matrices.js';
import { isDecoding } from '../trace/steps.js';
import type { TokenBitsRecord, TraceHeader, TraceRecord } from '../trace/types.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import { tracedHeads } from './traced-heads.js';

/** What one layer was measured to need. */
export interface LayerWidths {
  /** Share of the tokens of heads that are left that have a width or a larger one, widths descending; ends before 0 bits. */
  readonly atLeast: readonly { readonly bits: number; readonly share: number }[];
  /** Share of the heads that still have a token, 0 … 1. */
  readonly heads: number;
}

/** Layers with attention, in order. */
export interface WidthProfile {
  readonly header: TraceHeader;
  readonly layers: readonly LayerWidths[];
}

interface Counted {
  readonly tokens: Map<number, number>;
  left: number;
  heads: number;
}

/** @throws TANDEM_TRACE_INCONSISTENT for a trace without bits per token */
export async function measureShares(header: TraceHeader, records: AsyncIterable<TraceRecord>): Promise<WidthProfile> {
  const headsOf = tracedHeads(header);
  const layers = new Map<number, Counted>();
  for await (const record of records) {
    if (record.kind === 'token-bits') count(layers, record, headsOf(record.layer).count ?? 1);
  }
  if (layers.size === 0) {
    throw new TandemError('TANDEM_TRACE_INCONSISTENT', 'The trace holds no bits per token.', {
      remedy: 'Record it with a technique that quantises or removes tokens.',
    });
  }
  const ordered = [...layers].sort(([a], [b]) => a - b);
  return { header, layers: ordered.map(([, layer]) => shares(layer)) };
}

function count(layers: Map<number, Counted>, { layer, head, bits }: TokenBitsRecord, heads: number): void {
  const counted = layers.get(layer) ?? { tokens: new Map(), left: 0, heads: 0 };
  layers.set(layer, counted);
  const stands = head === -1 ? heads : 1;
  counted.heads += stands;
  if (bits.every((width) => width === 0)) return;
  counted.left += stands;
  for (const width of bits) counted.tokens.set(width, (counted.tokens.get(width) ?? 0) + stands);
}

function shares({ tokens, left, heads }: Counted): LayerWidths {
  const all = [...tokens.values()].reduce((sum, number) => sum + number, 0);
  const widths = [...tokens.keys()].filter((bits) => bits > 0).sort((a, b) => b - a);
  let seen = 0;
  const atLeast = widths.map((bits) => {
    seen += tokens.get(bits)!;
    return { bits, share: seen / all };
  });
  return { atLeast, heads: heads === 0 ? 0 : left / heads };
}

export interface StretchOptions {
  /** Of each sequence. */
  readonly tokens: number;
  readonly sequences: number;
  readonly seed: number;
}

/**
 * A trace of a model of these sizes. Layer l of L takes the shares of the measured layer at the same relative depth, the
 * first those of the first, the last those of the last. Which tokens and heads get what is chance, the same in all layers,
 * so that widths never rise with depth; at least one token and one head stay. Of steps of decoding, a sequence is decoded from
 * its first token to its last: each step takes these shares of what it sees, and keeps its own token.
 */
export function stretchedTrace(
  { header, layers }: WidthProfile,
  architecture: TransformerArchitecture,
  { tokens, sequences, seed }: StretchOptions,
): { header: TraceHeader; records: TokenBitsRecord[] } {
  const last = architecture.layers.length - 1;
  const measured = architecture.layers.map(
    (_, layer) => layers[last === 0 ? 0 : Math.round((layer * (layers.length - 1)) / last)]!,
  );
  const headCounts = architecture.layers.map(({ heads }) => heads.length);
  const random = xoroshiro128plus(seed);
  const decoding = isDecoding(header);
  const records: TokenBitsRecord[] = [];
  for (let sequence = 0; sequence < sequences; sequence++) {
    const ranks = { tokens: ranked(tokens, random), heads: ranked(Math.max(...headCounts), random) };
    for (const newest of decoding ? ranks.tokens.keys() : [tokens - 1]) {
      const among = ranksAmong(ranks.tokens.slice(0, newest + 1));
      for (const [layer, bits] of widthsByLayer(among, measured, decoding).entries()) {
        const share = measured[layer]!.heads;
        records.push(...headRecords({ sequence, layer, bits }, headCounts[layer]!, ranks.heads, share));
      }
    }
  }
  const notes = { ...header.notes, [ARCHITECTURE_NOTE]: JSON.stringify({ ...architecture, tokens }) };
  return {
    header: {
      ...header,
      model: `${architecture.name}, by shape`,
      sequences,
      layers: headCounts.length,
      headsPerLayer: headCounts,
      notes,
    },
    records,
  };
}

type Random = ReturnType<typeof xoroshiro128plus>;

/** A random rank for each of `count` things. */
function ranked(count: number, random: Random): number[] {
  const ranks = Array.from({ length: count }, (_, rank) => rank);
  for (let at = count - 1; at > 0; at--) {
    const other = uniformInt(random, 0, at);
    [ranks[at], ranks[other]] = [ranks[other]!, ranks[at]!];
  }
  return ranks;
}

/** Their places from 0 on. */
function ranksAmong(ranks: readonly number[]): number[] {
  const order = [...ranks.keys()].sort((a, b) => ranks[a]! - ranks[b]!);
  const places = new Array<number>(ranks.length);
  for (const [place, token] of order.entries()) places[token] = place;
  return places;
}

/** Never rising with depth. @param keepsNewest whether the last token stays in every layer */
function widthsByLayer(
  ranks: readonly number[],
  layers: readonly LayerWidths[],
  keepsNewest: boolean,
): Uint8Array<ArrayBuffer>[] {
  const newest = ranks.length - 1;
  let before = new Uint8Array(ranks.length).fill(255);
  return layers.map((needed) => {
    const bits = widthsOf(ranks, needed);
    if (keepsNewest) bits[newest] = Math.max(bits[newest]!, needed.atLeast.at(-1)?.bits ?? 0);
    before = bits.map((width, token) => Math.min(width, before[token]!));
    return before;
  });
}

function widthsOf(ranks: readonly number[], { atLeast }: LayerWidths): Uint8Array<ArrayBuffer> {
  const bounds = atLeast.map(({ bits, share }, width) => {
    const least = width === atLeast.length - 1 ? 1 : 0;
    return { bits, below: Math.max(least, Math.round(share * ranks.length)) };
  });
  return Uint8Array.from(ranks, (rank) => bounds.find(({ below }) => rank < below)?.bits ?? 0);
}

/** One record for all heads; one for each where some are removed, which then have no token. */
function headRecords(
  layer: Pick<TokenBitsRecord, 'sequence' | 'layer' | 'bits'>,
  heads: number,
  ranks: readonly number[],
  share: number,
): TokenBitsRecord[] {
  const left = Math.max(1, Math.round(share * heads));
  if (left === heads) return [{ kind: 'token-bits', head: -1, ...layer }];
  const order = ranks.slice(0, heads);
  const kept = new Set([...order].sort((a, b) => a - b).slice(0, left));
  return order.map((rank, head) => ({
    kind: 'token-bits',
    ...layer,
    head,
    bits: kept.has(rank) ? layer.bits : new Uint8Array(layer.bits.length),
  }));
}

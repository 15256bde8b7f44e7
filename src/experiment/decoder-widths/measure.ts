/** A decoder on the test split with several choices of widths, and the trace of what the last one read, step by step. */
import { dtqatten } from '../../techniques/dtqatten.js';
import { type DtqattenChoice, type DtqattenOptions, publishedRatios } from '../../techniques/dtqatten-options.js';
import { TraceWriter } from '../../trace/files.js';
import { type LayerShares, TokenWidthStatistics } from '../../trace/widths.js';
import type { RunContext } from '../api.js';
import type { PreparedDecoding } from '../decoding/prepare.js';
import type { HeldOut } from '../decoding/profile.js';
import { decoderHeader } from '../decoding/trace.js';
import { writable, writeFailure } from '../file-errors.js';
import type { Stage } from '../run-folder.js';
import { changeInterval, type Losses, type LossSession, perplexityOf, stepsObserved } from './losses.js';
import type { DecoderWidthsResult, WidthsQuality } from './result.js';
import { type DecoderWidthsExperiment, TECHNIQUE } from './schema.js';

/** Tokens of the passage that reports show. */
const SHOWN_TOKENS = 120;

/** What choices are compared on, and with. */
export interface Compared {
  readonly prepared: PreparedDecoding;
  readonly test: HeldOut;
  /** Of the decoder as it is. */
  readonly before: Losses;
  /** Bits of keys and values are told over those of this width for all tokens. */
  readonly widest: number;
}

/**
 * All tokens at the largest width, all at the smallest, and the ratios that published means give.
 * @param sequences whose steps are looked at for the bits that they read
 */
export async function measureComparisons(
  adapted: LossSession,
  options: DtqattenOptions,
  compared: Compared,
  sequences: number,
  context: RunContext,
): Promise<WidthsQuality[]> {
  const { prepared, test } = compared;
  const found: WidthsQuality[] = [];
  for (const [name, choice] of comparisons(options)) {
    const rewrite = dtqatten.forInference(prepared.model.graph, { ...options, ...choice });
    const statistics = new TokenWidthStatistics();
    const observed = stepsObserved(rewrite, test.length, sequences, (records) => {
      for (const record of records) statistics.add(record);
    });
    const losses = await adapted.losses(test, { label: `measuring ${name}`, feeds: rewrite.feeds, observed }, context);
    found.push(qualityOf(name, losses, statistics.shares(), compared));
  }
  return found;
}

function comparisons({ widths }: Pick<DtqattenOptions, 'widths'>): [string, DtqattenChoice][] {
  const shown = widths.filter((width) => width > 0);
  const alike = (width: number): [string, DtqattenChoice] => [
    `${width} bits`,
    { firstLayer: width, ratios: [widths.map((one) => (one === width ? 1 : 0))] },
  ];
  const published = publishedRatios(widths);
  return [
    alike(shown[0]!),
    ...(shown.length > 1 ? [alike(shown.at(-1)!)] : []),
    ...(published ? [['published mean ratios', { ratios: published }] satisfies [string, DtqattenChoice]] : []),
  ];
}

function qualityOf(name: string, after: Losses, shares: readonly LayerShares[], compared: Compared): WidthsQuality {
  const { before, widest } = compared;
  const interval = changeInterval(before, after);
  return { name, perplexity: perplexityOf(after), ...(interval && { interval }), bitsRead: bitsOf(shares) / widest };
}

/** Of a token that a step sees, on average over the steps of the sequences looked at; layers see the same tokens. */
function bitsOf(shares: readonly LayerShares[]): number {
  const bits = shares.map(({ shares: of }) => of.reduce((sum, { bits, share }) => sum + bits * share, 0));
  return bits.reduce((sum, one) => sum + one, 0) / bits.length;
}

/** What is measured under a name, and where its trace goes. */
export interface Named {
  readonly name: string;
  readonly options: DtqattenOptions;
  readonly file: string;
}

export interface Measured extends Pick<DecoderWidthsResult, 'widthShares' | 'tokenWidths' | 'trace'> {
  readonly quality: WidthsQuality;
}

/** Perplexity on the test split, and the steps of its first sequences as a trace. */
export async function measureWidths(
  adapted: LossSession,
  { name, options, file }: Named,
  compared: Compared,
  { seed, trace }: Pick<DecoderWidthsExperiment, 'seed' | 'trace'>,
  stage: Stage,
  context: RunContext,
): Promise<Measured> {
  const { prepared, test } = compared;
  const rewrite = dtqatten.forInference(prepared.model.graph, options);
  const sequences = Math.min(trace.sequences, test.sequences.length);
  const notes = rewrite.notes ?? {};
  const header = decoderHeader(prepared, { technique: TECHNIQUE, seed, split: 'test', sequences, notes });
  const path = await stage.path(file);
  const writer = await writable(path, () => TraceWriter.create(path, header));
  const statistics = new TokenWidthStatistics(new Set([0]));
  try {
    const observed = stepsObserved(rewrite, test.length, sequences, async (records) => {
      for (const record of records) {
        statistics.add(record);
        await writer.write(record);
      }
    });
    const label = `measuring and tracing ${name}`;
    const losses = await adapted.losses(test, { label, feeds: rewrite.feeds, observed }, context);
    await writer.close();
    await stage.keep(file);
    return {
      quality: qualityOf(name, losses, statistics.shares(), compared),
      widthShares: statistics.shares(),
      tokenWidths: passages(statistics, prepared, test),
      trace: { file, sequences, bytes: writer.bytes },
    };
  } catch (cause) {
    await writer.abort();
    throw writeFailure(writer.path, cause);
  }
}

/** The last tokens of a sequence, at the widths that its last step reads them at. */
function passages(statistics: TokenWidthStatistics, { model }: PreparedDecoding, { text, sequences, length }: HeldOut) {
  return statistics.examples().map(({ sequence, layers }) => {
    const from = Math.max(0, length - SHOWN_TOKENS);
    const start = sequences[sequence]! * length;
    const stream = model.tokenizer.stream();
    const tokens = Array.from(text.subarray(start + from, start + length), (id) => stream.push(id));
    return { sequence, tokens, layers: layers.map(({ layer, bits }) => ({ layer, bits: bits.slice(from) })) };
  });
}

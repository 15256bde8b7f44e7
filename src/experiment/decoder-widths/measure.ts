/** A decoder on the test split with several choices of widths, and the trace of what the last one read, step by step. */
import { dtqatten } from '../../techniques/dtqatten.js';
import {
  type DtqattenChoice,
  type DtqattenOptions,
  publishedRatios,
  rowsFor,
} from '../../techniques/dtqatten-options.js';
import { TraceWriter } from '../../trace/files.js';
import { TokenWidthStatistics } from '../../trace/widths.js';
import type { RunContext } from '../api.js';
import type { PreparedDecoding } from '../decoding/prepare.js';
import type { HeldOut } from '../decoding/profile.js';
import { decoderHeader, TRACE_FILE } from '../decoding/trace.js';
import { writable, writeFailure } from '../file-errors.js';
import type { Stage } from '../run-folder.js';
import { changeInterval, type Losses, type LossSession, perplexityOf, stepsObserved } from './losses.js';
import type { DecoderWidthsResult, WidthsQuality } from './result.js';
import { type DecoderWidthsExperiment, TECHNIQUE } from './schema.js';

/** Tokens of the passage that reports show. */
const SHOWN_TOKENS = 120;

export type Measured = Pick<DecoderWidthsResult, 'quality' | 'widthShares' | 'tokenWidths' | 'trace'>;

export interface Sessions {
  readonly baseline: LossSession;
  readonly adapted: LossSession;
}

export async function measureWidths(
  { baseline, adapted }: Sessions,
  options: DtqattenOptions,
  prepared: PreparedDecoding,
  experiment: Pick<DecoderWidthsExperiment, 'seed' | 'trace'>,
  test: HeldOut,
  stage: Stage,
  context: RunContext,
): Promise<Measured> {
  const { widths } = options;
  const { layers } = prepared.model.config;
  const before = await baseline.losses(test, { label: 'measuring the decoder as it is' }, context);
  const choices: WidthsQuality[] = [{ name: 'as it is', perplexity: perplexityOf(before) }];
  const add = (name: string, choice: DtqattenChoice, after: Losses) =>
    choices.push({
      name,
      perplexity: perplexityOf(after),
      interval: changeInterval(before, after),
      bitsRead: bitsRead(choice, widths, layers),
    });
  for (const [name, choice] of comparisons(options)) {
    const { feeds } = dtqatten.forInference(prepared.model.graph, { ...options, ...choice });
    add(name, choice, await adapted.losses(test, { label: `measuring ${name}`, feeds }, context));
  }
  const { losses, ...traced } = await traceWidths(adapted, options, prepared, experiment, test, stage, context);
  add(TECHNIQUE, options, losses);
  return { quality: { tokens: test.sequences.length * test.length, choices }, ...traced };
}

/** All tokens at the largest width, all at the smallest, and the ratios that published means give. */
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

/** Of keys and values, over those of the largest width for every token that a step sees; by the ratios. */
function bitsRead(choice: DtqattenChoice, widths: readonly number[], layers: number): number {
  const rows = rowsFor(choice, widths, layers);
  const bits = rows.flatMap((row) => row.map((share, width) => share * widths[width]!));
  return bits.reduce((sum, one) => sum + one, 0) / (widths[0]! * rows.length);
}

async function traceWidths(
  adapted: LossSession,
  options: DtqattenOptions,
  prepared: PreparedDecoding,
  { seed, trace }: Pick<DecoderWidthsExperiment, 'seed' | 'trace'>,
  test: HeldOut,
  stage: Stage,
  context: RunContext,
) {
  const rewrite = dtqatten.forInference(prepared.model.graph, options);
  const sequences = Math.min(trace.sequences, test.sequences.length);
  const notes = rewrite.notes ?? {};
  const header = decoderHeader(prepared, { technique: TECHNIQUE, seed, split: 'test', sequences, notes });
  const path = await stage.path(TRACE_FILE);
  const writer = await writable(path, () => TraceWriter.create(path, header));
  const statistics = new TokenWidthStatistics(new Set([0]));
  try {
    const observed = stepsObserved(rewrite, test.length, sequences, async (records) => {
      for (const record of records) {
        statistics.add(record);
        await writer.write(record);
      }
    });
    const label = `measuring and tracing ${TECHNIQUE}`;
    const losses = await adapted.losses(test, { label, feeds: rewrite.feeds, observed }, context);
    await writer.close();
    await stage.keep(TRACE_FILE);
    return {
      losses,
      widthShares: statistics.shares(),
      tokenWidths: passages(statistics, prepared, test),
      trace: { file: TRACE_FILE, sequences, bytes: writer.bytes },
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

/** Trained models on the held-out test split, and the trace of what the adapted one decided there. */
import type { Graph } from '../graph/types.js';
import type { InferenceRewrite } from '../techniques/types.js';
import { TraceWriter } from '../trace/files.js';
import { TraceStatistics, type TraceSummary } from '../trace/statistics.js';
import type { TraceRecord } from '../trace/types.js';
import { TokenWidthStatistics } from '../trace/widths.js';
import type { RunContext } from './api.js';
import { type Assessment, assess, observing, sparsityOf } from './assess.js';
import { writable, writeFailure } from './file-errors.js';
import type { Prepared } from './prepare.js';
import type { RunResult, TokenWidthsExample } from './result.js';
import type { Stage } from './run-folder.js';
import type { Experiment } from './schema.js';
import { traceHeader } from './trace-header.js';

/** Texts whose widths are shown, token by token, and how long they may be. */
const SHOWN_TEXTS = 3;
const SHOWN_TOKENS = 40;

export interface AdaptedMeasurement extends Pick<RunResult, 'pruningRate' | 'trace' | 'widthShares' | 'tokenWidths'> {
  readonly metrics: Assessment['metrics'];
  readonly predicted: Assessment['predicted'];
  readonly summary: TraceSummary;
}

export const measureBaseline = (
  baseline: Graph,
  { test }: Prepared,
  { runtime }: Experiment,
  context: RunContext,
): Promise<Assessment> => assess(baseline, test, 'testing baseline', runtime, context);

/**
 * @param technique what traces and progress call it
 * @param file of the run that becomes the trace
 */
export async function measureAdapted(
  adapted: InferenceRewrite,
  { technique, file }: { readonly technique: Experiment['technique']; readonly file: string },
  prepared: Prepared,
  experiment: Experiment,
  stage: Stage,
  context: RunContext,
): Promise<AdaptedMeasurement> {
  const { runtime, trace, seed } = experiment;
  const { test } = prepared;
  const sequences = trace.sequences === 'all' ? test.ids.length : Math.min(trace.sequences, test.ids.length);
  const { headsPerLayer, notes } = adapted;
  const traced = { headsPerLayer, split: 'test', sequences, ...(notes && { notes }) } as const;
  const header = traceHeader(prepared, { technique, seed }, traced);
  const statistics = new TraceStatistics(header);
  const widths = new TokenWidthStatistics(new Set(shownTexts(test.ids.slice(0, sequences))));
  const path = await stage.path(file);
  const writer = await writable(path, () => TraceWriter.create(path, header));
  try {
    const onRecord = async (record: TraceRecord) => {
      statistics.add(record);
      widths.add(record);
      await writer.write(record);
    };
    const observed = observing(adapted, sequences, onRecord);
    const label = `testing and tracing ${technique.name}`;
    const { metrics, predicted, zeros } = await assess(adapted.graph, test, label, runtime, context, observed);
    await writer.close();
    await stage.keep(file);
    const summary = statistics.summary();
    const widthShares = widths.shares();
    return {
      metrics,
      predicted,
      summary,
      pruningRate: zeros.length > 0 ? sparsityOf(zeros) : summary.pruningRate,
      trace: { file, sequences, bytes: writer.bytes },
      ...(widthShares.length > 0 && { widthShares, tokenWidths: withTexts(widths, prepared) }),
    };
  } catch (cause) {
    await writer.abort();
    throw writeFailure(writer.path, cause);
  }
}

/** The first texts that a page can show whole; the very first ones where there are none. */
function shownTexts(ids: readonly (readonly number[])[]): number[] {
  const all = [...ids.keys()];
  const short = all.filter((sequence) => ids[sequence]!.length <= SHOWN_TOKENS);
  return (short.length > 0 ? short : all).slice(0, SHOWN_TEXTS);
}

const withTexts = (widths: TokenWidthStatistics, { model, test }: Prepared): TokenWidthsExample[] =>
  widths.examples().map((example) => ({
    ...example,
    tokens: test.ids[example.sequence]!.map((id) => model.tokenizer.decode([id])),
  }));

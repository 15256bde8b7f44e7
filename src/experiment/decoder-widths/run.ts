/** The stages of an experiment on the widths of a decoder's tokens. */
import { readFile } from 'node:fs/promises';
import { writeDecoderWidthsReport } from '../../report/files.js';
import { dtqatten } from '../../techniques/dtqatten.js';
import { type DtqattenOptions, OF_DECODER } from '../../techniques/dtqatten-options.js';
import type { DecoderWidthsPipeline, RunContext } from '../api.js';
import { corpusRemarks, describeDecoder } from '../decoding/describe.js';
import { type PreparedDecoding, prepareDecoder } from '../decoding/prepare.js';
import { type HeldOut, heldOut } from '../decoding/profile.js';
import { TRACE_FILE } from '../decoding/trace.js';
import type { LoadedDecoderWidths } from '../load.js';
import { optionsOf } from '../named-options.js';
import { reportStage } from '../report-stage.js';
import { RESULT_FILE, type RunFolder } from '../run-folder.js';
import { searchedMachine } from '../search-checks.js';
import { simulateMachines, traceSource } from '../simulate.js';
import { stopwatch } from '../stopwatch.js';
import { requireServed } from '../width-checks.js';
import { LossSession } from './losses.js';
import { measureWidths, type Sessions } from './measure.js';
import { DECODER_WIDTHS_SCHEMA_VERSION, type DecoderWidthsResult, type WidthsSearch } from './result.js';
import type { DecoderWidthsExperiment } from './schema.js';
import { type Judgements, searchWidths } from './search.js';

export const runDecoderWidths: DecoderWidthsPipeline['runDecoderWidths'] = async (loaded, folder, context) => {
  if (folder.finished) return JSON.parse(await readFile(folder.file(RESULT_FILE), 'utf8')) as DecoderWidthsResult;
  const { experiment, machines } = loaded;
  const given = optionsGiven(experiment);
  requireServed(given.widths, machines, 'technique');
  if (experiment.search) searchedMachine(experiment.search, machines, 'search');
  const { timings, timed } = stopwatch();
  const prepared = await prepareDecoder(experiment, loaded.baseFolder);
  const { model, tokens } = prepared;
  const half = (text: PreparedDecoding['tokens']['test']) =>
    heldOut(text, model.config.context, experiment.text.sequences);
  const sessions = await openSessions(prepared, given, experiment);
  try {
    const search = await timed('searching', () =>
      searchStage(loaded, given, { prepared, validation: half(tokens.validation), ...sessions }, folder, context),
    );
    const space = dtqatten.space(model.graph, given);
    const options = search ? space.options(search.chosen.point) : given;
    const measured = await timed('measuring', () =>
      folder.stage('measure', (stage) =>
        measureWidths(sessions, options, prepared, experiment, half(tokens.test), stage, context),
      ),
    );
    const outcomes = await timed('simulating', () =>
      folder.stage('simulate', async () =>
        machines.length === 0 ? [] : simulateMachines(machines, await traceSource(folder.file(TRACE_FILE)), context),
      ),
    );
    const { decoder: _, compensation: __, ...chosen } = options;
    const result: DecoderWidthsResult = {
      schemaVersion: DECODER_WIDTHS_SCHEMA_VERSION,
      kind: 'decoder-widths',
      ...describeDecoder(experiment, prepared),
      technique: { name: dtqatten.name, options: chosen },
      ...(search && { search }),
      ...measured,
      machines: outcomes,
      timings,
      remarks: corpusRemarks(prepared),
    };
    await reportStage(result, () => writeDecoderWidthsReport(folder.path, result), folder, context);
    return result;
  } finally {
    await sessions.baseline.dispose();
    await sessions.adapted.dispose();
  }
};

function optionsGiven({ technique }: DecoderWidthsExperiment): DtqattenOptions {
  const { options } = optionsOf(technique);
  return dtqatten.schema.parse({ ...options, ...OF_DECODER });
}

/** The same rewritten graph serves every choice of widths. */
async function openSessions(
  { model }: PreparedDecoding,
  options: DtqattenOptions,
  { runtime }: DecoderWidthsExperiment,
): Promise<Sessions> {
  const { graph, observed } = dtqatten.forInference(model.graph, options);
  return {
    baseline: await LossSession.create(model.graph, [], runtime),
    adapted: await LossSession.create(graph, observed, runtime),
  };
}

interface Searching extends Sessions {
  readonly prepared: PreparedDecoding;
  readonly validation: HeldOut;
}

async function searchStage(
  { experiment, machines }: LoadedDecoderWidths,
  options: DtqattenOptions,
  searching: Searching,
  folder: RunFolder,
  context: RunContext,
): Promise<WidthsSearch | undefined> {
  const { search: settings, seed } = experiment;
  if (!settings) return undefined;
  const space = dtqatten.space(searching.prepared.model.graph, options);
  const machine = searchedMachine(settings, machines, 'search');
  return folder.stage<WidthsSearch, Judgements>('search', (stage) =>
    searchWidths({ settings, machine, space, seed, ...searching }, stage, context),
  );
}

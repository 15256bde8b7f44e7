/** The stages of an experiment on decoding. */
import { readFile } from 'node:fs/promises';
import { TandemError } from '../../errors.js';
import { writeDecodingReport } from '../../report/files.js';
import type { DecodingPipeline, RunContext } from '../api.js';
import type { LoadedDecoding } from '../load.js';
import { optionsOf } from '../named-options.js';
import { reportStage } from '../report-stage.js';
import type { MachineOutcome } from '../result.js';
import { RESULT_FILE, type RunFolder } from '../run-folder.js';
import { simulateShapes } from '../shapes.js';
import { simulateMachines, traceSource } from '../simulate.js';
import { stopwatch } from '../stopwatch.js';
import { thresholdsOf } from './calibrate.js';
import { corpusRemarks, describeDecoder } from './describe.js';
import { EXIT_RULES_FILE, exitRules } from './exit-rules.js';
import { measureDecoding } from './measure.js';
import { MODEL_FOLDER } from './model-folder.js';
import { prepareDecoding } from './prepare.js';
import { heldOut } from './profile.js';
import { DECODING_SCHEMA_VERSION, type DecodingResult } from './result.js';
import { TRACE_FILE } from './trace.js';
import { trainedDecoder } from './trained.js';

export const trainDecoding: DecodingPipeline['trainDecoding'] = async (loaded, folder, context) => {
  const prepared = await prepareDecoding(loaded);
  const { losses } = await trainedDecoder(loaded, prepared, folder, context);
  if (losses) return { losses, testTokens: prepared.tokens.test.length };
  throw new TandemError('TANDEM_CONFIG_INVALID', 'The experiment trains nothing: it has no `training`.', {
    place: loaded.file,
    remedy: 'Add a `training`, or run the experiment: tandem run.',
  });
};

export const runDecoding: DecodingPipeline['runDecoding'] = async (loaded, folder, context) => {
  if (folder.finished) return JSON.parse(await readFile(folder.file(RESULT_FILE), 'utf8')) as DecodingResult;
  const { experiment } = loaded;
  const { timings, timed } = stopwatch();
  const prepared = await prepareDecoding(loaded);
  const { tokens } = prepared;
  const { model, course } = await timed('training', () => trainedDecoder(loaded, prepared, folder, context));
  const [validation, test] = [tokens.validation, tokens.test].map((text) =>
    heldOut(text, model.config.context, experiment.text.sequences),
  ) as [ReturnType<typeof heldOut>, ReturnType<typeof heldOut>];
  const { thresholds, calibration } = await timed('calibrating', () =>
    folder.stage('calibrate', async (stage) => {
      const found = await thresholdsOf(model, experiment, validation, context);
      const rules = `${JSON.stringify(exitRules(experiment.technique, found.thresholds), null, 2)}\n`;
      // Beside the weights where these are of this run: then the folder is all that generating needs.
      await stage.write(experiment.training ? `${MODEL_FOLDER}/${EXIT_RULES_FILE}` : EXIT_RULES_FILE, rules);
      return found;
    }),
  );
  const measured = await timed('measuring', () =>
    folder.stage('measure', (stage) => measureDecoding(model, prepared, experiment, thresholds, test, stage, context)),
  );
  const machines = await timed('simulating', () => simulate(loaded, folder, context));
  const traced = [{ file: TRACE_FILE, machines: loaded.machines }];
  const shapes = await timed('shapes', () =>
    folder.stage('shapes', () => simulateShapes(traced, experiment, folder, context)),
  );
  const result: DecodingResult = {
    schemaVersion: DECODING_SCHEMA_VERSION,
    kind: 'decoding',
    ...describeDecoder(experiment, { ...prepared, model }),
    technique: optionsOf(experiment.technique),
    thresholds,
    ...(calibration && { calibration }),
    ...measured,
    machines,
    shapes,
    training: course,
    timings,
    remarks: corpusRemarks(prepared),
  };
  await reportStage(result, () => writeDecodingReport(folder.path, result), folder, context);
  return result;
};

function simulate(loaded: LoadedDecoding, folder: RunFolder, context: RunContext): Promise<MachineOutcome[]> {
  return folder.stage('simulate', async () =>
    loaded.machines.length === 0
      ? []
      : simulateMachines(loaded.machines, await traceSource(folder.file(TRACE_FILE)), context),
  );
}

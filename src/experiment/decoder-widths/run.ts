/** The stages of an experiment on the widths of a decoder's tokens. */
import { readFile } from 'node:fs/promises';
import { TandemError } from '../../errors.js';
import { writeDecoderWidthsReport } from '../../report/files.js';
import { withRatios } from '../../report/ratios.js';
import { machines as registered } from '../../simulator/registry.js';
import { dtqatten } from '../../techniques/dtqatten.js';
import { OF_DECODER } from '../../techniques/dtqatten-options.js';
import type { DecoderWidthsPipeline } from '../api.js';
import { unconfirmedRemarks } from '../confirmation.js';
import { corpusRemarks, describeDecoder } from '../decoding/describe.js';
import { type PreparedDecoding, prepareDecoder } from '../decoding/prepare.js';
import { type HeldOut, heldOut } from '../decoding/profile.js';
import { TRACE_FILE } from '../decoding/trace.js';
import type { LoadedDecoderWidths } from '../load.js';
import type { ResolvedMachine } from '../machines.js';
import { optionsOf } from '../named-options.js';
import { reportStage } from '../report-stage.js';
import { RESULT_FILE } from '../run-folder.js';
import { requireNotGiven, searchedMachine } from '../search-checks.js';
import { simulateShapes } from '../shapes.js';
import { stopwatch } from '../stopwatch.js';
import { requireServed } from '../width-checks.js';
import { LossSession, perplexityOf } from './losses.js';
import { DECODER_WIDTHS_SCHEMA_VERSION, type DecoderWidthsResult, type WidthsRival } from './result.js';
import { type DecoderWidthsExperiment, TECHNIQUE } from './schema.js';
import { Study, type Subject, type SubjectOutcome } from './study.js';

export const runDecoderWidths: DecoderWidthsPipeline['runDecoderWidths'] = async (loaded, folder, context) => {
  if (folder.finished) return JSON.parse(await readFile(folder.file(RESULT_FILE), 'utf8')) as DecoderWidthsResult;
  const { experiment } = loaded;
  const [own, ...rivals] = subjectsOf(loaded) as [Subject, ...Subject[]];
  const { timings, timed } = stopwatch();
  const prepared = await prepareDecoder(experiment, loaded.baseFolder);
  const { tokens, model } = prepared;
  const half = (text: PreparedDecoding['tokens']['test']) =>
    heldOut(text, model.config.context, experiment.text.sequences);
  const [validation, test] = [half(tokens.validation), half(tokens.test)];
  const baseline = await LossSession.create(model.graph, [], experiment.runtime);
  try {
    const before = await baseline.losses(test, { label: 'measuring the decoder as it is' }, context);
    const compared = { prepared, test, before, widest: own.given.widths[0]! };
    const study = new Study(experiment, compared, validation, baseline, folder, context);
    const { quality, machines, ...outcome } = await timed('own widths', () => study.outcome(own));
    const others: SubjectOutcome[] = [];
    for (const rival of rivals) others.push(await timed('rivals', () => study.outcome(rival)));
    const comparisons = await timed('comparing', () => study.comparisons(own));
    const shapes = await timed('by shape', () =>
      folder.stage('shapes', () => simulateShapes([own, ...rivals], experiment, folder, context)),
    );
    const result: DecoderWidthsResult = {
      schemaVersion: DECODER_WIDTHS_SCHEMA_VERSION,
      kind: 'decoder-widths',
      ...describeDecoder(experiment, prepared),
      ...outcome,
      rivals: others.map((other, number) => rivalOf(rivals[number]!, other)),
      quality: {
        tokens: test.sequences.length * test.length,
        choices: [
          { name: 'as it is', perplexity: perplexityOf(before) },
          ...comparisons,
          ...others.map((other) => other.quality),
          quality,
        ],
      },
      machines: withRatios([...machines, ...others.flatMap((other) => other.machines)]),
      ...(shapes.length > 0 && { shapes }),
      ...(experiment.equal && { equal: experiment.equal }),
      timings,
      remarks: [
        ...shortened(experiment, validation, test),
        ...corpusRemarks(prepared),
        ...unconfirmedRemarks([
          { name: own.name, ...outcome },
          ...others.map((other, number) => ({ ...other, name: rivals[number]!.name })),
        ]),
      ],
    };
    await reportStage(result, () => writeDecoderWidthsReport(folder.path, result), folder, context);
    return result;
  } finally {
    await baseline.dispose();
  }
};

/** What was asked for and is not there. */
function shortened({ text, trace }: DecoderWidthsExperiment, validation: HeldOut, test: HeldOut): string[] {
  const [calibrated, measured] = [validation.sequences.length, test.sequences.length];
  const asked = text.sequences ?? 0;
  return [
    ...(asked > Math.min(calibrated, measured)
      ? [`Of ${asked} sequences asked for, the validation text has ${calibrated}, the test text ${measured}.`]
      : []),
    ...(trace.sequences > measured
      ? [`${measured} sequences are traced, not ${trace.sequences}: there are no more.`]
      : []),
  ];
}

/** The experiment's own first; what can be wrong with their machines is found before anything is measured. */
function subjectsOf({ experiment, machines, rivals }: LoadedDecoderWidths): Subject[] {
  const own = { name: TECHNIQUE, technique: experiment.technique, search: experiment.search, machines };
  const others = experiment.rivals.map(({ name, technique, search }, number) => {
    return { name, technique, search, machines: rivals[number]! };
  });
  return [own, ...others].map(({ name, technique, search, machines: played }, at) => {
    const place = at === 0 ? '' : `rivals.${at - 1}.`;
    const given = dtqatten.schema.parse({ ...optionsOf(technique).options, ...OF_DECODER });
    requireDecoding(played, place);
    requireServed(given.widths, played, `${place}technique.widths`);
    if (search) {
      requireNotGiven(technique, `${place}search`);
      searchedMachine(search, played, `${place}search`);
    }
    const stages = at === 0 ? '' : `rival ${at}: `;
    return { name, stages, place, given, search, machines: played, file: at === 0 ? TRACE_FILE : `rival-${at}.trace` };
  });
}

/** @throws TANDEM_CONFIG_INVALID for a machine that plays no steps of decoding */
function requireDecoding(machines: readonly ResolvedMachine[], place: string): void {
  const wrong = machines.findIndex(({ machine }) => !registered.get(machine).decodes);
  if (wrong < 0) return;
  const decoding = registered.list().flatMap(({ name, decodes }) => (decodes ? [name] : []));
  throw new TandemError('TANDEM_CONFIG_INVALID', `"${machines[wrong]!.name}" plays no steps of decoding.`, {
    place: `${place}machines.${wrong}`,
    remedy: `Use configurations of: ${decoding.join(', ')}.`,
  });
}

const rivalOf = (
  { name }: Subject,
  { technique, search, widthShares, trace, machines }: SubjectOutcome,
): WidthsRival => ({
  name,
  technique,
  ...(search && { search }),
  widthShares,
  trace,
  machines: machines.map((machine) => machine.name),
});

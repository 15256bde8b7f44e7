/** What must be so before options can be searched or rivals be measured: found before hours of training. */
import { TandemError } from '../errors.js';
import type { Graph } from '../graph/types.js';
import { sureness } from '../report/format.js';
import { techniques } from '../techniques/registry.js';
import type { Technique } from '../techniques/types.js';
import type { SearchSettings } from './comparison-schema.js';
import type { LoadedExperiment } from './load.js';
import { playsInference, type ResolvedMachine } from './machines.js';
import { optionsOf } from './named-options.js';
import { largestLoss } from './paired-loss.js';
import type { Experiment } from './schema.js';

/**
 * @param graph the model before its training
 * @throws TANDEM_CONFIG_INVALID for techniques without a space or rivals that train, TANDEM_UNKNOWN_NAME for machines
 */
export function requireSearchable({ experiment, machines, rivals }: LoadedExperiment, graph: Graph): void {
  if (experiment.search) {
    requireSpace(experiment.technique, graph, 'search');
    searchedMachine(experiment.search, machines.filter(playsInference), 'search');
  }
  for (const [index, { technique, search }] of experiment.rivals.entries()) {
    const place = `rivals.${index}`;
    requireUntrained(technique, graph, `${place}.technique`);
    if (!search) continue;
    requireSpace(technique, graph, `${place}.search`);
    searchedMachine(search, rivals[index]!, `${place}.search`);
  }
}

/** Whether enough examples are left to confirm on. @throws TANDEM_CONFIG_INVALID */
export function requireConfirmable({ experiment }: LoadedExperiment, examples: number): void {
  requireExamples(experiment.search, 'search', examples);
  for (const [index, { search }] of experiment.rivals.entries()) {
    requireExamples(search, `rivals.${index}.search`, examples);
  }
}

function requireExamples(settings: SearchSettings | undefined, place: string, examples: number): void {
  if (!settings) return;
  const { calibration, accuracyBudget, confidence } = settings;
  const left = examples - calibration;
  const invalid = (message: string) =>
    new TandemError('TANDEM_CONFIG_INVALID', message, {
      place: accuracyBudget === 0 ? `${place}.accuracyBudget` : `${place}.calibration`,
      remedy: `Calibrate on fewer, hold out more (task.validation), allow a larger loss (${place}.accuracyBudget), or ask for less confidence (${place}.confidence).`,
    });
  if (left <= 0) {
    throw invalid(`Trials take ${calibration} validation examples of ${examples}: none is left to confirm on.`);
  }
  if (largestLoss({ examples: left, lost: 0, gained: 0 }, confidence) <= accuracyBudget) return;
  throw invalid(
    `Validation examples left to confirm on: ${left}. Even without a single difference they cannot show with ${sureness(confidence)} that a share of at most ${accuracyBudget} is lost.`,
  );
}

function requireSpace(named: Experiment['technique'], graph: Graph, place: string): void {
  const { technique } = resolved(named);
  requireUntrained(named, graph, place);
  requireNotGiven(named, place);
  if (technique.space) return;
  throw new TandemError('TANDEM_CONFIG_INVALID', `The options of "${technique.name}" are no space to search in.`, {
    place,
    remedy: `Leave the search out, or use one of: ${searchable().join(', ')}.`,
  });
}

/** @param place of the search @throws TANDEM_CONFIG_INVALID for an option that the search would replace */
export function requireNotGiven(named: Experiment['technique'], place: string): void {
  const { name, options } = optionsOf(named);
  const given = techniques.get(name).searched?.find((option) => options[option] !== undefined);
  if (given === undefined) return;
  throw new TandemError('TANDEM_CONFIG_INVALID', `"${given}" of ${name} is both given and searched.`, {
    place,
    remedy: `Leave out the search, or "${given}".`,
  });
}

/** What is searched, and a rival, takes the baseline's weights as they are. */
function requireUntrained(named: Experiment['technique'], graph: Graph, place: string): void {
  const { technique, options } = resolved(named);
  technique.calibrated(graph, options);
  if (technique.forTraining(graph, options) === undefined && !technique.profiler) return;
  throw new TandemError('TANDEM_CONFIG_INVALID', `"${technique.name}" trains or profiles the model first.`, {
    place,
    remedy: `Give it an experiment of its own; here use one of: ${searchable().join(', ')}.`,
  });
}

const searchable = (): string[] => techniques.list().flatMap(({ name, space }) => (space ? [name] : []));

/** The machine whose cost a search makes small. */
export function searchedMachine(
  { machine }: Pick<SearchSettings, 'machine'>,
  machines: readonly ResolvedMachine[],
  place: string,
): ResolvedMachine {
  const names = machines.map(({ name }) => name);
  const found = machine === undefined ? machines[0] : machines.find(({ name }) => name === machine);
  if (found) return found;
  throw new TandemError(
    'TANDEM_CONFIG_INVALID',
    machine === undefined ? 'A search needs a machine that tells costs.' : `There is no machine "${machine}" here.`,
    {
      place: machine === undefined ? place : `${place}.machine`,
      remedy: names.length > 0 ? `Use one of: ${names.join(', ')}.` : 'List one under machines.',
    },
  );
}

/** A technique as an experiment names it. */
export function resolved(named: Experiment['technique']): { technique: Technique; options: unknown } {
  const { name, options } = optionsOf(named);
  const technique = techniques.get(name);
  return { technique, options: technique.schema.parse(options) };
}

/** Tables of what is compared: options found by search, rivals, and the shares measured here on other models' sizes. */
import type { RunResult, SearchOutcome, SearchTrial, ShapeOutcome } from '../../experiment/result.js';
import { costName } from '../figures/search.js';
import { count, countOfPoints, energy, percent, plain, points, ratio, sureness } from '../format.js';
import { type Html, html, htmlTable } from '../html.js';
import { infeasibility } from '../machine-columns.js';
import type { Searched } from '../search-view.js';
import { rivalTraces, techniqueNames, traces } from '../techniques.js';

/** The chosen value of each dimension, and how well it keeps the budget. */
export function searchTable({ technique, search }: Searched): Html {
  const { dimensions, chosen, calibration, confirmation, accuracyBudget, confidence, samplers } = search;
  const trials = samplers[0]!.runs.reduce((sum, run) => sum + run.trials.length, 0);
  const facts = [
    [`relative ${costName(search)}`, plain(chosen.cost)],
    [
      `accuracy on ${count(calibration.examples)} calibration examples`,
      `${percent(chosen.accuracy, 2)} (${points(chosen.accuracy - calibration.baseline)})`,
    ],
    [
      `accuracy on ${count(confirmation.examples)} other validation examples`,
      `${percent(chosen.confirmed, 2)} (${points(chosen.confirmed - confirmation.baseline)})`,
    ],
    [`at worst there, with ${sureness(confidence)}`, points(-chosen.confirmedAtMost)],
  ] as const;
  return choicesTable(
    `Options of ${technique}, found by ${samplers[0]!.name} search in ${count(trials)} trials: the cheapest that lose at most ` +
      `${countOfPoints(accuracyBudget)} of accuracy against the baseline, confirmed from the dearest on. Shares are of what the layer before left.`,
    { dimensions, chosen },
    facts,
  );
}

/** The chosen value of each dimension of a search, and what is to be said of it. */
export function choicesTable(
  caption: string,
  { dimensions, chosen }: Pick<SearchOutcome, 'dimensions'> & { readonly chosen: Pick<SearchTrial, 'point'> },
  facts: readonly (readonly [string, string])[],
): Html {
  const rows = dimensions.map(({ name, values }, at) => [name, plain(values[chosen.point[at]!]!)] as const);
  return htmlTable<readonly [string, string]>(
    caption,
    [
      { header: 'choice', cell: ([name]) => name },
      { header: 'value', numeric: true, cell: ([, value]) => value },
    ],
    [...rows, ...facts],
  );
}

/** Techniques on the same trained baseline, the run's own first. */
export function rivalsTable(result: RunResult): Html | undefined {
  const { rivals = [], accuracy, machines } = result;
  if (rivals.length === 0) return undefined;
  const others = rivalTraces(result);
  const own = machines.map(({ name }) => name).filter((name) => !others.has(name));
  const names = techniqueNames(result);
  const rows = [{ ...result, accuracy: accuracy.adapted, machines: own }, ...rivals].map((row, index) => ({
    ...row,
    name: names[index]!,
  }));
  return htmlTable(
    `Techniques on the same trained baseline (${percent(accuracy.baseline, 2)}), each measured on the same ` +
      `${count(accuracy.examples)} test examples. A machine plays the trace of the technique in its line, and of no other.`,
    [
      { header: 'technique', cell: ({ name }) => name },
      { header: 'accuracy', numeric: true, cell: (row) => percent(row.accuracy, 2) },
      { header: 'against baseline', numeric: true, cell: (row) => points(row.accuracy - accuracy.baseline) },
      {
        header: 'pruned',
        numeric: true,
        cell: ({ pruningRate, pruned }) => html`${percent(pruningRate)}<small>${pruned ?? 'scores'}</small>`,
      },
      { header: 'machines', cell: (row) => row.machines.join(', ') },
    ],
    rows,
  );
}

export function shapesTable(result: Pick<RunResult, 'shapes' | 'model' | 'technique' | 'rivals'>): Html | undefined {
  const { shapes = [], model, technique } = result;
  const others = rivalTraces(result);
  return outcomesByShape(
    `By shape: the shares that ${model.name} needed here under the technique in small print, layer by relative depth, on the sizes of other ` +
      'models. Nothing of those models was run, so nothing is known of their accuracy. Attention of one sequence after the ' +
      'other, at fast fidelity where the machine has it; of decoders, the first pass over a prompt.',
    shapes,
    (machine) => `shares of ${others.get(machine) ?? technique.name}`,
  );
}

/** @param note what a machine played, in small print */
export function outcomesByShape(
  caption: string,
  shapes: readonly ShapeOutcome[],
  note: (machine: string) => string,
): Html | undefined {
  if (shapes.length === 0) return undefined;
  const rows = shapes.flatMap((shape) => shape.machines.map((machine) => ({ ...shape, machine })));
  const of = (cell: (machine: Extract<ShapeOutcome['machines'][number], { feasible: true }>) => string) => ({
    numeric: true,
    cell: ({ machine }: (typeof rows)[number]) => (machine.feasible ? cell(machine) : '–'),
  });
  return htmlTable(
    caption,
    [
      { header: 'sizes of', cell: ({ model: name, tokens }) => html`${name}<small>${count(tokens)} tokens</small>` },
      {
        header: 'machine',
        cell: ({ machine }) =>
          html`${machine.name}<small>${note(machine.name)}${
            !machine.feasible && `; infeasible: ${infeasibility(machine)}`
          }</small>`,
      },
      { header: 'cycles', ...of(({ cycles }) => count(cycles)) },
      { header: 'energy', ...of(({ energyPicojoules }) => energy(energyPicojoules)) },
      { header: 'speed-up', ...of(({ speedup }) => ratio(speedup)) },
      { header: 'energy saving', ...of(({ energyRatio }) => ratio(energyRatio)) },
    ],
    rows,
  );
}

/** Whose trace each machine played, where there are several. */
export function tracesNote(result: RunResult): Html | undefined {
  const played = [...traces(result)];
  if (played.length === 0) return undefined;
  const of = techniqueNames(result).map((technique) => {
    const machines = played.filter(([, name]) => name === technique).map(([machine]) => machine);
    return `the trace of ${technique} on ${machines.join(', ')}`;
  });
  return html`<p>In all figures and tables below, what was played is ${of.join('; ')}.</p>
`;
}

/** What machines were made equal in. */
export const equalNote = ({ equal }: Pick<RunResult, 'equal'>): Html | undefined =>
  equal === undefined
    ? undefined
    : html`<p>All machines were resized to ${
        equal === 'area' ? 'the area' : 'the multipliers (their number × the widths of their operands)'
      } of the first one, as near as their sizes allow.</p>`;

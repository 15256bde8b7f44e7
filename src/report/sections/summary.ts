/** The top of a report: what the technique did to the model, and what that is worth on each machine. */
import type { MachineOutcome, RunResult } from '../../experiment/result.js';
import {
  area,
  areaScale,
  count,
  energy,
  energyScale,
  interval,
  percent,
  points,
  quantity,
  ratio,
  shareInterval,
  significant,
} from '../format.js';
import { type Html, type HtmlColumn, html, htmlTable } from '../html.js';
import { infeasibility } from '../machine-columns.js';
import type { Section } from '../page.js';
import { referenceMachine, seconds } from '../ratios.js';
import { rivalTraces, traces } from '../techniques.js';
import { equalNote, rivalsTable } from './comparison.js';

type Feasible = Extract<MachineOutcome, { feasible: true }>;

export function summarySection(result: RunResult): Section {
  return {
    id: 'summary',
    title: 'Summary',
    body: html`<p>${headline(result)}</p>
${tiles(result)}${rivalsTable(result)}${machineTable(result.machines, traces(result))}${equalNote(result)}${metricsTable(result)}`,
  };
}

/** Whether the technique decides score by score, or prunes whole matrices. */
function prunesScores({ heads, pruned }: RunResult): boolean {
  return pruned === undefined && heads.length > 0;
}

/** More machines than a sentence can hold: then it names the fastest. */
const MOST_IN_SENTENCE = 3;

/** What machines gain over the reference, in one sentence. */
export function machineGains(machines: readonly MachineOutcome[]): string | undefined {
  const reference = referenceMachine(machines);
  const others = machines.filter((machine): machine is Feasible => machine.feasible && machine !== reference);
  if (!reference || others.length === 0) return undefined;
  const named = others.length > MOST_IN_SENTENCE ? [others.reduce((a, b) => (b.speedup > a.speedup ? b : a))] : others;
  const gains = named.map(
    (machine) =>
      `${machine.name} reaches a speed-up of ${ratio(machine.speedup)} and an energy saving of ` +
      `${ratio(machine.energyRatio)} on ${ratio(machine.areaRatio)} the area`,
  );
  return `Against ${reference.name}, ${gains.join('; ')}.`;
}

function headline(result: RunResult): string {
  const { accuracy, machines, data } = result;
  // The sentence is about the run's own technique: machines that played a rival's trace stand in the tables.
  const rivals = rivalTraces(result);
  const reference = referenceMachine(machines);
  const gains = machineGains(machines.filter((machine) => machine === reference || !rivals.has(machine.name)));
  const pruned = prunesScores(result)
    ? `drops ${percent(result.pruningRate)} of its attention scores`
    : result.pruned
      ? `prunes ${percent(result.pruningRate)} (${result.pruned})`
      : `makes ${percent(result.pruningRate)} of the entries of its pruned matrices zero`;
  return (
    `With ${result.technique.name}, ${result.model.name} ${pruned} on ` +
    `${data.name} at a change of ${points(accuracy.adapted - accuracy.baseline)} in ${data.metric}.` +
    (gains ? ` ${gains}` : '')
  );
}

function tiles(result: RunResult): Html {
  const { baseline, adapted, examples } = result.accuracy;
  const metric = result.data.metric;
  const sampling = (share: number) => {
    if (metric !== 'accuracy') return metric;
    const [low, high] = shareInterval(share, examples);
    return `${metric}, 95\u00a0% interval ${(low * 100).toFixed(1)}–${percent(high)}`;
  };
  const entries: (readonly [string, string, string])[] = [
    ['baseline', percent(baseline, 2), sampling(baseline)],
    ['adapted', percent(adapted, 2), sampling(adapted)],
    ['difference', points(adapted - baseline), `on the same ${count(examples)} test examples`],
    ...(prunesScores(result)
      ? ([
          ['pruning rate', percent(result.pruningRate), 'of all attention scores'],
          ['mean bits', `${significant(result.meanBits)}\u00a0bits`, 'of the key read per score'],
        ] as const)
      : [
          [
            result.pruned ? 'pruned' : 'zeros',
            percent(result.pruningRate),
            result.pruned ?? 'of the pruned matrices',
          ] as const,
        ]),
    ...Object.entries(result.trainingSparsity ?? {}).map(
      ([kind, share]) => [`zero ${kind.replaceAll('-', ' ')}`, percent(share), 'mean over the training steps'] as const,
    ),
  ];
  return html`<dl class="tiles">
${entries.map(([term, value, note]) => html`<div><dt>${term}</dt><dd>${smallUnit(value)}<small>${note}</small></dd></div>\n`)}</dl>
`;
}

/** The number large, its unit less so. */
export function smallUnit(quantity: string): Html {
  const [number, unit = ''] = quantity.split('\u00a0');
  return html`${number}\u00a0<span class="unit">${unit}</span>`;
}

/** One line per machine in the order of the result; one that cannot run the workload says why and what would help. */
export function machineTable(
  machines: readonly MachineOutcome[],
  traces: ReadonlyMap<string, string> = new Map(),
): Html {
  const reference = referenceMachine(machines);
  const columns: HtmlColumn<Feasible>[] = [
    {
      header: 'machine',
      cell: (m) =>
        html`${m.name}${html`<small>${m === reference && 'reference, '}${m.fidelity === 'cycle' ? 'cycle level' : 'closed form'}${traces.has(m.name) && `, trace of ${traces.get(m.name)}`}</small>`}`,
    },
    { header: 'cycles', numeric: true, cell: (m) => count(m.cycles) },
    {
      header: 'time',
      numeric: true,
      cell: (m) => html`${quantity(seconds(m), 's')}<small>at ${quantity(m.clockHertz, 'Hz')}</small>`,
    },
    {
      header: 'energy',
      numeric: true,
      cell: (m) =>
        html`${energy(m.energyPicojoules)}<small>${interval(m.energyInterval, energyScale(m.energyPicojoules))}</small>`,
    },
    {
      header: 'area',
      numeric: true,
      cell: (m) =>
        html`${area(m.areaSquareMicrometres)}<small>${interval(m.areaInterval, areaScale(m.areaSquareMicrometres))}</small>`,
    },
    { header: 'speed-up', numeric: true, cell: (m) => ratio(m.speedup) },
    { header: 'energy saving', numeric: true, cell: (m) => ratio(m.energyRatio) },
    { header: 'area ratio', numeric: true, cell: (m) => ratio(m.areaRatio) },
  ];
  const infeasible = (machine: Extract<MachineOutcome, { feasible: false }>, span: number) =>
    html`<tr class="infeasible"><th scope="row">${machine.name}</th><td colspan="${span}"><strong>Infeasible</strong>: ${infeasibility(machine)}.${
      machine.levers.length > 0 && html` It would fit with ${machine.levers.join(', or ')}.`
    }</td></tr>
`;
  return htmlTable(
    `Machines on the same ${traces.size > 0 ? 'texts' : 'workload'}. Small print: the interval that the certainty of the constants implies for the ` +
      `absolute value. Ratios compare with ${reference ? reference.name : 'the reference'}: speed-up is its time over ` +
      `the machine's, energy saving its energy over the machine's, area ratio the machine's area over its.`,
    columns,
    machines,
    { alternative: (machine) => (machine.feasible ? undefined : infeasible(machine, columns.length - 1)) },
  );
}

function metricsTable(result: RunResult): Html | undefined {
  const { baseline, adapted } = result.metrics;
  const names = [...new Set([...Object.keys(baseline), ...Object.keys(adapted)])];
  if (names.length === 0) return undefined;
  const value = (metric: number | undefined) => (metric === undefined ? '–' : significant(metric, 4));
  return htmlTable(
    `All metrics of the task on ${count(result.accuracy.examples)} test examples, dimensionless.`,
    [
      { header: 'metric', cell: (name) => name },
      { header: 'baseline', numeric: true, cell: (name) => value(baseline[name]) },
      { header: 'adapted', numeric: true, cell: (name) => value(adapted[name]) },
    ],
    names,
  );
}

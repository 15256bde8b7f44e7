/** Results as text on standard output. */
import { TandemError } from '../errors.js';
import type { MachineOutcome, RunResult } from '../experiment/result.js';
import { count, energy, percent, plain, points, sureness } from '../report/format.js';
import { infeasibility, machineColumns } from '../report/machine-columns.js';
import { type CellValue, type Column, csv, formatTable, type TableFormat } from '../report/tables.js';
import { techniqueNames } from '../report/techniques.js';
import type { LatencySummary, PartResult, Workload } from '../simulator/types.js';

const SQUARE_MICROMETRES_PER_SQUARE_MILLIMETRE = 1e6;

/** Errors for the machines that cannot run the workload: what they lack, and which settings would help. */
export function infeasibilities(machines: readonly MachineOutcome[]): TandemError[] {
  return machines.flatMap((machine) =>
    machine.feasible
      ? []
      : new TandemError('TANDEM_INFEASIBLE', `${machine.name} cannot run the workload: ${infeasibility(machine)}.`, {
          place: machine.machine,
          remedy: machine.levers.length > 0 ? `These would make it fit: ${machine.levers.join('; ')}.` : undefined,
        }),
  );
}

/** A layer (and head) of a workload: its own numbers and the machine's counts side by side. */
export function layerRecord({ counts, ...part }: PartResult): Record<string, CellValue> {
  return { ...part, ...counts };
}

/** A machine's totals, with `layers` in place of parts, and the area in mm² too. */
export function simulationRecord(machine: MachineOutcome): unknown {
  if (!machine.feasible) return machine;
  const { parts, ...totals } = machine;
  return {
    ...totals,
    areaSquareMillimetres: totals.areaSquareMicrometres / SQUARE_MICROMETRES_PER_SQUARE_MILLIMETRE,
    layers: parts.map(layerRecord),
  };
}

/**
 * JSON: one object for one machine, a list for several. CSV and tables: machines; for matrix products their layers too
 * (CSV: instead), since that is what lists of layers are simulated for. Only tables leave counts out.
 */
export function simulationText(
  machines: readonly MachineOutcome[],
  kind: Workload['kind'],
  format: TableFormat,
): string {
  if (format === 'json') {
    const records = machines.map(simulationRecord);
    return `${JSON.stringify(records.length === 1 ? records[0] : records, null, 2)}\n`;
  }
  if (kind === 'trace') return formatTable(machines, machineColumns, format);
  if (kind === 'requests' && format === 'table') {
    return `${formatTable(machines, machineColumns, 'table')}${machines.map(memoryText).join('')}`;
  }
  const layers = machines.flatMap((machine): Layer[] =>
    machine.feasible
      ? [...memoryRecords(machine), ...machine.parts.map((part) => ({ machine: machine.name, ...layerRecord(part) }))]
      : [],
  );
  const keys = [...new Set(layers.flatMap((layer) => Object.keys(layer)))];
  if (format === 'csv') return csv(layers, keys);
  return `${formatTable(machines, machineColumns, 'table')}${formatTable(layers, layerColumns(keys), 'table')}`;
}

/** What only the whole of a memory has: bandwidth, latencies, and energy by command; channels follow. */
function memoryRecords({ name, memory, cycles, counts, energy, energyPicojoules }: Feasible): Layer[] {
  if (memory === undefined) return [];
  const { readLatency, writeLatency, ...totals } = memory;
  const latencies = (of: string, one: LatencySummary | undefined) =>
    Object.entries(one ?? {}).map(([key, value]) => [`${of}Latency.${key}`, value] as const);
  return [
    {
      machine: name,
      layer: 'all',
      cycles,
      energyPicojoules,
      ...counts,
      ...totals,
      ...Object.fromEntries([...latencies('read', readLatency), ...latencies('write', writeLatency)]),
      ...Object.fromEntries(
        energy.map(({ component, dynamicPicojoules }) => [`energyPicojoules.${component}`, dynamicPicojoules]),
      ),
    },
  ];
}

/** Bandwidth, latency, rows and energy by command of a memory. */
function memoryText(machine: MachineOutcome): string {
  if (!machine.feasible || machine.memory === undefined) return '';
  const { memory, counts } = machine;
  const gigabytes = (bytesPerSecond: number) => `${plain(bytesPerSecond / 1e9, 4)} GB/s`;
  const latency = (one: LatencySummary | undefined): string =>
    one === undefined
      ? 'none'
      : `${plain(one.mean, 4)} mean, ${count(one.median)} median, ${count(one.percentile99)} in 99 %, ${count(one.most)} at most`;
  return factTable(machine.name, [
    ['bandwidth', `${gigabytes(memory.bytesPerSecond)} of ${gigabytes(memory.peakBytesPerSecond)}`],
    ['read latency, cycles', latency(memory.readLatency)],
    ['write latency, cycles', latency(memory.writeLatency)],
    ['row hits', percent(memory.rowHitShare)],
    ...['reads', 'writes', 'activates', 'precharges', 'refreshes'].map((key): [string, string] => [
      key,
      count(counts[key]!),
    ]),
    ...machine.energy.map(({ component, dynamicPicojoules }): [string, string] => [
      `energy, ${component}`,
      energy(dynamicPicojoules),
    ]),
  ]);
}

type Layer = Record<string, CellValue>;
type Feasible = Extract<MachineOutcome, { feasible: true }>;

/** Text tables show time, energy and memory accesses; the rest would not fit a screen. */
const SHOWN = /^(machine|layer|cycles|utilisation|energyPicojoules)$|(Reads|Writes)$/;

function layerColumns(keys: readonly string[]): Column<Layer>[] {
  return keys
    .filter((key) => SHOWN.test(key))
    .map((key) => ({
      key,
      header: key === 'energyPicojoules' ? 'energy' : words(key),
      value: (layer) => layer[key],
      text: (layer) => cell(key, layer[key]),
    }));
}

/** "ifmapSramReads" → "ifmap reads": that SRAM is meant goes without saying. */
const words = (key: string): string =>
  key.replace('Sram', '').replace(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`);

function cell(key: string, value: CellValue): string {
  if (typeof value !== 'number') return String(value ?? '');
  if (key === 'energyPicojoules') return energy(value);
  return key === 'utilisation' ? percent(value) : count(value);
}

/** The summary of a run: accuracy, pruning, machines. */
export function runText(result: RunResult, folder: string, format: TableFormat): string {
  if (format === 'json') return `${JSON.stringify(result, null, 2)}\n`;
  if (format === 'csv') return formatTable(result.machines, machineColumns, 'csv');
  const { baseline, adapted, examples } = result.accuracy;
  const names = techniqueNames(result);
  const facts: [string, string][] = [
    ['baseline accuracy', `${percent(baseline, 2)} of ${count(examples)} test examples`],
    ['adapted accuracy', `${percent(adapted, 2)} (${points(adapted - baseline)})`],
    ...prunedFacts(result),
    ...searchFacts(result),
    ...(result.rivals ?? []).map(({ accuracy }, index): [string, string] => [
      `${names[index + 1]} accuracy`,
      `${percent(accuracy, 2)} (${points(accuracy - baseline)})`,
    ]),
    ['report', `${folder}/report.html`],
  ];
  const machines = result.machines.length > 0 ? formatTable(result.machines, machineColumns, 'table') : '';
  return `${factTable(result.name, facts)}${machines}`;
}

/** What a search found is known to lose. */
function searchFacts({ search }: RunResult): [string, string][] {
  if (!search) return [];
  const { chosen, confirmation, confidence } = search;
  const lost = `at most ${plain(100 * chosen.confirmedAtMost, 3)} points lost with ${sureness(confidence)}`;
  const found = chosen.cost === 1 ? '; nothing cheaper' : '';
  return [['confirmed', `${lost} on ${count(confirmation.examples)} validation examples${found}`]];
}

/** What was pruned: scores of attention heads, or activations by their magnitude. */
function prunedFacts({ pruningRate, pruned, meanBits, heads, curves }: RunResult): [string, string][] {
  if (pruned === undefined && heads.length > 0) {
    return [
      ['scores pruned', percent(pruningRate)],
      ['mean bits a score', plain(meanBits, 3)],
    ];
  }
  const chosen = curves?.find((curve) => curve.chosen !== undefined);
  const threshold = chosen ? [[chosen.parameter, plain(chosen.chosen!, 4)] satisfies [string, string]] : [];
  return [...threshold, [pruned ?? 'activations that are zero', percent(pruningRate)]];
}

/** Two columns of text. */
export function factTable(title: string, facts: readonly (readonly [string, string])[]): string {
  return formatTable(
    facts,
    [
      { key: 'what', header: title, value: ([what]) => what },
      { key: 'value', header: '', value: ([, value]) => value },
    ],
    'table',
  );
}

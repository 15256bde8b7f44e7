/** The end of a report: constants, checks, remarks and where everything came from. */
import type { DecodingResult } from '../../experiment/decoding/result.js';
import type { RunResult } from '../../experiment/result.js';
import type { Constant } from '../../hardware/types.js';
import type { SimulationResult } from '../../simulator/types.js';
import { isChecked } from '../figures/exit-thresholds.js';
import { count, plain, quantity } from '../format.js';
import { type Html, type HtmlValue, html, htmlTable } from '../html.js';
import type { Section } from '../page.js';

type Machines = readonly SimulationResult[];

export function constantsSection(machines: Machines): Section | undefined {
  const users = new Map<string, { constant: Constant; machines: string[] }>();
  for (const machine of machines) {
    for (const constant of machine.constants) {
      const { name, value, unit, source, certainty, nodeNanometres, note } = constant;
      const key = JSON.stringify([name, value, unit, source, certainty, nodeNanometres, note]);
      const entry = users.get(key) ?? { constant, machines: [] as string[] };
      entry.machines.push(machine.name);
      users.set(key, entry);
    }
  }
  if (users.size === 0) return undefined;
  const rows = [...users.values()].sort((a, b) => (a.constant.name < b.constant.name ? -1 : 1));
  const everywhere = rows.every((row) => row.machines.length === machines.length);
  return {
    id: 'constants',
    title: 'Constants',
    body: htmlTable(
      'Every constant that went into the energies and areas above. Published: printed in a source. Derived: follows from ' +
        'published figures by arithmetic. Scaled: published at another node, width or size. Assumed: our choice, for want ' +
        'of a source. The node is the one at which the source gives the value.',
      [
        { header: 'name', cell: ({ constant }) => html`<code>${constant.name}</code>` },
        { header: 'value', numeric: true, cell: ({ constant }) => withUnit(constant.value, constant.unit) },
        {
          header: 'node',
          numeric: true,
          cell: ({ constant }) => (constant.nodeNanometres === undefined ? '–' : `${constant.nodeNanometres}\u00a0nm`),
        },
        { header: 'certainty', cell: ({ constant }) => constant.certainty },
        {
          header: 'source',
          wide: true,
          cell: ({ constant }) =>
            html`${constant.source}${constant.note !== undefined && html`<small>${constant.note}</small>`}`,
        },
        ...(everywhere ? [] : [{ header: 'used by', cell: (row: (typeof rows)[number]) => row.machines.join(', ') }]),
      ],
      rows,
    ),
  };
}

function withUnit(value: number, unit: string): string {
  return `${plain(value)}\u00a0${unit}`;
}

export function conservationSection(machines: Machines): Section | undefined {
  const rows = machines.flatMap((machine) =>
    machine.conservation.map((check) => ({ machine: machine.name, ...check })),
  );
  if (rows.length === 0) return undefined;
  return {
    id: 'checks',
    title: 'Conservation checks',
    body: html`<p>All ${rows.length} checks passed. A simulation that breaks one of its laws ends with an error and has no result.</p>
${htmlTable(
  'Both sides of each law, in the units of the law.',
  [
    { header: 'law', wide: true, cell: (row) => row.law },
    { header: 'machine', cell: (row) => row.machine },
    {
      header: 'left side',
      numeric: true,
      cell: (row) => plain(row.left, 10),
    },
    {
      header: 'right side',
      numeric: true,
      cell: (row) => plain(row.right, 10),
    },
  ],
  rows,
)}`,
  };
}

export function remarksSection(remarks: readonly string[], machines: Machines): Section | undefined {
  const all = new Map<string, string[]>(remarks.map((remark) => [remark, []]));
  for (const machine of machines) {
    for (const remark of machine.remarks) all.set(remark, [...(all.get(remark) ?? []), machine.name]);
  }
  if (all.size === 0) return undefined;
  return {
    id: 'remarks',
    title: 'Remarks',
    body: html`<ul>
${[...all].map(([remark, names]) => html`<li>${remark}${names.length > 0 && html` <small>(${names.join(', ')})</small>`}</li>\n`)}</ul>
`,
  };
}

const hash = (sha256: string): Html => html`<code>${sha256}</code>`;

export function provenanceSection(result: RunResult, machines: Machines): Section {
  const { model, data, trace } = result;
  return {
    id: 'provenance',
    title: 'Provenance',
    body: html`${facts([
      ['Model', `${model.name}, ${count(model.parameters)} parameters, licence ${model.licence}`],
      ['Model source', model.source],
      ['Model SHA-256', hash(model.sha256)],
      [
        'Data',
        `${data.name}: ${count(data.train)} training, ${count(data.validation)} validation, ${count(data.test)} test examples`,
      ],
      ['Training split SHA-256', hash(data.sha256.train)],
      ['Validation split SHA-256', hash(data.sha256.validation)],
      ['Test split SHA-256', hash(data.sha256.test)],
      ['Technique', result.technique.name],
      ['Seed', String(result.seed)],
      ['Trace', `${trace.file}, ${count(trace.sequences)} sequences, ${quantity(trace.bytes, 'B')}`],
      ['Versions', `Tandem ${result.tandemVersion}, result schema ${result.schemaVersion}`],
    ])}${configuration(`Options of ${result.technique.name}`, result.technique.options)}${configurations(machines)}`,
  };
}

/** As `provenanceSection`, of an experiment on decoding. */
export const decodingProvenance = (result: DecodingResult, machines: Machines): Section =>
  decoderProvenance(result, machines, [
    [
      'Thresholds',
      `${result.calibration ? `calibrated on ${count(result.calibration.tokens)} validation tokens` : 'given by the experiment'}: ` +
        `${result.thresholds.map((least) => (isChecked(least) ? plain(least) : 'no check')).join(', ')}`,
    ],
  ]);

type OfDecoder = Pick<DecodingResult, 'decoder' | 'text' | 'technique' | 'trace' | 'seed' | 'tandemVersion'> & {
  readonly schemaVersion: number;
};

/** The same of any experiment on a decoder. @param more facts about the technique */
export function decoderProvenance(
  result: OfDecoder,
  machines: Machines,
  more: readonly (readonly [string, HtmlValue])[] = [],
): Section {
  const { decoder, text, technique, trace } = result;
  return {
    id: 'provenance',
    title: 'Provenance',
    body: html`${facts([
      ['Decoder', `${decoder.name}, ${count(decoder.parameters)} parameters, licence ${decoder.licence}`],
      [
        'Sizes',
        `${decoder.layers} layers of width ${count(decoder.hidden)} with ${decoder.heads} heads; ` +
          `${count(decoder.vocabulary)} tokens in the vocabulary, ${count(decoder.context)} in the context`,
      ],
      ['Decoder source', decoder.source],
      ['Decoder SHA-256', hash(decoder.sha256)],
      [
        'Text',
        `${text.corpora.join(', ')}: ${text.training > 0 ? `${count(text.training)} training, ` : ''}` +
          `${count(text.validation)} validation, ${count(text.test)} test tokens`,
      ],
      ...(text.training > 0 ? [['Training split SHA-256', hash(text.sha256.training)] as const] : []),
      ['Validation split SHA-256', hash(text.sha256.validation)],
      ['Test split SHA-256', hash(text.sha256.test)],
      ['Technique', technique.name],
      ...more,
      ['Seed', String(result.seed)],
      ['Trace', `${trace.file}, ${count(trace.sequences)} sequences, ${quantity(trace.bytes, 'B')}`],
      ['Versions', `Tandem ${result.tandemVersion}, result schema ${result.schemaVersion}`],
    ])}${configuration(`Options of ${technique.name}`, technique.options)}${configurations(machines)}`,
  };
}

/** The resolved configuration of every machine, folded away on the screen and open in print. */
export function configurations(machines: Machines): Html[] {
  return machines.map((machine) =>
    configuration(`Configuration of ${machine.name} (${machine.machine}, ${machine.fidelity})`, machine.configuration),
  );
}

function configuration(title: string, value: unknown): Html {
  return html`<details><summary>${title}</summary><pre>${JSON.stringify(value, null, 2) ?? ''}</pre></details>
`;
}

function facts(entries: readonly (readonly [string, HtmlValue])[]): Html {
  return html`<dl class="facts">
${entries.map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>\n`)}</dl>
`;
}

/** SCALE-Sim's architecture file (.cfg): INI sections whose keys ignore case. */
import { TandemError } from '../errors.js';

export interface ScaleSimConfig {
  readonly runName: string;
  readonly arrayHeight: number;
  readonly arrayWidth: number;
  readonly ifmapSramKilobytes: number;
  readonly filterSramKilobytes: number;
  readonly ofmapSramKilobytes: number;
  readonly dataflow: 'os' | 'ws' | 'is';
  /** Words per cycle of the off-chip interface; undefined when the file leaves it to be calculated. */
  readonly bandwidthWordsPerCycle: number | undefined;
}

interface Entry {
  readonly value: string;
  readonly line: number;
}

/**
 * Address offsets, memory banks, layout and sparsity settings do not change what Tandem computes and are not read; a file
 * that switches sparsity on is refused.
 * @param file name shown in errors
 * @throws TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID with file and line
 */
export function parseScaleSimConfig(text: string, file: string): ScaleSimConfig {
  const sections = parseIni(text, file);
  const find = (section: string, key: string) => sections.get(section)?.get(key.toLowerCase());
  const need = (section: string, key: string): Entry => {
    const entry = find(section, key);
    if (entry) return entry;
    throw new TandemError('TANDEM_CONFIG_INVALID', `[${section}] has no ${key}.`, {
      place: file,
      remedy: `Add "${key} = …" to the section [${section}].`,
    });
  };
  const natural = (entry: Entry, key: string): number => {
    const value = Number(entry.value);
    if (/^\d+$/.test(entry.value) && value > 0) return value;
    throw new TandemError('TANDEM_CONFIG_INVALID', `${key} is "${entry.value}".`, {
      place: `${file}:${entry.line}`,
      remedy: 'Give a positive whole number.',
    });
  };
  const architecture = (key: string) => natural(need('architecture_presets', key), key);
  const choice = <T extends string>(entry: Entry, key: string, allowed: readonly T[]): T => {
    const found = allowed.find((one) => one.toLowerCase() === entry.value.toLowerCase());
    if (found) return found;
    throw new TandemError('TANDEM_CONFIG_INVALID', `${key} is "${entry.value}".`, {
      place: `${file}:${entry.line}`,
      remedy: `Use one of: ${allowed.join(', ')}.`,
    });
  };

  const sparsity = find('sparsity', 'SparsitySupport');
  if (sparsity && choice(sparsity, 'SparsitySupport', ['true', 'false']) === 'true') {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'The file asks for sparsity support.', {
      place: `${file}:${sparsity.line}`,
      remedy: 'Set SparsitySupport = false: the array is dense.',
    });
  }
  const mode = choice(need('run_presets', 'InterfaceBandwidth'), 'InterfaceBandwidth', ['CALC', 'USER']);
  return {
    runName: need('general', 'run_name').value.replace(/^(["'])(.*)\1$/, '$2'),
    arrayHeight: architecture('ArrayHeight'),
    arrayWidth: architecture('ArrayWidth'),
    ifmapSramKilobytes: architecture('IfmapSramSzkB'),
    filterSramKilobytes: architecture('FilterSramSzkB'),
    ofmapSramKilobytes: architecture('OfmapSramSzkB'),
    dataflow: choice(need('architecture_presets', 'Dataflow'), 'Dataflow', ['os', 'ws', 'is']),
    bandwidthWordsPerCycle: mode === 'USER' ? bandwidth(need('architecture_presets', 'Bandwidth'), natural) : undefined,
  };
}

/** A list of bandwidths, one per interface, counts as its smallest. */
function bandwidth(entry: Entry, natural: (entry: Entry, key: string) => number): number {
  const each = entry.value.split(',').map((value) => natural({ ...entry, value: value.trim() }, 'Bandwidth'));
  return Math.min(...each);
}

function parseIni(text: string, file: string): Map<string, Map<string, Entry>> {
  const sections = new Map<string, Map<string, Entry>>();
  let current: Map<string, Entry> | undefined;
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const line = raw.trim();
    const place = `${file}:${index + 1}`;
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const section = /^\[(.+)\]$/.exec(line)?.[1];
    if (section !== undefined) {
      current = sections.get(section) ?? new Map();
      sections.set(section, current);
      continue;
    }
    const [, key, value] = /^([^=:]+?)\s*[=:]\s*(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined || !current) {
      throw new TandemError('TANDEM_CONFIG_SYNTAX', `"${line}" is neither a section nor a setting of one.`, {
        place,
        remedy: 'Write "[section]" first, then "key = value".',
      });
    }
    if (current.has(key.toLowerCase())) {
      throw new TandemError('TANDEM_CONFIG_SYNTAX', `${key} is given twice.`, {
        place,
        remedy: 'Keep one of the two.',
      });
    }
    current.set(key.toLowerCase(), { value, line: index + 1 });
  }
  return sections;
}

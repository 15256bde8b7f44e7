/** Everything that can be named in an experiment file. */
import { corpora } from '../data/corpora.js';
import { datasets } from '../data/registry.js';
import { presetNames, readPreset } from '../hardware/preset-files.js';
import { decoderFamilies, modelFamilies } from '../models/registry.js';
import { machines } from '../simulator/registry.js';
import { techniques } from '../techniques/registry.js';
import { ARCHITECTURE_NAMES, namedArchitecture } from '../workload/named-transformers.js';

export interface CatalogueEntry {
  readonly name: string;
  readonly description: string;
  /** Presets only: the machine they configure. */
  readonly machine?: string;
}

/** "2 layers of 128, each with 2 heads and a feed-forward stack of 512." */
function sizesOf(name: string): string {
  const { layers } = namedArchitecture(name);
  const [{ hidden, heads, feedForward }] = layers as [(typeof layers)[number]];
  const count = layers.length === 1 ? '1 layer' : `${layers.length} layers`;
  return `${count} of ${hidden}, each with ${heads.length} heads and a feed-forward stack of ${feedForward[0]}.`;
}

const entry = ({ name, description }: CatalogueEntry): CatalogueEntry => ({ name, description });

export const catalogue = {
  models: () => modelFamilies.list().map(entry),
  decoders: () => decoderFamilies.list().map(entry),
  datasets: () => datasets.list().map(entry),
  corpora: () => corpora.list().map(entry),
  techniques: () => techniques.list().map(entry),
  machines: () => machines.list().map(entry),
  presets: () => presetNames().map((name) => ({ ...entry(readPreset(name)), machine: readPreset(name).machine })),
  transformers: () => ARCHITECTURE_NAMES.map((name) => ({ name, description: sizesOf(name) })),
} as const satisfies Record<string, () => CatalogueEntry[]>;

export type CatalogueKind = keyof typeof catalogue;

/** Everything that can be named in an experiment file. */
import { datasets } from '../data/registry.js';
import { presetNames, readPreset } from '../hardware/preset-files.js';
import { modelFamilies } from '../models/registry.js';
import { machines } from '../simulator/registry.js';
import { techniques } from '../techniques/registry.js';

export interface CatalogueEntry {
  readonly name: string;
  readonly description: string;
  /** Presets only: the machine they configure. */
  readonly machine?: string;
}

const entry = ({ name, description }: CatalogueEntry): CatalogueEntry => ({ name, description });

export const catalogue = {
  models: () => modelFamilies.list().map(entry),
  datasets: () => datasets.list().map(entry),
  techniques: () => techniques.list().map(entry),
  machines: () => machines.list().map(entry),
  presets: () => presetNames().map((name) => ({ ...entry(readPreset(name)), machine: readPreset(name).machine })),
} as const satisfies Record<string, () => CatalogueEntry[]>;

export type CatalogueKind = keyof typeof catalogue;

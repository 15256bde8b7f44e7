/** From what a user names (a preset, a machine, changes) to machines ready to simulate. */
import { basename, isAbsolute, join } from 'node:path';
import { TandemError } from '../errors.js';
import { presetNames, readPreset } from '../hardware/preset-files.js';
import type { Preset } from '../hardware/presets.js';
import type { Constant } from '../hardware/types.js';
import { isRecord, type Path } from '../settings/schema-walk.js';
import { applySet, setAt, splitSetting, withSettings } from '../settings/set.js';
import { type Places, validateSettings } from '../settings/validate.js';
import { parseAccelTranConfig } from '../simulator/elector/acceltran-config.js';
import { type Equality, madeEqual } from '../simulator/equal.js';
import { machines } from '../simulator/registry.js';
import { systolicFromScaleSim } from '../simulator/systolic-config.js';
import type { Machine } from '../simulator/types.js';
import { readScaleSimConfig, readText } from '../workload/files.js';
import type { Experiment } from './schema.js';

/** A machine with a complete, checked configuration. */
export interface ResolvedMachine {
  /** For reports: unique within an experiment. */
  readonly name: string;
  readonly machine: string;
  readonly config: unknown;
  /** Where the preset's numbers come from, as far as no change replaced them. */
  readonly provenance: readonly Constant[];
}

/** A machine that is set to training plays the masks of training steps; all others play the test split's trace. */
export const playsTraining = ({ config }: ResolvedMachine): boolean => isRecord(config) && config.phase === 'training';
export const playsInference = (machine: ResolvedMachine): boolean => !playsTraining(machine);

/** What a machine is made of, before it is resolved. */
export interface MachineRequest {
  readonly preset?: string;
  readonly machine?: string;
  readonly name?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  /** Changes written in a file: by path, already typed. */
  readonly set?: Readonly<Record<string, unknown>>;
  /** Changes from the command line: `path=value`. */
  readonly settings?: readonly string[];
}

/** Places of a request that a program makes: the paths themselves. */
const NOWHERE: Places = { place: (path) => path.join('.'), keyPlace: (path) => path.join('.') };

export const machineNamed = (name: string, place?: string): Machine => machines.get(name, place);

/**
 * A preset, with changes; or a machine with a configuration, or with its default preset where none is given.
 * @param places where the request's own parts stand, below `at`
 * @throws TANDEM_UNKNOWN_NAME, TANDEM_UNKNOWN_SETTING, TANDEM_CONFIG_INVALID, TANDEM_FILE_NOT_FOUND, TANDEM_CONFIG_SYNTAX
 */
export function resolveMachine(
  request: MachineRequest,
  places: Places = NOWHERE,
  at: Path = [],
  baseFolder = process.cwd(),
): ResolvedMachine {
  const { machine, preset } = base(request, places, at, baseFolder);
  const changes = flattened(request.set ?? {});
  const settings = request.settings ?? [];
  let config: unknown = preset?.config ?? request.config ?? {};
  for (const [path, value] of Object.entries(changes)) {
    config = setAt(machine.schema, config, path.split('.'), () => value, places.keyPlace([...at, 'set', path]));
  }
  for (const setting of settings) config = applySet(machine.schema, config, setting);
  const own = preset ?? below(places, [...at, 'config']);
  const stated = withSettings(withChanges(own, places, at, changes), settings);
  const changed = [...Object.keys(changes), ...settings.map((setting) => splitSetting(setting).path.join('.'))];
  return {
    name: request.name ?? (request.preset === undefined ? machine.name : preset!.name),
    machine: machine.name,
    config: validateSettings(machine.schema, config, stated),
    provenance: (preset?.provenance ?? []).filter(({ name }) => !changed.some((path) => name.endsWith(`.${path}`))),
  };
}

/** `{ frontEnd: { units: 8 } }` changes the one setting that `{ frontEnd.units: 8 }` does, and leaves the rest of the group. */
function flattened(set: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(set).flatMap(([key, value]) =>
      isRecord(value)
        ? Object.entries(flattened(value)).map(([path, inner]) => [`${key}.${path}`, inner] as const)
        : [[key, value] as const],
    ),
  );
}

/** The machine, and the preset that it starts from, if any. */
function base(
  request: MachineRequest,
  places: Places,
  at: Path,
  baseFolder: string,
): { machine: Machine; preset: Preset | undefined } {
  const machinePlace = places.place([...at, 'machine']);
  const named = request.machine === undefined ? undefined : machineNamed(request.machine, machinePlace);
  const presetName = request.preset ?? (request.config === undefined ? named?.presets[0] : undefined);
  if (presetName === undefined) return { machine: named ?? machineNamed('', machinePlace), preset: undefined };
  const preset = readPreset(presetPath(withMachine(presetName, named), baseFolder), places.place([...at, 'preset']));
  const machine = machineNamed(preset.machine, preset.place(['machine']));
  if (named && named !== machine) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `The preset "${preset.name}" configures ${machine.name}, not ${named.name}.`,
      {
        place: places.place([...at, 'preset']),
        remedy: `Presets of ${named.name}: ${named.presets.join(', ') || 'none'}.`,
      },
    );
  }
  return { machine, preset };
}

/**
 * The systolic array of a SCALE-Sim architecture file. Such a file names no technology: the default preset's is used.
 * @throws what `readScaleSimConfig` throws
 */
export function scaleSimRequest(file: string): MachineRequest {
  const machine = 'systolic';
  const given = readScaleSimConfig(file);
  const { technology } = readPreset(machineNamed(machine).presets[0]!);
  return { machine, name: given.runName, config: { ...systolicFromScaleSim(given, technology) } };
}

/**
 * The accelerator of an AccelTran configuration file.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, and what `parseAccelTranConfig` throws
 */
export function accelTranRequest(file: string): MachineRequest {
  const name = basename(file).replace(/\.ya?ml$/i, '');
  return { machine: 'elector', name, config: { ...parseAccelTranConfig(readText(file), file) } };
}

/** Machines of an experiment, and of its rivals. */
interface NamedMachines extends Pick<Experiment, 'machines'> {
  readonly rivals: readonly Pick<Experiment, 'machines'>[];
}

/**
 * Machines of an experiment and of its rivals; two that would bear one name are numbered, and all are made equal to the
 * first where the experiment says so.
 */
export function resolveMachines(
  { machines, rivals, equal }: NamedMachines & Partial<Pick<Experiment, 'equal'>>,
  places: Places,
  baseFolder: string,
): { machines: ResolvedMachine[]; rivals: ResolvedMachine[][] } {
  const entries = [
    ...machines.map((entry, index) => ({ entry, at: ['machines', index] })),
    ...rivals.flatMap((rival, number) =>
      rival.machines.map((entry, index) => ({ entry, at: ['rivals', number, 'machines', index] })),
    ),
  ];
  const asNamed = uniquelyNamed(entries.map(({ entry, at }) => resolveMachine(entry, places, at, baseFolder)));
  const all = equal === undefined ? asNamed : madeEqualToFirst(asNamed, equal);
  let next = machines.length;
  return {
    machines: all.slice(0, next),
    rivals: rivals.map((rival) => {
      const first = next;
      next += rival.machines.length;
      return all.slice(first, next);
    }),
  };
}

/** All machines at the size of the first one. @throws TANDEM_CONFIG_INVALID for one that has no size near it */
export function madeEqualToFirst(machines: readonly ResolvedMachine[], equal: Equality): ResolvedMachine[] {
  const [first] = machines;
  const sized = ({ machine, config }: ResolvedMachine) => ({ machine: machineNamed(machine), config });
  return machines.map((one) => {
    if (one === first) return one;
    const { config, achieved } = madeEqual(sized(first!), sized(one), equal);
    if (Math.abs(Math.log(achieved)) > MOST_UNEQUAL) throw notEqual(one, first!, equal, achieved);
    return { ...one, config };
  });
}

/** Largest logarithm of a ratio that still counts as equal: about a sixth. */
const MOST_UNEQUAL = 0.15;

const notEqual = (one: ResolvedMachine, first: ResolvedMachine, equal: string, achieved: number): TandemError =>
  new TandemError(
    'TANDEM_CONFIG_INVALID',
    `"${one.name}" cannot be resized to the ${equal} of "${first.name}": the nearest size has ${achieved.toFixed(2)} times as much.`,
    {
      place: 'equal',
      remedy: 'Change the parts that stay as they are, such as its buffers, or leave this machine or `equal` out.',
    },
  );

export function uniquelyNamed(resolved: readonly ResolvedMachine[]): ResolvedMachine[] {
  const seen = new Map<string, number>();
  return resolved.map((one) => {
    const count = (seen.get(one.name) ?? 0) + 1;
    seen.set(one.name, count);
    return count === 1 ? one : { ...one, name: `${one.name}-${count}` };
  });
}

/** Beside its machine, a preset may be named without the machine's name: `edge` of elector is elector-edge. */
function withMachine(preset: string, machine: Machine | undefined): string {
  if (machine === undefined) return preset;
  const names = presetNames();
  const full = `${machine.name}-${preset}`;
  return !names.includes(preset) && names.includes(full) ? full : preset;
}

function presetPath(preset: string, baseFolder: string): string {
  return /\.ya?ml$/.test(preset) && !isAbsolute(preset) ? join(baseFolder, preset) : preset;
}

const below = (places: Places, at: Path): Places => ({
  place: (path) => places.place([...at, ...path]),
  keyPlace: (path) => places.keyPlace([...at, ...path]),
});

/** Settings that the request's `set` changed stand there, not in the preset. */
function withChanges(own: Places, places: Places, at: Path, set: Readonly<Record<string, unknown>>): Places {
  const changed = (path: Path) => {
    const text = path.join('.');
    const key = Object.keys(set).find((one) => text === one || text.startsWith(`${one}.`));
    return key === undefined ? undefined : [...at, 'set', key];
  };
  const choose = (what: keyof Places) => (path: Path) => {
    const place = changed(path);
    return place ? places[what](place) : own[what](path);
  };
  return { place: choose('place'), keyPlace: choose('keyPlace') };
}

import { TandemError } from '../errors.js';
import type { Tensor } from '../graph/types.js';
import { readSafetensors, writeSafetensors } from './safetensors-files.js';
import type { Trainer, TrainingState } from './trainer.js';

/** Everything besides weights that decides how a training goes on: seed, sizes, optimiser options. */
export type TrainingSettings = Readonly<Record<string, string | number | boolean>>;

const FORMAT = 'tandem-training-1';
/** Adam's moments lie in the same file under prefixed names; parameters keep their own, so any reader finds them. */
const FIRST = 'adam.first:';
const SECOND = 'adam.second:';

/** Writes a training's state as one safetensors file, atomically, and remembers it as the trainer's last checkpoint. */
export async function saveCheckpoint(path: string, trainer: Trainer, settings: TrainingSettings): Promise<void> {
  const { step, parameters, first, second } = trainer.state();
  const tensors = new Map([...parameters, ...prefixed(FIRST, first), ...prefixed(SECOND, second)]);
  await writeSafetensors(path, {
    tensors,
    metadata: { format: FORMAT, step: String(step), settings: JSON.stringify(settings) },
  });
  trainer.lastCheckpoint = path;
}

/**
 * Puts a trainer where a checkpoint left off. The weights it then reaches equal those of an uninterrupted training bit for
 * bit, on equal hardware and threads.
 * @throws TANDEM_FILE_NOT_FOUND; TANDEM_CHECKPOINT_INVALID for a damaged file or one of another training
 */
export async function resumeCheckpoint(path: string, trainer: Trainer, settings: TrainingSettings): Promise<void> {
  const { tensors, metadata } = await readSafetensors(path);
  const step = Number(metadata.step);
  if (metadata.format !== FORMAT || !Number.isSafeInteger(step) || step < 0) {
    throw mismatch(path, 'This file holds no training state.', 'Name a checkpoint that a training wrote.');
  }
  const saved = parseSettings(path, metadata.settings);
  for (const name of new Set([...Object.keys(saved), ...Object.keys(settings)])) {
    if (saved[name] === settings[name]) continue;
    throw mismatch(
      path,
      `The checkpoint was made with ${name} = ${saved[name] ?? '(none)'}; now it is ${settings[name] ?? '(none)'}.`,
      'Resume with the settings of the training that was interrupted, or start a new one.',
    );
  }
  trainer.restore({ step, ...split(tensors) });
  trainer.lastCheckpoint = path;
}

function split(tensors: ReadonlyMap<string, Tensor>): Omit<TrainingState, 'step'> {
  const [parameters, first, second] = [new Map<string, Tensor>(), new Map<string, Tensor>(), new Map<string, Tensor>()];
  for (const [name, value] of tensors) {
    if (name.startsWith(FIRST)) first.set(name.slice(FIRST.length), value);
    else if (name.startsWith(SECOND)) second.set(name.slice(SECOND.length), value);
    else parameters.set(name, value);
  }
  return { parameters, first, second };
}

function parseSettings(path: string, text = ''): TrainingSettings {
  try {
    const settings: unknown = JSON.parse(text);
    if (typeof settings === 'object' && settings !== null) return settings as TrainingSettings;
  } catch {
    // Not JSON: reported below, as is JSON of another kind.
  }
  throw mismatch(path, 'The settings in this checkpoint are damaged.', 'Use another checkpoint.');
}

const prefixed = (prefix: string, tensors: ReadonlyMap<string, Tensor>): [string, Tensor][] =>
  [...tensors].map(([name, value]) => [prefix + name, value]);

const mismatch = (place: string, message: string, remedy: string): TandemError =>
  new TandemError('TANDEM_CHECKPOINT_INVALID', message, { place, remedy });

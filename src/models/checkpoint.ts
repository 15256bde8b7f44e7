/** What the checkpoint readers of Hugging Face folders share: a file of weights, and a list of what does not fit. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type ZodType, z } from 'zod';
import { TandemError } from '../errors.js';
import { floatTensor, type Tensor } from '../graph/types.js';
import { readSafetensors } from '../runtime/safetensors-files.js';
import { toFloat32 } from './half.js';

export interface Checkpoint {
  readonly file: string;
  /** Under the file's names; half precision in single. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Over the files of the folder that were read. */
  readonly sha256: string;
}

/**
 * Reads a folder's model.safetensors.
 * @param alsoHash further files of the folder that the hash covers, where they exist
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID
 */
export async function readCheckpoint(folder: string, alsoHash: readonly string[]): Promise<Checkpoint> {
  const file = join(folder, 'model.safetensors');
  if (!existsSync(file)) {
    throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no ${file}.`, {
      place: file,
      remedy: "Save the model as safetensors: model.save_pretrained('folder', safe_serialization=True).",
    });
  }
  const { tensors } = await readSafetensors(file);
  const hash = createHash('sha256');
  for (const path of [file, ...alsoHash.map((name) => join(folder, name)).filter(existsSync)]) {
    await pipeline(createReadStream(path), hash, { end: false });
  }
  return {
    file,
    tensors: new Map([...tensors].map(([name, value]) => [name, toFloat32(value)])),
    sha256: hash.digest('hex'),
  };
}

/**
 * Reads a folder's config.json.
 * @param family what the configuration is to be of, e.g. "BERT"
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID
 */
export async function readCheckpointConfig<Config>(
  folder: string,
  schema: ZodType<Config>,
  family: string,
): Promise<Config> {
  const file = join(folder, 'config.json');
  const content = await readFile(file, 'utf8').catch((cause) => {
    throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no ${file}.`, {
      place: file,
      remedy: "Name a folder that the transformers library wrote: model.save_pretrained('folder').",
      cause,
    });
  });
  try {
    return schema.parse(JSON.parse(content));
  } catch (cause) {
    throw new TandemError('TANDEM_CHECKPOINT_INVALID', `The configuration is not that of a ${family} model.`, {
      place: `${file}: ${cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message}`,
      remedy: 'Other architectures load through the model family "onnx".',
      cause,
    });
  }
}

/** @throws TANDEM_CHECKPOINT_INVALID when weights do not fit the configuration */
export function requireNoProblems(problems: readonly string[], file: string): void {
  if (problems.length === 0) return;
  const listed = problems.slice(0, 10).join('; ') + (problems.length > 10 ? `; ${problems.length - 10} more` : '');
  throw new TandemError('TANDEM_CHECKPOINT_INVALID', `The weights do not fit the configuration: ${listed}.`, {
    place: file,
    remedy: `Use the config.json that belongs to ${basename(file)}.`,
  });
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((dim, i) => dim === b[i]);

export function transposed({ shape, data }: Tensor): Tensor {
  const [rows, columns] = shape as [number, number];
  const from = data as Float32Array;
  const values = new Float32Array(from.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) values[column * rows + row] = from[row * columns + column]!;
  }
  return floatTensor(values, [columns, rows]);
}

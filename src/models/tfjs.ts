/** Weights as TensorFlow.js saves them: model.json with a manifest, and raw little-endian shards beside it. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { sizeOf, type Tensor, tensor } from '../graph/types.js';

export interface Checkpoint {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Over the bytes of the files read, in manifest order. */
  readonly sha256: string;
}

const manifestSchema = z.object({
  weightsManifest: z.array(
    z.object({
      paths: z.array(z.string()),
      weights: z.array(
        z.object({
          name: z.string(),
          shape: z.array(z.int().nonnegative()),
          dtype: z.string(),
          quantization: z.unknown().optional(),
        }),
      ),
    }),
  ),
});
type Group = z.infer<typeof manifestSchema>['weightsManifest'][number];

const BYTES_PER_VALUE = 4;

/**
 * Reads every tensor of a TensorFlow.js model folder. Only unquantised float32 and int32 values occur there.
 * @param alsoHash further files of the folder that the hash covers (a vocabulary)
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID with the file and its byte counts
 */
export async function readTfjsWeights(folder: string, alsoHash: readonly string[] = []): Promise<Checkpoint> {
  const hash = createHash('sha256');
  const read = async (name: string): Promise<Buffer> => {
    const bytes = await readFile(join(folder, name)).catch((cause) => {
      throw new TandemError('TANDEM_FILE_NOT_FOUND', `A weight file is missing: ${name}`, {
        place: join(folder, name),
        remedy: 'Install the package or download the folder again.',
        cause,
      });
    });
    hash.update(bytes);
    return bytes;
  };
  const file = join(folder, 'model.json');
  const groups = parseManifest(file, await read('model.json'));
  const tensors = new Map<string, Tensor>();
  for (const group of groups) {
    const shards: Buffer[] = [];
    for (const path of group.paths) shards.push(await read(path));
    addGroup(tensors, folder, group, shards);
  }
  for (const name of alsoHash) await read(name);
  return { tensors, sha256: hash.digest('hex') };
}

function parseManifest(file: string, bytes: Buffer): Group[] {
  try {
    return manifestSchema.parse(JSON.parse(bytes.toString('utf8'))).weightsManifest;
  } catch (cause) {
    return invalid(file, `The weight manifest does not read: ${(cause as Error).message}`);
  }
}

function addGroup(tensors: Map<string, Tensor>, folder: string, group: Group, shards: readonly Buffer[]): void {
  const manifest = join(folder, 'model.json');
  const expected = group.weights.reduce((total, { shape }) => total + BYTES_PER_VALUE * sizeOf(shape), 0);
  const found = shards.reduce((total, { length }) => total + length, 0);
  if (found !== expected) {
    const sizes = group.paths.map((path, i) => `${path} ${shards[i]!.length}`).join(', ');
    invalid(folder, `The manifest asks for ${expected} bytes of weights; the shards hold ${found} (${sizes}).`);
  }
  // A copy of its own, so that every typed array below is aligned.
  const { buffer } = Uint8Array.from(Buffer.concat(shards));
  let offset = 0;
  for (const { name, shape, dtype, quantization } of group.weights) {
    if (quantization !== undefined) invalid(manifest, `The tensor "${name}" is quantised.`);
    if (dtype !== 'float32' && dtype !== 'int32') invalid(manifest, `The tensor "${name}" has the type ${dtype}.`);
    const View = dtype === 'float32' ? Float32Array : Int32Array;
    tensors.set(name, tensor(dtype, shape, new View(buffer, offset, sizeOf(shape))));
    offset += BYTES_PER_VALUE * sizeOf(shape);
  }
}

function invalid(place: string, message: string): never {
  throw new TandemError('TANDEM_CHECKPOINT_INVALID', message, {
    place,
    remedy: 'Install the package or download the folder again; values must be plain float32 or int32.',
  });
}

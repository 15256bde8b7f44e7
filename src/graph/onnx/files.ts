/** Models on disk, for Node; the rest of graph/ runs anywhere. */
import { closeSync, fstatSync, openSync, readFileSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, isAbsolute, relative, resolve } from 'node:path';
import { writeAtomicallySync } from '../../atomic-file.js';
import { TandemError } from '../../errors.js';
import type { Graph } from '../types.js';
import { decodeModel } from './decode.js';
import { encodeModel, encodeSplitModel, type SplitModel, weightBytes } from './encode.js';

/** Above this, weights go to a file beside the model: comfortably below protobuf's 2 GiB. */
const SPLIT_FROM = 2 ** 30;
/** One read or write call moves at most 2 GiB − 1. */
const CHUNK = 2 ** 30;

/**
 * Reads an .onnx file, with the weight files beside it that it refers to.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_EXTERNAL_DATA, and what `decodeModel` throws; the place names the file
 */
export function readModelFile(path: string): Graph {
  const externalData = (location: string, offset: number, length: number) => readBeside(path, location, offset, length);
  try {
    return decodeModel(readWhole(path), { externalData });
  } catch (error) {
    if (!(error instanceof TandemError) || error.code === 'TANDEM_FILE_NOT_FOUND') throw error;
    const place = error.place === undefined ? path : `${path}: ${error.place}`;
    throw new TandemError(error.code, error.message, { place, remedy: error.remedy, cause: error.cause });
  }
}

/**
 * Writes an .onnx file under its name only when it is complete. From `splitFrom` bytes of weights on, they go to
 * `<name>.data` in the same folder.
 */
export function writeModelFile(path: string, graph: Graph, { splitFrom = SPLIT_FROM } = {}): void {
  if (weightBytes(graph) < splitFrom) {
    writeAtomicallySync(path, encodeModel(graph));
    return;
  }
  const split = encodeSplitModel(graph, `${basename(path)}.data`);
  const target = `${path}.data`;
  const temporary = `${target}.${process.pid}.partial`;
  try {
    writePieces(temporary, split);
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  writeAtomicallySync(path, split.model);
}

function writePieces(path: string, { pieces }: SplitModel): void {
  const file = openSync(path, 'w');
  try {
    for (const { offset, bytes } of pieces) {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(file, bytes, done, Math.min(CHUNK, bytes.length - done), offset + done);
      }
    }
  } finally {
    closeSync(file);
  }
}

function readWhole(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new TandemError('TANDEM_FILE_NOT_FOUND', `The model "${path}" cannot be read: ${(cause as Error).message}.`, {
      place: path,
      remedy: 'Give the path of an .onnx file.',
      cause,
    });
  }
}

/**
 * Bytes of a file that a model names. The name must stay inside the model's folder; a link that lies there may point
 * elsewhere, as download caches do it.
 */
function readBeside(modelPath: string, location: string, offset: number, length: number): Uint8Array {
  const folder = resolve(dirname(modelPath));
  const path = resolve(folder, location);
  const inside = relative(folder, path);
  if (
    location === '' ||
    isAbsolute(location) ||
    inside === '' ||
    inside === '..' ||
    /^\.\.[\\/]/.test(inside) ||
    isAbsolute(inside)
  ) {
    throw new TandemError('TANDEM_EXTERNAL_DATA', `The model refers to weights outside its folder: "${location}".`, {
      place: modelPath,
      remedy: 'Put the weights beside the model, and do not open models from people you do not trust.',
    });
  }
  const file = open(path, location);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || offset + length > stat.size) {
      throw new TandemError('TANDEM_EXTERNAL_DATA', `"${location}" ends before byte ${offset + length}.`, {
        place: path,
        remedy: 'The file is cut short: download or export it again.',
      });
    }
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const count = readSync(file, bytes, done, Math.min(CHUNK, length - done), offset + done);
      if (count === 0) return bytes.subarray(0, done);
      done += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

function open(path: string, location: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw new TandemError('TANDEM_EXTERNAL_DATA', `The weights "${location}" beside the model cannot be opened.`, {
      place: path,
      remedy: 'Copy the file that came with the model into its folder.',
      cause,
    });
  }
}

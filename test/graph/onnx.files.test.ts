import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TandemError } from '../../src/errors.js';
import { GraphBuilder } from '../../src/graph/builder.js';
import { readModelFile, writeModelFile } from '../../src/graph/onnx/files.js';
import { encodeSplitModel } from '../../src/graph/onnx/index.js';
import { floatTensor, type Graph } from '../../src/graph/types.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-onnx-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function weights(): Graph {
  const b = new GraphBuilder('weights');
  const x = b.input('x', 'float32', ['batch', 40]);
  const w = b.initializer(
    'w',
    floatTensor(
      Array.from({ length: 40 * 30 }, (_, i) => i / 7),
      [40, 30],
    ),
  );
  b.output(b.matmul(x, w, 'y'));
  return b.finish();
}

function refusal(action: () => unknown): TandemError {
  try {
    action();
  } catch (error) {
    if (error instanceof TandemError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

test('one file', () => {
  const path = join(folder, 'model.onnx');
  writeModelFile(path, weights());
  expect(readdirSync(folder)).toEqual(['model.onnx']);
  expect(readModelFile(path)).toEqual(weights());
});

test('weights in a file beside it, replaced together', () => {
  const path = join(folder, 'model.onnx');
  writeModelFile(path, weights(), { splitFrom: 1000 });
  writeModelFile(path, weights(), { splitFrom: 1000 });
  expect(readdirSync(folder).sort()).toEqual(['model.onnx', 'model.onnx.data']);
  expect(readModelFile(path)).toEqual(weights());
});

test('errors name the file', () => {
  const path = join(folder, 'model.onnx');
  expect(refusal(() => readModelFile(path))).toMatchObject({ code: 'TANDEM_FILE_NOT_FOUND', place: path });
  writeModelFile(path, weights());
  truncateSync(path, 500);
  const error = refusal(() => readModelFile(path));
  expect(error.code).toBe('TANDEM_MODEL_UNREADABLE');
  expect(error.place).toContain(path);
});

test('a weight file that is missing or cut short', () => {
  const path = join(folder, 'model.onnx');
  writeModelFile(path, weights(), { splitFrom: 1000 });
  truncateSync(`${path}.data`, 100);
  expect(refusal(() => readModelFile(path))).toMatchObject({ code: 'TANDEM_EXTERNAL_DATA' });
  rmSync(`${path}.data`);
  expect(refusal(() => readModelFile(path)).message).toContain('cannot be opened');
});

test.each(['../secret', '/etc/hostname', 'inner/../../secret', '..', '.', ''])(
  'weights at "%s" are refused',
  (location) => {
    const inner = join(folder, 'inner');
    mkdirSync(inner);
    writeFileSync(join(folder, 'secret'), new Uint8Array(4800));
    const path = join(inner, 'model.onnx');
    writeFileSync(path, encodeSplitModel(weights(), location).model);
    const error = refusal(() => readModelFile(path));
    expect(error.code).toBe('TANDEM_EXTERNAL_DATA');
    expect(error.message).toContain('outside its folder');
  },
);

test('weights in a subfolder, and models that are links, as download caches keep them', () => {
  const { model, pieces } = encodeSplitModel(weights(), 'parts/weights.bin');
  for (const name of ['blobs', 'snapshot', 'snapshot/parts']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'blobs/1'), model);
  writeFileSync(join(folder, 'blobs/2'), pieces[0]!.bytes);
  symlinkSync('../blobs/1', join(folder, 'snapshot/model.onnx'));
  symlinkSync('../../blobs/2', join(folder, 'snapshot/parts/weights.bin'));
  expect(readModelFile(join(folder, 'snapshot/model.onnx'))).toEqual(weights());
});

test('a failed write leaves the old model', () => {
  const path = join(folder, 'model.onnx');
  writeModelFile(path, weights());
  const before = readFileSync(path);
  const broken = {
    ...weights(),
    initializers: new Map([['w', { dtype: 'float32', shape: [1], data: undefined } as never]]),
  };
  expect(() => writeModelFile(path, broken)).toThrow();
  expect(readFileSync(path)).toEqual(before);
  expect(readdirSync(folder)).toEqual(['model.onnx']);
});

/**
 * Reader and shape inference against the operator test cases that the ONNX project publishes. TANDEM_ONNX_TESTDATA
 * names the folder with one subfolder per case (on Debian: /usr/share/libonnx-testdata/data/node).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TandemError } from '../../src/errors.js';
import { readModelFile } from '../../src/graph/onnx/files.js';
import { decodeModel, encodeModel } from '../../src/graph/onnx/index.js';
import { type TensorProto, tensorType } from '../../src/graph/onnx/schema.js';
import { decodeTensor } from '../../src/graph/onnx/tensors.js';
import { isKnownOperator } from '../../src/graph/operators.js';
import { inferTypes } from '../../src/graph/shapes.js';
import type { Graph, Tensor } from '../../src/graph/types.js';

const folder = process.env.TANDEM_ONNX_TESTDATA ?? '';
const present = folder !== '' && existsSync(folder);
if (!present) console.log('Skipped: TANDEM_ONNX_TESTDATA names no folder with ONNX test cases.');

const cases = present ? readdirSync(folder).filter((name) => existsSync(join(folder, name, 'model.onnx'))) : [];

function readTensor(name: string, file: string): Tensor | undefined {
  const path = join(folder, name, 'test_data_set_0', file);
  if (!existsSync(path)) return undefined;
  try {
    return decodeTensor(tensorType.decode(readFileSync(path)) as TensorProto, file);
  } catch {
    return undefined; // a sequence, or an element type that is not read
  }
}

/** The model, its inputs fixed to the case's values, its declared types forgotten; undefined where it is not read. */
function fixedModel(name: string): Graph | undefined {
  let graph: Graph;
  try {
    graph = readModelFile(join(folder, name, 'model.onnx'));
  } catch (error) {
    if (error instanceof TandemError && error.code === 'TANDEM_MODEL_UNSUPPORTED') return undefined;
    throw error;
  }
  const initializers = new Map(graph.initializers);
  graph.inputs.forEach((input, i) => {
    const value = readTensor(name, `input_${i}.pb`);
    if (value) initializers.set(input.name, value);
  });
  return { ...graph, initializers, types: new Map() };
}

test.skipIf(!present)('every case is read and written, and no inferred type contradicts its result', () => {
  const counts = { read: 0, refused: 0, exact: 0, partial: 0 };
  for (const name of cases) {
    const fixed = fixedModel(name);
    if (!fixed) {
      counts.refused++;
      continue;
    }
    counts.read++;
    const graph = readModelFile(join(folder, name, 'model.onnx'));
    expect(decodeModel(encodeModel(graph)), name).toEqual(graph);
    if (!fixed.nodes.every(({ opType, domain }) => isKnownOperator(opType, domain))) continue;
    const { types } = inferTypes(fixed);
    graph.outputs.forEach((output, i) => {
      const real = readTensor(name, `output_${i}.pb`);
      const type = types.get(output.name);
      if (!real || !type) return;
      expect(type.dtype, name).toBe(real.dtype);
      const known = type.shape?.map((dim, axis) => (typeof dim === 'number' ? dim : real.shape[axis]));
      if (known) expect(known, name).toEqual(real.shape);
      if (type.shape?.every((dim) => typeof dim === 'number')) counts.exact++;
      else counts.partial++;
    });
  }
  console.log(`ONNX test cases: ${JSON.stringify(counts)}`);
  expect(counts.exact).toBeGreaterThan(20 * counts.partial);
});

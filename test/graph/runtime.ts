/** Runs graphs in ONNX Runtime, the independent implementation that graph/ is held against. */
import * as ort from 'onnxruntime-node';
import { encodeModel } from '../../src/graph/onnx/index.js';
import type { DataType, Graph, Tensor, TensorData } from '../../src/graph/types.js';

export type Values = Readonly<Record<string, Tensor>>;

/** Values of all outputs of a graph (or of a model's bytes). */
export async function run(model: Graph | Uint8Array, feeds: Values): Promise<Values> {
  const bytes = model instanceof Uint8Array ? model : encodeModel(model);
  const session = await ort.InferenceSession.create(bytes, {
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
  });
  try {
    const given = Object.entries(feeds).map(([name, { dtype, data, shape }]) => [
      name,
      new ort.Tensor(dtype as 'float32', data as Float32Array, shape),
    ]);
    const fetched = await session.run(Object.fromEntries(given));
    return Object.fromEntries(
      Object.entries(fetched).map(([name, { type, dims, data }]) => [
        name,
        { dtype: type as DataType, shape: dims, data: data as TensorData },
      ]),
    );
  } finally {
    await session.release();
  }
}

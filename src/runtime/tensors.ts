import * as ort from 'onnxruntime-node';
import type { DataType, Tensor, TensorData } from '../graph/types.js';

/** The runtime's view of a tensor: the same memory, not a copy (strings excepted, which the runtime copies itself). */
export function toRuntime({ dtype, shape, data }: Tensor): ort.Tensor {
  return new ort.Tensor(dtype as ort.Tensor.Type, data as ort.Tensor.DataType, shape);
}

/** A tensor over the memory of the runtime's. */
export function fromRuntime(value: ort.Tensor): Tensor {
  const dtype = value.type as DataType;
  const data = value.data as TensorData;
  if (dtype !== 'float16' || data instanceof Uint16Array) return { dtype, shape: value.dims, data };
  // Where JavaScript has Float16Array, the runtime uses it; Tandem keeps float16 as raw bits everywhere.
  const halves = data as unknown as { buffer: ArrayBuffer; byteOffset: number; length: number };
  return { dtype, shape: value.dims, data: new Uint16Array(halves.buffer, halves.byteOffset, halves.length) };
}

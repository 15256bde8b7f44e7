import type { DataType } from './types.js';

/** TensorProto.DataType numbers of the ONNX specification. */
export const ONNX_TYPE: Readonly<Record<DataType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

/** Element types by their number. */
export const DATA_TYPE: Readonly<Record<number, DataType>> = Object.fromEntries(
  Object.entries(ONNX_TYPE).map(([dtype, code]) => [code, dtype as DataType]),
);

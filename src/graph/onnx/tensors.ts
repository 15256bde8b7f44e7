import { TandemError } from '../../errors.js';
import { DATA_TYPE, ONNX_TYPE } from '../data-types.js';
import type { DataType, Tensor, TensorData } from '../types.js';
import { type Int64, type TensorProto, toBigInt, toNumber } from './schema.js';

/** Gives `length` bytes at `offset` of a file beside the model. */
export type ExternalDataSource = (location: string, offset: number, length: number) => Uint8Array;

type NumericData = Exclude<TensorData, string[]>;
interface ArrayType {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): NumericData;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumericData;
}

/** How each element type is held; float16 as its bits, bool as 0 and 1. */
const ARRAY_TYPE: Readonly<Record<Exclude<DataType, 'string'>, ArrayType>> = {
  float32: Float32Array as ArrayType,
  float64: Float64Array as ArrayType,
  float16: Uint16Array as ArrayType,
  int8: Int8Array as ArrayType,
  uint8: Uint8Array as ArrayType,
  int16: Int16Array as ArrayType,
  uint16: Uint16Array as ArrayType,
  int32: Int32Array as ArrayType,
  uint32: Uint32Array as ArrayType,
  int64: BigInt64Array as ArrayType,
  uint64: BigUint64Array as ArrayType,
  bool: Uint8Array as ArrayType,
};

const EXTERNAL = 1;

/**
 * A tensor from its message. Its data may share memory with the message's bytes.
 * @throws TANDEM_MODEL_INVALID when shape and data disagree, TANDEM_MODEL_UNSUPPORTED for other element types,
 *   TANDEM_EXTERNAL_DATA
 */
export function decodeTensor(proto: TensorProto, name: string, external?: ExternalDataSource): Tensor {
  const place = `tensor "${name}"`;
  const dtype = elementType(proto.dataType ?? 0, place);
  const { shape, size } = readShape(proto.dims ?? [], place);
  if (dtype === 'string') {
    const strings = (proto.stringData ?? []).map((bytes) => decodeText(bytes, place));
    requireLength(strings.length, size, shape, place);
    return { dtype, shape, data: strings };
  }
  const raw = proto.dataLocation === EXTERNAL ? externalBytes(proto, dtype, size, place, external) : proto.rawData;
  const data =
    raw && (raw.length > 0 || proto.dataLocation === EXTERNAL)
      ? fromBytes(raw, dtype, size, shape, place)
      : fromFields(proto, dtype, size, shape, place);
  return { dtype, shape, data };
}

/** @throws TANDEM_MODEL_UNSUPPORTED */
export function elementType(code: number, place: string): DataType {
  const dtype = DATA_TYPE[code];
  if (dtype) return dtype;
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `The element type ${code} is not one Tandem reads.`, {
    place,
    remedy: `Export the model with one of: ${Object.keys(ONNX_TYPE).join(', ')}.`,
  });
}

function readShape(dims: readonly Int64[], place: string): { shape: number[]; size: number } {
  const shape = dims.map(toNumber);
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (shape.every((dim) => dim >= 0) && Number.isSafeInteger(size)) return { shape, size };
  throw new TandemError('TANDEM_MODEL_INVALID', `[${shape.join(', ')}] is no shape of a tensor.`, {
    place,
    remedy: RE_EXPORT,
  });
}

const RE_EXPORT = 'The file is damaged or its writer is at fault: export or download the model again.';

function requireLength(found: number, wanted: number, shape: readonly number[], place: string): void {
  if (found === wanted) return;
  const message = `The shape [${shape.join(', ')}] needs ${wanted} elements; the data holds ${found}.`;
  throw new TandemError('TANDEM_MODEL_INVALID', message, { place, remedy: RE_EXPORT });
}

function fromBytes(
  raw: Uint8Array,
  dtype: Exclude<DataType, 'string'>,
  size: number,
  shape: readonly number[],
  place: string,
): NumericData {
  const type = ARRAY_TYPE[dtype];
  requireLength(raw.byteLength / type.BYTES_PER_ELEMENT, size, shape, place);
  const aligned = raw.byteOffset % type.BYTES_PER_ELEMENT === 0 ? raw : new Uint8Array(raw);
  return new type(aligned.buffer, aligned.byteOffset, size);
}

/** Elements from the field that holds this element type. */
function fromFields(
  proto: TensorProto,
  dtype: Exclude<DataType, 'string'>,
  size: number,
  shape: readonly number[],
  place: string,
): NumericData {
  const { floatData = [], doubleData = [], int32Data = [], int64Data = [], uint64Data = [] } = proto;
  const values: readonly (number | Int64)[] =
    dtype === 'float32'
      ? floatData
      : dtype === 'float64'
        ? doubleData
        : dtype === 'int64'
          ? int64Data
          : dtype === 'uint64' || dtype === 'uint32'
            ? uint64Data
            : int32Data;
  requireLength(values.length, size, shape, place);
  const data = new ARRAY_TYPE[dtype](size);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < size; i++) data[i] = toBigInt(values[i]!);
  } else {
    for (let i = 0; i < size; i++) data[i] = toNumber(values[i]!);
  }
  return data;
}

function externalBytes(
  proto: TensorProto,
  dtype: Exclude<DataType, 'string'>,
  size: number,
  place: string,
  source?: ExternalDataSource,
): Uint8Array {
  const entries = Object.fromEntries((proto.externalData ?? []).map(({ key = '', value = '' }) => [key, value]));
  const location = entries.location ?? '';
  if (!source) {
    throw new TandemError('TANDEM_EXTERNAL_DATA', `The weights are in a file beside the model, "${location}".`, {
      place,
      remedy: 'Read the model from its folder, so that the file is found.',
    });
  }
  const needed = size * ARRAY_TYPE[dtype].BYTES_PER_ELEMENT;
  const offset = Number(entries.offset ?? 0);
  const length = Number(entries.length ?? needed);
  if (!Number.isSafeInteger(offset) || offset < 0 || length !== needed) {
    throw new TandemError(
      'TANDEM_EXTERNAL_DATA',
      `Offset ${entries.offset} and length ${entries.length} do not fit ${needed} bytes.`,
      { place, remedy: RE_EXPORT },
    );
  }
  const bytes = source(location, offset, length);
  if (bytes.length === length) return bytes;
  throw new TandemError(
    'TANDEM_EXTERNAL_DATA',
    `"${location}" holds ${bytes.length} of the ${length} bytes at offset ${offset}.`,
    {
      place,
      remedy: 'The file beside the model is cut short: download or export it again.',
    },
  );
}

/** @throws TANDEM_MODEL_UNSUPPORTED for bytes that are no UTF-8 text */
export function decodeText(bytes: Uint8Array, place: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', 'A string holds bytes that are not UTF-8 text.', {
      place,
      cause,
    });
  }
}

/** The tensor's elements as they stand in memory (little-endian); undefined for strings. */
export function tensorBytes({ data }: Tensor): Uint8Array | undefined {
  return Array.isArray(data) ? undefined : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text);

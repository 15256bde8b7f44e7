import { TandemError } from '../errors.js';
import { type DataType, sizeOf, type Tensor, type TensorData } from '../graph/types.js';

/**
 * The safetensors format: 8 bytes little-endian header length, a JSON header, then the tensors' bytes without gaps.
 * Reading is strict: what is accepted has a known type, a size that fits its shape, and covers the data exactly once.
 */
type StoredType = keyof typeof STORED;

const STORED = {
  F64: { dtype: 'float64', bytes: 8 },
  F32: { dtype: 'float32', bytes: 4 },
  F16: { dtype: 'float16', bytes: 2 },
  /** Becomes float32 on reading, which is exact. */
  BF16: { dtype: 'float32', bytes: 2 },
  I64: { dtype: 'int64', bytes: 8 },
  I32: { dtype: 'int32', bytes: 4 },
  I16: { dtype: 'int16', bytes: 2 },
  I8: { dtype: 'int8', bytes: 1 },
  U64: { dtype: 'uint64', bytes: 8 },
  U32: { dtype: 'uint32', bytes: 4 },
  U16: { dtype: 'uint16', bytes: 2 },
  U8: { dtype: 'uint8', bytes: 1 },
  BOOL: { dtype: 'bool', bytes: 1 },
} as const satisfies Record<string, { dtype: DataType; bytes: number }>;

/** A tensor's place in the file; offsets in bytes from the start of the data. */
export interface StoredTensor {
  readonly type: StoredType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of the data. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Where the data begins, in bytes from the start of the file. */
  readonly dataStart: number;
}

export interface Weights {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes of the header's length. */
export const LENGTH_BYTES = 8;
/** The format's own bound on its header, against files that claim more than memory holds. */
const LARGEST_HEADER = 100_000_000;

/** @param prefix the first LENGTH_BYTES of a file (or fewer, if it has no more) */
export function headerLength(prefix: Uint8Array, fileBytes: number, place: string): number {
  if (prefix.length < LENGTH_BYTES) throw invalid(place, `it has ${prefix.length} bytes; a header needs more`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  const available = Math.min(LARGEST_HEADER, fileBytes - LENGTH_BYTES);
  if (length > BigInt(available)) {
    throw invalid(place, `its header claims ${length} bytes where ${available} are possible`);
  }
  return Number(length);
}

/**
 * @param json the header's bytes
 * @param fileBytes size of the whole file
 */
export function parseHeader(json: Uint8Array, fileBytes: number, place: string): SafetensorsHeader {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (cause) {
    throw invalid(place, 'its header is not JSON', cause);
  }
  if (!isRecord(header)) throw invalid(place, 'its header is not a JSON object');
  const { __metadata__: metadata = {}, ...rest } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw invalid(place, 'its metadata are not texts');
  }
  const entries = Object.entries(rest).map(([name, entry]) => [name, checkEntry(name, entry, place)] as const);
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  const dataStart = LENGTH_BYTES + json.length;
  let covered = 0;
  for (const [name, { begin, end }] of entries) {
    if (begin !== covered) {
      const fault = begin < covered ? 'overlaps the tensor before it' : `leaves ${begin - covered} bytes unused`;
      throw invalid(place, `tensor "${name}" ${fault}`);
    }
    covered = end;
  }
  const available = fileBytes - dataStart;
  if (covered !== available) {
    throw invalid(place, `its tensors need ${covered} bytes and it has ${available}`);
  }
  return { metadata: metadata as Record<string, string>, tensors: new Map(entries), dataStart };
}

function checkEntry(name: string, entry: unknown, place: string): StoredTensor {
  const fault = (what: string) => invalid(place, `tensor "${name}" ${what}`);
  if (!isRecord(entry)) throw fault('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !Object.hasOwn(STORED, dtype)) {
    throw fault(`has the type ${JSON.stringify(dtype)}; known are ${Object.keys(STORED).join(', ')}`);
  }
  if (!isSizes(shape)) throw fault('has no valid shape');
  if (!isSizes(offsets) || offsets.length !== 2) throw fault('has no valid data_offsets');
  const type = dtype as StoredType;
  const [begin, end] = offsets as [number, number];
  const bytes = sizeOf(shape) * STORED[type].bytes;
  if (end - begin !== bytes) {
    throw fault(`is ${type} [${shape.join(', ')}], ${bytes} bytes, but has ${end - begin}`);
  }
  return { type, shape, begin, end };
}

/** Memory for a tensor's bytes as stored, to be filled by a reader and then handed to `fromStored`. */
export function storage({ type, shape }: StoredTensor): { readonly bytes: Uint8Array; readonly values: TensorData } {
  const size = sizeOf(shape);
  const values = type === 'BF16' ? new Uint16Array(size) : ARRAYS[STORED[type].dtype](size);
  return { bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength), values };
}

export function fromStored({ type, shape }: StoredTensor, values: TensorData, name: string, place: string): Tensor {
  const { dtype } = STORED[type];
  if (type === 'BOOL' && (values as Uint8Array).some((value) => value > 1)) {
    throw invalid(place, `tensor "${name}" holds truth values other than 0 and 1`);
  }
  if (type !== 'BF16') return { dtype, shape, data: values };
  const bits = Uint32Array.from(values as Uint16Array, (value) => value << 16);
  return { dtype, shape, data: new Float32Array(bits.buffer) };
}

/**
 * A file as the pieces to write one after the other: the header, then every tensor's bytes in place. Equal arguments give
 * equal bytes: tensors are ordered by element size, largest first (which aligns them), then by name.
 */
export function safetensorsPieces({ tensors, metadata }: Weights): Uint8Array[] {
  const entries = [...tensors].map(([name, value]) => ({ name, value, stored: storedType(name, value) }));
  entries.sort((a, b) => STORED[b.stored].bytes - STORED[a.stored].bytes || (a.name < b.name ? -1 : 1));
  let end = 0;
  const described = entries.map(({ name, value, stored }) => {
    const begin = end;
    end += sizeOf(value.shape) * STORED[stored].bytes;
    return [name, { dtype: stored, shape: value.shape, data_offsets: [begin, end] }] as const;
  });
  const noted = Object.keys(metadata).length > 0 ? [['__metadata__', metadata] as const] : [];
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries([...noted, ...described])));
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, LENGTH_BYTES);
  const pieces = entries.map(({ value }) => {
    const { buffer, byteOffset, byteLength } = value.data as Exclude<TensorData, string[]>;
    return new Uint8Array(buffer, byteOffset, byteLength);
  });
  return [header, ...pieces];
}

/** Reads a file that is in memory as a whole. @throws TANDEM_CHECKPOINT_INVALID */
export function decodeSafetensors(file: Uint8Array, place = 'the given bytes'): Weights {
  const length = headerLength(file.subarray(0, LENGTH_BYTES), file.length, place);
  const header = parseHeader(file.subarray(LENGTH_BYTES, LENGTH_BYTES + length), file.length, place);
  const tensors = new Map<string, Tensor>();
  for (const [name, stored] of header.tensors) {
    const { bytes, values } = storage(stored);
    bytes.set(file.subarray(header.dataStart + stored.begin, header.dataStart + stored.end));
    tensors.set(name, fromStored(stored, values, name, place));
  }
  return { tensors, metadata: header.metadata };
}

const ARRAYS = {
  float64: (size: number) => new Float64Array(size),
  float32: (size: number) => new Float32Array(size),
  float16: (size: number) => new Uint16Array(size),
  int64: (size: number) => new BigInt64Array(size),
  int32: (size: number) => new Int32Array(size),
  int16: (size: number) => new Int16Array(size),
  int8: (size: number) => new Int8Array(size),
  uint64: (size: number) => new BigUint64Array(size),
  uint32: (size: number) => new Uint32Array(size),
  uint16: (size: number) => new Uint16Array(size),
  uint8: (size: number) => new Uint8Array(size),
  bool: (size: number) => new Uint8Array(size),
};

function storedType(name: string, { dtype, shape, data }: Tensor): StoredType {
  const found = Object.entries(STORED).find(([type, stored]) => stored.dtype === dtype && type !== 'BF16');
  if (found && data.length === sizeOf(shape) && name !== '__metadata__') return found[0] as StoredType;
  throw new TandemError(
    'TANDEM_CHECKPOINT_INVALID',
    `Tensor "${name}" (${dtype} [${shape.join(', ')}], ${data.length} elements) cannot be stored as safetensors.`,
    { place: `tensor ${name}`, remedy: 'Store numeric tensors whose data fit their shapes.' },
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);

const invalid = (place: string, fault: string, cause?: unknown): TandemError =>
  new TandemError('TANDEM_CHECKPOINT_INVALID', `This is not a whole safetensors file: ${fault}.`, {
    place,
    remedy: 'Write or download the file again.',
    cause,
  });

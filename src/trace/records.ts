/** Fields and payload of each kind of record: one codec per kind. A payload is a sequence of byte blocks. */
import { bytesOf16, bytesOf32, copy16, copy32, FieldReader, FieldWriter } from './fields.js';
import { corrupt, TAGS } from './format.js';
import type {
  AttentionHeadRecord,
  MaskRecord,
  TokenBitsRecord,
  TokenExitsRecord,
  TokenOperandsRecord,
  TraceRecord,
} from './types.js';

/** Fields of a record without its arrays. */
export type RecordFields<R extends TraceRecord = TraceRecord> = R extends AttentionHeadRecord
  ? Omit<R, 'q' | 'k' | 'survivors'>
  : R extends MaskRecord
    ? Omit<R, 'nonZero'>
    : R extends TokenBitsRecord
      ? Omit<R, 'bits'>
      : R extends TokenOperandsRecord
        ? Omit<R, 'q' | 'k' | 'v' | 'steps'>
        : Omit<R, 'exits'>;

interface Codec<R extends TraceRecord> {
  writeFields(record: R, to: FieldWriter): void;
  readFields(from: FieldReader): RecordFields<R>;
  payload(record: R): Uint8Array[];
  /** Bytes that the fields imply, or undefined when any length is right. */
  payloadBytes(fields: RecordFields<R>): number | undefined;
  /** `payload` has the length that `payloadBytes` says. */
  withPayload(fields: RecordFields<R>, payload: Uint8Array): R;
}

const bitSetBytes = (bits: number): number => Math.ceil(bits / 8);

const attentionHead: Codec<AttentionHeadRecord> = {
  writeFields(r, to) {
    for (const value of [r.sequence, r.layer, r.head, r.queries, r.keys, r.paddedLength, r.headDim, r.valueDim]) {
      to.u32(value);
    }
    to.u8(r.bits)
      .u8(r.valueBits)
      .u8(r.causal ? 1 : 0)
      .u8(0);
    to.f64(r.queryStep).f64(r.keyStep).f64(r.threshold);
  },
  readFields(from) {
    const fields = {
      kind: 'attention-head' as const,
      sequence: from.u32(),
      layer: from.u32(),
      head: from.u32(),
      queries: from.u32(),
      keys: from.u32(),
      paddedLength: from.u32(),
      headDim: from.u32(),
      valueDim: from.u32(),
      bits: from.u8(),
      valueBits: from.u8(),
      causal: (from.u8() & 1) === 1,
    };
    from.u8();
    const steps = { queryStep: from.f64(), keyStep: from.f64(), threshold: from.f64() };
    if (fields.bits < 2 || fields.bits > 16)
      throw corrupt(`Operands of ${fields.bits} bits; 2 to 16 are possible.`, from.offset);
    // Otherwise any number of queries would fit an empty payload.
    if (fields.headDim === 0) throw corrupt('The head has no dimension.', from.offset);
    if (Number.isNaN(steps.threshold)) throw corrupt('The threshold is not a number.', from.offset);
    return { ...fields, ...steps };
  },
  payload: (r) => [bytesOf16(r.q), bytesOf16(r.k), r.survivors],
  payloadBytes: (f) => 2 * f.headDim * (f.queries + f.keys) + bitSetBytes(f.queries * f.keys),
  withPayload(fields, payload) {
    const qBytes = 2 * fields.queries * fields.headDim;
    const kBytes = 2 * fields.keys * fields.headDim;
    return {
      ...fields,
      q: new Int16Array(copy16(payload.subarray(0, qBytes))),
      k: new Int16Array(copy16(payload.subarray(qBytes, qBytes + kBytes))),
      survivors: payload.slice(qBytes + kBytes),
    };
  },
};

const tokenBits: Codec<TokenBitsRecord> = {
  writeFields: (r, to) => void to.u32(r.sequence).u32(r.layer).i32(r.head),
  readFields: (from) => ({ kind: 'token-bits', sequence: from.u32(), layer: from.u32(), head: from.i32() }),
  payload: (r) => [r.bits],
  payloadBytes: () => undefined,
  withPayload: (fields, payload) => ({ ...fields, bits: payload.slice() }),
};

const tokenExits: Codec<TokenExitsRecord> = {
  writeFields: (r, to) => void to.u32(r.sequence).u32(r.layers).u32(r.prompt),
  readFields(from) {
    const fields = { kind: 'token-exits' as const, sequence: from.u32(), layers: from.u32() };
    // Files from before there were prompts end here.
    const prompt = from.isAtEnd ? 1 : from.u32();
    if (prompt === 0) throw corrupt('A token-exits record has a prompt of no tokens.', from.offset);
    return { ...fields, prompt };
  },
  payload: (r) => [bytesOf16(r.exits)],
  payloadBytes: () => undefined,
  withPayload: (fields, payload) => ({ ...fields, exits: new Uint16Array(copy16(payload)) }),
};

const PHASES = ['forward', 'backward', 'update'] as const;

const mask: Codec<MaskRecord> = {
  writeFields(r, to) {
    to.u32(r.sequence).u32(r.step).u32(r.layer).u32(PHASES.indexOf(r.phase));
    to.u32(r.rows).u32(r.columns).u32(r.tile[0]).u32(r.tile[1]).text(r.matrix);
  },
  readFields(from) {
    const [sequence, step, layer, phase] = [from.u32(), from.u32(), from.u32(), PHASES[from.u32()]];
    const [rows, columns, tileRows, tileColumns] = [from.u32(), from.u32(), from.u32(), from.u32()];
    if (phase === undefined) throw corrupt('A mask belongs to no known phase.', from.offset);
    if (tileRows === 0 || tileColumns === 0) throw corrupt('A mask has tiles of no elements.', from.offset);
    const tile = [tileRows, tileColumns] as const;
    return { kind: 'mask', sequence, step, layer, phase, rows, columns, tile, matrix: from.text() };
  },
  payload: (r) => [r.nonZero],
  payloadBytes: ({ rows, columns, tile }) => bitSetBytes(Math.ceil(rows / tile[0]) * Math.ceil(columns / tile[1])),
  withPayload: (fields, payload) => ({ ...fields, nonZero: payload.slice() }),
};

const tokenOperands: Codec<TokenOperandsRecord> = {
  writeFields: (r, to) => void to.u32(r.sequence).u32(r.layer).u32(r.head).u32(r.tokens).u32(r.headDim).u32(r.valueDim),
  readFields(from) {
    const [sequence, layer, head] = [from.u32(), from.u32(), from.u32()];
    const [tokens, headDim, valueDim] = [from.u32(), from.u32(), from.u32()];
    return { kind: 'token-operands', sequence, layer, head, tokens, headDim, valueDim };
  },
  payload: (r) => [bytesOf16(r.q), bytesOf16(r.k), bytesOf16(r.v), bytesOf32(r.steps)],
  payloadBytes: ({ tokens, headDim, valueDim }) => tokens * (2 * (2 * headDim + valueDim) + 3 * 4),
  withPayload(fields, payload) {
    const { tokens, headDim, valueDim } = fields;
    const ends = [headDim, 2 * headDim, 2 * headDim + valueDim].map((columns) => 2 * tokens * columns);
    const [q, k, v] = ends.map((end, at) => new Int16Array(copy16(payload.subarray(ends[at - 1] ?? 0, end))));
    return { ...fields, q: q!, k: k!, v: v!, steps: new Float32Array(copy32(payload.subarray(ends.at(-1)!))) };
  },
};

const CODECS: { readonly [Kind in TraceRecord['kind']]: Codec<Extract<TraceRecord, { kind: Kind }>> } = {
  'attention-head': attentionHead,
  'token-bits': tokenBits,
  'token-exits': tokenExits,
  mask,
  'token-operands': tokenOperands,
};
const KIND_BY_TAG = new Map(Object.entries(TAGS).map(([kind, tag]) => [tag as number, kind as TraceRecord['kind']]));

// The table above pairs every kind with its own codec, which TypeScript cannot follow through a lookup.
const codecOf = (kind: TraceRecord['kind']) => CODECS[kind] as unknown as Codec<TraceRecord>;

export function writeRecord(record: TraceRecord): { tag: number; fields: Uint8Array; payload: Uint8Array[] } {
  const codec = codecOf(record.kind);
  const to = new FieldWriter();
  codec.writeFields(record, to);
  return { tag: TAGS[record.kind], fields: to.finish(), payload: codec.payload(record) };
}

/** The fields of a record, checked against the length of its payload; undefined for a tag of a later format. */
export function readFields(
  tag: number,
  bytes: Uint8Array,
  payloadBytes: number,
  offset: number,
): RecordFields | undefined {
  const kind = KIND_BY_TAG.get(tag);
  if (kind === undefined) return undefined;
  const codec = codecOf(kind);
  const fields = codec.readFields(new FieldReader(bytes, offset));
  const expected = codec.payloadBytes(fields);
  if (expected !== undefined && expected !== payloadBytes) {
    throw corrupt(`A ${kind} record holds ${payloadBytes} bytes where its sizes need ${expected}.`, offset);
  }
  if (kind === 'token-exits' && payloadBytes % 2 === 1)
    throw corrupt('A token-exits record ends in half a number.', offset);
  return fields;
}

export function withPayload(fields: RecordFields, payload: Uint8Array): TraceRecord {
  return codecOf(fields.kind).withPayload(fields, payload);
}

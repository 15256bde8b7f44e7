/**
 * The messages of an .onnx file: which field has which number and wire type, as the ONNX specification assigns them.
 * Only fields that Tandem reads or writes are listed; protobuf skips the others.
 */
import protobuf from 'protobufjs/light.js';

/** A 64-bit integer as protobufjs gives and takes it. */
export type Int64 = number | { low: number; high: number; unsigned: boolean };

export interface ModelProto {
  irVersion?: Int64;
  producerName?: string;
  producerVersion?: string;
  graph?: GraphProto | null;
  opsetImport?: { domain?: string; version?: Int64 }[];
  metadataProps?: EntryProto[];
  functions?: { name?: string }[];
}
export interface EntryProto {
  key?: string;
  value?: string;
}
export interface GraphProto {
  node?: NodeProto[];
  name?: string;
  initializer?: TensorProto[];
  input?: ValueInfoProto[];
  output?: ValueInfoProto[];
  valueInfo?: ValueInfoProto[];
  sparseInitializer?: object[];
}
export interface NodeProto {
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  attribute?: AttributeProto[];
  domain?: string;
}
export interface AttributeProto {
  name?: string;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: TensorProto | null;
  g?: GraphProto | null;
  floats?: number[];
  ints?: Int64[];
  strings?: Uint8Array[];
  type?: number;
  refAttrName?: string;
}
export interface TensorProto {
  dims?: Int64[];
  dataType?: number;
  floatData?: number[];
  int32Data?: number[];
  stringData?: Uint8Array[];
  int64Data?: Int64[];
  name?: string;
  rawData?: Uint8Array;
  doubleData?: number[];
  uint64Data?: Int64[];
  externalData?: EntryProto[];
  dataLocation?: number;
}
export interface ValueInfoProto {
  name?: string;
  type?: { tensorType?: { elemType?: number; shape?: { dim?: DimensionProto[] } | null } | null } | null;
}
export interface DimensionProto {
  dimValue?: Int64;
  dimParam?: string;
}

/** `type` or `type[]` (repeated; numbers packed), then the field's number. */
type Field = readonly [type: string, id: number];

const MESSAGES: Record<string, Record<string, Field>> = {
  Model: {
    irVersion: ['int64', 1],
    producerName: ['string', 2],
    producerVersion: ['string', 3],
    graph: ['Graph', 7],
    opsetImport: ['OperatorSet[]', 8],
    metadataProps: ['Entry[]', 14],
    functions: ['Function[]', 25],
  },
  OperatorSet: { domain: ['string', 1], version: ['int64', 2] },
  Entry: { key: ['string', 1], value: ['string', 2] },
  Function: { name: ['string', 1] },
  Graph: {
    node: ['Node[]', 1],
    name: ['string', 2],
    initializer: ['Tensor[]', 5],
    input: ['ValueInfo[]', 11],
    output: ['ValueInfo[]', 12],
    valueInfo: ['ValueInfo[]', 13],
    sparseInitializer: ['SparseTensor[]', 15],
  },
  SparseTensor: {},
  Node: {
    input: ['string[]', 1],
    output: ['string[]', 2],
    name: ['string', 3],
    opType: ['string', 4],
    attribute: ['Attribute[]', 5],
    domain: ['string', 7],
  },
  Attribute: {
    name: ['string', 1],
    f: ['float', 2],
    i: ['int64', 3],
    s: ['bytes', 4],
    t: ['Tensor', 5],
    g: ['Graph', 6],
    floats: ['float[]', 7],
    ints: ['int64[]', 8],
    strings: ['bytes[]', 9],
    type: ['int32', 20],
    refAttrName: ['string', 21],
  },
  Tensor: {
    dims: ['int64[]', 1],
    dataType: ['int32', 2],
    floatData: ['float[]', 4],
    int32Data: ['int32[]', 5],
    stringData: ['bytes[]', 6],
    int64Data: ['int64[]', 7],
    name: ['string', 8],
    rawData: ['bytes', 9],
    doubleData: ['double[]', 10],
    uint64Data: ['uint64[]', 11],
    externalData: ['Entry[]', 13],
    dataLocation: ['int32', 14],
  },
  ValueInfo: { name: ['string', 1], type: ['Type', 2] },
  Type: { tensorType: ['TensorType', 1] },
  TensorType: { elemType: ['int32', 1], shape: ['TensorShape', 2] },
  TensorShape: { dim: ['Dimension[]', 1] },
  Dimension: { dimValue: ['int64', 1], dimParam: ['string', 2] },
};

const NUMERIC = /^(float|double|int32|int64|uint64)\[\]$/;

function descriptor(fields: Record<string, Field>): protobuf.IType {
  return {
    // A field that is written is present, zero or not: a dimension of 0 is not an unknown one.
    edition: 'proto2',
    fields: Object.fromEntries(
      Object.entries(fields).map(([name, [type, id]]) => [
        name,
        {
          type: type.replace('[]', ''),
          id,
          ...(type.endsWith('[]') ? { rule: 'repeated' } : {}),
          ...(NUMERIC.test(type) ? { options: { packed: true } } : {}),
        },
      ]),
    ),
  };
}

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(Object.entries(MESSAGES).map(([name, fields]) => [name, descriptor(fields)])),
});

export const modelType = root.lookupType('Model');
export const tensorType = root.lookupType('Tensor');

/** AttributeProto.AttributeType numbers. */
export const ATTRIBUTE_TYPE = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;

export function toBigInt(value: Int64): bigint {
  if (typeof value === 'number') return BigInt(value);
  const bits = (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
  return value.unsigned ? bits : BigInt.asIntN(64, bits);
}

/** Numbers beyond 2^53 lose their last bits: such integers are only ever bounds that mean "to the end". */
export const toNumber = (value: Int64): number => (typeof value === 'number' ? value : Number(toBigInt(value)));

const MAX_INT64 = 2n ** 63n - 1n;

/** Saturates, so that a "to the end" bound that was rounded up to 2^63 stays one. */
export function fromInteger(value: number | bigint): Int64 {
  const exact = BigInt(value);
  const bounded = exact > MAX_INT64 ? MAX_INT64 : exact < -MAX_INT64 ? -MAX_INT64 - 1n : exact;
  return { low: Number(BigInt.asIntN(32, bounded)), high: Number(BigInt.asIntN(32, bounded >> 32n)), unsigned: false };
}

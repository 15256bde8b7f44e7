import { TandemError } from '../../errors.js';
import { ONNX_TYPE } from '../data-types.js';
import type { Attribute, Dim, Graph, Node, Tensor, ValueInfo } from '../types.js';
import {
  ATTRIBUTE_TYPE,
  type AttributeProto,
  fromInteger,
  type GraphProto,
  type ModelProto,
  modelType,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './schema.js';
import { encodeText, tensorBytes } from './tensors.js';

/** Protobuf counts bytes of a message in 31 bits. */
export const LARGEST_FILE = 2 ** 31 - 1;
/** External tensors start on pages, so that readers can map the file into memory. */
const ALIGNMENT = 4096;
/** Smaller tensors stay in the model: shapes and axes must be there for shape inference. */
const EXTERNAL_FROM = 1024;

/** A model whose weights lie in one file beside it. */
export interface SplitModel {
  readonly model: Uint8Array;
  /** What the file beside it holds; gaps between pieces are zero. */
  readonly pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  readonly byteLength: number;
}

type TensorWriter = (tensor: Tensor, name: string) => TensorProto;

/**
 * The graph as the bytes of an .onnx file, weights included.
 * @throws TANDEM_MODEL_TOO_LARGE beyond 2 GiB: use `encodeSplitModel`
 */
export function encodeModel(graph: Graph): Uint8Array {
  const size = weightBytes(graph);
  if (size > LARGEST_FILE - 2 ** 24) {
    throw new TandemError('TANDEM_MODEL_TOO_LARGE', `The weights take ${size} bytes; one .onnx file holds 2 GiB.`, {
      place: `graph "${graph.name}"`,
      remedy: 'Write the model as a file: its weights then go into a second file beside it.',
    });
  }
  return encode(graph, embeddedTensor);
}

/** The graph as an .onnx file that refers to `location`, a file in the same folder, for its larger tensors. */
export function encodeSplitModel(graph: Graph, location: string): SplitModel {
  const pieces: { offset: number; bytes: Uint8Array }[] = [];
  let byteLength = 0;
  const external: TensorWriter = (tensor, name) => {
    const bytes = tensorBytes(tensor);
    if (!bytes || bytes.length < EXTERNAL_FROM) return embeddedTensor(tensor, name);
    const offset = Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
    pieces.push({ offset, bytes });
    byteLength = offset + bytes.length;
    const entries = { location, offset: `${offset}`, length: `${bytes.length}` };
    return {
      ...header(tensor, name),
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
    };
  };
  const model = encode(graph, external);
  return { model, pieces, byteLength };
}

/** Bytes of all weights. */
export function weightBytes(graph: Graph): number {
  let total = 0;
  for (const tensor of graph.initializers.values()) total += tensorBytes(tensor)?.length ?? 0;
  return total;
}

function encode(graph: Graph, writeTensor: TensorWriter): Uint8Array {
  const message: ModelProto = {
    irVersion: fileVersion(graph.opsets[''] ?? 1),
    producerName: 'tandem',
    graph: encodeGraph(graph, writeTensor),
    opsetImport: Object.entries(graph.opsets).map(([domain, version]) => ({ domain, version: fromInteger(version) })),
    metadataProps: Object.entries(graph.metadata).map(([key, value]) => ({ key, value })),
  };
  return modelType.encode(message).finish();
}

/** The file-format version that came with an operator set. */
const fileVersion = (opset: number): number => (opset <= 18 ? 8 : opset <= 20 ? 9 : 10);

function encodeGraph(graph: Graph, writeTensor: TensorWriter): GraphProto {
  const ends = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  const between: ValueInfoProto[] = [];
  for (const [name, type] of graph.types) {
    if (!ends.has(name) && !graph.initializers.has(name)) between.push(encodeValueInfo({ name, ...type }));
  }
  return {
    name: graph.name,
    node: graph.nodes.map((node) => encodeNode(node, writeTensor)),
    initializer: [...graph.initializers].map(([name, tensor]) => writeTensor(tensor, name)),
    input: graph.inputs.map(encodeValueInfo),
    output: graph.outputs.map(encodeValueInfo),
    valueInfo: between,
  };
}

function encodeValueInfo({ name, dtype, shape }: ValueInfo): ValueInfoProto {
  const dims = shape && { dim: shape.map(encodeDim) };
  return { name, type: { tensorType: { elemType: ONNX_TYPE[dtype], ...(dims ? { shape: dims } : {}) } } };
}

const encodeDim = (dim: Dim) => (typeof dim === 'number' ? { dimValue: fromInteger(dim) } : { dimParam: dim });

function encodeNode({ name, opType, domain, inputs, outputs, attributes }: Node, writeTensor: TensorWriter): NodeProto {
  const attribute = Object.entries(attributes).map(([key, value]) => encodeAttribute(key, value, writeTensor));
  return { name, opType, domain, input: [...inputs], output: [...outputs], attribute };
}

function encodeAttribute(name: string, attribute: Attribute, writeTensor: TensorWriter): AttributeProto {
  const type = ATTRIBUTE_TYPE[attribute.kind];
  switch (attribute.kind) {
    case 'float':
      return { name, type, f: attribute.value };
    case 'int':
      return { name, type, i: fromInteger(attribute.value) };
    case 'string':
      return { name, type, s: encodeText(attribute.value) };
    case 'floats':
      return { name, type, floats: [...attribute.value] };
    case 'ints':
      return { name, type, ints: attribute.value.map(fromInteger) };
    case 'strings':
      return { name, type, strings: attribute.value.map(encodeText) };
    case 'tensor':
      return { name, type, t: embeddedTensor(attribute.value, '') };
    case 'graph':
      return { name, type, g: encodeGraph(attribute.value, writeTensor) };
  }
}

const header = ({ dtype, shape }: Tensor, name: string): TensorProto => ({
  name,
  dataType: ONNX_TYPE[dtype],
  dims: shape.map(fromInteger),
});

function embeddedTensor(tensor: Tensor, name: string): TensorProto {
  const bytes = tensorBytes(tensor);
  if (bytes) return { ...header(tensor, name), rawData: bytes };
  return { ...header(tensor, name), stringData: (tensor.data as string[]).map(encodeText) };
}

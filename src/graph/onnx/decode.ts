import { TandemError } from '../../errors.js';
import { sortNodes, validateGraph } from '../check.js';
import { DATA_TYPE } from '../data-types.js';
import { foldConstants } from '../fold.js';
import { inferTypes } from '../shapes.js';
import type { Attribute, Dim, Graph, Node, Tensor, TensorType, ValueInfo } from '../types.js';
import {
  ATTRIBUTE_TYPE,
  type AttributeProto,
  type DimensionProto,
  type GraphProto,
  type ModelProto,
  modelType,
  type NodeProto,
  toNumber,
  type ValueInfoProto,
} from './schema.js';
import { decodeTensor, decodeText, type ExternalDataSource, elementType } from './tensors.js';

export interface DecodeOptions {
  /** Where weights outside the file come from; without it, models that have such weights are refused. */
  readonly externalData?: ExternalDataSource;
}

/**
 * Reads an .onnx model: nodes put in topological order, Constant nodes made initializers, types inferred. Inputs with
 * a default are both inputs and initializers, except in files older than IR version 4, where initializers must be listed
 * as inputs and are constants. Any operator set is read as it is.
 * Tensors may share memory with `bytes`.
 * @throws TANDEM_MODEL_UNREADABLE, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_EXTERNAL_DATA,
 *   TANDEM_SHAPE_MISMATCH
 */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): Graph {
  const proto = parse(bytes);
  if (!proto.graph) {
    throw new TandemError('TANDEM_MODEL_UNREADABLE', 'The bytes hold no ONNX graph.', {
      remedy: 'Give an .onnx file.',
    });
  }
  if (proto.functions && proto.functions.length > 0) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', 'The model defines operators of its own (local functions).', {
      place: `function "${proto.functions[0]!.name ?? ''}"`,
      remedy: 'Export with functions inlined, or run onnx.inliner.inline_local_functions on the model.',
    });
  }
  const opsets: Record<string, number> = {};
  for (const { domain = '', version = 1 } of proto.opsetImport ?? []) {
    opsets[domain === 'ai.onnx' ? '' : domain] = toNumber(version);
  }
  const metadata: Record<string, string> = {};
  for (const { key = '', value = '' } of proto.metadataProps ?? []) metadata[key] = value;
  const defaults = toNumber(proto.irVersion ?? 0) >= OVERRIDABLE_FROM;
  const graph = decodeGraph(proto.graph, { opsets, metadata, defaults, external: options.externalData });
  return inferTypes(foldConstants(sortNodes(validateGraph(graph))));
}

/** The file-format version from which an initializer that is an input too may be overridden. */
const OVERRIDABLE_FROM = 4;

function parse(bytes: Uint8Array): ModelProto {
  try {
    return modelType.decode(bytes) as ModelProto;
  } catch (cause) {
    throw new TandemError(
      'TANDEM_MODEL_UNREADABLE',
      `The bytes are not a whole ONNX model: ${(cause as Error).message}.`,
      {
        place: `${bytes.length} bytes`,
        remedy: 'The file is cut short or not an .onnx file: export or download it again.',
        cause,
      },
    );
  }
}

interface Surroundings {
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Whether an initializer that is an input too is its default. */
  readonly defaults: boolean;
  readonly external: ExternalDataSource | undefined;
}

function decodeGraph(proto: GraphProto, around: Surroundings): Graph {
  if (proto.sparseInitializer && proto.sparseInitializer.length > 0) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', 'The model stores weights as sparse tensors.', {
      place: `graph "${proto.name ?? ''}"`,
      remedy: 'Store them as dense tensors.',
    });
  }
  const initializers = new Map<string, Tensor>();
  for (const tensor of proto.initializer ?? []) {
    const name = tensor.name ?? '';
    if (initializers.has(name)) twice(name);
    initializers.set(name, decodeTensor(tensor, name, around.external));
  }
  const inputs = (proto.input ?? []).map(valueInfo).filter(({ name }) => around.defaults || !initializers.has(name));
  const outputs = (proto.output ?? []).map(valueInfo);
  const types = new Map<string, TensorType>();
  for (const info of proto.valueInfo ?? []) {
    const type = decodeType(info);
    if (type) types.set(info.name ?? '', type);
  }
  const nodes = decodeNodes(proto.node ?? [], around);
  for (const [name, { dtype, shape }] of initializers) types.set(name, { dtype, shape });
  for (const { name, dtype, shape } of [...inputs, ...outputs]) types.set(name, { dtype, shape });
  return {
    name: proto.name ?? '',
    opsets: around.opsets,
    inputs,
    outputs,
    nodes,
    initializers,
    types,
    metadata: around.metadata,
  };
}

function twice(name: string): never {
  throw new TandemError('TANDEM_MODEL_INVALID', `The name "${name}" is given twice.`, {
    place: `value "${name}"`,
    remedy: 'Rename one of the two: each value of a graph has a name of its own.',
  });
}

function valueInfo(info: ValueInfoProto): ValueInfo {
  const name = info.name ?? '';
  const type = decodeType(info);
  if (type) return { name, ...type };
  const code = info.type?.tensorType?.elemType;
  if (code) elementType(code, `value "${name}"`);
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `The input or output "${name}" has no tensor type.`, {
    place: `value "${name}"`,
    remedy: 'Sequences and maps are not read; a missing type is filled in by onnx.shape_inference.infer_shapes.',
  });
}

/** The declared type; undefined when it is no tensor of an element type that Tandem knows. */
function decodeType({ name = '', type }: ValueInfoProto): TensorType | undefined {
  const dtype = DATA_TYPE[type?.tensorType?.elemType ?? 0];
  if (!dtype) return undefined;
  const shape = type!.tensorType!.shape;
  return {
    dtype,
    shape: shape ? (shape.dim ?? []).map((dim, axis) => decodeDim(dim, `${name}_dim${axis}`)) : undefined,
  };
}

/** A size or name; `unknown` where the file gives neither (some writers put −1). */
function decodeDim(dim: DimensionProto, unknown: string): Dim {
  if (Object.hasOwn(dim, 'dimValue')) {
    const size = toNumber(dim.dimValue!);
    return size >= 0 ? size : unknown;
  }
  return dim.dimParam || unknown;
}

/** Nodes with names of their own: ONNX lets them be empty or repeat. */
function decodeNodes(protos: readonly NodeProto[], around: Surroundings): Node[] {
  const taken = new Set<string>();
  return protos.map((proto, i) => {
    const opType = proto.opType ?? '';
    let name = proto.name || `${opType}_${i}`;
    while (taken.has(name)) name += '_';
    taken.add(name);
    const attributes: Record<string, Attribute> = {};
    for (const attribute of proto.attribute ?? []) {
      attributes[attribute.name ?? ''] = decodeAttribute(
        attribute,
        `node "${name}", attribute "${attribute.name}"`,
        around,
      );
    }
    const domain = proto.domain === 'ai.onnx' ? '' : (proto.domain ?? '');
    return { name, opType, domain, inputs: proto.input ?? [], outputs: proto.output ?? [], attributes };
  });
}

const KIND: ReadonlyMap<number, Attribute['kind']> = new Map(
  Object.entries(ATTRIBUTE_TYPE).map(([kind, code]) => [code, kind as Attribute['kind']]),
);

function decodeAttribute(proto: AttributeProto, place: string, around: Surroundings): Attribute {
  const kind = KIND.get(proto.type ?? 0) ?? (proto.type ? undefined : kindByPresence(proto));
  if (!kind || proto.refAttrName || (kind === 'tensor' && !proto.t) || (kind === 'graph' && !proto.g)) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `An attribute of type ${proto.type ?? 0} is not read.`, {
      place,
    });
  }
  switch (kind) {
    case 'float':
      return { kind, value: proto.f ?? 0 };
    case 'int':
      return { kind, value: toNumber(proto.i ?? 0) };
    case 'string':
      return { kind, value: decodeText(proto.s ?? new Uint8Array(), place) };
    case 'floats':
      return { kind, value: proto.floats ?? [] };
    case 'ints':
      return { kind, value: (proto.ints ?? []).map(toNumber) };
    case 'strings':
      return { kind, value: (proto.strings ?? []).map((bytes) => decodeText(bytes, place)) };
    case 'tensor':
      return { kind, value: decodeTensor(proto.t!, proto.t!.name || place, around.external) };
    case 'graph':
      return { kind, value: decodeGraph(proto.g!, { ...around, metadata: {} }) };
  }
}

/** The kind of an attribute whose file is older than the `type` field: that of the field that is there. */
function kindByPresence(proto: AttributeProto): Attribute['kind'] | undefined {
  const fields = { f: 'float', i: 'int', s: 'string', t: 'tensor', g: 'graph' } as const;
  for (const [field, kind] of Object.entries(fields)) if (Object.hasOwn(proto, field)) return kind;
  return (['floats', 'ints', 'strings'] as const).find((field) => (proto[field]?.length ?? 0) > 0);
}

import { TandemError } from '../errors.js';
import { type Dim, sizeOf, type Tensor, type ValueInfo } from '../graph/types.js';

/** What the graph's named dimensions (`batch`, `tokens`) are in one run. */
export type Bindings = ReadonlyMap<string, number>;

/**
 * Checks tensors against the inputs that the graph declares, and learns its named dimensions from them.
 * @throws TANDEM_FEED_INVALID for a missing or unknown input, a wrong type, rank or dimension, or two values for one
 *   named dimension
 */
export function bindFeeds(inputs: readonly ValueInfo[], feeds: Readonly<Record<string, Tensor>>): Bindings {
  const names = inputs.map(({ name }) => name);
  for (const name of Object.keys(feeds)) {
    if (!names.includes(name)) throw invalid(name, `The graph has no input "${name}".`, `Feed: ${names.join(', ')}.`);
  }
  const bindings = new Map<string, number>();
  for (const input of inputs) {
    const feed = feeds[input.name];
    if (!feed) throw invalid(input.name, `Input "${input.name}" is missing.`, `Feed ${describe(input)}.`);
    bind(input, feed, bindings);
  }
  return bindings;
}

function bind(input: ValueInfo, feed: Tensor, bindings: Map<string, number>): void {
  const fits =
    feed.dtype === input.dtype &&
    feed.data.length === sizeOf(feed.shape) &&
    (!input.shape ||
      (input.shape.length === feed.shape.length &&
        input.shape.every((dim, axis) => typeof dim === 'string' || dim === feed.shape[axis])));
  if (!fits) {
    const given = `${feed.dtype} [${feed.shape.join(', ')}] with ${feed.data.length} elements`;
    throw invalid(input.name, `Input "${input.name}" is given ${given}.`, `Feed ${describe(input)}.`);
  }
  input.shape?.forEach((dim, axis) => {
    if (typeof dim !== 'string' || dim === '') return;
    const size = feed.shape[axis]!;
    const before = bindings.get(dim);
    if (before !== undefined && before !== size) {
      const message = `Input "${input.name}" has ${size} for "${dim}", another input has ${before}.`;
      throw invalid(input.name, message, `Give every input the same "${dim}".`);
    }
    bindings.set(dim, size);
  });
}

/** The shape in one run; undefined where it depends on the data. */
export function resolveShape(shape: readonly Dim[] | undefined, bindings: Bindings): number[] | undefined {
  const resolved = shape?.map((dim) => (typeof dim === 'number' ? dim : bindings.get(dim)));
  return resolved?.every((dim) => dim !== undefined) ? (resolved as number[]) : undefined;
}

const describe = ({ name, dtype, shape }: ValueInfo): string => `"${name}" as ${dtype} [${shape?.join(', ') ?? '…'}]`;

const invalid = (input: string, message: string, remedy: string): TandemError =>
  new TandemError('TANDEM_FEED_INVALID', message, { place: `input ${input}`, remedy });

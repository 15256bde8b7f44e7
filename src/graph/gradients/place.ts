import type { GradientBuilder } from './builder.js';

/**
 * `value` at its place among zeros in the shape of `like`.
 * @param starts where it begins, by axis ≥ 0; negative counts from the axis' end, and missing axes begin at 0
 */
export function placed(b: GradientBuilder, value: string, like: string, starts: ReadonlyMap<number, number>): string {
  const shape = b.shapeOf(like);
  const [full, part] = [b.staticShape(like), b.staticShape(value)];
  if (full && part) {
    const head = full.map((size, axis) => {
      const start = starts.get(axis) ?? 0;
      return Math.min(size, Math.max(0, start < 0 ? start + size : start));
    });
    const tail = full.map((size, axis) => size - part[axis]! - head[axis]!);
    return [...head, ...tail].every((amount) => amount === 0)
      ? value
      : b.op('Pad', [value, b.ints([...head, ...tail])]);
  }
  const heads = shape.map((size, axis) => {
    const start = starts.get(axis) ?? 0;
    if (start >= 0) return b.ints([start]);
    if (typeof size === 'number') return b.ints([Math.max(0, start + size)]);
    return b.op('Max', [b.add(b.dim(like, axis), b.ints([start])), b.ints([0])]);
  });
  const tails = shape.map((size, axis) => {
    if (!starts.has(axis) && size === b.shapeIfKnown(value)?.[axis]) return b.ints([0]);
    return b.sub(b.sub(b.dim(like, axis), b.dim(value, axis)), heads[axis]!);
  });
  return b.op('Pad', [value, b.concatInts([...heads, ...tails])]);
}

import type { Dim } from '../types.js';
import { type Contents, type Shape, type ShapeContext, type ShapeRule, show } from './context.js';

/** data's shape with the indexed axis replaced by the shape of the indices. */
export const gather: ShapeRule = (c) => {
  const [data, index] = [c.shape(0), c.shape(1)];
  c.requireRank(data, 1, 'The data');
  if (!data || !index) return [c.type(c.dtype(0), undefined)];
  const axis = c.axis(c.int('axis', 0), data.length);
  const shape = [...data.slice(0, axis), ...index, ...data.slice(axis + 1)];
  return [c.type(c.dtype(0), shape, data.length === 1 ? picked(c) : undefined)];
};

function picked(c: ShapeContext): Contents | undefined {
  const contents = c.contents(0);
  if (!contents) return undefined;
  return c.constantInts(1)?.map((at) => contents[at < 0 ? at + contents.length : at]);
}

/** The shape of the indices. */
export const gatherElements: ShapeRule = (c) => {
  sameRank(c, c.shape(0), c.shape(1));
  return [c.type(c.dtype(0), c.shape(1))];
};

/** indices [b…, i…, k] into data [b…, d…] → [b…, i…, d after the first k]. */
export const gatherND: ShapeRule = (c) => {
  const [data, index] = [c.shape(0), c.shape(1)];
  c.requireRank(index, 1, 'The indices');
  const depth = index?.at(-1);
  const batch = c.int('batch_dims', 0);
  if (!data || !index || typeof depth !== 'number') return [c.type(c.dtype(0), undefined)];
  if (batch + depth > data.length) c.fail(`Indices of length ${depth} do not fit data of shape ${show(data)}.`);
  return [c.type(c.dtype(0), [...index.slice(0, -1), ...data.slice(batch + depth)])];
};

/** The shape of the data. */
export const scatter: ShapeRule = (c) => {
  sameRank(c, c.shape(0), c.shape(1));
  sameRank(c, c.shape(1), c.shape(2));
  return [c.type(c.dtype(0), c.shape(0))];
};

export const scatterND: ShapeRule = (c) => {
  c.requireRank(c.shape(1), 1, 'The indices');
  return [c.type(c.dtype(0), c.shape(0))];
};

function sameRank(c: ShapeContext, a: Shape, b: Shape): void {
  if (a && b && a.length !== b.length) c.fail(`The shapes ${show(a)} and ${show(b)} differ in rank.`);
}

/** [rank, number of elements that are not zero]. */
export const nonZero: ShapeRule = (c) => [c.type('int64', [c.shape(0)?.length ?? c.fresh(0), c.fresh(1)])];

export const oneHot: ShapeRule = (c) => {
  const index = c.shape(0);
  if (!index) return [c.type(c.dtype(2), undefined)];
  const axis = c.axis(c.int('axis', -1), index.length + 1);
  const depth = c.contents(1)?.[0] ?? c.fresh(axis);
  return [c.type(c.dtype(2), [...index.slice(0, axis), depth, ...index.slice(axis)])];
};

export const topK: ShapeRule = (c) => {
  const shape = c.shape(0);
  c.requireRank(shape, 1, 'The input');
  if (!shape) return [c.type(c.dtype(0), undefined), c.type('int64', undefined)];
  const axis = c.axis(c.int('axis', -1), shape.length);
  const k = (c.has(1) ? c.contents(1)?.[0] : c.int('k', undefined)) ?? c.fresh(axis);
  const result = shape.map((dim, at): Dim => (at === axis ? k : dim));
  return [c.type(c.dtype(0), result), c.type('int64', result)];
};

export const trilu: ShapeRule = (c) => {
  c.requireRank(c.shape(0), 2, 'The input');
  return [c.type(c.dtype(0), c.shape(0))];
};

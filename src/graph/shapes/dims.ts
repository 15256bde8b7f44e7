import type { Dim } from '../types.js';

/**
 * Arithmetic of symbolic dimensions. A product of named dimensions is itself written as a name, `2*batch*heads`: an
 * optional leading number, then the factors in alphabetical order. Equal products thus have equal names. A name that
 * is not such a product (an exporter's `past + 1`) is compared as it stands but takes no part in products.
 */
interface Product {
  readonly coefficient: number;
  readonly factors: readonly string[];
}

const PRODUCT = /^[\w.:/-]+(\*[\w.:/-]+)*$/;

function parse(dim: Dim): Product | undefined {
  if (typeof dim === 'number') return { coefficient: dim, factors: [] };
  if (!PRODUCT.test(dim)) return undefined;
  const factors = dim.split('*');
  const leading = factors.length > 1 && /^\d+$/.test(factors[0]!);
  return leading ? { coefficient: Number(factors[0]), factors: factors.slice(1) } : { coefficient: 1, factors };
}

function format({ coefficient, factors }: Product): Dim {
  if (factors.length === 0 || coefficient === 0) return coefficient;
  const named = [...factors].sort().join('*');
  return coefficient === 1 ? named : `${coefficient}*${named}`;
}

/** The known factor of a symbolic product, 12 of `12*batch`; undefined for other dimensions. */
export function knownFactor(dim: Dim): number | undefined {
  const product = typeof dim === 'string' ? parse(dim) : undefined;
  return product && product.coefficient > 1 ? product.coefficient : undefined;
}

/** Product of dimensions (1 for none); undefined when one of them cannot be part of a product. */
export function multiplyDims(dims: readonly Dim[]): Dim | undefined {
  const proper = dims.filter((dim) => dim !== 1);
  if (proper.length === 1) return proper[0];
  let coefficient = 1;
  const factors: string[] = [];
  for (const dim of proper) {
    const part = parse(dim);
    if (!part) return undefined;
    coefficient *= part.coefficient;
    factors.push(...part.factors);
  }
  return format({ coefficient, factors });
}

/** The exact quotient of two dimensions; undefined when it is not a product of known factors. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  if (b === 1) return a;
  if (a === b && a !== 0) return 1;
  const numerator = parse(a);
  const denominator = parse(b);
  if (!numerator || !denominator || denominator.coefficient === 0) return undefined;
  const coefficient = numerator.coefficient / denominator.coefficient;
  if (!Number.isInteger(coefficient)) return undefined;
  const factors = [...numerator.factors];
  for (const factor of denominator.factors) {
    const at = factors.indexOf(factor);
    if (at < 0) return undefined;
    factors.splice(at, 1);
  }
  return format({ coefficient, factors });
}

/**
 * Quotient of two products of dimensions, for the −1 of a Reshape. Equal dimensions cancel first, so that names which
 * take no part in products still can.
 */
export function divideProducts(numerator: readonly Dim[], denominator: readonly Dim[]): Dim | undefined {
  const above = [...numerator];
  const below: Dim[] = [];
  for (const dim of denominator) {
    const at = dim === 0 ? -1 : above.indexOf(dim);
    if (at >= 0) above.splice(at, 1);
    else below.push(dim);
  }
  const a = multiplyDims(above);
  const b = multiplyDims(below);
  return a === undefined || b === undefined ? undefined : divideDims(a, b);
}

/**
 * One dimension of a broadcast: 'mismatch' when two sizes can never fit, undefined when two names may or may not be
 * equal at run time.
 */
export function broadcastDim(a: Dim, b: Dim): Dim | 'mismatch' | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === 'number') return typeof b === 'number' ? 'mismatch' : a;
  return typeof b === 'number' ? b : undefined;
}

/** The numbers of one AdamW update; each is used as float32. */
export interface AdamWUpdate {
  /** Factor on the gradients: clipping, and the mean over accumulated batches. */
  readonly scale: number;
  readonly beta1: number;
  readonly beta2: number;
  /** η / (1 − β₁ᵗ): the learning rate with the first moment's bias correction. */
  readonly rate: number;
  /** 1 / √(1 − β₂ᵗ): the second moment's bias correction. */
  readonly root: number;
  readonly epsilon: number;
  /** 1 − η·λ: decoupled weight decay. */
  readonly decay: number;
}

/** Smallest normal float32. */
const NORMAL = 2 ** -126;

/**
 * One step of AdamW (Loshchilov and Hutter, ICLR 2019, algorithm 2), in place:
 *   g' = scale·g;  m = β₁m + (1−β₁)g';  v = β₂v + (1−β₂)g'²;  p = decay·p − rate·m / (root·√v + ε)
 * every operation rounded to float32. Moments below the smallest normal number become 0: rounding would stop their
 * decay there for good, and arithmetic on such numbers is many times slower on common processors.
 */
export function adamwReference(
  p: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  update: AdamWUpdate,
): void {
  const f = Math.fround;
  const scale = f(update.scale);
  const [beta1, rest1] = [f(update.beta1), f(1 - update.beta1)];
  const [beta2, rest2] = [f(update.beta2), f(1 - update.beta2)];
  const [rate, root, epsilon, decay] = [f(update.rate), f(update.root), f(update.epsilon), f(update.decay)];
  for (let i = 0; i < p.length; i++) {
    const gradient = f(scale * g[i]!);
    const first = f(f(beta1 * m[i]!) + f(rest1 * gradient));
    const second = f(f(beta2 * v[i]!) + f(rest2 * f(gradient * gradient)));
    m[i] = Math.abs(first) >= NORMAL ? first : 0;
    v[i] = second >= NORMAL ? second : 0;
    const divisor = f(f(f(Math.sqrt(v[i]!)) * root) + epsilon);
    p[i] = f(f(decay * p[i]!) - f(rate * f(m[i]! / divisor)));
  }
}

/** Σ g² */
export function sumOfSquaresReference(g: Float32Array): number {
  let sum = 0;
  for (const value of g) sum += value * value;
  return sum;
}

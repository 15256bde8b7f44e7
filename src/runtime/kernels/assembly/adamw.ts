// AdamW over flat float32 arrays, four parameters at a time. Pointers are byte offsets and multiples of 16; counts are
// multiples of 4. adamw-reference.ts is the plain counterpart, equal bit for bit.

/** Σ g² in float64, where squares of float32 are exact: neither a huge nor a tiny gradient is lost. */
export function sumOfSquares(g: usize, count: usize): f64 {
  let even: v128 = f64x2.splat(0);
  let odd: v128 = f64x2.splat(0);
  const end = g + (count << 2);
  for (; g < end; g += 16) {
    const x = v128.load(g);
    const low = f64x2.promote_low_f32x4(x);
    const high = f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 1));
    even = f64x2.add(even, f64x2.mul(low, low));
    odd = f64x2.add(odd, f64x2.mul(high, high));
  }
  const sum = f64x2.add(even, odd);
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** sum += g */
export function accumulate(sum: usize, g: usize, count: usize): void {
  const end = g + (count << 2);
  for (; g < end; g += 16, sum += 16) v128.store(sum, f32x4.add(v128.load(sum), v128.load(g)));
}

/** One update of parameters p with gradients g and moments m, v; adamw-reference.ts says what it computes. */
export function adamw(
  p: usize,
  g: usize,
  m: usize,
  v: usize,
  count: usize,
  scale: f32,
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
  rate: f32,
  root: f32,
  epsilon: f32,
  decay: f32,
): void {
  const scales = f32x4.splat(scale);
  const betas1 = f32x4.splat(beta1);
  const rests1 = f32x4.splat(rest1);
  const betas2 = f32x4.splat(beta2);
  const rests2 = f32x4.splat(rest2);
  const rates = f32x4.splat(rate);
  const roots = f32x4.splat(root);
  const epsilons = f32x4.splat(epsilon);
  const decays = f32x4.splat(decay);
  const normal = f32x4.splat(1.1754943508222875e-38);
  const end = p + (count << 2);
  for (; p < end; p += 16, g += 16, m += 16, v += 16) {
    const gradient = f32x4.mul(scales, v128.load(g));
    const first = f32x4.add(f32x4.mul(betas1, v128.load(m)), f32x4.mul(rests1, gradient));
    const second = f32x4.add(f32x4.mul(betas2, v128.load(v)), f32x4.mul(rests2, f32x4.mul(gradient, gradient)));
    const m1 = v128.and(first, f32x4.ge(f32x4.abs(first), normal));
    const v1 = v128.and(second, f32x4.ge(second, normal));
    v128.store(m, m1);
    v128.store(v, v1);
    const divisor = f32x4.add(f32x4.mul(f32x4.sqrt(v1), roots), epsilons);
    v128.store(p, f32x4.sub(f32x4.mul(decays, v128.load(p)), f32x4.mul(rates, f32x4.div(m1, divisor))));
  }
}

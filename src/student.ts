/** Student's t distribution, for whole degrees of freedom. */

/** Probability of |T| ≤ t: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4. */
export function studentWithin(t: number, degrees: number): number {
  const angle = Math.atan(t / Math.sqrt(degrees));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const odd = degrees % 2 === 1;
  let [sum, term] = [0, odd ? cosine : 1];
  for (let power = odd ? 1 : 0; power <= degrees - 2; power += 2) {
    sum += term;
    term *= (cosine ** 2 * (power + 1)) / (power + 2);
  }
  return odd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}

/** What T stays below with a probability from 0.5 to 1. @param degrees of freedom, at least 1 */
export function studentQuantile(probability: number, degrees: number): number {
  const within = 2 * probability - 1;
  let [low, high] = [0, 1];
  while (studentWithin(high, degrees) < within) high *= 2;
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, degrees) < within) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Halves the error to below that of float64. */
const BISECTIONS = 60;

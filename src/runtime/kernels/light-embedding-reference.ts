/**
 * What the light output embedding computes, plainly. ToEx (IEEE TC 2024) names it without a formula; the binarised rows with
 * a scale each are those of XNOR-Net (Rastegari et al., ECCV 2016): z_v = a_v · Σ_i sign(W_vi)·ĥ_i with a_v the mean of
 * |W_v| and sign(0) = 1. ĥ is rounded to 14 bits first: q_i = round(ĥ_i · 8191 / max|ĥ|).
 */
export const LARGEST = 8191;

/** @returns the integers, and the factor that makes them ĥ again */
export function quantised(state: Float32Array): { readonly values: Int16Array; readonly step: number } {
  let largest = 0;
  for (const value of state) largest = Math.max(largest, Math.abs(value));
  const factor = largest > 0 ? LARGEST / largest : 0;
  return {
    values: Int16Array.from(state, (value) => Math.round(value * factor)),
    step: factor > 0 ? 1 / factor : 0,
  };
}

/** Mean of |W_v| for each row of words [vocabulary, hidden]. */
export function rowScales(words: Float32Array, hidden: number): Float32Array {
  return Float32Array.from({ length: words.length / hidden }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < hidden; i++) sum += Math.abs(words[row * hidden + i]!);
    return sum / hidden;
  });
}

/** Coarse scores of all words, in units of the step of `values`; each rounded to float32 like its factors. */
export function lightScoresReference(words: Float32Array, values: Int16Array): Float32Array {
  const hidden = values.length;
  return rowScales(words, hidden).map((scale, row) => {
    let sum = 0;
    for (let i = 0; i < hidden; i++) sum += words[row * hidden + i]! < 0 ? -values[i]! : values[i]!;
    return Math.fround(Math.fround(sum) * scale);
  });
}

import { LightScores } from '../kernels/light-embedding.js';
import { quantised } from '../kernels/light-embedding-reference.js';
import type { Choices } from './exit-types.js';

/** The light output embedding: signs of all rows choose candidates, and only theirs are multiplied exactly. */
export class LightEmbedding {
  readonly #scores: LightScores;

  /**
   * @param words output embedding [vocabulary, hidden]
   * @param candidates words whose logits are computed; all of them where there are fewer
   */
  constructor(
    readonly words: Float32Array,
    readonly hidden: number,
    readonly candidates: number,
  ) {
    this.#scores = new LightScores(words, hidden);
  }

  /** @param normed the state behind the final norm [hidden] */
  choices(normed: Float32Array): Choices {
    const ids = largest(this.#scores.of(quantised(normed).values), this.candidates);
    const logits = new Float32Array(ids.length);
    for (let i = 0; i < ids.length; i++) logits[i] = dot(this.words, ids[i]! * this.hidden, normed);
    return { ids, logits };
  }
}

/** The product of a row that starts somewhere with a vector; four sums, so that no addition waits for the one before. */
function dot(rows: Float32Array, start: number, vector: Float32Array): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const whole = vector.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    a += rows[start + i]! * vector[i]!;
    b += rows[start + i + 1]! * vector[i + 1]!;
    c += rows[start + i + 2]! * vector[i + 2]!;
    d += rows[start + i + 3]! * vector[i + 3]!;
  }
  for (let i = whole; i < vector.length; i++) a += rows[start + i]! * vector[i]!;
  return a + b + (c + d);
}

/** Indices of the largest values, in ascending order; of equal values the earlier ones. */
export function largest(values: Float32Array, count: number): Int32Array {
  if (count >= values.length) return Int32Array.from(values.keys());
  // A heap whose root is the smallest kept value: most values fall short of it and cost one comparison.
  const heap = Int32Array.from({ length: count }, (_, i) => i);
  /** Which of two is given up first: the smaller, of equals the later. */
  const first = (a: number, b: number) => values[a]! < values[b]! || (values[a] === values[b] && a > b);
  const sink = (at: number) => {
    for (let parent = at; ; ) {
      let child = 2 * parent + 1;
      if (child >= count) return;
      if (child + 1 < count && first(heap[child + 1]!, heap[child]!)) child++;
      if (!first(heap[child]!, heap[parent]!)) return;
      [heap[parent], heap[child]] = [heap[child]!, heap[parent]!];
      parent = child;
    }
  };
  for (let at = (count >> 1) - 1; at >= 0; at--) sink(at);
  for (let index = count; index < values.length; index++) {
    if (values[index]! <= values[heap[0]!]!) continue;
    heap[0] = index;
    sink(0);
  }
  return heap.sort();
}

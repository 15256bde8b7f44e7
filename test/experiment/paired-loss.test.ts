/** What paired predictions say of the loss of accuracy, and which points of a search they confirm. */
import fc from 'fast-check';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { describe, expect, it } from 'vitest';
import { confirmInOrder, stepsOfCost } from '../../src/experiment/confirmation.js';
import { largestLoss, type PairedCounts, pairedCounts, scoreStatistic } from '../../src/experiment/paired-loss.js';

const counts = fc
  .record({ lost: fc.nat(40), gained: fc.nat(40), same: fc.integer({ min: 1, max: 400 }) })
  .map(({ lost, gained, same }): PairedCounts => ({ examples: lost + gained + same, lost, gained }));

/** The statistic with the likeliest probability of a gain found by trying many. */
function byTrying({ examples: n, lost, gained }: PairedCounts, loss: number): number {
  const same = n - lost - gained;
  const term = (count: number, probability: number) => (count === 0 ? 0 : count * Math.log(probability));
  const likelihood = (q: number) => term(lost, q + loss) + term(gained, q) + term(same, 1 - 2 * q - loss);
  let [low, high] = [Math.max(0, -loss), (1 - loss) / 2];
  while (high - low > 1e-13) {
    const [a, b] = [low + (high - low) / 3, high - (high - low) / 3];
    if (likelihood(a) < likelihood(b)) low = a;
    else high = b;
  }
  const q = (low + high) / 2;
  return (lost - gained - n * loss) / Math.sqrt(n * (2 * q + loss - loss ** 2));
}

describe('the loss of accuracy on the same examples', () => {
  it('counts what was lost and what was gained', () => {
    expect(pairedCounts([0, 1, 1, 0, 2], [0, 1, 0, 1, 2], [0, 0, 1, 2, 1])).toEqual({
      examples: 5,
      lost: 2,
      gained: 1,
    });
  });

  it('has the score statistic of the likeliest probabilities', () => {
    fc.assert(
      fc.property(counts, fc.double({ min: -0.3, max: 0.5, noNaN: true }), (paired, loss) => {
        fc.pre(Math.abs(loss) > 1e-3);
        expect(scoreStatistic(paired, loss)).toBeCloseTo(byTrying(paired, loss), 4);
      }),
    );
  });

  it('is at most what that statistic makes just too unlikely, and more the surer one wants to be', () => {
    fc.assert(
      fc.property(counts, fc.double({ min: 0.5, max: 0.99, noNaN: true }), (paired, confidence) => {
        const atMost = largestLoss(paired, confidence);
        expect(atMost).toBeGreaterThanOrEqual((paired.lost - paired.gained) / paired.examples);
        expect(largestLoss(paired, 0.995)).toBeGreaterThanOrEqual(atMost);
      }),
    );
  });

  it('is z² / (n + z²) where no prediction changed', () => {
    const z = 1.6449;
    for (const examples of [20, 163, 1000]) {
      expect(largestLoss({ examples, lost: 0, gained: 0 }, 0.95)).toBeCloseTo(z ** 2 / (examples + z ** 2), 3);
    }
  });

  it('covers the true loss as often as it says', () => {
    const generator = xoroshiro128plus(1);
    const [samples, examples, pLost, pGained] = [3000, 300, 0.06, 0.04];
    let covered = 0;
    for (let sample = 0; sample < samples; sample++) {
      let [lost, gained] = [0, 0];
      for (let example = 0; example < examples; example++) {
        const u = uniformFloat64(generator);
        if (u < pLost) lost++;
        else if (u < pLost + pGained) gained++;
      }
      if (largestLoss({ examples, lost, gained }, 0.9) >= pLost - pGained) covered++;
    }
    // Four standard errors of the share, and what the discreteness of counts adds.
    expect(Math.abs(covered / samples - 0.9)).toBeLessThan(0.03);
  });
});

const trials = fc.array(
  fc.record({
    point: fc.tuple(fc.nat(1000)),
    cost: fc.integer({ min: 1, max: 600 }).map((cost) => cost / 500),
    atMost: fc.integer({ min: 0, max: 20 }).map((lost) => lost / 20),
  }),
  { minLength: 1, maxLength: 40 },
);

describe('the points of a search that are confirmed', () => {
  it('fall in cost, and leave no trial that is safer and costs as much within a step of three tenths', () => {
    fc.assert(
      fc.property(trials, (all) => {
        const steps = stepsOfCost(all);
        for (const [at, { cost }] of steps.slice(1).entries()) expect(cost).toBeLessThan(steps[at]!.cost);
        for (const trial of all.filter(({ cost }) => cost < 1)) {
          const near = steps.filter(({ cost }) => cost / trial.cost > 0.7 && trial.cost / cost > 0.7);
          expect(near.some(({ atMost }) => atMost <= trial.atMost)).toBe(true);
        }
        expect(steps.every((step) => all.includes(step) && step.cost < 1)).toBe(true);
      }),
    );
  });

  it('are as few as the steps of cost: two between 1 and a half', () => {
    const costs = Array.from({ length: 50 }, (_, at) => 0.5 + at / 100);
    expect(stepsOfCost(costs.map((cost) => ({ cost, atMost: 1 - cost })))).toHaveLength(2);
  });

  it('are the cheaper ones where several are as safe', () => {
    expect(stepsOfCost([0.9, 0.8, 0.85].map((cost) => ({ cost, atMost: 0.001 })))).toEqual([
      { cost: 0.8, atMost: 0.001 },
    ]);
  });

  it('end before the first that fails, however good the later ones look', async () => {
    const points = [0, 1, 2, 3].map((at) => ({ point: [at], cost: 1 / (at + 1) }));
    const lost = [0, 2, 30, 0];
    const compare = async ({ point: [at] }: (typeof points)[number]) => ({
      atMost: largestLoss({ examples: 1000, lost: lost[at!]!, gained: 0 }, 0.95),
    });
    const { passed, tests } = await confirmInOrder(points, 0.01, compare);
    expect(passed!.trial).toBe(points[1]);
    expect(passed!.found.atMost).toBeLessThanOrEqual(0.01);
    expect(tests.map(({ cost }) => cost)).toEqual([1, 1 / 2, 1 / 3]);
    expect(tests[2]!.atMost).toBeGreaterThan(0.01);
  });

  it('are none where the first fails', async () => {
    const compare = async () => ({ atMost: largestLoss({ examples: 50, lost: 0, gained: 0 }, 0.95) });
    const { passed, tests } = await confirmInOrder([{ cost: 1 }, { cost: 0.5 }], 0.01, compare);
    expect(passed).toBeUndefined();
    expect(tests).toHaveLength(1);
  });
});

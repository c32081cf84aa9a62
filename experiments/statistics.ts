/** What repeated runs say about a difference. Used by verdicts; knows no experiment. */

/** A mean with its 95% confidence interval. */
export interface Estimate {
  mean: number;
  /** Student's t; from −∞ to ∞ where there is one value only. */
  interval: [number, number];
  values: number[];
}

/** 97.5% quantiles of Student's t distribution for 1 to 30 degrees of freedom (any table of it). */
// deno-fmt-ignore
const T_975 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
  2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Mean of independent values, with the interval in which the mean of many more would lie. */
export function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  if (n === 0) throw new Error("there is no value to estimate from");
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  if (n < 2) return { mean, interval: [-Infinity, Infinity], values: [...values] };
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1);
  // Beyond 30 degrees of freedom the quantile of 30 is a little too careful, which does no harm.
  const half = T_975[Math.min(n - 1, T_975.length) - 1] * Math.sqrt(variance / n);
  return { mean, interval: [mean - half, mean + half], values: [...values] };
}

/**
 * The mean difference of two conditions' accuracies, paired by seed. Its interval holds both what another seed would
 * change and what another sample of `examples` validation examples would; the latter as if the two conditions had been
 * measured on different examples, which is too careful, as most of that difference is shared.
 */
export function accuracyDifference(a: readonly number[], b: readonly number[], examples: number): Estimate {
  const { mean, interval, values } = estimate(a.map((x, i) => x - b[i]));
  const share = (of: readonly number[]) => of.reduce((sum, x) => sum + x, 0) / of.length;
  const sampling = [share(a), share(b)].reduce((sum, p) => sum + p * (1 - p) / examples, 0);
  const half = Math.hypot(interval[1] - mean, 1.96 * Math.sqrt(sampling));
  return { mean, interval: [mean - half, mean + half], values };
}

/**
 * The mean difference of two conditions' losses, a minus b, paired by seed, in an interval as careful as that of
 * {@linkcode accuracyDifference}: `error` is the standard error of a loss over its blanks.
 */
export function lossDifference(
  a: readonly { mean: number; error: number }[],
  b: readonly { mean: number; error: number }[],
): Estimate {
  const { mean, interval, values } = estimate(a.map((x, i) => x.mean - b[i].mean));
  // The blanks are the same for every seed, so that more seeds do not make this part smaller.
  const variance = (of: readonly { error: number }[]) => of.reduce((sum, { error }) => sum + error ** 2, 0) / of.length;
  const half = Math.hypot(interval[1] - mean, 1.96 * Math.sqrt(variance(a) + variance(b)));
  return { mean, interval: [mean - half, mean + half], values };
}

/**
 * Prometheus' text format, as far as a reader of a few samples needs it, and what a histogram says of a percentile.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

interface Sample {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** Counts by upper bound, each with everything below it. */
export interface Histogram {
  /** Ascending; the last is infinite. */
  readonly buckets: readonly { readonly bound: number; readonly count: number }[];
  readonly sum: number;
  readonly count: number;
}

export class Metrics {
  readonly #samples: ReadonlyMap<string, readonly Sample[]>;

  private constructor(samples: ReadonlyMap<string, readonly Sample[]>) {
    this.#samples = samples;
  }

  /** Lines that are none are left out: whatever else a page holds does not matter here. */
  static parse(text: string): Metrics {
    const samples = new Map<string, Sample[]>();
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)/.exec(line);
      if (match === null) continue;
      const [, name, labels = '', number] = match;
      const value = numberOf(number!);
      if (Number.isNaN(value)) continue;
      const its = samples.get(name!);
      const sample = { labels: labelsOf(labels), value };
      if (its === undefined) samples.set(name!, [sample]);
      else its.push(sample);
    }
    return new Metrics(samples);
  }

  /** The first sample of a name. */
  value(name: string): number | undefined {
    return this.#samples.get(name)?.[0]?.value;
  }

  /** The values that a label of a histogram has: the peers of `To`. */
  labelValues(name: string, label: string): readonly string[] {
    const samples = this.#samples.get(`${name}_count`) ?? [];
    return [...new Set(samples.flatMap(({ labels }) => labels.get(label) ?? []))];
  }

  /** Undefined when there is none, or nothing was counted. */
  histogram(name: string, label?: readonly [name: string, value: string]): Histogram | undefined {
    const of = (suffix: string) =>
      (this.#samples.get(`${name}${suffix}`) ?? []).filter(
        ({ labels }) => label === undefined || labels.get(label[0]) === label[1],
      );
    const buckets = of('_bucket')
      .map(({ labels, value }) => ({ bound: numberOf(labels.get('le') ?? ''), count: value }))
      .filter(({ bound }) => !Number.isNaN(bound))
      .sort((a, b) => a.bound - b.bound);
    const [sum, count] = [of('_sum')[0]?.value, of('_count')[0]?.value];
    if (sum === undefined || count === undefined || count === 0 || buckets.at(-1)?.bound !== Infinity) return undefined;
    return { buckets, sum, count };
  }
}

/** What was counted between two looks; undefined when nothing was, or the server has started anew. */
export function since(later: Histogram, earlier: Histogram | undefined): Histogram | undefined {
  if (earlier === undefined) return later;
  const count = later.count - earlier.count;
  if (count <= 0 || later.buckets.length !== earlier.buckets.length) return undefined;
  const buckets = later.buckets.map((bucket, i) => ({ ...bucket, count: bucket.count - earlier.buckets[i]!.count }));
  return { buckets, sum: later.sum - earlier.sum, count };
}

/**
 * As Prometheus estimates it: evenly spread within a bucket.
 * @returns `atLeast` when it lies above the last bound: more is not known
 */
export function quantile(
  { buckets, count }: Histogram,
  q: number,
): { readonly value: number; readonly atLeast: boolean } {
  const rank = q * count;
  let [below, lower] = [0, 0];
  for (const { bound, count: upTo } of buckets) {
    if (upTo >= rank) {
      if (bound === Infinity) return { value: lower, atLeast: true };
      const inside = upTo - below;
      return { value: inside === 0 ? bound : lower + ((bound - lower) * (rank - below)) / inside, atLeast: false };
    }
    [below, lower] = [upTo, bound];
  }
  return { value: lower, atLeast: true };
}

/** Go's words for what is no finite number. */
function numberOf(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return text === '' ? Number.NaN : Number(text);
}

function labelsOf(text: string): ReadonlyMap<string, string> {
  const labels = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return new Map(
    labels.map(([, name, value]) => [name!, value!.replaceAll(/\\(.)/g, (_, sign) => (sign === 'n' ? '\n' : sign))]),
  );
}

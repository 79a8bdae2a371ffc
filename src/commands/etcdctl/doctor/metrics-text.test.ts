/** What is read of a page of metrics, and what a histogram says of a percentile. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Metrics, quantile, since } from './metrics-text.ts';

const page = `# HELP x_seconds of something
# TYPE x_seconds histogram
x_seconds_bucket{le="0.001"} 90
x_seconds_bucket{le="0.002"} 98
x_seconds_bucket{le="0.004"} 100
x_seconds_bucket{le="+Inf"} 100
x_seconds_sum 0.1
x_seconds_count 100
to_seconds_bucket{To="a1",le="+Inf"} 2
to_seconds_sum{To="a1"} 4
to_seconds_count{To="a1"} 2
to_seconds_bucket{To="b\\"2",le="+Inf"} 1
to_seconds_sum{To="b\\"2"} 1
to_seconds_count{To="b\\"2"} 1
plain 2.147483648e+09
with_time{a="1"} 5 1700000000000
not a number NaN
broken{
`;

test('values, labels and histograms are read; lines that are none are passed by', () => {
  const metrics = Metrics.parse(page);
  assert.equal(metrics.value('plain'), 2 ** 31);
  assert.equal(metrics.value('with_time'), 5);
  assert.equal(metrics.value('absent'), undefined);
  assert.deepEqual(metrics.labelValues('to_seconds', 'To'), ['a1', 'b"2']);
  assert.equal(metrics.histogram('to_seconds', ['To', 'a1'])?.sum, 4);
  assert.equal(metrics.histogram('absent'), undefined);
});

test('a percentile lies within its bucket; above the last bound only that bound is known', () => {
  const histogram = Metrics.parse(page).histogram('x_seconds')!;
  assert.deepEqual(quantile(histogram, 0.99), { value: 0.003, atLeast: false });
  assert.deepEqual(quantile(histogram, 0.45), { value: 0.0005, atLeast: false });
  const slow = Metrics.parse('y_bucket{le="1"} 1\ny_bucket{le="+Inf"} 100\ny_sum 500\ny_count 100').histogram('y')!;
  assert.deepEqual(quantile(slow, 0.99), { value: 1, atLeast: true });
});

test('between two looks only what is new counts; after a restart nothing is known', () => {
  const at = (low: number, all: number) =>
    Metrics.parse(`y_bucket{le="1"} ${low}\ny_bucket{le="+Inf"} ${all}\ny_sum ${all}\ny_count ${all}`).histogram('y')!;
  assert.deepEqual(since(at(5, 9), at(4, 6)), {
    buckets: [
      { bound: 1, count: 1 },
      { bound: Infinity, count: 3 },
    ],
    sum: 3,
    count: 3,
  });
  assert.equal(since(at(4, 6), at(4, 6)), undefined);
  assert.equal(since(at(0, 1), at(4, 6)), undefined);
});

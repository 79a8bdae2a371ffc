/** URLs to listen on: what they name, and which share an address. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenAddresses } from './listen-url.ts';

test('http and https, or the same twice, on one address are one listener', () => {
  assert.deepEqual(
    listenAddresses(['http://a:1', 'https://a:1', 'http://a:2', 'http://a:2', 'https://b:1', 'unix://s', 'unixs://s']),
    [
      { address: { host: 'a', port: 1 }, secureUrl: 'https://a:1', plain: true },
      { address: { host: 'a', port: 2 }, secureUrl: undefined, plain: true },
      { address: { host: 'b', port: 1 }, secureUrl: 'https://b:1', plain: false },
      { address: { path: 's' }, secureUrl: 'unixs://s', plain: true },
    ],
  );
});

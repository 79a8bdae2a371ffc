/** Addresses and prefixes: what is read is what is written, and what is malformed is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressAt, formatAddress, formatPrefix, parseAddress, parsePrefix, prefixContains } from './ip-address.ts';

test('every address survives a round trip', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) =>
      parseAddress(formatAddress(bytes)).equals(bytes),
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) =>
      parseAddress(formatAddress(bytes)).equals(bytes),
    ),
  );
});

test('IPv6 is written as RFC 5952 wants it', () => {
  assert.equal(formatAddress(parseAddress('2001:0DB8:0:0:0:0:0:1')), '2001:db8::1');
  assert.equal(formatAddress(parseAddress('::ffff:10.0.0.1')), '::ffff:a00:1');
  assert.equal(formatAddress(parseAddress('::')), '::');
});

test('malformed addresses are refused by name', () => {
  for (const text of ['', '1.2.3', '1.2.3.256', '01.2.3.4', '1::2::3', ':::', '1:2:3:4:5:6:7:8:9', 'g::'])
    assert.throws(() => parseAddress(text), new RegExp(JSON.stringify(text).replace(/[.]/g, '\\.')));
  for (const text of ['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1']) assert.throws(() => parsePrefix(text));
});

test('a prefix clears host bits, contains its own, and counts its addresses', () => {
  const prefix = parsePrefix('10.42.7.9/24');
  assert.equal(formatPrefix(prefix), '10.42.7.0/24');
  assert.equal(prefixContains(prefix, parseAddress('10.42.7.255')), true);
  assert.equal(prefixContains(prefix, parseAddress('10.42.8.0')), false);
  assert.equal(formatAddress(addressAt(prefix, 255n)!), '10.42.7.255');
  assert.equal(addressAt(prefix, 256n), undefined);
});

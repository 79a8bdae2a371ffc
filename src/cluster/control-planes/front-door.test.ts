/** The door of one apiserver: closed while it cannot serve, open again when it can, and patient with a port that somebody else has meanwhile. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import test from 'node:test';
import { drainIo } from '#host/event-loop.ts';
import { createAuthority } from '#pki/certificate-authority.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { freePorts } from '#testkit/etcd-process.ts';
import { FrontDoor } from './front-door.ts';

const host = '127.0.0.1';

test('a door closes at the second miss in time, and asks for its port once an interval until it has it again', async () => {
  const clock = new VirtualClock();
  const authority = await createAuthority({ commonName: 'ca' }, { clock, prng: seededPrng(1) });
  const pair = await authority.issue({ commonName: 'apiserver', ipAddresses: [host], usages: ['server'] });
  const [port] = await freePorts(1);
  let ready = true;
  let checks = 0;
  const said: string[] = [];
  await using door = await FrontDoor.open({
    ...{ hosts: [host], port: port!, tls: pair, clock },
    handler: async () => ({ status: 200, headers: [], body: new Uint8Array() }),
    check: async () => {
      checks++;
      if (!ready) throw new Error('no quorum');
    },
    log: (message) => said.push(message),
  });
  await drainIo();
  ready = false;
  // Misses of one moment are one miss.
  await clock.advance(500, drainIo);
  assert.equal(door.isOpen, true);
  await clock.advance(500, drainIo);
  assert.equal(door.isOpen, false);
  assert.deepEqual(said, ['not ready: new connections go to others']);

  const stranger = createServer().listen(port, host);
  await once(stranger, 'listening');
  ready = true;
  checks = 0;
  await clock.advance(2000, drainIo);
  for (let i = 0; i < 20; i++) await drainIo();
  assert.ok(checks >= 3 && checks <= 5, `${checks} checks in 2 s`);
  assert.equal(door.isOpen, false);
  assert.equal(said.length, 2);
  assert.match(said[1]!, /cannot be opened yet/);

  stranger.close();
  await once(stranger, 'close');
  await clock.advance(1000, drainIo);
  assert.equal(door.isOpen, true);
  assert.deepEqual(said.slice(2), ['ready again: new connections are taken']);
});

/** POST /leases and /leases/internal: members that do not lead ask the leader to renew a lease, and how long one has to live (upstream: leasehttp). */
import { LeaseInternalRequest, LeaseInternalResponse } from '#api-etcd/gen/lease.ts';
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse, ResponseHeader } from '#api-etcd/gen/rpc.ts';
import type { HttpRequest, HttpResponse } from '#transport/http.ts';
import { type MessageType, ProtobufError } from '#wire/protobuf/message.ts';
import { isPeerError, PeerError, peerError } from '../peer-error.ts';
import { BodyTooLargeError, readBody } from '../read-body.ts';
import type { PathHandler, PeerServer } from './handler.ts';

const requestBytesMax = 64 << 10;

export function leaseHandler({ source }: PeerServer): PathHandler {
  return async (request) => {
    const { id } = await read(request, LeaseKeepAliveRequest);
    const ttl = await source.renewLease(id).catch((error: unknown) => {
      // Only here upstream says so with another status.
      throw isPeerError(error, 'notPrimary') ? new PeerError(400, peerError('notPrimary').message) : error;
    });
    return protobuf(LeaseKeepAliveResponse.encode(LeaseKeepAliveResponse.create({ id, ttl })));
  };
}

export function leaseInternalHandler({ source }: PeerServer): PathHandler {
  return async (request) => {
    const { leaseTimeToLiveRequest } = await read(request, LeaseInternalRequest);
    if (leaseTimeToLiveRequest === undefined) throw peerError('decodingRequest');
    const { id, keys } = leaseTimeToLiveRequest;
    const answer = await source.leaseTimeToLive(id, keys);
    // A member of upstream's that asked fills the header in, and panics where there is none.
    const leaseTimeToLiveResponse = { ...answer, header: answer.header ?? ResponseHeader.create() };
    return protobuf(LeaseInternalResponse.encode({ leaseTimeToLiveResponse }));
  };
}

/** @throws PeerError */
async function read<T>({ method, body }: HttpRequest, type: MessageType<T>): Promise<T> {
  // Upstream says nothing of what is allowed here.
  if (method !== 'POST') throw peerError('methodNotAllowed');
  try {
    return type.decode(await readBody(body, requestBytesMax));
  } catch (error) {
    if (error instanceof BodyTooLargeError) throw peerError('bodyTooLarge');
    throw peerError(error instanceof ProtobufError ? 'decodingRequest' : 'readingBody');
  }
}

function protobuf(body: Buffer): HttpResponse {
  return { status: 200, headers: [['content-type', 'application/protobuf']], body };
}

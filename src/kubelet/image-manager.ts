/**
 * Brings a container's image to the node as its pull policy says, one pull of an image at a time, with growing pauses
 * after failures. Upstream's reasons and messages.
 */
import { type AuthConfig, ImageSpec } from '#api-cri/gen/api.ts';
import type { ImageService } from '#cri-client/client.ts';
import { parseReference } from '#image/reference.ts';
import { orAborted } from '#kube-client/exchange.ts';
import { RpcError } from '#wire/grpc/status.ts';
import type { Backoff } from './backoff.ts';
import type { Container, Pod } from './pod.ts';
import { pullCredentials } from './pull-secrets.ts';

/** Why a container cannot have its image now: `reason` and `message` become its waiting state. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly reason: 'ErrImagePull' | 'ImagePullBackOff' | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError';

  constructor(reason: ImageError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface ImageManagerDeps {
  readonly images: ImageService;
  readonly backoff: Backoff;
  readonly monotonicMs: () => number;
  /** The pod's pull secrets by name; what is not there is left out. */
  readonly pullSecrets: (pod: Pod) => Promise<ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>>;
  /** Normal and Warning events of the pod's container. */
  readonly event: (pod: Pod, container: Container, type: 'Normal' | 'Warning', reason: string, message: string) => void;
}

export class ImageManager {
  readonly #deps: ImageManagerDeps;
  readonly #pulls = new Map<string, Pull>();
  readonly #lastFailureMs = new Map<string, { readonly atMs: number; readonly message: string }>();

  constructor(deps: ImageManagerDeps) {
    this.#deps = deps;
  }

  /**
   * @param signal gives it up; the pull goes on while another container waits for the same image
   * @returns the reference that the runtime knows the image by
   * @throws ImageError
   */
  async ensure(pod: Pod, container: Container, signal: AbortSignal): Promise<string> {
    const { images, backoff, event, monotonicMs } = this.#deps;
    const image = container.image ?? '';
    const policy = container.imagePullPolicy ?? defaultPolicy(image);
    let repository: string;
    try {
      const { domain, path } = parseReference(image);
      repository = `${domain}/${path}`;
    } catch (error) {
      const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${error instanceof Error ? error.message : String(error)}`;
      event(pod, container, 'Warning', 'InspectFailed', message);
      throw new ImageError('InvalidImageName', message);
    }
    const present = await images.imageStatus({ image: spec(image), verbose: false }).catch((error: unknown) => {
      const message = `Failed to inspect image "${image}": ${RpcError.from(error).message}`;
      event(pod, container, 'Warning', 'InspectFailed', message);
      throw new ImageError('ImageInspectError', message);
    });
    if (present.image !== undefined && policy !== 'Always') {
      event(pod, container, 'Normal', 'Pulled', `Container image "${image}" already present on machine`);
      return present.image.id;
    }
    if (policy === 'Never') {
      if (present.image !== undefined) return present.image.id;
      const message = `Container image "${image}" is not present with pull policy of Never`;
      event(pod, container, 'Warning', 'ErrImageNeverPull', message);
      throw new ImageError('ErrImageNeverPull', message);
    }
    const key = `${pod.metadata.uid}_${image}`;
    const failed = this.#lastFailureMs.get(key);
    if (failed !== undefined && backoff.remainingMs(key, failed.atMs) > 0) {
      event(pod, container, 'Normal', 'BackOff', `Back-off pulling image "${image}"`);
      throw new ImageError('ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${failed.message}`);
    }
    event(pod, container, 'Normal', 'Pulling', `Pulling image "${image}"`);
    const startMs = monotonicMs();
    try {
      const reference = await this.#pullAs(await this.#credentials(pod, container, repository), image, signal);
      this.#lastFailureMs.delete(key);
      event(
        pod,
        container,
        'Normal',
        'Pulled',
        `Successfully pulled image "${image}" in ${duration(monotonicMs() - startMs)}`,
      );
      return reference;
    } catch (error) {
      signal.throwIfAborted();
      const { message } = RpcError.from(error);
      event(pod, container, 'Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
      event(pod, container, 'Warning', 'Failed', 'Error: ErrImagePull');
      backoff.next(key);
      this.#lastFailureMs.set(key, { atMs: monotonicMs(), message });
      throw new ImageError('ErrImagePull', message);
    }
  }

  /** When a failed pull of the container's image may be tried again, in ms from now. */
  retryInMs(pod: Pod, container: Container): number {
    const key = `${pod.metadata.uid}_${container.image ?? ''}`;
    const failed = this.#lastFailureMs.get(key);
    return failed === undefined ? 0 : this.#deps.backoff.remainingMs(key, failed.atMs);
  }

  forget(podUid: string): void {
    this.#deps.backoff.forget(`${podUid}_`);
    for (const key of this.#lastFailureMs.keys()) if (key.startsWith(`${podUid}_`)) this.#lastFailureMs.delete(key);
  }

  async #credentials(pod: Pod, container: Container, repository: string): Promise<readonly AuthConfig[]> {
    const names = (pod.spec.imagePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []));
    if (names.length === 0) return [];
    const secrets = await this.#deps.pullSecrets(pod);
    const missing = names.filter((name) => !secrets.has(name));
    if (missing.length > 0)
      this.#deps.event(
        pod,
        container,
        'Warning',
        'FailedToRetrieveImagePullSecret',
        `Unable to retrieve some image pull secrets (${missing.join(', ')}); attempting to pull the image may not succeed.`,
      );
    return pullCredentials(
      repository,
      names.flatMap((name) => secrets.get(name) ?? []),
    );
  }

  /** With one after the other until one is let in; without any, as nobody. */
  async #pullAs(credentials: readonly AuthConfig[], image: string, signal: AbortSignal): Promise<string> {
    if (credentials.length === 0) return this.#pull(image, undefined, signal);
    const messages: string[] = [];
    for (const auth of credentials)
      try {
        return await this.#pull(image, auth, signal);
      } catch (error) {
        signal.throwIfAborted();
        messages.push(RpcError.from(error).message);
      }
    throw new Error(messages.length === 1 ? messages[0] : `[${messages.join(', ')}]`);
  }

  async #pull(image: string, auth: AuthConfig | undefined, signal: AbortSignal): Promise<string> {
    // Who has other credentials is not let in by these.
    const key = JSON.stringify([image, auth]);
    const pull = this.#pulls.get(key) ?? this.#startPull(key, image, auth);
    pull.waiting++;
    try {
      return await orAborted(pull.done, signal);
    } finally {
      if (--pull.waiting === 0) {
        pull.abort.abort(new Error('nobody waits for the image'));
        if (this.#pulls.get(key) === pull) this.#pulls.delete(key);
      }
    }
  }

  #startPull(key: string, image: string, auth: AuthConfig | undefined): Pull {
    const abort = new AbortController();
    const done = this.#deps.images
      .pullImage({ image: spec(image), auth, sandboxConfig: undefined }, { signal: abort.signal })
      .then(({ imageRef }) => imageRef);
    const pull = { done, abort, waiting: 0 };
    this.#pulls.set(key, pull);
    return pull;
  }
}

/** One pull of an image, and how many containers wait for it; without any it is given up. */
interface Pull {
  readonly done: Promise<string>;
  readonly abort: AbortController;
  waiting: number;
}

function spec(image: string): ImageSpec {
  return ImageSpec.create({ image, userSpecifiedImage: image });
}

/** `:latest` and no tag are always asked for anew. */
function defaultPolicy(image: string): 'Always' | 'IfNotPresent' {
  const name = image.slice(image.lastIndexOf('/') + 1);
  if (name.includes('@')) return 'IfNotPresent';
  const tag = name.split(':')[1] ?? 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

/** As Go prints a short duration: `1.234s`, `87ms`. */
function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(3).replace(/\.?0+$/, '')}s`;
}

/** PullImage: fetches and unpacks an image; answers with its id. */
import type { AuthConfig, PullImageRequest, PullImageResponse } from '#api-cri/gen/api.ts';
import type { RegistryAuth } from '#image/remote/repository.ts';
import type { CriContext } from './context.ts';
import { toRpcError } from './errors.ts';

export async function pullImage(
  context: CriContext,
  request: PullImageRequest,
  signal: AbortSignal,
): Promise<PullImageResponse> {
  const auth = registryAuth(request.auth);
  try {
    const image = await context.images.pull(request.image?.image ?? '', {
      ...(auth === undefined ? {} : { auth }),
      signal,
    });
    return { imageRef: image.id };
  } catch (error) {
    throw toRpcError(error);
  }
}

function registryAuth(auth: AuthConfig | undefined): RegistryAuth | undefined {
  if (auth === undefined) return undefined;
  return {
    ...(auth.username === '' ? {} : { username: auth.username }),
    ...(auth.password === '' ? {} : { password: auth.password }),
    ...(auth.auth === '' ? {} : { auth: auth.auth }),
    ...(auth.identityToken === '' ? {} : { identityToken: auth.identityToken }),
    ...(auth.registryToken === '' ? {} : { registryToken: auth.registryToken }),
  };
}

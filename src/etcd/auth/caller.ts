/** Who makes a request, as far as permissions are concerned. It travels in the log beside the request and is looked at again when it is applied. */

export interface Caller {
  /** Empty for nobody. */
  readonly username: string;
  /** Revision of the auth store when the caller was authenticated; 0 for nobody. */
  readonly revision: number;
}

/** Who has not said who they are: may do everything while authentication is off, and nothing after. */
export const nobody: Caller = { username: '', revision: 0 };

export const rootName = 'root';

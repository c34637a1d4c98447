/**
 * Signs in to Courier with the token of the app's token endpoint and keeps it fresh.
 *
 * One session for each Courier: starting another takes the place of the first.
 *
 * @throws TypeError if the token's URL cannot be told: in a bundle, pass `tokenUrl`.
 */
export declare function startCourierSession(options: CourierSessionOptions): CourierSession;

export interface CourierSession {
  /** `true` once signed in; `false` if the session ended before. Never rejects. */
  readonly ready: Promise<boolean>;
  /** Asks for a newer token now, or waits for the request under way. Never rejects. */
  refresh(): Promise<void>;
  /**
   * Ends it: nothing is asked any more. Courier stays signed in; where the user signs out, call
   * `Courier.shared.signOut()` as well.
   */
  stop(): void;
}

export interface CourierSessionOptions {
  /** `Courier.shared`. */
  courier: CourierSdk;
  /**
   * `CourierInboxDatastore.shared`. Without it live messages go on, but those that come while the
   * socket reconnects are missed, and an error that the list shows stays.
   */
  inbox?: CourierInboxStore | undefined;
  /** `CourierToastDatastore.shared`. */
  toast?: CourierToastStore | undefined;
  /**
   * The token endpoint. Default: `token` beside this module, so `/courier/token` for
   * `/courier/session.js`. Needed in a bundle, which does not know where the module was.
   */
  tokenUrl?: string | URL | undefined;
  /** The tenant whose messages are shown. Default: none. */
  tenantId?: string | undefined;
  /** Where Courier is. Default: by the region that the endpoint names. */
  apiUrls?: CourierUrls | undefined;
  /** Default: the browser's. It gets `redirect: "manual"`, and should heed it. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** Headers of the request, such as `Authorization`. A function is called for each request. */
  headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>) | undefined;
  /** `"include"` for cookies of another origin. Default: `"same-origin"`. */
  credentials?: RequestCredentials | undefined;
  /** The SDK logs all its requests, **with the token**. Default: off. */
  showLogs?: boolean | undefined;
  /**
   * The app's own session is over: the endpoint answered 401, or with a redirect or a page, as to a
   * login. The session has ended and Courier is signed out.
   */
  onSignedOut?: (() => void) | undefined;
  /**
   * No token came of a request. Default: the last word goes to `console.error`, what is tried
   * again goes nowhere.
   */
  onError?: ((error: CourierSessionError) => void) | undefined;
}

export interface CourierSessionError extends Error {
  /** The HTTP status; 0 if there was no answer. */
  status: number;
  /** Seconds until the next request. `undefined`: the session has ended, something must be mended. */
  retryIn: number | undefined;
  /** What was thrown, where that is why: by `fetch`, by `headers` or by a listener of the SDK's. */
  cause?: unknown;
}

/** As `CourierApiUrls` of the SDK. */
export interface CourierUrls {
  courier: { rest: string; graphql: string };
  inbox: { graphql: string; webSocket: string };
}

/** What is needed of `Courier`. */
export interface CourierSdk {
  readonly client?: { readonly options: { readonly userId: string } } | undefined;
  signIn(props: {
    userId: string;
    jwt?: string;
    tenantId?: string;
    apiUrls?: CourierUrls;
    showLogs?: boolean;
  }): void;
  signOut(): void;
}

/** What is needed of `CourierInboxDatastore`. */
export interface CourierInboxStore {
  load(props?: { canUseCache: boolean }): Promise<void>;
  listenForUpdates(): Promise<void>;
}

/** What is needed of `CourierToastDatastore`. */
export interface CourierToastStore {
  listenForMessages(): Promise<void>;
}

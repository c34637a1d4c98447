// @ts-check
/**
 * Keeps a page signed in to Courier: asks the app's token endpoint (courier-auth) for a token, signs
 * in with it, and puts the next one in its place before it ends. The inbox on the screen stays as it
 * is, toasts too, and no live message is lost.
 *
 *     import { startCourierSession } from "/courier/session.js";
 *     startCourierSession({ courier: Courier.shared, inbox: CourierInboxDatastore.shared });
 *
 * Options and the returned session are described in session.d.ts, beside this file.
 *
 * Courier's SDK never renews a token, and a second `signIn` builds the inbox anew. So this changes
 * the token in the options that all parts of the SDK share, and hooks into its socket; where an
 * SDK does not have what that takes, it does sign in again.
 */

/** @typedef {import("./session.d.ts").CourierSessionOptions} Options */
/** @typedef {{ mono: number, wall: number }} Instant */
/** Courier's SDK, including what its types do not show. @typedef {any} Internals */

/** One session for each Courier: a second one takes the place of the first. */
/** @type {WeakMap<object, Session>} */
const sessions = new WeakMap();

/** @type {typeof import("./session.d.ts").startCourierSession} */
export function startCourierSession(options) {
  const session = new Session(options); // throws if it cannot be
  sessions.get(options.courier)?.stop();
  sessions.set(options.courier, session);
  session.start();
  return {
    ready: session.ready,
    refresh: () => session.ask(),
    stop: () => session.stop(),
  };
}

/** Wrappers of the SDK's methods that are of no use any more, and what takes them away. */
/** @type {WeakMap<Function, () => void>} */
const undone = new WeakMap();

/** Sockets whose next `open` is a reconnect, also for the next session. */
/** @type {WeakSet<object>} */
const used = new WeakSet();

// --- The token: when to ask for it, and what the answers mean ---

class Session {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    /** @type {Internals} */
    this.courier = options.courier;
    this.url = tokenUrl(options.tokenUrl);
    this.ready = new Promise((resolve) => {
      /** @type {(signedIn: boolean) => void} */
      this.settle = resolve;
    });
    /** The id of the token in use, which is no secret; the token itself is kept by the SDK alone. */
    this.held = "";
    /** Whether Courier refused the token in use. */
    this.refused = false;
    /** How often in a row a token was refused and how often asking failed. */
    this.refusals = this.failures = 0;
    this.unreachable = this.stopped = false;
    /** @type {Instant & { seconds: number } | null} */
    this.due = null;
    /** @type {Instant} */
    this.asked = now();
    /** @type {Promise<void> | null} */
    this.flight = null;
    /** @type {AbortController | null} */
    this.request = null;
    /** Whether it is to be sent anew: what it is answered is of before. */
    this.overtaken = false;
    /** @type {Link | null} */
    this.link = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.wake = this.wake.bind(this);
  }

  start() {
    for (const [target, event] of WAKING) target()?.addEventListener?.(event, this.wake);
    // One from before is not left alone until the first answer, which may take minutes.
    this.watch(this.courier.client);
    this.ask();
  }

  /** Asks for the token, unless a request is under way. */
  ask() {
    if (this.stopped) return Promise.resolve();
    this.flight ??= this.exchange()
      .catch((error) => later(() => rethrow(error))) // by a listener while the SDK signed out
      .finally(() => {
        this.flight = null;
        if (this.held) this.settle?.(true);
      });
    return this.flight;
  }

  /** @returns {Promise<void>} */
  async exchange() {
    clearTimeout(this.timer);
    this.overtaken = false;
    // By the app, which does not want to be signed in again.
    if (this.held && !this.courier.client) return this.stop();
    // Before the request, whose time counts as used up.
    const since = (this.asked = now());
    const rejected = this.refused && this.held !== "";
    const { client } = this.courier;
    const request = (this.request = new AbortController());
    const deadline = setTimeout(() => request.abort(), PATIENCE);
    let response, body;
    try {
      // A `fetch` of the app's own may not know of `signal`.
      [response, body] = await Promise.race([this.send(rejected, request.signal), aborted(request.signal)]);
    } catch (cause) {
      if (this.overtaken && !this.stopped) return this.exchange();
      if (!this.stopped) this.failed(0, "The token endpoint cannot be reached", 0, cause);
      return;
    } finally {
      clearTimeout(deadline);
    }
    if (this.stopped) return;

    const { status } = response;
    const problem = body?.detail ?? `The token endpoint answered ${status}`;
    const over = status === 401 || isRedirect(response) || (response.ok && !body);
    const given = response.ok && !over && isToken(body);
    const { client: beside } = this.courier;
    if (beside && beside !== client && (over || (given && beside.options?.userId !== body.user_id))) {
      // Signed in beside the session meanwhile: the answer may be to whoever was there before.
      return this.exchange();
    }
    if (over) {
      this.signedOut();
    } else if (status === 304 || given) {
      if ((this.held || client) && !this.courier.client) return this.stop();
      try {
        if (status === 304) this.watch(this.courier.client);
        else this.accept(body);
      } catch (error) {
        later(() => rethrow(error)); // by a listener that the SDK told who is signed in
        // Half way between two users nobody is, by no wish of the app's: begin anew.
        if (!this.courier.client) this.held = "";
        return this.failed(status, "Signing in to Courier failed", 0, error);
      }
      if (!this.stopped) this.succeeded(since, rejected, status === 304 ? retryAfter(response) || 60 : body.refresh_in);
    } else {
      const what = response.ok ? "This is not an answer of the token endpoint, see `tokenUrl`" : problem;
      // What has worked is set up well: a server may be there that is older, or a proxy.
      if (this.held || status >= 500 || TRY_AGAIN.includes(status)) return this.failed(status, what, retryAfter(response));
      this.stop();
      this.report(what, status);
    }
  }

  /**
   * @param {boolean} rejected
   * @param {AbortSignal} signal
   * @returns {Promise<[Response, any]>}
   */
  async send(rejected, signal) {
    const { options } = this;
    const url = new URL(this.url);
    if (rejected) url.searchParams.set("rejected", this.held);
    const headers = new Headers(await (typeof options.headers === "function" ? options.headers() : options.headers));
    headers.set("Accept", "application/json");
    if (this.held) headers.set("If-None-Match", `"${this.held}"`);
    const response = await (options.fetch ?? fetch)(url.href, {
      headers,
      signal,
      credentials: options.credentials ?? "same-origin",
      cache: "no-store",
      redirect: "manual", // a redirect is to a login page
    });
    const json = /^application\/([\w.-]+\+)?json\b/i.test(response.headers.get("Content-Type") ?? "");
    if (!json || response.status === 304) return [response, null];
    return [response, response.ok ? await response.json() : await response.json().catch(() => null)];
  }

  /** @param {any} body */
  accept({ token, user_id, token_id, region }) {
    const { courier, options } = this;
    let { client } = courier;
    const apiUrls = options.apiUrls ?? (region === "eu" ? EU : undefined);
    const same =
      client?.options?.userId === user_id &&
      (client.options.tenantId || undefined) === (options.tenantId || undefined) &&
      // Somebody else may have signed in first.
      (this.held || !apiUrls || client.options.apiUrls?.inbox?.graphql === apiUrls.inbox.graphql);
    if (same) this.watch(client);
    const replaced = same && client.options.accessToken !== token;
    const { refused } = this;
    if (replaced || !same) this.refused = false;
    if (!same || (replaced && !this.link?.swap(token))) {
      // Also where the one before signed out, while the inbox stayed on the page.
      if (!same) forget(options.inbox);
      this.signIn({ userId: user_id, jwt: token, tenantId: options.tenantId, apiUrls, showLogs: options.showLogs });
      client = null;
    }
    this.held = token_id;
    if (replaced && client) {
      this.link?.renew();
      // The list may show an error by now.
      if (refused) this.link?.recover();
    }
  }

  /** @param {Record<string, unknown>} props */
  signIn(props) {
    const { courier } = this;
    for (const name of Object.keys(props)) if (props[name] === undefined) delete props[name];
    // The inbox loads from within `signIn`: be there first, to see whether Courier refuses that.
    const listener = courier.addAuthenticationListener?.(() => this.watch(courier.client));
    const listeners = courier.authenticationListeners;
    if (Array.isArray(listeners) && listeners.at(-1) === listener) listeners.unshift(listeners.pop());
    try {
      courier.signIn(props);
    } finally {
      courier.removeAuthenticationListener?.(listener);
      this.watch(courier.client);
    }
  }

  /** @param {Internals} client */
  watch(client) {
    if (!client || this.stopped || this.link?.client === client) return;
    this.link?.release();
    this.link = new Link(this, client);
  }

  /** A call to Courier got a 401. @param {boolean} current whether it was made with the token in use */
  unauthorized(current) {
    if (this.stopped) return;
    if (!current) return void this.link?.recover();
    if (this.refused) return; // once for all calls that were made with it
    this.refused = true;
    // The first at once, unless the endpoint wants to be left alone.
    if (!this.failures) this.schedule(this.refusals ? backoff(this.refusals) : 0);
  }

  /**
   * @param {Instant} since
   * @param {boolean} rejected whether the request said that Courier refused the token
   * @param {number} seconds
   */
  succeeded(since, rejected, seconds) {
    this.failures = 0;
    this.unreachable = false;
    if (rejected) this.refusals += 1;
    else if (!this.refused) this.refusals = 0;
    if (this.refused) {
      // Refused while this request was under way, or there is no other token yet.
      seconds = Math.max(rejected ? seconds : 0, this.refusals ? backoff(this.refusals) : 0);
    }
    this.schedule(seconds, since);
    this.link?.revive();
  }

  /**
   * @param {number} status
   * @param {string} message
   * @param {number} [after]
   * @param {unknown} [cause]
   */
  failed(status, message, after = 0, cause) {
    this.failures += 1;
    this.unreachable = status === 0;
    // Spread, so that pages that failed together do not come back together.
    const polite = Math.min(after, 3600) * (1 + Math.random() / 10);
    const seconds = Math.max(polite, backoff(this.failures));
    this.schedule(seconds);
    this.report(message, status, seconds, cause);
  }

  signedOut() {
    this.stop();
    forget(this.options.inbox);
    later(() => this.options.onSignedOut?.());
    if (this.courier.client) this.courier.signOut();
  }

  /**
   * @param {string} message
   * @param {number} status
   * @param {number} [retryIn]
   * @param {unknown} [cause]
   */
  report(message, status, retryIn, cause) {
    const error = Object.assign(new Error(message, { cause }), { name: "CourierSessionError", status, retryIn });
    const { onError } = this.options;
    if (onError) later(() => onError(error));
    else if (retryIn === undefined) console.error(`Courier: ${message}`);
  }

  stop() {
    if (this.stopped) return;
    this.stopped = true;
    clearTimeout(this.timer);
    this.request?.abort();
    for (const [target, event] of WAKING) target()?.removeEventListener?.(event, this.wake);
    this.link?.release();
    if (sessions.get(this.courier) === this) sessions.delete(this.courier);
    this.settle?.(false);
  }

  // Timers stand still while a computer sleeps, are late in a hidden tab, and overflow after 24
  // days. So none is long, and each looks at the clocks.

  /** @param {number} seconds */
  schedule(seconds, since = now()) {
    this.due = { ...since, seconds: Math.max(seconds, 0) };
    this.arm();
  }

  get left() {
    return this.due ? this.due.seconds - elapsed(this.due) : Infinity;
  }

  arm() {
    clearTimeout(this.timer);
    if (this.stopped) return;
    const tick = () => (this.left <= 0 ? this.ask() : this.arm());
    this.timer = setTimeout(tick, Math.min(Math.max(this.left * 1000, 0), LOOK_AGAIN));
  }

  /** The page is visible again, or back on the network. */
  wake(/** @type {Event} */ event) {
    if (this.stopped) return;
    // An answer to a request from before a sleep does not come. And who presses the Back button may not
    // be whose session this was.
    const late = this.flight && elapsed(this.asked) * 1000 > PATIENCE;
    if (late || ("persisted" in event && event.persisted)) {
      this.overtaken = this.flight !== null;
      return void (this.overtaken ? this.request?.abort() : this.ask());
    }
    if (this.flight || globalThis.document?.hidden) return;
    // Not before five seconds have passed: events come in crowds.
    const soonest = this.unreachable ? 5 - elapsed(this.asked) : Infinity;
    if (Math.min(this.left, soonest) <= 0) {
      this.ask();
    } else {
      if (soonest < this.left) this.schedule(soonest);
      else this.arm();
      this.link?.revive();
    }
  }
}

// --- The SDK: what it needs beside the token ---

/** One client of Courier's SDK, from a sign-in to the next. */
class Link {
  /**
   * @param {Session} session
   * @param {Internals} client
   */
  constructor(session, client) {
    this.session = session;
    this.client = client;
    this.socket = client.inbox?.socket;
    /** @type {(() => void)[]} */
    this.undo = [];
    this.released = false;
    /** @type {Promise<void> | null} */
    this.recovery = null;
    /** @type {Promise<void> | null} */
    this.renewing = null;
    /** Under way: the socket closes and opens again with the next token. */
    /** @type {{ known: any[] | null, closed: boolean } | null} */
    this.renewal = null;
    const { isOpen, isConnecting, webSocket } = this.socket ?? {};
    const again = Boolean(webSocket) && !isConnecting;
    if (again) used.add(this.socket);
    /** Whether the socket was lost, rather than closed by the app. */
    this.dropped = again && !isOpen && !this.closedByTheApp;
    /** Whether messages may be missing from the list, which could not be loaded. */
    this.behind = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** When something last came through the socket. */
    this.heard = now();
    this.watchCalls();
    this.works = this.watchSocket() && client.inbox.options === client.options && "accessToken" in client.options;
  }

  /**
   * Notices when Courier refuses the token, whoever of the SDK or the app makes the call. And what the
   * inbox and the preferences are answered when somebody else has signed in, or out, is for nobody: the
   * SDK would show what is one user's to another, or bring it back to undo what failed.
   */
  watchCalls() {
    const { client, session } = this;
    const personal = [client.inbox, client.preferences];
    for (const part of Object.values(client)) {
      if (part?.options !== client.options) continue;
      for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(part))) {
        if (name === "constructor") continue;
        this.wrap(part, name, (original, ...args) => {
          const token = client.options.accessToken;
          const result = original(...args);
          if (typeof result?.then !== "function") return result;
          const watched = result.then(undefined, (/** @type {any} */ error) => {
            if (error?.code === 401 && !this.released) session.unauthorized(token === client.options.accessToken);
            throw error;
          });
          return personal.includes(part) ? this.whileInUse(watched) : watched;
        });
      }
    }
  }

  /** The SDK forgets who listens whenever its socket closes, also when it then reconnects. */
  watchSocket() {
    const { socket } = this;
    if (typeof socket?.connect !== "function" || typeof socket.close !== "function") return false;
    this.hears = this.wrap(socket, "onMessageReceived", (original, envelope) => {
      this.heard = now();
      return original(envelope);
    });
    return (
      this.wrap(socket, "onOpen", (original, event) => {
        const result = original(event);
        this.opened();
        return result;
      }) &&
      this.wrap(socket, "onClose", (original, event) => {
        // Another connection is there already, for which the SDK would stop its pings and plan a retry.
        if (this.connected) {
          if (this.released) this.unwrap();
          return socket.clearRetryTimeout?.();
        }
        const listeners = [...(socket.messageEventListeners ?? [])];
        const result = original(event);
        for (const listener of listeners) {
          if (!socket.messageEventListeners.includes(listener)) socket.addMessageEventListener(listener);
        }
        // When whoever else wraps this has the listeners back, too.
        later(() => this.closed());
        return result;
      })
    );
  }

  /** Puts another token in the place of the one in use. False: this SDK must be signed in again. */
  swap(/** @type {string} */ token) {
    const { options } = this.client;
    if (!this.works) return false;
    try {
      options.accessToken = token;
      options.jwt = token;
    } catch {
      return false; // frozen
    }
    return options.accessToken === token;
  }

  /** Opens the socket again with the token in use, before that of the old connection ends. */
  renew() {
    this.renewing ??= this.reopen().finally(() => {
      this.renewing = null;
    });
  }

  async reopen() {
    const { socket } = this;
    // Before the old connection is given up: is the token good, and what is known already?
    const newest = this.connected ? await this.newest() : null;
    if (this.released || this.session.refused) return;
    if (!this.connected) return this.revive();
    // What a connection has not brought, dead or not yet open, is no less missed for being known to Courier.
    const { known } = this.renewal ?? { known: socket.isOpen && !this.silent ? newest : null };
    this.renewal = { known, closed: false };
    socket.close();
  }

  closed() {
    used.add(this.socket);
    const { renewal } = this;
    if (renewal && !renewal.closed) {
      // Not sooner: what is added while the old connection closes is lost when it has.
      renewal.closed = true;
      if (this.inUse) this.listen();
      if (this.released) this.unwrap();
      return;
    }
    this.renewal = null;
    this.dropped = !this.closedByTheApp;
    // The SDK has given up, or never tries where the server says goodbye.
    if (this.dropped && this.socket.retryTimeoutId == null) this.reviveLater();
  }

  opened() {
    const { renewal, socket } = this;
    const again = used.has(socket);
    used.add(socket);
    this.renewal = null;
    this.dropped = false;
    this.heard = now();
    if (this.released) return;
    if (renewal?.known) {
      this.catchUp(renewal.known);
    } else if (again) {
      this.listen();
      this.reload();
    }
  }

  listen() {
    const { socket } = this;
    const { inbox, toast } = this.session.options;
    quietly(() => inbox?.listenForUpdates());
    quietly(() => toast?.listenForMessages());
    if (!this.connected) quietly(() => socket.connect());
  }

  /**
   * Whether the socket may only seem to be open, as after sleep: the SDK allows three pings in vain. In
   * a hidden tab it pings once a minute at best.
   */
  get silent() {
    return this.hears && elapsed(this.heard) * 1000 > 3 * Math.max(this.socket.pingInterval ?? 0, 60_000);
  }

  /** Connects at once where the SDK would wait, has given up, or does not know yet. */
  revive() {
    if (!this.inUse) return;
    if (!this.connected) this.dropped && this.listen();
    else if (this.silent) this.renew();
    else if (this.behind) this.reload();
  }

  reviveLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.released || this.revive(), (5 + 5 * Math.random()) * 60_000);
  }

  /** Whether nobody else has signed in, or out, beside the session. */
  get inUse() {
    return this.session.courier.client === this.client;
  }

  /** @param {Promise<any>} result */
  whileInUse(result) {
    return new Promise((resolve, reject) => {
      result.then(
        (value) => this.inUse && resolve(value),
        (error) => this.inUse && reject(error),
      );
    });
  }

  get closedByTheApp() {
    const { closeRequested, retryTimeoutId } = this.socket;
    return closeRequested === true && retryTimeoutId == null;
  }

  get connected() {
    return Boolean(this.socket?.isOpen || this.socket?.isConnecting);
  }

  /** Shows what came while the socket was closed, without building the list anew. */
  async catchUp(/** @type {any[]} */ known) {
    const messages = await this.newest();
    // What came after the socket was open comes through it as well, and is not to be shown twice.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    // Also after stop(), which leaves who is signed in signed in.
    if (!this.inUse) return;
    if (!messages) return this.reload();
    /** @type {Internals} */
    const { inbox, toast } = this.session.options;
    const there = known.concat(...Object.values(inbox.getDatasets()).map((dataset) => dataset.messages));
    // One that came live may be in no dataset: there is none, or it is not of those that they filter.
    const shown = new Set([...there.map(id), ...(inbox._globalMessages?.keys() ?? [])]);
    for (const message of messages.reverse()) {
      // What is older than all that was known has moved up, in the place of one that was archived.
      if (shown.has(message.messageId) || message.created < known.at(-1)?.created) continue;
      regardless(() => inbox.addMessage(message));
      regardless(() => toast?.addMessage?.(message));
    }
  }

  /** The newest messages, or null if they are not to be had. @returns {Promise<any[] | null>} */
  async newest() {
    const { client, session } = this;
    /** @type {Internals} */
    const { inbox } = session.options;
    if (!inbox?.addMessage || !inbox.getDatasets || !client.inbox.getMessages) return null;
    try {
      const answer = await client.inbox.getMessages({ paginationLimit: session.courier.paginationLimit });
      return answer.data.messages.nodes;
    } catch {
      return null;
    }
  }

  async reload() {
    try {
      await this.session.options.inbox?.load({ canUseCache: false });
      this.behind = false;
    } catch {
      this.behind = true; // a 401 is seen by `watchCalls`
      this.reviveLater();
    }
  }

  /** After calls were refused: the list may show an error, or nothing yet. */
  recover() {
    this.recovery ??= this.reload().finally(() => {
      this.recovery = null;
      if (this.released || this.renewal || this.session.refused) return;
      quietly(() => this.session.options.inbox?.listenForUpdates());
    });
  }

  /** Leaves the SDK as it was found. A socket that is just being renewed comes back first. */
  release() {
    this.released = true;
    if (!this.renewal || this.renewal.closed) this.unwrap();
  }

  unwrap() {
    for (const undo of this.undo.splice(0)) undo();
  }

  /**
   * @param {Internals} object
   * @param {string} name
   * @param {(original: (...args: any[]) => any, ...args: any[]) => any} replacement
   */
  wrap(object, name, replacement) {
    const method = object[name];
    if (typeof method !== "function") return false;
    const own = Object.hasOwn(object, name);
    const wrapper = (/** @type {any[]} */ ...args) => replacement(method.bind(object), ...args);
    try {
      object[name] = wrapper;
    } catch {
      return false; // frozen
    }
    this.undo.push(() => {
      undone.set(wrapper, () => (own ? (object[name] = method) : delete object[name]));
      // One that is wrapped once more goes when that one does.
      while (undone.has(object[name])) undone.get(object[name])?.();
    });
    return true;
  }
}

/** Empties the list: the SDK leaves the messages of who signed out on the screen. */
function forget(/** @type {Internals} */ inbox) {
  const nothing = { messages: [], unreadCount: 0, canPaginate: false, paginationCursor: null };
  inbox?._datasets?.forEach?.((/** @type {Internals} */ dataset, /** @type {string} */ id) => {
    // One that was never loaded goes on showing that it loads, unless live messages came into it.
    const loads = dataset._firstFetchComplete === false && !dataset._messages?.length;
    regardless(() => (loads ? dataset.setUnreadCount?.(0) : dataset.restoreFromSnapshot?.({ id, ...nothing })));
  });
  inbox?._globalMessages?.clear?.();
}

/** Runs what reports its failures itself. @param {() => any} action */
async function quietly(action) {
  try {
    await action();
  } catch {
    // It is tried again with the next reconnect.
  }
}

/** Runs what calls listeners of the app's. @param {() => void} action */
function regardless(action) {
  try {
    action();
  } catch (error) {
    later(() => rethrow(error));
  }
}

/** An error of the app's own is the app's to see, and stops nothing here. */
const later = queueMicrotask;

/** @param {unknown} error */
function rethrow(error) {
  throw error;
}

const id = (/** @type {{ messageId: string }} */ message) => message.messageId;

// --- The endpoint's answers ---

function tokenUrl(/** @type {string | URL | undefined} */ given) {
  // Not in one expression: bundlers would look for a file of that name. Some have none for a classic script.
  const here = import.meta.url ?? "file:///";
  const url = new URL(given ?? "./token", given ? (globalThis.document?.baseURI ?? here) : here);
  const known = given || new URL(here).pathname.endsWith("/session.js");
  if (known && /^https?:$/.test(url.protocol)) return url;
  throw new TypeError("startCourierSession: pass `tokenUrl`, a bundled module cannot tell where it is");
}

function isRedirect(/** @type {Response} */ { type, status }) {
  return type === "opaqueredirect" || (status >= 300 && status < 400 && status !== 304);
}

function isToken(/** @type {any} */ body) {
  const { token, user_id, token_id, refresh_in } = body;
  return [token, user_id, token_id].every((text) => typeof text === "string" && text) && refresh_in > 0;
}

/** In seconds; 0 if there is none. */
function retryAfter(/** @type {Response} */ { headers }) {
  const value = headers.get("Retry-After") ?? "";
  const seconds = Number(value);
  if (seconds >= 0) return seconds;
  // A date is one of the server's clock, which other origins do not show.
  const there = Date.parse(headers.get("Date") ?? "") || Date.now();
  return Math.max((Date.parse(value) - there) / 1000, 0) || 0;
}

/** @returns {Promise<never>} */
function aborted(/** @type {AbortSignal} */ signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

// --- Time ---

// Durations, since the computer's clock may be wrong. `performance.now` may stand still during
// sleep, and `Date.now` may be set: the later of the two is on the safe side.

/** @returns {Instant} */
function now() {
  return { mono: performance.now(), wall: Date.now() };
}

/** Seconds. */
function elapsed(/** @type {Instant} */ since) {
  return Math.max(performance.now() - since.mono, Date.now() - since.wall) / 1000;
}

/** Seconds: up to 5, 10, 20, 40 and then 80, and at least half of that. */
function backoff(/** @type {number} */ failures) {
  return Math.min(5 * 2 ** (failures - 1), 80) * (0.5 + Math.random() / 2);
}

/** Milliseconds between two looks at the clocks, so that waking up is noticed without an event. */
const LOOK_AGAIN = 30_000;
/** Milliseconds for a request; the endpoint itself answers within five seconds. */
const PATIENCE = 30_000;
/** Statuses below 500 that pass. */
const TRY_AGAIN = [408, 425, 429];
/** @type {[() => EventTarget | undefined, string][]} */
const WAKING = [
  [() => globalThis.document, "visibilitychange"],
  [() => globalThis, "online"],
  [() => globalThis, "pageshow"],
];
/** As in the SDK, which has them by region only in its newer versions. */
const EU = {
  courier: { rest: "https://api.eu.courier.com", graphql: "https://api.eu.courier.com/client/q" },
  inbox: { graphql: "https://inbox.eu.courier.io/q", webSocket: "wss://realtime.eu.courier.io" },
};

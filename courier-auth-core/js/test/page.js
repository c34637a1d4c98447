// A page with a clock of its own: timers, `Date.now` and `performance.now` move when a test says so.

import { startCourierSession } from "../session.js";
import { Backend, Courier, InboxStore, ToastStore, mountInbox } from "./sdk.js";

export const TOKEN_URL = "https://app.example/courier/token";

/**
 * @param {import("node:test").TestContext} t
 * @param {{ ui?: boolean, random?: number, mend?: (client: any) => void }} [settings]
 */
export function page(t, { ui = true, random = 0.5, mend } = {}) {
  const clock = { mono: 5_000, wall: 1_790_000_000_000 };
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.method(performance, "now", () => clock.mono);
  t.mock.method(Date, "now", () => clock.wall);
  t.mock.method(Math, "random", () => random);
  const printed = t.mock.method(console, "error", () => {});

  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { hidden: false, baseURI: "https://app.example/inbox" });
  globalThis.document = document;
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.removeEventListener = window.removeEventListener.bind(window);

  const backend = new Backend();
  const courier = new Courier(backend);
  courier.mend = mend;
  const inbox = new InboxStore(courier);
  const toast = new ToastStore(courier);
  if (ui) mountInbox(courier, inbox);

  const endpoint = new Endpoint(clock);
  const told = { signedOut: 0, errors: [] };
  const sessions = [];
  t.after(() => {
    for (const session of sessions) session.stop();
    delete globalThis.document;
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  });

  return {
    clock, window, document, backend, courier, inbox, toast, endpoint, told, printed,

    start(options = {}) {
      const session = startCourierSession({
        courier, inbox, toast,
        tokenUrl: TOKEN_URL,
        fetch: (url, init) => endpoint.answer(url, init),
        onSignedOut: () => (told.signedOut += 1),
        onError: (error) => told.errors.push(error),
        ...options,
      });
      sessions.push(session);
      return session;
    },

    /** Lets time pass, in steps in which promises settle. */
    async advance(seconds, step = 1) {
      await settle();
      for (let left = seconds; left > 0; left -= step) {
        const millis = Math.min(step, left) * 1000;
        clock.mono += millis;
        clock.wall += millis;
        t.mock.timers.tick(millis);
        await settle();
      }
    },

    /** Time passes and no timer moves. The monotonic clock stands still too on some systems. */
    sleep(seconds, { mono = true } = {}) {
      clock.wall += seconds * 1000;
      if (mono) clock.mono += seconds * 1000;
    },

    async wake(target = document, event = "visibilitychange", properties = {}) {
      target.dispatchEvent(Object.assign(new Event(event), properties));
      await settle();
    },
  };
}

export async function settle() {
  for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** What the app's own code throws must be seen, but stops nothing. */
export function uncaught(t) {
  const messages = [];
  process.setUncaughtExceptionCaptureCallback((error) => messages.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  return messages;
}

/** The app's token endpoint: tokens of an hour, refreshed after 50 minutes. */
class Endpoint {
  user = "user-1";
  region = "us";
  lifetime = 3600;
  requests = [];
  /** Answers instead of the usual one, each used once. */
  next = [];
  /** Whether requests get no answer until `let` is called. */
  held = [];
  number = 0;

  constructor(clock) {
    this.clock = clock;
    this.issue();
  }

  /** Courier issued another token. */
  issue() {
    this.number += 1;
    this.issued = this.clock.wall;
  }

  get token() {
    return `token-${this.number}-of-${this.user}`;
  }

  get id() {
    return `id-${this.number}-of-${this.user}`;
  }

  async answer(url, init) {
    const request = { url: new URL(url), init, at: this.clock.wall, headers: new Headers(init.headers) };
    this.requests.push(request);
    if (this.hold) {
      await new Promise((resolve, reject) => {
        this.held.push(resolve);
        if (!this.deaf) init.signal.addEventListener("abort", () => reject(init.signal.reason));
      });
    }
    const answer = this.next.length ? this.next.shift() : this.usual(request);
    return typeof answer === "function" ? answer(request) : answer;
  }

  /** As courier-auth answers. */
  usual({ url, headers }) {
    const rejected = url.searchParams.get("rejected");
    let age = (this.clock.wall - this.issued) / 1000;
    if (age >= this.refreshAfter || (rejected === this.id && age >= 10)) {
      this.issue();
      age = 0;
    }
    const refused = rejected === this.id;
    const refresh_in = refused ? 45 : Math.ceil(this.refreshAfter - age);
    if (headers.get("If-None-Match") === `"${this.id}"`) {
      return new Response(null, { status: 304, headers: { "Retry-After": String(refresh_in) } });
    }
    return json(this.body({ refresh_in }));
  }

  get refreshAfter() {
    return (this.lifetime * 5) / 6;
  }

  body(changes) {
    const { token, user, region, lifetime } = this;
    const scope = `user_id:${user} inbox:read:messages inbox:write:events`;
    const expires_at = Math.floor(this.issued / 1000) + lifetime;
    return { token, user_id: user, scope, expires_in: lifetime, expires_at, token_id: this.id, region, ...changes };
  }
}

export function json(body, init = {}) {
  const type = init.status >= 400 ? "application/problem+json" : "application/json";
  return new Response(JSON.stringify(body), { ...init, headers: { "Content-Type": type, ...init.headers } });
}

export function problem(status, detail, headers) {
  return json({ status, title: "", code: "", detail }, { status, headers });
}

/** What `fetch` makes of a redirect when it is not to follow it. */
export function redirect() {
  return { type: "opaqueredirect", status: 0, ok: false, headers: new Headers(), json: () => Promise.reject(new TypeError()) };
}

export function html(status = 200) {
  return new Response("<!doctype html><title>Log in</title>", { status, headers: { "Content-Type": "text/html" } });
}

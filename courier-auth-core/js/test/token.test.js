// When the token is asked for, and what the endpoint's answers lead to.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { startCourierSession } from "../session.js";
import { TOKEN_URL, html, json, page, problem, redirect, settle, uncaught } from "./page.js";

test("the first token signs in, once", async (t) => {
  const p = page(t);
  const session = p.start({ tenantId: "acme" });
  assert.equal(await session.ready, true);
  assert.deepEqual(p.courier.signIns, [{ userId: "user-1", jwt: "token-1-of-user-1", tenantId: "acme" }]);
  const [{ url, init, headers }] = p.endpoint.requests;
  assert.equal(url.href, TOKEN_URL);
  assert.equal(headers.get("If-None-Match"), null);
  assert.equal(headers.get("Accept"), "application/json"); // a server may go by it to answer 401, not a login page
  assert.equal(init.redirect, "manual");
  assert.equal(init.cache, "no-store");
  assert.equal(init.credentials, "same-origin");
});

test("the next token is asked for in time, with the id of the one in hand, and swapped in silently", async (t) => {
  const p = page(t);
  p.start();
  await p.advance(2990);
  assert.equal(p.endpoint.requests.length, 1);
  await p.advance(60);
  assert.equal(p.endpoint.requests.length, 2);
  assert.equal(p.endpoint.requests[1].headers.get("If-None-Match"), '"id-1-of-user-1"');
  assert.equal(p.courier.client.options.accessToken, "token-2-of-user-1");
  assert.equal(p.courier.client.options.jwt, "token-2-of-user-1");
  assert.equal(p.courier.signIns.length, 1);
  assert.equal(p.courier.signOuts, 0);
  await p.advance(10 * 3600, 10);
  assert.equal(p.endpoint.requests.length, 14);
  assert.equal(p.courier.signIns.length, 1);
});

test("a 304 means that there is no newer one yet, until its Retry-After", async (t) => {
  const p = page(t);
  p.endpoint.next = [json(p.endpoint.body({ refresh_in: 100 }))];
  p.start();
  await p.advance(131);
  assert.equal(p.endpoint.requests.length, 2);
  assert.equal(p.courier.client.options.accessToken, "token-1-of-user-1");
  await p.advance(2800);
  assert.equal(p.endpoint.requests.length, 2);
  await p.advance(100);
  assert.equal(p.endpoint.requests.length, 3);
});

test("a 304 whose Retry-After another origin may not see is followed by the next after a minute", async (t) => {
  const p = page(t);
  p.endpoint.next = [json(p.endpoint.body({ refresh_in: 100 })), new Response(null, { status: 304 })];
  p.start();
  await p.advance(125);
  assert.equal(p.endpoint.requests.length, 2);
  await p.advance(60);
  assert.equal(p.endpoint.requests.length, 3);
});

test("the same token once more signs nobody in again", async (t) => {
  const p = page(t);
  const session = p.start();
  await session.ready;
  p.endpoint.next = [json(p.endpoint.body({ refresh_in: 3000 }))];
  await session.refresh();
  assert.equal(p.courier.signIns.length, 1);
});

for (const mono of [true, false]) {
  test(`after a sleep beyond the token's end it is renewed on waking up (monotonic clock ${mono ? "moved" : "stood still"})`, async (t) => {
    const p = page(t);
    p.start();
    await settle();
    let number = 1;
    for (const wakeUp of [
      () => p.wake(),
      () => p.wake(p.window, "online"),
      () => p.wake(p.window, "pageshow"),
      () => p.advance(31), // none of these events: the timer looks at the clocks
    ]) {
      p.sleep(7200, { mono });
      await wakeUp();
      number += 1;
      assert.equal(p.endpoint.requests.length, number);
      assert.equal(p.courier.client.options.accessToken, `token-${number}-of-user-1`);
    }
  });
}

test("waking up too early, hidden or during a request asks nothing", async (t) => {
  const p = page(t);
  p.start();
  await settle();
  p.sleep(600);
  await p.wake();
  p.document.hidden = true;
  p.sleep(7200);
  await p.wake();
  assert.equal(p.endpoint.requests.length, 1);
  p.document.hidden = false;
  p.endpoint.hold = true;
  await p.wake();
  await p.wake();
  await p.wake(p.window, "online");
  assert.equal(p.endpoint.requests.length, 2);
});

test("brought back by the Back button, the page asks at once whose session it is", async (t) => {
  const p = page(t);
  p.start();
  await settle();
  const back = () => p.wake(p.window, "pageshow", { persisted: true });
  await back();
  assert.equal(p.endpoint.requests.length, 2); // a 304
  assert.equal(p.courier.signIns.length, 1);
  await p.wake(p.window, "pageshow", { persisted: false });
  assert.equal(p.endpoint.requests.length, 2);
  // Signed out on another page meanwhile.
  p.endpoint.next = [problem(401, "Nobody is signed in.")];
  p.document.hidden = true;
  await back();
  assert.equal(p.told.signedOut, 1);
  assert.equal(p.courier.client, undefined);
});

test("brought back by the Back button during a request, the page asks anew whose session it is", async (t) => {
  const p = page(t);
  p.endpoint.hold = true;
  const session = p.start();
  await settle();
  // The answer waits with the page. It is for the user of before, who has signed out on another one.
  const [arrives] = p.endpoint.held;
  const before = p.endpoint.requests[0];
  const answer = (request) => (request === before ? json(p.endpoint.body({ refresh_in: 3000 })) : problem(401, "Nobody is signed in."));
  p.endpoint.next = [answer, answer];
  p.endpoint.hold = false;
  await p.wake(p.window, "pageshow", { persisted: true });
  arrives();
  await settle();
  assert.deepEqual(p.courier.signIns, []);
  assert.equal(p.told.signedOut, 1);
  assert.equal(await session.ready, false);
  assert.deepEqual(p.told.errors, []); // that a request was given up is no failure
});

test("a request that the Back button made needless is not waited for, and its caller gets the next one", async (t) => {
  const p = page(t);
  const session = p.start();
  await session.ready;
  p.endpoint.hold = true;
  p.endpoint.deaf = true; // a `fetch` of the app's own, which does not know of `signal`
  let refreshed = false;
  session.refresh().then(() => (refreshed = true));
  await settle();
  p.endpoint.hold = false;
  p.endpoint.user = "user-2";
  await p.wake(p.window, "pageshow", { persisted: true });
  assert.equal(p.endpoint.requests.length, 3);
  assert.ok(refreshed);
  assert.equal(p.courier.client.options.userId, "user-2");
});

test("a clock that is set back does not delay the next request, one set forward makes it early", async (t) => {
  const p = page(t);
  p.start();
  await settle();
  p.clock.wall -= 365 * 86400_000;
  p.endpoint.issued = p.clock.wall; // the server's clock is right
  await p.advance(3040);
  assert.equal(p.endpoint.requests.length, 2);
  p.clock.wall += 365 * 86400_000;
  p.endpoint.issued = p.clock.wall;
  await p.advance(31);
  assert.equal(p.endpoint.requests.length, 3); // needless, and a 304
  await p.advance(600);
  assert.equal(p.endpoint.requests.length, 3);
});

test("a token of 60 days is not asked for at once, as a timer that overflows would", async (t) => {
  const p = page(t);
  p.endpoint.lifetime = 60 * 86400;
  const timers = t.mock.method(globalThis, "setTimeout");
  p.start();
  await p.advance(86400, 60);
  assert.equal(p.endpoint.requests.length, 1);
  assert.ok(timers.mock.calls.every(({ arguments: [, millis] }) => millis >= 0 && millis < 2 ** 31 - 1));
});

test("there is one request at a time, whoever asks", async (t) => {
  const p = page(t);
  const session = p.start();
  await session.ready;
  p.endpoint.hold = true;
  const both = [session.refresh(), session.refresh()];
  await p.wake(p.window, "online");
  await settle();
  assert.equal(p.endpoint.requests.length, 2);
  p.endpoint.held.forEach((go) => go());
  await Promise.all(both);
  assert.equal(p.endpoint.requests.length, 2);
});

for (const [what, answer, seconds] of [
  ["503 with Retry-After", () => problem(503, "Courier cannot be asked", { "Retry-After": "40" }), [40, 44]],
  ["429 with a date", () => problem(429, "Slow down", { Date: "Tue, 24 Nov 2026 10:00:00 GMT", "Retry-After": "Tue, 24 Nov 2026 10:01:00 GMT" }), [60, 66]],
  // A proxy's, on another origin: a page may read `Retry-After` there if it is exposed, but not `Date`.
  ["429 with a date whose clock is out of sight", () => problem(429, "Slow down", { "Retry-After": new Date(Date.now() + 60_000).toUTCString() }), [60, 66]],
  ["503 that wants a day", () => problem(503, "Away", { "Retry-After": "86400" }), [3600, 3960]],
  ["503 with a torn body", () => new Response("{", { status: 503, headers: { "Content-Type": "application/problem+json", "Retry-After": "40" } }), [40, 44]],
  ["503 without Retry-After", () => problem(503, "Courier cannot be asked"), [2.5, 5]],
  ["408", () => problem(408, "Too slow"), [2.5, 5]],
  ["425", () => problem(425, "Too early"), [2.5, 5]],
  ["502", () => problem(502, "Courier does not issue a token"), [2.5, 5]],
  ["500 with a page", () => html(500), [2.5, 5]],
  ["no network", () => Promise.reject(new TypeError("Failed to fetch")), [2.5, 5]],
  ["a torn body", () => new Response('{"tok', { headers: { "Content-Type": "application/json" } }), [2.5, 5]],
]) {
  for (const random of [0, 0.999]) {
    test(`${what}: asked again in ${seconds[0]} to ${seconds[1]} seconds, jitter ${random}`, async (t) => {
      const p = page(t, { random });
      p.endpoint.next = [answer];
      const session = p.start();
      await settle();
      assert.equal(p.told.errors.length, 1);
      const { retryIn } = p.told.errors[0];
      const wanted = seconds[random ? 1 : 0];
      assert.ok(Math.abs(retryIn - wanted) < wanted / 100, `${retryIn}, not ${wanted}`);
      await p.advance(retryIn - 0.5, 0.5);
      assert.equal(p.endpoint.requests.length, 1);
      await p.advance(1, 0.5);
      assert.equal(p.endpoint.requests.length, 2);
      assert.equal(await session.ready, true);
      assert.equal(p.courier.signIns.length, 1);
    });
  }
}

test("failures in a row are ever further apart, up to 80 seconds, and a success starts anew", async (t) => {
  const p = page(t, { random: 0.999 });
  const down = () => problem(503, "Down");
  p.endpoint.next = Array(8).fill(down);
  p.start();
  await p.advance(500);
  const waits = p.told.errors.map((error) => Math.round(error.retryIn));
  assert.deepEqual(waits, [5, 10, 20, 40, 80, 80, 80, 80]);
  p.endpoint.next = [down];
  await p.advance(3030);
  assert.equal(Math.round(p.told.errors.at(-1).retryIn), 5);
});

test("while the endpoint fails the page goes on with the token it has", async (t) => {
  const p = page(t);
  const session = p.start();
  await session.ready;
  p.endpoint.next = [() => problem(503, "Down"), () => Promise.reject(new TypeError())];
  await session.refresh();
  assert.equal(p.courier.client.options.accessToken, "token-1-of-user-1");
  assert.equal(p.courier.signOuts, 0);
  await p.advance(60);
  assert.equal(p.endpoint.requests.length, 4);
  assert.equal(p.told.errors.length, 2);
  assert.equal(p.printed.mock.callCount(), 0);
});

test("back on the network it is tried at once, but a Retry-After is not cut short", async (t) => {
  const p = page(t);
  p.endpoint.next = Array(4).fill(() => Promise.reject(new TypeError()));
  p.start();
  await p.advance(35);
  assert.equal(p.endpoint.requests.length, 4);
  await p.advance(6);
  await p.wake(p.window, "online");
  assert.equal(p.endpoint.requests.length, 5);
  p.endpoint.next = [() => problem(503, "Down", { "Retry-After": "300" })];
  p.sleep(4000);
  await p.wake();
  assert.equal(p.endpoint.requests.length, 6);
  await p.advance(10);
  await p.wake(p.window, "online");
  assert.equal(p.endpoint.requests.length, 6);
});

test("once the network is back, later events ask nothing more", async (t) => {
  const p = page(t);
  p.endpoint.next = [() => Promise.reject(new TypeError())];
  p.start();
  await p.advance(60);
  assert.equal(p.endpoint.requests.length, 2);
  await p.wake();
  assert.equal(p.endpoint.requests.length, 2);
});

test("the time that a request takes is part of what the endpoint says", async (t) => {
  const p = page(t);
  p.endpoint.next = [json(p.endpoint.body({ refresh_in: 100 }))];
  p.endpoint.hold = true;
  p.start();
  await p.advance(25);
  p.endpoint.hold = false;
  p.endpoint.held[0]();
  await p.advance(70);
  assert.equal(p.endpoint.requests.length, 1);
  await p.advance(7);
  assert.equal(p.endpoint.requests.length, 2);
});

test("back on the network right after a failed try, the next does not wait for a backoff of minutes", async (t) => {
  const p = page(t);
  p.endpoint.next = Array(6).fill(() => Promise.reject(new TypeError()));
  p.start();
  while (p.endpoint.requests.length < 6) await p.advance(1);
  await p.advance(2);
  await p.wake(p.window, "online");
  await p.wake(p.window, "online");
  assert.equal(p.endpoint.requests.length, 6);
  await p.advance(3);
  assert.equal(p.endpoint.requests.length, 7);
  assert.equal(p.courier.signIns.length, 1);
});

for (const deaf of [false, true]) {
  test(`a request that gets no answer is given up after 30 seconds${deaf ? ", also if fetch knows no signal" : ""}`, async (t) => {
    const p = page(t);
    Object.assign(p.endpoint, { hold: true, deaf });
    p.start();
    await p.advance(31);
    assert.equal(p.told.errors.length, 1);
    p.endpoint.hold = false;
    await p.advance(5);
    assert.equal(p.courier.signIns.length, 1);
  });
}

test("woken up during a request that went before the sleep, the page asks anew", async (t) => {
  const p = page(t);
  const session = p.start();
  await session.ready;
  Object.assign(p.endpoint, { hold: true, deaf: true });
  let refreshed = false;
  session.refresh().then(() => (refreshed = true));
  await settle();
  p.endpoint.hold = false;
  p.sleep(10); // not long enough to give it up
  await p.wake();
  assert.equal(p.endpoint.requests.length, 2);
  p.sleep(7200);
  await p.wake(p.window, "online");
  assert.equal(p.endpoint.requests.length, 3);
  assert.ok(refreshed);
  assert.equal(p.courier.client.options.accessToken, "token-2-of-user-1");
  assert.deepEqual(p.told.errors, []);
});

for (const [what, answer] of [
  ["401", () => problem(401, "Nobody is signed in")],
  ["a redirect to a login page", redirect],
  ["a redirect seen by a fetch of the app's own", () => new Response(null, { status: 302, headers: { Location: "/login" } })],
  ["a login page", () => html()],
]) {
  test(`the app's session is over: ${what}`, async (t) => {
    const p = page(t);
    p.backend.messages = [{ messageId: "m1" }];
    const session = p.start();
    await session.ready;
    await settle();
    assert.deepEqual(p.inbox.shown, ["m1"]);
    p.endpoint.next = [answer];
    await session.refresh();
    await p.advance(10_000, 30);
    assert.equal(p.endpoint.requests.length, 2);
    assert.equal(p.told.signedOut, 1);
    assert.equal(p.courier.client, undefined);
    assert.equal(p.courier.signOuts, 1);
    assert.deepEqual(p.inbox.shown, []);
    assert.equal(p.backend.open.length, 0);
    assert.deepEqual(p.told.errors, []);
    await p.wake();
    await session.refresh();
    assert.equal(p.endpoint.requests.length, 2);
  });
}

test("nobody signed in from the start: told once, and Courier is left alone", async (t) => {
  const p = page(t);
  p.endpoint.next = [problem(401, "Nobody is signed in")];
  assert.equal(await p.start().ready, false);
  await settle();
  assert.equal(p.told.signedOut, 1);
  assert.equal(p.courier.signOuts + p.courier.signIns.length, 0);
});

for (const [what, answer, message] of [
  ["403", () => problem(403, "Tokens are not given to pages of other sites."), /pages of other sites/],
  ["404 with a page", () => html(404), /answered 404/],
  ["405", () => problem(405, "Ask for a token with GET or POST."), /GET or POST/],
  ["JSON of something else", () => json({ ok: true }), /not an answer of the token endpoint/],
  ["a token without a time for the next", (p) => json(p.endpoint.body({})), /not an answer/],
  ["a token without an id", (p) => json(p.endpoint.body({ token_id: "", refresh_in: 5 })), /not an answer/],
]) {
  test(`${what} ends it with a message and leaves Courier signed in`, async (t) => {
    const p = page(t);
    // The app is signed in by other means.
    p.courier.signIn({ userId: "user-1", jwt: "token of the app's own" });
    p.endpoint.next = [answer(p)];
    assert.equal(await p.start().ready, false);
    await p.advance(10_000, 30);
    assert.equal(p.endpoint.requests.length, 1);
    assert.equal(p.told.errors.length, 1);
    assert.match(p.told.errors[0].message, message);
    assert.equal(p.told.errors[0].retryIn, undefined);
    assert.equal(p.told.signedOut, 0);
    assert.ok(p.courier.client);
  });
}

// During a rolling deploy a replica from before answered 404, and pages had no token from then on.
for (const [what, answer] of [
  ["403", () => problem(403, "A firewall.")],
  ["404 with a page", () => html(404)],
  ["JSON of something else", () => json({ ok: true })],
]) {
  test(`${what} in a session that has worked is tried again`, async (t) => {
    const p = page(t);
    const session = p.start();
    await session.ready;
    p.endpoint.issue();
    p.endpoint.next = [answer(p), answer(p)];
    await session.refresh();
    assert.ok(p.told.errors[0].retryIn > 0);
    assert.equal(p.courier.client.options.accessToken, "token-1-of-user-1");
    await p.advance(30);
    assert.equal(p.told.errors.length, 2);
    assert.equal(p.endpoint.requests.length, 4);
    assert.equal(p.courier.client.options.accessToken, "token-2-of-user-1");
    assert.equal(p.courier.signIns.length, 1);
  });
}

test("without onError the last word is in the console, and no token", async (t) => {
  const p = page(t);
  p.endpoint.next = [problem(503, "Down"), problem(403, "Tokens are not given to pages of other sites.")];
  p.start({ onError: undefined });
  await p.advance(10);
  const lines = p.printed.mock.calls.map((call) => call.arguments.join(" "));
  assert.deepEqual(lines, ["Courier: Tokens are not given to pages of other sites."]);
});

test("another user is signed in anew, and sees nothing of the first one's", async (t) => {
  const p = page(t);
  p.backend.messages = [{ messageId: "m1" }];
  const session = p.start();
  await session.ready;
  await settle();
  p.endpoint.user = "user-2";
  p.backend.down = true; // so that the second one's list does not come
  await session.refresh();
  await settle();
  assert.deepEqual(p.courier.signIns.map((props) => props.userId), ["user-1", "user-2"]);
  assert.equal(p.courier.client.options.accessToken, "token-1-of-user-2");
  assert.deepEqual(p.inbox.shown, []);
});

test("another tenant is signed in anew, the same one is not", async (t) => {
  const p = page(t);
  await p.start({ tenantId: "acme" }).ready;
  await p.start({ tenantId: "acme" }).ready;
  assert.equal(p.courier.signIns.length, 1);
  await p.start({ tenantId: "globex" }).ready;
  await p.start().ready;
  assert.deepEqual(p.courier.signIns.map((props) => props.tenantId), ["acme", "globex", undefined]);
});

test("in the EU the SDK is told where; `apiUrls` has the last word", async (t) => {
  const p = page(t);
  p.endpoint.region = "eu";
  const session = p.start();
  await session.ready;
  assert.deepEqual(p.courier.signIns[0].apiUrls, {
    courier: { rest: "https://api.eu.courier.com", graphql: "https://api.eu.courier.com/client/q" },
    inbox: { graphql: "https://inbox.eu.courier.io/q", webSocket: "wss://realtime.eu.courier.io" },
  });
  p.endpoint.issue();
  await session.refresh();
  assert.equal(p.courier.signIns.length, 1);
  const here = "http://127.0.0.1:4000";
  const apiUrls = { courier: { rest: here, graphql: here }, inbox: { graphql: here, webSocket: "ws://127.0.0.1:4000" } };
  await p.start({ apiUrls }).ready;
  assert.deepEqual(p.courier.signIns[1].apiUrls, apiUrls);
});

test("headers and credentials for another origin, headers anew for each request", async (t) => {
  const p = page(t);
  let number = 0;
  const headers = async () => ({ Authorization: `Bearer ${++number}`, "X-App": "1" });
  const session = p.start({ headers, credentials: "include", tokenUrl: "https://api.example/courier/token?app=1" });
  await session.ready;
  await session.refresh();
  const [first, second] = p.endpoint.requests;
  assert.equal(first.headers.get("Authorization"), "Bearer 1");
  assert.equal(second.headers.get("Authorization"), "Bearer 2");
  assert.equal(second.headers.get("X-App"), "1");
  assert.equal(second.init.credentials, "include");
  assert.equal(second.url.href, "https://api.example/courier/token?app=1");
});

test("the session is ready when somebody is signed in, not when the endpoint has failed", async (t) => {
  const p = page(t);
  p.endpoint.next = [problem(503, "Down")];
  const session = p.start({ showLogs: true });
  let ready;
  session.ready.then((signedIn) => (ready = signedIn));
  await session.refresh();
  await settle();
  assert.equal(ready, undefined);
  await p.advance(6);
  assert.equal(ready, true);
  assert.equal(p.courier.signIns[0].showLogs, true);
});

test("headers that cannot be had are tried again", async (t) => {
  const p = page(t);
  let fail = true;
  const session = p.start({
    headers() {
      if (fail) throw new Error("no access token");
      return {};
    },
  });
  await settle();
  assert.equal(p.endpoint.requests.length, 0);
  assert.equal(p.told.errors[0].cause.message, "no access token");
  fail = false;
  await p.advance(6);
  assert.equal(await session.ready, true);
});

test("StrictMode: start, stop, start signs in once and keeps one timer", async (t) => {
  const p = page(t);
  const first = p.start();
  first.stop();
  const second = p.start();
  assert.equal(await first.ready, false);
  assert.equal(await second.ready, true);
  assert.equal(p.courier.signIns.length, 1);
  await p.advance(3040);
  assert.equal(p.endpoint.requests.length, 3); // the first was aborted
  assert.equal(p.courier.signIns.length, 1);
});

test("start, sign in, stop, start again: still one sign-in", async (t) => {
  const p = page(t);
  const first = p.start();
  await first.ready;
  first.stop();
  await p.start().ready;
  assert.equal(p.courier.signIns.length, 1);
  assert.equal(p.courier.signOuts, 0);
});

test("a second session takes the place of a first that was not stopped", async (t) => {
  const p = page(t);
  const first = p.start();
  const second = p.start();
  assert.equal(await first.ready, false);
  assert.equal(await second.ready, true);
  await p.advance(3040);
  assert.equal(p.endpoint.requests.length, 3);
});

for (const deaf of [false, true]) {
  test(`stop() during a request: its answer means nothing${deaf ? ", also if fetch knows no signal" : ""}`, async (t) => {
    const p = page(t);
    Object.assign(p.endpoint, { hold: true, deaf });
    const session = p.start();
    await settle();
    session.stop();
    assert.ok(p.endpoint.requests[0].init.signal.aborted);
    p.endpoint.held.forEach((go) => go());
    await p.advance(10_000, 60);
    assert.equal(await session.ready, false);
    assert.equal(p.courier.signIns.length, 0);
    assert.equal(p.endpoint.requests.length, 1);
    assert.deepEqual(p.told, { signedOut: 0, errors: [] });
  });
}

test("after stop() nothing is asked, and the SDK is as it was", async (t) => {
  const p = page(t);
  const before = (object) => Object.getOwnPropertyNames(object).filter((name) => typeof object[name] === "function");
  const listeners = p.courier.authenticationListeners.length;
  const session = p.start();
  await session.ready;
  assert.equal(p.courier.authenticationListeners.length, listeners);
  assert.ok(before(p.courier.client.inbox).length);
  session.stop();
  p.sleep(100_000);
  await p.wake();
  await p.advance(100);
  await session.refresh();
  assert.equal(p.endpoint.requests.length, 1);
  for (const object of [p.courier.client.inbox, p.courier.client.inbox.socket, p.courier.client.preferences]) {
    assert.deepEqual(before(object), []);
  }
  for (const [target, event] of [[p.document, "visibilitychange"], [p.window, "online"], [p.window, "pageshow"]]) {
    assert.equal(getEventListeners(target, event).length, 0);
  }
  assert.ok(p.courier.client);
});

for (const [what, answer] of [
  ["the next token", (p) => json(p.endpoint.body({ token_id: "another" }))],
  ["a 304", () => new Response(null, { status: 304 })],
]) {
  test(`where the app signs out of Courier during a request, ${what} signs nobody in and ends it`, async (t) => {
    const p = page(t);
    const session = p.start();
    await session.ready;
    p.endpoint.hold = true;
    p.endpoint.next = [answer(p)];
    const asked = session.refresh();
    await settle();
    p.courier.signOut();
    p.endpoint.held.forEach((go) => go());
    await asked;
    await p.advance(10_000, 30);
    assert.equal(p.courier.signIns.length, 1);
    assert.equal(p.endpoint.requests.length, 2);
  });
}

test("where the app has signed out of Courier nothing is asked, and nobody is sent to a login page later", async (t) => {
  const p = page(t);
  await p.start().ready;
  p.courier.signOut();
  p.endpoint.next = [problem(401, "Nobody is signed in.")];
  await p.advance(10_000, 30);
  assert.equal(p.endpoint.requests.length, 1);
  assert.equal(p.told.signedOut, 0);
});

test("an app's own sign-in is watched after a 304 as well", async (t) => {
  const p = page(t);
  const session = p.start();
  await session.ready;
  p.courier.signIn({ userId: "user-1", jwt: "token of the app's own" });
  await session.refresh();
  p.backend.refused.add("token of the app's own");
  await p.courier.client.inbox.read().catch(() => {});
  await p.advance(1);
  assert.equal(p.endpoint.requests.length, 3);
  assert.equal(p.endpoint.requests[2].url.searchParams.get("rejected"), "id-1-of-user-1");
});

test("who signs out of Courier during a session's first request is not signed in again", async (t) => {
  const p = page(t);
  const first = p.start();
  await first.ready;
  first.stop();
  p.endpoint.hold = true;
  const second = p.start();
  await settle();
  p.courier.signOut();
  p.endpoint.held.forEach((go) => go());
  assert.equal(await second.ready, false);
  await p.advance(10_000, 30);
  assert.equal(p.courier.client, undefined);
  assert.equal(p.courier.signIns.length, 1);
});

test("what a callback of the app's throws stops nothing", async (t) => {
  const p = page(t);
  const thrown = uncaught(t);
  p.endpoint.next = [problem(503, "Down")];
  const session = p.start({
    onError() {
      throw new Error("the app's own");
    },
  });
  await p.advance(6);
  assert.deepEqual(thrown, ["the app's own"]);
  assert.equal(await session.ready, true);
});

test("where `onSignedOut` throws, Courier is signed out all the same", async (t) => {
  const p = page(t);
  const thrown = uncaught(t);
  const session = p.start({
    onSignedOut() {
      throw new Error("the app's own");
    },
  });
  await session.ready;
  p.endpoint.next = [problem(401, "Nobody is signed in.")];
  await session.refresh();
  await settle();
  assert.equal(p.courier.client, undefined);
  assert.deepEqual(thrown, ["the app's own"]);
});

test("a listener that throws during sign-in is no reason to sign in twice", async (t) => {
  const p = page(t, { ui: false });
  const thrown = uncaught(t);
  p.courier.addAuthenticationListener(() => {
    if (!thrown.length) throw new Error("the app's own");
  });
  const session = p.start();
  await p.advance(6);
  assert.equal(await session.ready, true);
  assert.equal(p.courier.signIns.length, 1);
  assert.deepEqual(thrown, ["the app's own"]);
  assert.equal(p.told.errors.length, 1);
  assert.equal(p.told.errors[0].cause.message, "the app's own");
  assert.ok(p.told.errors[0].retryIn > 0);
});

test("a listener that throws while another user is signed in keeps nobody out", async (t) => {
  const p = page(t, { ui: false });
  const thrown = uncaught(t);
  const session = p.start();
  await session.ready;
  // `signIn` signs out first.
  p.courier.addAuthenticationListener(({ userId }) => userId.toUpperCase());
  p.endpoint.user = "user-2";
  await session.refresh();
  assert.equal(p.courier.client, undefined);
  await p.advance(6);
  assert.equal(p.courier.client.options.userId, "user-2");
  assert.equal(thrown.length, 1);
  assert.equal(p.told.signedOut, 0);
});

test("a listener that signs out whoever it is told of has the last word", async (t) => {
  const p = page(t, { ui: false });
  p.courier.addAuthenticationListener(({ userId }) => userId && p.courier.signOut());
  await p.start().ready;
  await p.advance(10_000, 30);
  assert.equal(p.courier.client, undefined);
  assert.equal(p.courier.signIns.length, 1);
  assert.equal(p.endpoint.requests.length, 1);
});

test("a sign-in that ended half way is made good also where the first user is back by then", async (t) => {
  const p = page(t, { ui: false });
  uncaught(t);
  const session = p.start();
  await session.ready;
  p.courier.addAuthenticationListener(({ userId }) => userId.toUpperCase());
  p.endpoint.user = "user-2";
  await session.refresh();
  assert.equal(p.courier.client, undefined);
  p.endpoint.user = "user-1";
  await p.advance(6);
  assert.equal(p.courier.client?.options.userId, "user-1");
});

for (const [what, answer, now] of [
  ["the session is over", () => problem(401, "Nobody is signed in."), undefined],
  ["another user is there", (p) => json(p.endpoint.body({ user_id: "user-2", token_id: "another", refresh_in: 3000 })), "user-2"],
]) {
  test(`where a listener of the inbox throws as its list is emptied, it is emptied all the same: ${what}`, async (t) => {
    const p = page(t);
    const thrown = uncaught(t);
    p.backend.messages = [{ messageId: "m1" }];
    const session = p.start();
    await session.ready;
    await settle();
    const other = { messages: ["m1"], restoreFromSnapshot: ({ messages }) => (other.messages = messages) };
    const [[, all]] = p.inbox._datasets;
    all.restoreFromSnapshot = (snapshot) => {
      all.messages = snapshot.messages;
      throw new Error("the app's own");
    };
    p.inbox._datasets.set("other", other);
    p.backend.down = true; // so that the second one's list does not come
    p.endpoint.next = [answer(p)];
    await session.refresh();
    await settle();
    assert.equal(p.courier.client?.options.userId, now);
    assert.deepEqual([p.inbox.shown, other.messages], [[], []]);
    assert.equal(p.told.signedOut, now ? 0 : 1);
    assert.deepEqual(p.told.errors, []);
    assert.deepEqual(thrown, ["the app's own"]);
  });
}

for (const [what, answer] of [
  ["the first one's token", (p) => json(p.endpoint.body({ user_id: "user-1", refresh_in: 3000 }))],
  ["that nobody was signed in", () => problem(401, "Nobody is signed in.")],
  ["a login page", () => html()],
]) {
  for (const first of [true, false]) {
    test(`another user signed in beside the session during ${first ? "its first" : "a later"} request, whose answer is ${what}: asked anew`, async (t) => {
      const p = page(t);
      const session = p.start();
      if (first) p.endpoint.hold = true;
      else await session.ready;
      p.endpoint.hold = true;
      const asked = session.refresh();
      await settle();
      p.courier.signIn({ userId: "user-2", jwt: "token of the app's own" });
      const before = p.courier.signIns.length;
      p.endpoint.next = [answer(p)];
      p.endpoint.user = "user-2";
      p.endpoint.hold = false;
      p.endpoint.held.forEach((go) => go());
      await asked;
      assert.equal(p.courier.client?.options.userId, "user-2");
      assert.equal(p.courier.client.options.accessToken, "token-1-of-user-2");
      assert.equal(p.courier.signIns.length, before);
      assert.equal(p.endpoint.requests.length, first ? 2 : 3);
      assert.deepEqual(p.told, { signedOut: 0, errors: [] });
    });
  }
}

for (const [user, requests] of [["user-1", 1], ["user-2", 2]]) {
  test(`${user} signed in beside the session during a request: ${requests} in all, and the endpoint has the last word`, async (t) => {
    const p = page(t);
    p.endpoint.hold = true;
    const session = p.start();
    await settle();
    p.courier.signIn({ userId: user, jwt: "token of the app's own" });
    p.endpoint.hold = false;
    p.endpoint.held.forEach((go) => go());
    assert.equal(await session.ready, true);
    assert.equal(p.endpoint.requests.length, requests);
    assert.equal(p.courier.client.options.accessToken, "token-1-of-user-1");
  });
}

test("stop() by a listener while another user is signed in leaves nothing behind in the SDK", async (t) => {
  const p = page(t, { ui: false });
  const session = p.start();
  await session.ready;
  p.courier.addAuthenticationListener(({ userId }) => userId || session.stop());
  p.endpoint.user = "user-2";
  await session.refresh();
  const { inbox } = p.courier.client;
  for (const object of [inbox, inbox.socket]) {
    assert.deepEqual(Object.keys(object).filter((name) => typeof object[name] === "function"), []);
  }
});

test("the token is in no URL, no storage, no log and no global", async (t) => {
  const p = page(t);
  const globals = new Set(Object.getOwnPropertyNames(globalThis));
  const said = ["log", "info", "warn", "debug"].map((name) => t.mock.method(console, name, () => {}));
  const session = p.start();
  await session.ready;
  p.backend.refused.add(p.endpoint.token);
  await p.courier.client.inbox.read().catch(() => {});
  await p.advance(3040);
  p.endpoint.next = [problem(401, "no")];
  await session.refresh();
  for (const { url, init } of p.endpoint.requests) {
    assert.doesNotMatch(url.href, /token-\d/);
    assert.doesNotMatch(JSON.stringify([...new Headers(init.headers)]), /token-\d/);
  }
  for (const spy of [...said, p.printed]) assert.equal(spy.mock.callCount(), 0);
  assert.deepEqual(Object.getOwnPropertyNames(globalThis).filter((name) => !globals.has(name)), []);
  const source = await readFile(new URL("../session.js", import.meta.url), "utf8");
  assert.doesNotMatch(source, /localStorage|sessionStorage|indexedDB|document\.cookie|postMessage/);
});

test("the token URL is beside the module, unless a bundler moved that", async (t) => {
  assert.throws(() => startCourierSession({ courier: {} }), /tokenUrl/);
  const source = await readFile(new URL("../session.js", import.meta.url), "utf8");
  const at = (url) => import(`data:text/javascript,${encodeURIComponent(source.replaceAll("import.meta.url", JSON.stringify(url)))}`);
  // The last is what esbuild makes of it in a classic script.
  for (const place of ["https://app.example/assets/index-4f2.js", "file:///src/session.js", undefined]) {
    const bundled = await at(place);
    assert.throws(() => bundled.startCourierSession({ courier: {} }), { name: "TypeError", message: /tokenUrl/ });
  }
  const module = await at("https://cdn.example/x/courier/session.js?v=1");
  const p = page(t);
  const asked = [];
  const answer = (url) => (asked.push(url), p.endpoint.usual({ url: new URL(url), headers: new Headers() }));
  for (const tokenUrl of [undefined, "/auth/token", "token", new URL("https://api.example/t")]) {
    const session = module.startCourierSession({ courier: p.courier, tokenUrl, fetch: answer });
    await session.ready;
    session.stop();
  }
  assert.deepEqual(asked, [
    "https://cdn.example/x/courier/token",
    "https://app.example/auth/token",
    "https://app.example/token",
    "https://api.example/t",
  ]);
});

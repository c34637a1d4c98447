// session.js with Courier's own SDK, its inbox on a page and its toasts: what the other tests take
// for granted of its internals is so, and nobody sees that a token was renewed.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { Window } from "happy-dom";

import { startCourierSession } from "../session.js";

/** Courier, as far as the page sees it. */
const courier = { messages: [], requests: [], sockets: [], refused: new Set(), closing: 5 };
/** The app's token endpoint. */
const endpoint = { number: 0, user: "user-1", requests: [] };

let sdk;
let element;
let session;
let errors = 0;

async function token(_url, init) {
  endpoint.requests.push(new Headers(init.headers).get("If-None-Match"));
  const { number, user } = endpoint;
  const body = {
    token: `token-${number}`, user_id: user, token_id: `id-${number}`,
    expires_in: 3600, refresh_in: 3000, region: "eu",
  };
  return Response.json(body);
}

const graphqlAnswers = {
  GetInboxMessages(query) {
    const archived = /archived: true/.test(query);
    const limit = Number(/\$limit: Int = (\d+)/.exec(query)[1]);
    const from = Number(/\$after: String = "(\d+)"/.exec(query)?.[1] ?? 0);
    const all = archived ? [] : courier.messages;
    const nodes = all.slice(from, from + limit);
    const next = from + limit;
    return {
      count: all.length,
      unreadCount: all.length,
      messages: { totalCount: all.length, pageInfo: { startCursor: String(next), hasNextPage: next < all.length }, nodes },
    };
  },
};

async function graphql(url, init) {
  const { query } = JSON.parse(init.body);
  const [, name = "other"] = /(?:query|mutation) (\w+)/.exec(query) ?? [];
  const bearer = init.headers.Authorization;
  courier.requests.push({ name, bearer, url: String(url) });
  if (courier.refused.has(bearer)) return Response.json({ message: "Unauthorized", type: "authentication_error" }, { status: 401 });
  const answer = Response.json({ data: graphqlAnswers[name]?.(query) ?? {} });
  if (courier.late?.bearer === bearer) {
    courier.late.asked = true;
    await courier.late.until;
  }
  return answer;
}

class FakeWebSocket extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;

  readyState = 0;
  subscribed = false;
  pings = 0;

  constructor(url) {
    super();
    this.url = new URL(url);
    courier.sockets.push(this);
    setTimeout(() => {
      if (this.readyState) return;
      this.readyState = 1;
      this.dispatchEvent(new Event("open"));
    }, 5);
  }

  get token() {
    return this.url.searchParams.get("auth");
  }

  send(text) {
    const { action } = JSON.parse(text);
    if (action === "subscribe") this.subscribed = true;
    if (action === "ping") this.pings += 1;
  }

  receive(envelope) {
    this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(envelope) }));
  }

  close(code = 1005) {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    setTimeout(() => this.lose(code), courier.closing);
  }

  lose(code) {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason: "" }));
  }
}

before(() => {
  const window = new Window({ url: "https://app.example/inbox" });
  // The SDK expects a browser. What node has itself stays, but for what a test must see.
  for (const name of Object.getOwnPropertyNames(window)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { configurable: true, writable: true, value: window[name] });
  }
  for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"]) globalThis[name] = window[name].bind(window);
  Object.assign(globalThis, { window: globalThis, fetch: graphql, WebSocket: FakeWebSocket, BrowserEvent: window.Event });
  const require = createRequire(import.meta.url);
  sdk = { ...require("@trycourier/courier-ui-inbox"), ...require("@trycourier/courier-ui-toast") };
  element = document.createElement("courier-inbox");
  document.body.append(element, document.createElement("courier-toast"));
});

after(() => {
  session?.stop();
  sdk.Courier.shared.signOut();
  // happy-dom has timers of its own.
  setTimeout(() => process.exit(), 100).unref();
});

const open = () => courier.sockets.filter((socket) => socket.readyState === 1);

function message(messageId) {
  return { messageId, title: `Title of ${messageId}`, created: new Date().toISOString(), data: {}, tags: [], actions: [] };
}

/** A message, and whether it comes live. */
function send(messageId) {
  const data = message(messageId);
  courier.messages.unshift(data);
  const listening = open().filter((socket) => socket.subscribed);
  for (const socket of listening) socket.receive({ event: "message", data });
}

/** The titles on the page, and the elements that show them. */
const rows = () => [...element.querySelectorAll("courier-inbox-list-item")];
const titles = () => [...new Set(rows().map((row) => row.querySelector(".title")?.textContent.replace("Title of ", "")))];
const toasts = () => [...document.querySelectorAll("courier-toast-item")];

async function until(what, condition) {
  for (let i = 0; i < 400; i++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    if (condition()) return;
  }
  assert.fail(`waited in vain until ${what}`);
}

async function refresh() {
  endpoint.number += 1;
  await session.refresh();
}

/** Until a gap in the connection would have been filled. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 2500));

test("signs in, and the inbox is on the page and live", async () => {
  courier.messages = Array.from({ length: 60 }, (_, i) => message(`m${i}`));
  endpoint.number = 1;
  session = startCourierSession({
    courier: sdk.Courier.shared,
    inbox: sdk.CourierInboxDatastore.shared,
    toast: sdk.CourierToastDatastore.shared,
    tokenUrl: "/courier/token",
    fetch: token,
    onError: () => (errors += 1),
  });
  assert.equal(await session.ready, true);
  await until("the first page is shown", () => rows().length === 24);
  await until("the socket is open", () => open().length === 1);
  assert.equal(courier.requests[0].url, "https://inbox.eu.courier.io/q");
  assert.equal(open()[0].url.host, "realtime.eu.courier.io");
});

test("three refreshes: no row is replaced, no loaded page lost, no toast removed, messages come live", async () => {
  await sdk.CourierInboxDatastore.shared.fetchNextPageOfMessages({ datasetId: "all_messages" });
  await until("two pages are shown", () => titles().length === 48);
  send("live-1");
  await until("a toast is shown", () => toasts().length === 1);
  const toast = toasts()[0];
  const connection = sdk.Courier.shared.client.options.connectionId;

  for (const number of [2, 3, 4]) {
    const shown = rows();
    const asked = courier.requests.length;
    await refresh();
    await until("the socket has the new token", () => open()[0]?.token === `token-${number}` && open()[0].subscribed);
    assert.equal(open().length, 1);
    await pause();
    assert.deepEqual(rows().map((row, i) => row === shown[i]), shown.map(() => true));
    assert.ok(courier.requests.length > asked);
    assert.ok(courier.requests.slice(asked).every(({ bearer }) => bearer === `Bearer token-${number}`));
    send(`live-${number}`);
    await until("the message is shown", () => titles()[0] === `live-${number}`);
  }
  await until("four toasts were shown", () => toasts().length === 4);
  assert.equal(toasts().includes(toast), true);
  assert.equal(sdk.Courier.shared.client.options.connectionId, connection);
  assert.deepEqual(endpoint.requests, [null, '"id-1"', '"id-2"', '"id-3"']);
  const ids = sdk.CourierInboxDatastore.shared.getDatasetById("all_messages").messages.map(({ messageId }) => messageId);
  assert.equal(ids.length, 52);
  assert.equal(new Set(ids).size, 52);
});

test("a message that comes while the socket is closed is shown, once", async () => {
  courier.closing = 300;
  await refresh();
  await until("the socket is closed", () => open().length === 0);
  send("missed");
  await until("the message is shown", () => titles()[0] === "missed");
  courier.closing = 5;
  const ids = sdk.CourierInboxDatastore.shared.getDatasetById("all_messages").messages.map(({ messageId }) => messageId);
  assert.equal(ids.filter((id) => id === "missed").length, 1);
  assert.equal(ids.length, 53);
});

test("after a sleep, a message that the socket did not bring is shown", async (t) => {
  const { now } = Date;
  t.mock.method(Date, "now", () => now() + 3_600_000);
  courier.messages.unshift(message("asleep"));
  await refresh();
  await until("the message is shown", () => titles()[0] === "asleep");
  await until("the socket is open", () => open()[0]?.subscribed);
});

test("a lost connection: live again after the reconnect, with the messages missed", async () => {
  open()[0].lose(1006);
  send("lost");
  await until("the SDK waits to reconnect", () => !sdk.Courier.shared.client.inbox.socket.isOpen);
  globalThis.dispatchEvent(new BrowserEvent("online"));
  await until("the socket is open", () => open().length === 1);
  await until("the message is shown", () => titles()[0] === "lost");
  send("live-again");
  await until("the next comes live", () => titles()[0] === "live-again");
});

test("a server that moves away: the next connection is pinged, though the one before closes after it is open", async () => {
  const ping = (pingInterval) => open()[0].receive({ response: "config", data: { pingInterval, maxOutstandingPings: 1000 } });
  const [before] = open();
  courier.closing = 300;
  before.receive({ event: "reconnect", retryAfter: 0 });
  await until("the socket is open", () => open()[0]?.subscribed);
  courier.closing = 5;
  ping(0.02);
  await until("the one before is closed", () => before.readyState === 3);
  const { pings } = open()[0];
  await until("it is pinged again", () => open()[0].pings > pings);
  ping(60);
  send("after the move");
  await until("messages come live", () => titles()[0] === "after the move");
});

test("Courier refuses the token: the list shows an error until the next token is there", async () => {
  courier.refused.add(`Bearer token-${endpoint.number}`);
  endpoint.number += 1; // what the endpoint answers to `rejected`
  const store = sdk.CourierInboxDatastore.shared;
  const [first] = store.getDatasetById("all_messages").messages;
  await store.readMessage({ message: first });
  assert.equal(rows().length, 0);
  await until("the list is back", () => titles()[0] === "after the move");
  assert.equal(sdk.Courier.shared.client.options.accessToken, `token-${endpoint.number}`);
  await until("the socket has the new token", () => open()[0]?.token === `token-${endpoint.number}`);
  await pause();
  send("after");
  await until("messages come live", () => titles()[0] === "after");
});

test("another user sees nothing of the first one's, also of what comes late", async () => {
  let late;
  courier.late = { bearer: `Bearer ${sdk.Courier.shared.client.options.accessToken}`, until: new Promise((ok) => (late = ok)) };
  element.refresh();
  await until("the first one's list is asked for", () => courier.late.asked);
  endpoint.user = "user-2";
  courier.messages = [message("of-user-2")];
  await refresh();
  await until("the other's messages are shown", () => titles().join() === "of-user-2");
  late();
  await new Promise((resolve) => setTimeout(resolve, 200));
  await until("the other's messages are shown", () => titles().join() === "of-user-2");
  await until("the socket is the other's", () => open()[0]?.url.searchParams.get("userId") === "user-2");
  assert.equal(open().length, 1);
  assert.equal(toasts().length, 0);
});

test("stop() leaves the SDK as it was", async () => {
  const { inbox } = sdk.Courier.shared.client;
  assert.ok(Object.hasOwn(inbox, "getMessages") && Object.hasOwn(inbox.socket, "onClose"));
  session.stop();
  assert.ok(!Object.hasOwn(inbox, "getMessages") && !Object.hasOwn(inbox.socket, "onClose"));
  assert.equal(errors, 0);
});

test("who is signed out leaves nothing in a tab that was never opened", async () => {
  const store = sdk.CourierInboxDatastore.shared;
  const [{ constructor: Dataset }] = store._datasets.values();
  const loading = [];
  const tab = (id, filter) => {
    const dataset = new Dataset(id, filter);
    dataset.addDatastoreListener({ events: { onDataSetChange: ({ id }) => loading.splice(loading.indexOf(id), 1) } });
    store._datasets.set(id, dataset);
    loading.push(id);
    return dataset;
  };
  // Tabs get live messages and counts also before they are opened.
  const live = tab("live", {});
  const counted = tab("counted", { tags: ["elsewhere"] });
  store.addMessage(message("of-user-2-live"));
  counted.setUnreadCount(3);
  assert.deepEqual([live.toInboxDataset().messages.length, live.totalUnreadCount], [1, 1]);
  const fetch = async () => new Response(null, { status: 401 });
  const { ready } = startCourierSession({ courier: sdk.Courier.shared, inbox: store, tokenUrl: "https://app.example/courier/token", fetch });
  assert.equal(await ready, false);
  assert.deepEqual(live.toInboxDataset().messages, []);
  assert.equal(store.totalUnreadCount, 0);
  assert.deepEqual(loading, ["counted"]); // which had nothing to show
});

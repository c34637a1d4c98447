// The socket, the messages that come through it, and tokens that Courier refuses.

import assert from "node:assert/strict";
import { test } from "node:test";

import { json, page, problem, settle, uncaught } from "./page.js";

/** A page whose inbox is loaded and live. */
async function live(t, settings, options) {
  const p = page(t, settings);
  p.backend.messages = [{ messageId: "m1" }];
  p.session = p.start(options);
  await p.advance(2);
  p.socket = p.courier.client?.inbox.socket;
  assert.equal(p.backend.open.length, 1);
  return p;
}

/** The next token is there and swapped in, and the socket renewed. */
async function renewed(p) {
  p.endpoint.issue();
  await p.session.refresh();
  await p.advance(4, 0.1);
}

test("three refreshes: the socket is renewed each time, live messages go on, the list is not reloaded", async (t) => {
  const p = await live(t);
  await p.toast.listenForMessages();
  const { loads } = p.inbox;
  for (const number of [2, 3, 4]) {
    await renewed(p);
    assert.deepEqual(p.backend.open.map((socket) => socket.token), [`token-${number}-of-user-1`]);
    p.backend.send(`live-${number}`);
  }
  await settle();
  assert.deepEqual(p.inbox.shown, ["live-4", "live-3", "live-2", "m1"]);
  assert.deepEqual(p.toast.shown, ["live-2", "live-3", "live-4"]);
  assert.equal(p.inbox.loads, loads);
  assert.equal(p.courier.signIns.length, 1);
  assert.equal(p.socket, p.courier.client.inbox.socket);
});

test("without the stores the listeners that were there are there again", async (t) => {
  const p = await live(t, {}, { inbox: undefined, toast: undefined });
  const seen = [];
  p.socket.addMessageEventListener(({ data }) => seen.push(data.messageId));
  await renewed(p);
  await renewed(p);
  p.backend.send("live");
  assert.deepEqual(seen, ["live"]);
  assert.deepEqual(p.inbox.shown, ["live", "m1"]);
});

test("what moves up in the list while the socket is renewed is not new", async (t) => {
  const p = await live(t);
  p.backend.messages = Array.from({ length: 30 }, (_, n) => {
    return { messageId: `m${n}`, created: new Date(1e12 - n * 1000).toISOString() };
  });
  await p.inbox.load();
  p.backend.closing = 1000;
  p.endpoint.issue();
  await p.session.refresh();
  await p.advance(0.5, 0.1);
  for (const message of p.backend.messages.slice(3, 6)) message.archived = new Date().toISOString();
  p.backend.messages.unshift({ messageId: "missed", created: new Date().toISOString() });
  await p.advance(6, 0.1);
  assert.equal(p.backend.sockets.length, 2);
  assert.deepEqual(p.toast.shown, ["missed"]);
  assert.deepEqual(p.inbox.shown, ["missed", ...Array.from({ length: 24 }, (_, n) => `m${n}`)]);
});

test("the new connection waits until the old one is closed, however long that takes", async (t) => {
  const p = await live(t);
  p.backend.closing = 20_000;
  await renewed(p);
  assert.equal(p.backend.sockets.length, 1);
  await p.advance(20);
  assert.equal(p.backend.sockets.length, 2);
  p.backend.send("live");
  assert.deepEqual(p.inbox.shown, ["live", "m1"]);
});

test("a message that comes while the socket is closed is shown once, as if live", async (t) => {
  const p = await live(t);
  await p.toast.listenForMessages();
  const { loads } = p.inbox;
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  assert.equal(p.backend.open.length, 0);
  p.backend.send("missed-1");
  p.backend.send("missed-2");
  await p.advance(0.5, 0.1);
  assert.equal(p.backend.open.length, 1);
  p.backend.send("live"); // also among the newest that are asked for
  await p.advance(4);
  assert.deepEqual(new Set(p.inbox.shown), new Set(["missed-1", "missed-2", "live", "m1"]));
  assert.ok(p.inbox.shown.indexOf("missed-2") < p.inbox.shown.indexOf("missed-1")); // the newest first
  assert.equal(p.inbox.shown.length, 4);
  assert.deepEqual(new Set(p.toast.shown), new Set(["missed-1", "missed-2", "live"]));
  assert.equal(p.toast.shown.length, 3);
  assert.equal(p.inbox.loads, loads);
});

test("a message that comes while the socket is closed is shown though another token comes before it is open", async (t) => {
  const p = await live(t);
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  p.backend.send("missed");
  await p.advance(0.06, 0.01);
  assert.ok(p.socket.isConnecting);
  p.endpoint.issue(); // of another replica
  await p.session.refresh();
  await p.advance(4, 0.1);
  assert.deepEqual(p.backend.open.map((socket) => socket.token), ["token-3-of-user-1"]);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
});

test("a listener that throws at a missed message keeps the others from nobody", async (t) => {
  const p = await live(t);
  const thrown = uncaught(t);
  await p.toast.listenForMessages();
  const { addMessage } = p.inbox;
  p.inbox.addMessage = (message) => {
    addMessage.call(p.inbox, message);
    if (message.messageId === "missed-1") throw new Error("the app's own");
  };
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  p.backend.send("missed-1");
  p.backend.send("missed-2");
  await p.advance(4, 0.1);
  assert.deepEqual(p.inbox.shown, ["missed-2", "missed-1", "m1"]);
  assert.deepEqual(p.toast.shown, ["missed-1", "missed-2"]);
  assert.deepEqual(thrown, ["the app's own"]);
});

test("missed messages that cannot be asked for just then come with the list", async (t) => {
  const p = await live(t);
  const { inbox } = p.courier.client;
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  p.backend.send("missed");
  const { getMessages } = inbox;
  inbox.getMessages = () => {
    inbox.getMessages = getMessages;
    return Promise.reject(new TypeError("fetch failed"));
  };
  await p.advance(4, 0.1);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
});

test("a live message that is slower than the list of the newest is shown once", async (t) => {
  const p = await live(t);
  p.backend.closing = 1000;
  p.endpoint.issue();
  await p.session.refresh();
  await p.advance(0.9, 0.1);
  p.backend.lag = 500;
  // Just after the socket is open and before the newest are asked for.
  const { inbox } = p.courier.client;
  const { getMessages } = inbox;
  inbox.getMessages = () => {
    p.backend.send("slow");
    return getMessages();
  };
  await p.advance(5, 0.1);
  assert.deepEqual(p.inbox.shown, ["slow", "m1"]);
  assert.equal(p.backend.open.length, 1);
});

test("a live message that no list takes is shown once as a toast", async (t) => {
  const p = await live(t);
  p.inbox._datasets.clear();
  p.inbox.addMessage = () => {};
  p.inbox.getDatasets = () => ({});
  p.endpoint.issue();
  await p.session.refresh();
  const { inbox } = p.courier.client;
  const { getMessages } = inbox;
  inbox.getMessages = () => {
    p.backend.send("live");
    return getMessages();
  };
  await p.advance(5, 0.1);
  assert.deepEqual(p.toast.shown, ["live"]);
});

test("messages that another tab of the inbox has not loaded are not taken for missed ones", async (t) => {
  const p = await live(t);
  p.backend.messages.push({ messageId: "old, of another tab" });
  await renewed(p);
  assert.deepEqual(p.inbox.shown, ["m1"]);
});

test("a connection that was lost: live messages after the SDK's reconnect, and the missed ones", async (t) => {
  const p = await live(t);
  const { loads } = p.inbox;
  p.backend.sockets[0].lose(1006);
  p.backend.send("missed");
  await p.advance(32);
  assert.equal(p.backend.open.length, 1);
  assert.equal(p.inbox.loads, loads + 1);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
  p.backend.send("live");
  assert.deepEqual(p.inbox.shown, ["live", "missed", "m1"]);
});

for (const [what, then] of [
  ["the page is looked at", (p) => p.wake()],
  ["the next token is there", renewed],
  ["ten minutes have passed", (p) => p.advance(600, 5)],
]) {
  test(`a connection that was lost, and the list cannot be had after the reconnect: the missed ones when ${what}`, async (t) => {
    const p = await live(t);
    p.backend.sockets[0].lose(1006);
    p.backend.send("missed");
    const { inbox } = p.courier.client;
    const { getMessages } = inbox;
    inbox.getMessages = () => Promise.reject(Object.assign(new Error("Service Unavailable"), { code: 503 }));
    await p.advance(32);
    inbox.getMessages = getMessages;
    assert.equal(p.backend.open.length, 1);
    assert.deepEqual(p.inbox.shown, ["m1"]);
    await then(p);
    assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
    const { loads } = p.inbox;
    await p.wake();
    await p.advance(600, 5);
    assert.equal(p.inbox.loads, loads);
  });
}

test("a connection that was lost, and the next token comes while the SDK reconnects: the missed ones, too", async (t) => {
  const p = await live(t);
  p.backend.sockets[0].lose(1006);
  p.backend.send("missed");
  await p.advance(30);
  assert.ok(p.socket.isConnecting);
  await renewed(p);
  assert.deepEqual(p.backend.open.map((socket) => socket.token), ["token-2-of-user-1"]);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
});

test("a first connection that failed: what came before the second is loaded", async (t) => {
  const p = page(t);
  const refuse = p.backend.refused;
  p.endpoint.next = [json(p.endpoint.body({ refresh_in: 3000 }))];
  p.start();
  await settle();
  refuse.add("token-1-of-user-1");
  await p.advance(1, 0.1);
  assert.equal(p.backend.open.length, 0);
  refuse.clear();
  p.backend.send("between");
  await p.advance(32);
  assert.equal(p.backend.open.length, 1);
  assert.deepEqual(p.inbox.shown, ["between"]);
});

test("an SDK whose listeners are out of sight: the stores listen again", async (t) => {
  const p = await live(t, {
    mend({ inbox: { socket } }) {
      const listeners = new Set();
      delete socket.messageEventListeners;
      socket.addMessageEventListener = (listener) => (listeners.add(listener), () => listeners.delete(listener));
      socket.onMessageReceived = (envelope) => listeners.forEach((listener) => listener(envelope));
      socket.onClose = () => listeners.clear();
    },
  });
  await p.toast.listenForMessages();
  await renewed(p);
  p.backend.send("renewed");
  p.backend.open[0].lose(1006);
  await p.advance(32);
  p.backend.send("reconnected");
  assert.deepEqual(p.inbox.shown, ["reconnected", "renewed", "m1"]);
  assert.deepEqual(p.toast.shown, ["renewed", "reconnected"]);
});

test("back on the network the socket does not wait for the SDK's next try", async (t) => {
  const p = await live(t);
  p.backend.sockets[0].lose(1006);
  await p.advance(2);
  assert.equal(p.backend.sockets.length, 1);
  await p.wake(p.window, "online");
  await p.advance(1);
  assert.equal(p.backend.open.length, 1);
  await p.advance(60);
  assert.equal(p.backend.sockets.length, 2);
  p.backend.send("live");
  assert.equal(p.inbox.shown[0], "live");
});

test("a socket that the server closed for good is opened by the next refresh", async (t) => {
  const p = await live(t);
  p.backend.sockets[0].lose(1000);
  await p.advance(120);
  assert.equal(p.backend.open.length, 0);
  await p.session.refresh(); // a 304
  await p.advance(1, 0.1);
  assert.equal(p.backend.open.length, 1);
});

// Nobody touches the page, and the next refresh of a long token is hours away.
for (const [what, lose] of [
  ["the SDK has given up on", (p) => (p.backend.down = true) && p.backend.sockets[0].lose(1006)],
  ["the server closed for good", (p) => p.backend.sockets[0].lose(1000)],
]) {
  test(`a socket that ${what} is opened again within ten minutes`, async (t) => {
    const p = page(t);
    p.endpoint.lifetime = 86400;
    p.start();
    await p.advance(2);
    lose(p);
    await p.advance(1200, 5);
    const tried = p.backend.sockets.length;
    assert.ok(tried <= 8, `${tried} in 20 minutes`);
    p.backend.down = false;
    p.backend.send("missed");
    await p.advance(600, 5);
    p.backend.send("live");
    assert.deepEqual(p.inbox.shown, ["live", "missed"]);
    assert.equal(p.endpoint.requests.length, 1);
  });
}

test("a page that is looked at often during an outage does not try ever more often", async (t) => {
  const p = page(t);
  p.endpoint.lifetime = 86400;
  p.start();
  await p.advance(2);
  p.backend.down = true;
  p.backend.sockets[0].lose(1006);
  await p.advance(300, 5); // the SDK has given up
  for (let i = 0; i < 30; i++) {
    await p.wake();
    await p.advance(5);
  }
  const tried = p.backend.sockets.length;
  await p.advance(3600, 5);
  const times = p.backend.sockets.length - tried;
  assert.ok(times >= 6 && times <= 12, `${times} in an hour`);
});

test("a socket that the app closed stays closed", async (t) => {
  const p = await live(t);
  p.socket.close();
  await p.advance(1, 0.1);
  await renewed(p);
  await p.wake();
  p.session.stop();
  p.session = p.start();
  await renewed(p);
  assert.equal(p.backend.open.length, 0);
});

test("no socket is opened where there was none", async (t) => {
  const p = page(t, { ui: false });
  p.session = p.start();
  await p.advance(2);
  await renewed(p);
  await p.wake();
  assert.equal(p.backend.sockets.length, 0);
  assert.equal(p.courier.client.options.accessToken, "token-2-of-user-1");
});

test("a renewal whose connection fails ends with the SDK's reconnect and a reload", async (t) => {
  const p = await live(t);
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  p.backend.down = true;
  await p.advance(5, 0.1);
  assert.equal(p.backend.open.length, 0);
  p.backend.down = false;
  p.backend.send("missed");
  await p.advance(32);
  assert.equal(p.backend.open.length, 1);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
});

test("after a sleep: a new token, a new socket, the missed messages", async (t) => {
  const p = await live(t);
  p.backend.sockets[0].lose(1006);
  p.sleep(7200);
  p.backend.refused.add("token-1-of-user-1");
  p.backend.send("missed");
  await p.wake();
  await p.advance(5, 0.1);
  assert.deepEqual(p.backend.open.map((socket) => socket.token), ["token-2-of-user-1"]);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
  p.backend.send("live");
  assert.equal(p.inbox.shown[0], "live");
});

test("hours of nothing but pings: no refresh reloads the list", async (t) => {
  const p = await live(t);
  const { loads } = p.inbox;
  await p.advance(4 * 3600, 10);
  assert.equal(p.backend.sockets.length, 5);
  assert.equal(p.inbox.loads, loads);
});

// The server's goodbye is lost on a computer that sleeps: the socket says that it is open, and is dead.
test("after a sleep with a socket that only seems to be open, the missed messages are there", async (t) => {
  const p = await live(t);
  p.sleep(7200);
  p.backend.messages.unshift({ messageId: "missed" });
  await p.wake();
  await p.advance(5, 0.1);
  assert.deepEqual(p.backend.open.map((socket) => socket.token), ["token-2-of-user-1"]);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
  p.backend.send("live");
  assert.equal(p.inbox.shown[0], "live");
});

test("after a nap in which the token lives on, too", async (t) => {
  const p = await live(t);
  p.sleep(1200);
  p.backend.messages.unshift({ messageId: "missed" });
  await p.wake(p.window, "online");
  await p.wake(); // events come in crowds
  await p.advance(5, 0.1);
  await p.wake();
  await p.advance(5, 0.1);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
  assert.equal(p.backend.sockets.length, 2);
  assert.equal(p.endpoint.requests.length, 1);
  p.backend.send("live");
  assert.equal(p.inbox.shown[0], "live");
});

test("a look at a page whose socket is alive, if slow in a hidden tab, changes nothing", async (t) => {
  const p = await live(t);
  p.socket.pingInterval = 10_000;
  const { loads } = p.inbox;
  await p.advance(50);
  await p.wake();
  await p.advance(5, 0.1);
  assert.equal(p.backend.sockets.length, 1);
  assert.equal(p.inbox.loads, loads);
});

test("a component that connects while a dead connection is given up: missed messages, and a later loss is noticed", async (t) => {
  const p = await live(t);
  p.backend.closing = 20_000;
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  p.backend.send("missed");
  p.inbox.listenForUpdates();
  await p.advance(5);
  p.backend.sockets[0].lose(1006);
  await p.advance(40);
  assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
  p.backend.open[0].lose(1006);
  await p.advance(40);
  assert.equal(p.backend.open.length, 1);
  p.session.stop();
  assert.ok(!Object.hasOwn(p.socket, "onClose"));
});

test("stop() while a component connects in the place of a connection that is being renewed leaves the SDK as it was", async (t) => {
  const p = await live(t);
  p.backend.closing = 20_000;
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  p.session.stop();
  p.inbox.listenForUpdates();
  await p.advance(30);
  assert.ok(!Object.hasOwn(p.socket, "onClose"));
  p.backend.send("live");
  assert.deepEqual(p.inbox.shown, ["live", "m1"]);
});

test("another user's sign-in while the socket is being renewed does not bring the first one's back", async (t) => {
  const p = await live(t);
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  p.endpoint.user = "user-2";
  await p.session.refresh();
  await p.advance(40);
  assert.deepEqual(p.backend.open.map((socket) => socket.token), ["token-2-of-user-2"]);
});

for (const next of [undefined, "user-2"]) {
  test(`the app ${next ? "signed in another user" : "signed out"} itself: no socket is opened for the first one again`, async (t) => {
    const p = await live(t);
    p.backend.sockets[0].lose(1006);
    await p.advance(2);
    if (next) p.courier.signIn({ userId: next, jwt: "theirs" });
    else p.courier.signOut();
    await p.advance(1);
    await p.wake(p.window, "online");
    await p.advance(60);
    const firsts = p.backend.sockets.filter((socket) => socket.token === "token-1-of-user-1");
    assert.equal(firsts.length, 1);
  });
}

test("the app signed out itself while missed messages were looked for: none of them is shown", async (t) => {
  const p = await live(t);
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  p.backend.send("missed");
  await p.advance(0.5, 0.1);
  p.courier.signOut();
  await p.advance(4);
  assert.deepEqual(p.inbox.shown, ["m1"]);
});

// The SDK put it into the list of whoever was there by then.
for (const [what, next] of [
  ["a user", (p) => (p.endpoint.user = "user-2")],
  ["nobody", (p) => p.endpoint.next.push(problem(401, "Nobody is signed in."))],
]) {
  test(`a late answer to the first user is shown to nobody when ${what} is signed in`, async (t) => {
    const p = await live(t);
    let answer;
    p.backend.answers = new Promise((resolve) => (answer = resolve));
    const loaded = p.inbox.load();
    const read = p.inbox.read();
    loaded.then(assert.fail, assert.fail);
    p.courier.client.preferences.getUserPreferences().then(assert.fail, assert.fail);
    read.then(assert.fail, assert.fail);
    await settle();
    p.backend.answers = undefined;
    p.backend.refused.add("token-1-of-user-1");
    p.backend.messages = [];
    next(p);
    await p.session.refresh();
    await p.advance(1);
    assert.deepEqual(p.inbox.shown, []);
    answer();
    await p.advance(1);
    assert.deepEqual(p.inbox.shown, []);
    assert.deepEqual(rejected(p), []); // a 401 of the first one's says nothing of the second one's token
  });
}

test("of the first user nothing stays in the store, and a tab that was never opened goes on loading", async (t) => {
  const p = await live(t);
  let emptied = 0;
  const restoreFromSnapshot = () => (emptied += 1);
  p.inbox._datasets.set("archived", { messages: [], _firstFetchComplete: false, restoreFromSnapshot });
  p.inbox._datasets.set("unread", { messages: [], _firstFetchComplete: true, restoreFromSnapshot });
  p.backend.send("live");
  p.backend.messages = [];
  p.endpoint.user = "user-2";
  await p.session.refresh();
  assert.equal(p.inbox._globalMessages.size, 0);
  assert.equal(emptied, 1);
});

test("of the first user nothing stays in a tab that was never opened, either", async (t) => {
  const p = await live(t);
  const emptied = [];
  let unread = 3;
  const tab = { messages: [], _firstFetchComplete: false, setUnreadCount: (count) => (unread = count) };
  for (const [id, _messages] of [["live", [{ messageId: "live" }]], ["idle", []]]) {
    p.inbox._datasets.set(id, { ...tab, _messages, restoreFromSnapshot: ({ messages, unreadCount }) => emptied.push(id, messages, unreadCount) });
  }
  p.endpoint.user = "user-2";
  await p.session.refresh();
  assert.deepEqual(emptied, ["live", [], 0]);
  assert.equal(unread, 0); // that it loads, it goes on showing
});

test("an answer that comes after stop() is what it was", async (t) => {
  const p = await live(t);
  let answer;
  p.backend.answers = new Promise((resolve) => (answer = resolve));
  const loaded = p.inbox.load();
  await settle();
  p.session.stop();
  answer();
  await loaded;
  assert.deepEqual(p.inbox.shown, ["m1"]);
});

test("stop() while the socket is being renewed leaves it live", async (t) => {
  const p = await live(t);
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  assert.equal(p.backend.open.length, 0);
  p.session.stop();
  await p.advance(1, 0.1);
  p.backend.send("live");
  assert.deepEqual(p.inbox.shown, ["live", "m1"]);
  assert.ok(!Object.hasOwn(p.socket, "onClose"));
});

test("another session while the socket is being renewed: live, and one reload for each reconnect", async (t) => {
  const p = await live(t);
  p.endpoint.issue();
  await p.session.refresh();
  await settle();
  assert.equal(p.backend.open.length, 0);
  p.session = p.start();
  await p.advance(5, 0.1);
  p.backend.send("live");
  assert.deepEqual(p.inbox.shown, ["live", "m1"]);
  const { loads } = p.inbox;
  p.backend.open[0].lose(1006);
  await p.advance(32);
  assert.equal(p.inbox.loads, loads + 1);
  p.session.stop();
  for (const name of ["onOpen", "onClose", "onMessageReceived"]) assert.ok(!Object.hasOwn(p.socket, name), name);
});

for (const [when, seconds] of [["before", 0.06], ["after", 0.5]]) {
  test(`another session just ${when} the renewed socket is open: what was missed is there`, async (t) => {
    const p = await live(t);
    p.endpoint.issue();
    await p.session.refresh();
    await settle();
    p.backend.send("missed");
    await p.advance(seconds, 0.01);
    assert.equal(p.socket.isConnecting, when === "before");
    p.session.stop();
    p.session = p.start();
    await p.advance(5, 0.1);
    assert.deepEqual(p.inbox.shown, ["missed", "m1"]);
  });
}

test("started anew while the endpoint is down, the session looks after the socket all the same", async (t) => {
  const p = await live(t);
  p.session.stop();
  p.endpoint.next = Array(9).fill(() => problem(503, "Down"));
  p.session = p.start();
  await p.advance(2);
  p.backend.sockets[0].lose(1006);
  p.backend.send("missed");
  await p.advance(32);
  assert.ok(p.endpoint.next.length);
  p.backend.send("live");
  assert.deepEqual(p.inbox.shown, ["live", "missed", "m1"]);
});

for (const [what, code, seconds] of [
  ["the SDK will open again", 1006, 32],
  ["nobody else opens again", 1000, 1],
]) {
  test(`a session that finds a lost socket which ${what}: live, with what was missed`, async (t) => {
    const p = await live(t);
    p.session.stop();
    p.backend.sockets[0].lose(code);
    p.backend.send("missed");
    p.endpoint.hold = code === 1006; // so that it is not the answer that opens it
    p.session = p.start();
    await p.advance(seconds);
    p.endpoint.held.forEach((go) => go());
    await p.advance(1);
    p.backend.send("live");
    assert.deepEqual(p.inbox.shown, ["live", "missed", "m1"]);
  });
}

test("two copies of the module do not show a message twice", async (t) => {
  const p = await live(t);
  const other = await import("../session.js?copy");
  const second = other.startCourierSession({
    courier: p.courier, inbox: p.inbox, toast: p.toast, tokenUrl: "https://app.example/courier/token",
    fetch: (url, init) => p.endpoint.answer(url, init),
  });
  t.after(() => second.stop());
  await second.ready;
  await p.advance(3100);
  p.backend.send("live");
  assert.equal(p.inbox.shown.filter((id) => id === "live").length, 1);
  assert.equal(p.courier.signIns.length, 1);
  assert.equal(p.backend.open.length, 1);
});

// --- Tokens that Courier refuses ---

const rejected = (p) => p.endpoint.requests.map(({ url }) => url.searchParams.get("rejected")).filter(Boolean);

test("a 401 from Courier: the endpoint is told once, and the next token mends the list", async (t) => {
  const p = await live(t);
  await p.advance(20);
  p.backend.refused.add("token-1-of-user-1");
  const { client } = p.courier;
  const calls = [client.inbox.read(), client.inbox.read(), client.preferences.getUserPreferences(), p.inbox.load()];
  const outcomes = await Promise.allSettled(calls);
  assert.ok(outcomes.every(({ reason }) => reason?.code === 401)); // the callers see what they always saw
  await p.advance(3, 0.1);
  assert.deepEqual(rejected(p), ["id-1-of-user-1"]);
  assert.equal(client.options.accessToken, "token-2-of-user-1");
  assert.equal(p.backend.calls.at(-1).token, "token-2-of-user-1");
  assert.deepEqual(p.backend.open.map((socket) => socket.token), ["token-2-of-user-1"]);
  assert.deepEqual(p.inbox.shown, ["m1"]);
  assert.equal(p.courier.signIns.length, 1);
  await p.advance(600);
  assert.equal(rejected(p).length, 1);
});

test("the very first load gets a 401: it is loaded again with the next token", async (t) => {
  const p = page(t);
  p.backend.messages = [{ messageId: "m1" }];
  p.endpoint.issued -= 60_000; // from the app's cache
  p.backend.refused.add("token-1-of-user-1");
  p.start();
  await p.advance(3, 0.1);
  assert.deepEqual(rejected(p), ["id-1-of-user-1"]);
  assert.deepEqual(p.inbox.shown, ["m1"]);
  assert.equal(p.backend.open.length, 1);
  p.backend.send("live");
  assert.deepEqual(p.inbox.shown, ["live", "m1"]);
});

test("a token refused before a session's first answer, which is that token: another is asked for", async (t) => {
  const p = await live(t);
  p.session.stop();
  await p.advance(60);
  p.endpoint.hold = true;
  p.session = p.start();
  await settle();
  p.backend.refused.add("token-1-of-user-1");
  await p.courier.client.inbox.read().catch(() => {});
  p.endpoint.hold = false;
  p.endpoint.held.forEach((go) => go());
  await p.advance(3, 0.1);
  assert.deepEqual(rejected(p), ["id-1-of-user-1"]);
  assert.equal(p.courier.client.options.accessToken, "token-2-of-user-1");
});

test("no other token to be had yet: asked again when the endpoint says, not for each 401", async (t) => {
  const p = await live(t);
  p.backend.refused.add("token-1-of-user-1");
  await p.courier.client.inbox.read().catch(() => {});
  await p.advance(1, 0.1);
  assert.deepEqual(rejected(p), ["id-1-of-user-1"]); // too young to be replaced: a 304
  for (let i = 0; i < 40; i++) {
    await p.courier.client.inbox.read().catch(() => {});
    await p.advance(1);
  }
  assert.equal(rejected(p).length, 1);
  await p.advance(10);
  assert.equal(rejected(p).length, 2);
  assert.equal(p.courier.client.options.accessToken, "token-2-of-user-1");
});

test("Courier refuses every token: ever rarer requests", async (t) => {
  const p = await live(t);
  p.backend.refused.has = () => true;
  for (let i = 0; i < 1800; i++) {
    await p.courier.client.inbox.read().catch(() => {});
    await p.advance(1);
  }
  assert.ok(rejected(p).length > 3 && rejected(p).length < 45, `${rejected(p).length} in half an hour`);
});

test("a token refused long after another one was is replaced at once, too", async (t) => {
  const p = await live(t);
  for (const number of [1, 3]) {
    await p.advance(20);
    p.backend.refused.add(`token-${number}-of-user-1`);
    await p.courier.client.inbox.read().catch(() => {});
    await p.advance(0.5, 0.1);
    assert.equal(p.courier.client.options.accessToken, `token-${number + 1}-of-user-1`);
    await renewed(p); // an ordinary refresh
  }
});

test("late 401s of a token that is replaced already reload the list once and reject nothing", async (t) => {
  const calls = [];
  const p = await live(t, {
    mend(client) {
      const prototype = Object.getPrototypeOf(client.inbox);
      Object.setPrototypeOf(client.inbox, Object.defineProperties({}, {
        ...Object.getOwnPropertyDescriptors(prototype),
        read: { value: () => new Promise((_, reject) => calls.push(reject)), writable: true },
      }));
    },
  });
  for (let i = 0; i < 3; i++) p.courier.client.inbox.read().catch(() => {});
  await renewed(p);
  const { loads } = p.inbox;
  for (const refuse of calls) refuse(Object.assign(new Error("Unauthorized"), { code: 401 }));
  await settle();
  assert.deepEqual(rejected(p), []);
  assert.equal(p.inbox.loads, loads + 1);
});

test("other errors of Courier's are not the token's fault", async (t) => {
  const p = await live(t);
  p.backend.down = true;
  await p.courier.client.inbox.read().catch(() => {});
  p.backend.call = () => {
    throw Object.assign(new Error("Forbidden"), { code: 403 });
  };
  await p.courier.client.inbox.read().catch(() => {});
  await p.advance(60);
  assert.equal(p.endpoint.requests.length, 1);
});

test("a failed call that the app does not wait for is reported as unhandled, as it was", async (t) => {
  class Lists {
    constructor(options) {
      this.options = options;
    }

    async putSubscription() {
      throw new Error("Service Unavailable");
    }
  }
  const p = await live(t, { mend: (client) => (client.lists = new Lists(client.options)) });
  const ofTheRunner = process.listeners("unhandledRejection");
  const unhandled = [];
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", ({ message }) => unhandled.push(message));
  t.after(() => {
    process.removeAllListeners("unhandledRejection");
    for (const listener of ofTheRunner) process.on("unhandledRejection", listener);
  });
  p.courier.client.lists.putSubscription();
  await settle();
  assert.deepEqual(unhandled, ["Service Unavailable"]);
});

test("the new token is tried before the old connection is given up", async (t) => {
  const p = await live(t);
  p.backend.refused.add("token-2-of-user-1");
  await renewed(p);
  assert.deepEqual(rejected(p), ["id-2-of-user-1"]);
  assert.deepEqual(p.backend.open.map((socket) => socket.token), ["token-1-of-user-1"]);
  await p.advance(60);
  assert.deepEqual(p.backend.open.map((socket) => socket.token), ["token-3-of-user-1"]);
});

test("a refused token does not cut the endpoint's Retry-After short", async (t) => {
  const p = await live(t);
  p.endpoint.next = [() => problem(503, "Down", { "Retry-After": "300" })];
  await p.session.refresh();
  p.backend.refused.add("token-1-of-user-1");
  await p.courier.client.inbox.read().catch(() => {});
  await p.advance(250);
  assert.equal(p.endpoint.requests.length, 2);
  await p.advance(80);
  assert.deepEqual(rejected(p), ["id-1-of-user-1"]);
});

// --- SDKs without what a silent swap takes ---

for (const [what, mend] of [
  ["frozen options", (client) => Object.freeze(client.options)],
  ["options that are not shared", (client) => (client.inbox.options = { ...client.options })],
  ["a token of another name", (client) => delete client.options.accessToken],
  ["a socket without onClose", (client) => (client.inbox.socket.onClose = undefined)],
  ["no socket", (client) => delete client.inbox.socket],
  ["no inbox", (client) => delete client.inbox],
]) {
  test(`${what}: the next token signs in again, the same one does not`, async (t) => {
    const p = page(t, { ui: false, mend });
    const session = p.start();
    await session.ready;
    p.endpoint.next = [json(p.endpoint.body({ refresh_in: 3000 }))];
    await session.refresh();
    p.endpoint.issue();
    await session.refresh();
    assert.equal(p.courier.client.options.jwt, "token-2-of-user-1");
    assert.equal(p.courier.signIns.at(-1).jwt, "token-2-of-user-1");
    assert.ok(p.courier.signIns.length <= 3);
    assert.deepEqual(p.told.errors, []);
  });
}

test("signed in again for want of a swap, the list stays until the next one is there", async (t) => {
  const p = await live(t, { mend: (client) => Object.freeze(client.options) });
  p.backend.answers = new Promise(() => {});
  p.endpoint.issue();
  await p.session.refresh();
  assert.equal(p.courier.signIns.length, 2);
  assert.deepEqual(p.inbox.shown, ["m1"]);
});

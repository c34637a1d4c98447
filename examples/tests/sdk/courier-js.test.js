// Courier's SDK for browsers, with tokens that our crate hands out.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import Server from "@trycourier/courier";
import "./browser.js";
// The package names this file for bundlers only.
import { Courier, CourierClient } from "@trycourier/courier-js/dist/index.mjs";
import { apiKey, control, ours, readSync, send, until, url } from "./emulator.js";

const apiUrls = {
  courier: { rest: url, graphql: `${url}/client/q` },
  inbox: { graphql: `${url}/q`, webSocket: url.replace("http", "ws") },
};

const clients = [];
after(() => clients.forEach((client) => client.inbox.socket.close()));

async function signIn(userId, options = {}) {
  const { token: jwt } = await ours(userId);
  const client = new CourierClient({ userId, jwt, apiUrls, ...options });
  clients.push(client);
  return client;
}

async function titles(client, options) {
  const { data } = await client.inbox.getMessages(options);
  return data.messages.nodes.map((message) => message.title);
}

// Opens the client's socket, and collects what it hears.
async function listen(client, userId, sockets = 1) {
  const heard = [];
  await client.inbox.socket.connect();
  client.inbox.socket.addMessageEventListener((event) => heard.push(event));
  await subscribed(userId, sockets);
  return heard;
}

function subscribed(userId, count) {
  return until(async () => {
    const { sockets } = await control("GET", "");
    const mine = sockets.filter((socket) => socket.user_id === userId);
    return mine.length === count && mine.every((socket) => socket.subscribed);
  });
}

test("messages, pages and filters", async () => {
  const client = await signIn("reader");
  for (let number = 0; number < 5; number++) {
    await send("reader", {
      title: `${number}`,
      preview: "text",
      tags: number % 2 ? ["odd"] : [],
      tenant_id: number === 4 ? "t" : undefined,
      actions: [{ content: "Open", href: "https://example.com/" }],
      created: `2026-01-0${number + 1}T00:00:00.000Z`,
    });
  }
  const { data } = await client.inbox.getMessages({ paginationLimit: 3 });
  assert.equal(data.count, 5);
  assert.equal(data.unreadCount, 5);
  assert.equal(data.messages.totalCount, 5);
  const { hasNextPage, startCursor } = data.messages.pageInfo;
  assert.equal(hasNextPage, true);
  const [newest] = data.messages.nodes;
  assert.equal(newest.created, "2026-01-05T00:00:00.000Z");
  assert.equal(newest.preview, "text");
  assert.equal(newest.actions[0].href, "https://example.com/");
  assert.ok(newest.trackingIds.clickTrackingId);
  assert.deepEqual(await titles(client, { paginationLimit: 3, startCursor }), ["1", "0"]);

  assert.deepEqual(await titles(client, { filter: { tags: ["odd", "even"] } }), ["3", "1"]);
  assert.deepEqual(await titles(client, { filter: { from: "2026-01-04T00:00:00.000Z" } }), ["4", "3"]);
  assert.deepEqual(await titles(client, { filter: { status: "read" } }), []);
  assert.deepEqual(await titles(client, { filter: { archived: true } }), []);
  const member = await signIn("reader", { tenantId: "t" });
  assert.deepEqual(await titles(member), ["4"]);
  assert.equal(await member.inbox.getUnreadMessageCount(), 1);
  const counts = await client.inbox.getUnreadCounts({
    all_messages: {},
    "odd-ones": { tags: ["odd"] },
    done: { status: "read" },
  });
  assert.deepEqual(counts, { all_messages: 5, "odd-ones": 2, done: 0 });
});

test("each mutation", async () => {
  const client = await signIn("writer");
  const [messageId, second, third] = [
    await send("writer", { title: "a" }),
    await send("writer", { title: "b" }),
    await send("writer", { title: "c" }),
  ];
  const { inbox } = client;
  const first = async (filter) => {
    const { data } = await inbox.getMessages({ filter });
    return data.messages.nodes.find((message) => message.messageId === messageId);
  };
  await inbox.read({ messageId });
  assert.ok((await first()).read);
  assert.equal(await inbox.getUnreadMessageCount(), 2);
  await inbox.unread({ messageId });
  assert.equal((await first()).read, null);
  await inbox.open({ messageId });
  assert.ok((await first()).opened);
  await inbox.batchOpen([messageId, second, third]);
  const { data } = await inbox.getMessages();
  assert.ok(data.messages.nodes.every((message) => message.opened));
  const { clickTrackingId: trackingId } = (await first()).trackingIds;
  await inbox.click({ messageId, trackingId });
  await inbox.archive({ messageId });
  assert.equal(await first(), undefined);
  assert.ok((await first({ archived: true })).archived);
  const archived = await inbox.getArchivedMessages();
  assert.equal(archived.data.count, 1);
  await inbox.unarchive({ messageId });
  await inbox.read({ messageId });
  await inbox.archiveRead();
  assert.deepEqual(await titles(client), ["c", "b"]);
  await inbox.readAll();
  assert.equal(await inbox.getUnreadMessageCount(), 0);
  await inbox.archiveAll();
  assert.deepEqual(await titles(client), []);
});

test("what our crate marks read and archives is so for the SDK", async () => {
  const client = await signIn("mailer");
  const heard = await listen(client, "mailer");
  const [messageId, other] = [await send("mailer", { title: "a" }), await send("mailer", { title: "b" })];
  await until(() => heard.length === 2);
  assert.equal(await client.inbox.getUnreadMessageCount(), 2);
  await readSync("read", "mailer", messageId);
  await until(() => heard.length === 3);
  assert.deepEqual(heard[2], { event: "read", messageId });
  assert.equal(await client.inbox.getUnreadMessageCount(), 1);
  const { data } = await client.inbox.getMessages();
  const read = data.messages.nodes.filter((message) => message.read);
  assert.deepEqual(read.map((message) => message.messageId), [messageId]);

  await readSync("archive", other);
  await until(() => heard.length === 4);
  assert.deepEqual(heard[3], { event: "archive", messageId: other });
  assert.deepEqual(await titles(client), ["a"]);
  assert.deepEqual(await titles(client, { filter: { archived: true } }), ["b"]);
  // Archiving is not reading.
  const archived = await client.inbox.getArchivedMessages();
  assert.equal(archived.data.messages.nodes[0].read, null);
  // Nobody else's.
  await assert.rejects(readSync("read", "mallory", messageId), /no such message/);
});

test("the socket tells what happens, but a client nothing of its own", async () => {
  const one = await signIn("listener");
  const two = await signIn("listener");
  const heardOne = await listen(one, "listener", 1);
  const heardTwo = await listen(two, "listener", 2);
  const messageId = await send("listener", { title: "live", tags: ["x"] });
  await until(() => heardOne.length === 1 && heardTwo.length === 1);
  assert.equal(heardOne[0].event, "message");
  assert.equal(heardOne[0].data.messageId, messageId);
  assert.deepEqual(heardOne[0].data.tags, ["x"]);
  assert.ok(heardOne[0].data.data.trackingIds.clickTrackingId);
  await one.inbox.read({ messageId });
  await two.inbox.archive({ messageId });
  await until(() => heardOne.length === 2 && heardTwo.length === 2);
  assert.deepEqual(heardOne[1], { event: "archive", messageId });
  assert.deepEqual(heardTwo[1], { event: "read", messageId });
});

test("a socket that is sent away comes back", async () => {
  const client = await signIn("traveller");
  await listen(client, "traveller");
  // Told to come back after no time at all, the SDK takes its own 15 to 45 seconds.
  for (const [path, body] of [
    ["/sockets/reconnect", { user_id: "traveller", retry_after: 1 }],
    ["/sockets/close", { user_id: "traveller", code: 1012, retry_after: 1 }],
  ]) {
    const before = client.inbox.socket.webSocket;
    await control("POST", path, body);
    await until(() => client.inbox.socket.webSocket !== before && client.inbox.socket.isOpen);
    await subscribed("traveller", 1);
  }
});

test("preferences", async () => {
  const client = await signIn("chooser");
  const { items } = await client.preferences.getUserPreferences();
  assert.deepEqual(items.map((topic) => topic.topicId), ["security", "comments", "newsletter"]);
  const chosen = await client.preferences.putUserPreferenceTopic({
    topicId: "comments",
    status: "OPTED_OUT",
    hasCustomRouting: true,
    customRouting: ["email", "push"],
    digestSchedule: "weekly",
  });
  const topic = await client.preferences.getUserPreferenceTopic({ topicId: "comments" });
  assert.deepEqual(topic, chosen);
  assert.equal(topic.status, "OPTED_OUT");
  assert.deepEqual(topic.customRouting, ["email", "push"]);
  assert.equal(topic.digestSchedule, "weekly");
  await assert.rejects(client.preferences.getUserPreferenceTopic({ topicId: "nothing" }), /not found/);
  const page = await client.preferences.getPreferencePage({ brandId: "b" });
  assert.equal(page.sections[1].topics[0].templateId, "comments");
  assert.ok(page.brand.settings.colors.primary);
  assert.equal(page.recipientPreferences[1].status, "OPTED_OUT");
  const schedules = await client.preferences.getDigestSchedules({ topicId: "comments" });
  assert.deepEqual(schedules.map((schedule) => schedule.scheduleId), ["daily", "weekly"]);
});

test("brands, lists and tracking", async () => {
  const client = await signIn("other");
  const brand = await client.brands.getBrand({ brandId: "b" });
  assert.ok(brand.settings.colors.primary);
  await client.lists.putSubscription({ listId: "news", clientKey: "k" });
  await client.lists.deleteSubscription({ listId: "news", clientKey: "k" });
  const event = { clientKey: "k", event: "Bought", messageId: "m", type: "track" };
  assert.deepEqual(await client.tracking.postInboundCourier(event), { messageId: "m" });
});

test("push tokens, which need a scope that our apps do not ask for", async () => {
  const device = { token: "abc:def", provider: "apn", device: { platform: "ios" } };
  const client = await signIn("phone");
  await assert.rejects(client.tokens.putUserToken(device), { code: 403, type: "authorization_error" });

  const server = new Server({ apiKey, baseURL: url });
  const scope = "user_id:phone write:user-tokens";
  const { token: jwt } = await server.auth.issueToken({ scope, expires_in: "1h" });
  const phone = new CourierClient({ userId: "phone", jwt, apiUrls });
  const stored = async () => (await server.users.tokens.list("phone")).tokens;
  await phone.tokens.putUserToken(device);
  const [{ token, provider_key, device: described }] = await stored();
  assert.deepEqual([token, provider_key, described.platform], ["abc:def", "apn", "ios"]);
  await phone.tokens.deleteUserToken({ token });
  assert.deepEqual(await stored(), []);
});

test("errors are what the SDK makes of them", async () => {
  const client = await signIn("unlucky");
  await send("unlucky", { title: "a" });
  const next = (fault) => control("POST", "/faults", { on: "inbox", fault, calls: 1 });
  await next({ status: 500 });
  await assert.rejects(client.inbox.getMessages(), { code: 500, type: "api_error" });
  await next("html");
  await assert.rejects(client.inbox.getMessages(), { type: "PARSE_ERROR" });
  await next({ errors: "Internal" });
  assert.equal((await client.inbox.getMessages()).data, null);
  const stranger = new CourierClient({ userId: "unlucky", jwt: "nonsense", apiUrls });
  await assert.rejects(stranger.inbox.getMessages(), {
    code: 401,
    message: "Unauthorized",
    type: "authentication_error",
  });
  // Another user's token finds nothing, and changes nothing.
  const { token } = await ours("mallory");
  const mallory = new CourierClient({ userId: "unlucky", jwt: token, apiUrls });
  assert.deepEqual(await titles(mallory), []);
  await assert.rejects(mallory.inbox.archiveAll(), { code: 403 });
  assert.deepEqual(await titles(client), ["a"]);
});

test("the shared client signs in, and takes another token as it is", async () => {
  const { token: jwt } = await ours("shared");
  await send("shared", { title: "a" });
  Courier.shared.signIn({ userId: "shared", jwt: "nonsense", apiUrls });
  const { client } = Courier.shared;
  await assert.rejects(client.inbox.getMessages(), { code: 401 });
  client.options.accessToken = jwt;
  client.options.jwt = jwt;
  assert.deepEqual(await titles(client), ["a"]);
  Courier.shared.signOut();
});

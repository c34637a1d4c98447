// Courier's SDK for servers.

import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { apiKey, control, decode, ours, url } from "./emulator.js";

const courier = new Courier({ apiKey, baseURL: url });

test("its tokens are ours, claim for claim", async () => {
  const mine = await ours("alice");
  const { scope, expires_in: left } = mine;
  const { token } = await courier.auth.issueToken({ scope, expires_in: "600 seconds" });
  const [theirs, our] = [decode(token), decode(mine.token)];
  assert.equal(theirs.header, our.header);
  assert.deepEqual(Object.keys(theirs.payload), Object.keys(our.payload));
  const { iat, exp, jti, ...same } = theirs.payload;
  const { iat: ourIat, exp: ourExp, jti: ourJti, ...ourSame } = our.payload;
  assert.deepEqual(same, ourSame);
  assert.equal(exp - iat, ourExp - ourIat);
  assert.ok(left <= ourExp - ourIat);
  assert.notEqual(jti, ourJti);
});

test("it sends and archives", async () => {
  const { requestId } = await courier.send.message({
    message: {
      to: { user_id: "node" },
      content: { title: "Hi", body: "there" },
      metadata: { tags: ["x"] },
    },
  });
  const inbox = async () => (await control("GET", "/messages?user_id=node")).messages;
  const [message] = await inbox();
  assert.equal(message.messageId, requestId);
  assert.equal(message.title, "Hi");
  assert.deepEqual(message.tags, ["x"]);
  assert.equal((await courier.messages.retrieve(requestId)).recipient, "node");
  await courier.requests.archive(requestId);
  assert.ok((await inbox())[0].archived);
});

test("it sends to a tenant", async () => {
  for (const user_id of ["node-a", "node-b"]) {
    await courier.users.tenants.addSingle("node-t", { user_id });
  }
  const { requestId } = await courier.send.message({
    message: { to: { tenant_id: "node-t" }, content: { title: "Hi", body: "all" } },
  });
  const { messages } = await control("GET", "/messages?user_id=node-b");
  assert.equal(messages[0].messageId, `${requestId}:node-b`);
  assert.equal(messages[0].accountId, "node-t");
});

test("it reads and writes a user's things", async () => {
  const topic = { status: "OPTED_IN", has_custom_routing: true, custom_routing: ["push"] };
  await courier.users.preferences.updateOrCreateTopic("newsletter", { user_id: "node", topic });
  const read = await courier.users.preferences.retrieveTopic("newsletter", { user_id: "node" });
  assert.equal(read.topic.status, "OPTED_IN");
  await courier.users.tokens.addSingle("abc:def", { user_id: "node", provider_key: "apn" });
  const { tokens } = await courier.users.tokens.list("node");
  assert.deepEqual(tokens.map(({ token }) => token), ["abc:def"]);
  await courier.users.tokens.delete("abc:def", { user_id: "node" });
});

test("a wrong key and a wrong request are told apart", async () => {
  const stranger = new Courier({ apiKey: "pk_wrong", baseURL: url, maxRetries: 0 });
  const wanted = { scope: "user_id:alice", expires_in: "1h" };
  await assert.rejects(stranger.auth.issueToken(wanted), { status: 401 });
  await assert.rejects(courier.auth.issueToken({ ...wanted, expires_in: "soon" }), { status: 400 });
  await assert.rejects(courier.send.message({ message: {} }), { status: 400 });
});

// Code in the guide to clients, as apps copy it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { json, problem, settle } from "./page.js";

const guide = await readFile(new URL("../../src/guides/clients.md", import.meta.url), "utf8");
const [, snippet] = /^## React Native\n[^]*?```tsx\n([^]*?)```/m.exec(guide);

/** A phone: its one timer, its SDK, and an endpoint that answers when it is told to. */
function phone() {
  const script = snippet
    .replace(/^import .*$/gm, "")
    .replace(/: \(\) => (Promise<string>|void)/g, "") // the types
    .replace("export function", "return function");
  const signedIn = [];
  const told = { signedOut: 0, signOuts: 0 };
  const requests = [];
  const sdk = { signIn: async ({ userId }) => void signedIn.push(userId), signOut: async () => void (told.signOuts += 1) };
  const app = {
    AppState: { currentState: "active", addEventListener: () => ({ remove() {} }) },
    Courier: { shared: sdk },
    fetch: (url, init) => new Promise((answer) => requests.push({ url, init, answer })),
    setInterval: () => {},
    clearInterval: () => {},
  };
  const start = new Function(...Object.keys(app), script)(...Object.values(app));
  return { start: () => start(async () => "bearer", () => (told.signedOut += 1)), signedIn, told, requests };
}

const token = (user) => json({ token: "t", user_id: user, token_id: `id-of-${user}`, refresh_in: 3000, region: "us" });

test("React Native: a phone signs in with what the endpoint says", async () => {
  const p = phone();
  p.start();
  await settle();
  p.requests[0].answer(token("user-1"));
  await settle();
  assert.deepEqual(p.signedIn, ["user-1"]);
});

test("React Native: an answer that comes after the sign-out signs nobody in", async () => {
  const p = phone();
  const { stop } = p.start();
  await settle();
  stop(); // the user signed out of the app, and another one signs in
  p.start();
  await settle();
  p.requests[1].answer(token("user-2"));
  await settle();
  p.requests[0].answer(token("user-1"));
  await settle();
  assert.deepEqual(p.signedIn, ["user-2"]);
});

test("React Native: a 401 that comes after the sign-out signs nobody out", async () => {
  const p = phone();
  const session = p.start();
  await settle();
  session.stop();
  p.requests[0].answer(problem(401, "Nobody is signed in."));
  await settle();
  assert.deepEqual(p.told, { signedOut: 0, signOuts: 0 });
  await session.refused();
  await settle();
  assert.equal(p.requests.length, 1);
});

test("React Native: a 401 ends it", async () => {
  const p = phone();
  p.start();
  await settle();
  p.requests[0].answer(problem(401, "Nobody is signed in."));
  await settle();
  assert.deepEqual(p.told, { signedOut: 1, signOuts: 1 });
});

test("other tabs learn of a sign-out from the tab that it was in", async () => {
  const [, recipe] = /^# Signing out\n[^]*?(const signOuts = [^]*?)```/m.exec(guide);
  const [inEachTab, afterSignOut] = recipe.split(/(?=^signOuts\.postMessage)/m);
  const tab = () => {
    const sentTo = [];
    const location = { assign: (url) => sentTo.push(url) };
    return { sentTo, signOuts: new Function("location", `${inEachTab}; return signOuts`)(location) };
  };
  const [here, there] = [tab(), tab()];
  const told = new Promise((resolve) => there.signOuts.addEventListener("message", resolve));
  new Function("signOuts", afterSignOut)(here.signOuts);
  await told;
  for (const { signOuts } of [here, there]) signOuts.close();
  assert.deepEqual([here.sentTo, there.sentTo], [[], ["/login"]]);
});

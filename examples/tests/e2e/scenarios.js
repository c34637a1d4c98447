// What a person sees of tokens that are renewed: nothing. The same with each framework.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { startApp, until } from "./app.js";
import { startBrowser, Tab } from "./browser.js";
import { serveReact } from "./react.js";

/** How often a token is renewed before the eyes of the test. */
const REFRESHES = Number(process.env.E2E_REFRESHES ?? 3);
/** Seconds; the endpoint has it renewed two to four seconds before its end. */
const LIFETIME = 20;
const SIZE = { viewport: { width: 1100, height: 900 } };

export function scenarios(example) {
  describe(example, { concurrency: 4, timeout: 600_000 }, () => {
    let chromium;
    before(async () => (chromium = await startBrowser()));
    after(() => chromium?.stop());

    /** A test with an app and cookies of its own. */
    function scenario(name, lifetime, run) {
      test(name, { timeout: 180_000 + REFRESHES * 25_000 }, async () => {
        const app = await startApp(example, lifetime);
        const react = /^React/.test(name) ? await serveReact(app) : null;
        const context = await chromium.browser.newContext(SIZE);
        try {
          await run(app, context, react?.url ?? app.url);
        } finally {
          await context.close();
          react?.stop();
          await app.stop();
        }
      });
    }

    scenario("sign-in shows messages, one comes live, read and archive last", 600, async (app, context) => {
      await app.send("alice", "Kept", "Read", "Archived");
      const tab = await Tab.open(context);
      await tab.page.goto(app.url);
      const name = tab.page.getByLabel("or somebody else");
      await name.fill("Mary Jane");
      assert.equal(await name.evaluate((input) => input.checkValidity()), false, "no user has such an id");
      await tab.signIn(app, app.url, "alice");
      await tab.sees("Kept", "Read", "Archived");
      await app.send("alice", "Live");
      await tab.sees("Live");
      await tab.page.locator("courier-toast-item", { hasText: "Live" }).waitFor();
      await tab.page.getByRole("button", { name: "Send me one" }).click();
      await tab.sees("Your parcel is on its way");
      await tab.settled(app, "alice");

      await tab.press("Read", "read");
      await until("it is read", async () => !(await tab.isUnread("Read")));
      await tab.press("Archived", "archive");
      await tab.seesNot("Archived");
      await until("Courier knows", async () => {
        const by = Object.fromEntries((await app.messages("alice")).map((message) => [message.title, message]));
        return by.Read.read && by.Archived.archived;
      });

      await tab.page.reload();
      await tab.ready(app, "alice");
      await tab.sees("Kept", "Read", "Live");
      assert.equal(await tab.isUnread("Read"), false);
      assert.equal(await tab.isUnread("Kept"), true);
      await tab.seesNot("Archived");
      assert.deepEqual(tab.errors, []);
    });

    for (const kind of ["", "React: "]) {
      scenario(`${kind}${REFRESHES} refreshes: nothing on the screen moves`, LIFETIME, refreshes);
      scenario(`${kind}another user signs in: none of the first one's messages`, 600, anotherUser);
    }

    scenario("a sleep past the token's end is made up for on waking", 12, async (app) => {
      await app.send("alice", "Before");
      // One of its own, because all its pages are put to sleep.
      const laptop = await startBrowser();
      let wake;
      try {
        const tab = await Tab.open(await laptop.browser.newContext(SIZE));
        await tab.signIn(app, app.url, "alice");
        await tab.sees("Before");
        await until("the page has its token", () => tab.tokens.length > 0);
        wake = await laptop.sleep();
        const asked = tab.asked.length;
        const { exp } = tab.tokens.at(-1);
        await until("the token is over", () => Date.now() > exp * 1000 + 2000);
        assert.equal(tab.asked.length, asked, "it is asleep");
        await until("the socket is gone", async () => (await app.sockets("alice")).length === 0);
        await app.send("alice", "While asleep");
        wake();
        await tab.sees("While asleep", "Before");
        await app.listening("alice");
        await app.send("alice", "Awake");
        await tab.sees("Awake");
      } finally {
        wake?.();
        await laptop.stop();
      }
    });

    scenario("Courier is down over a refresh: the inbox stays, then recovers", 12, async (app, context) => {
      await app.send("alice", "Before");
      const tab = await Tab.open(context);
      await tab.signIn(app, app.url, "alice");
      await tab.sees("Before");
      await tab.settled(app, "alice");
      await tab.page.getByLabel("Courier is down").check();
      await until("Courier is down", () => tab.page.evaluate(() => fetch("/demo/calls").then((r) => r.json()).then((c) => c.outage)));
      await tab.mark();
      const { exp } = tab.tokens.at(-1);
      await until("the token is over", () => Date.now() > exp * 1000 + 2000);
      await tab.page.locator("#status.bad").waitFor();
      const marked = await tab.marked();
      assert.equal(marked.itemsGone, 0);
      await tab.sees("Before");
      const known = tab.tokens.length;
      await app.send("alice", "While down");
      await tab.page.getByLabel("Courier is down").uncheck();
      await until("there is a token again", () => tab.tokens.length > known, 120_000);
      await tab.sees("While down", "Before");
      await app.send("alice", "After");
      await tab.sees("After");
    });

    scenario("the session is gone: the helper stops asking, the inbox is empty", 12, async (app, context) => {
      await app.send("alice", "Secret");
      const tab = await Tab.open(context);
      await tab.signIn(app, app.url, "alice");
      await tab.sees("Secret");
      // In another tab, say.
      await context.request.post(`${app.url}/logout`);
      await tab.page.getByText("401: Nobody is signed in").waitFor();
      await tab.seesNot("Secret");
      await until("no socket is open", async () => (await app.sockets("alice")).length === 0);
      const asked = tab.asked.length;
      await tab.page.evaluate(() => {
        for (const event of ["online", "pageshow"]) dispatchEvent(new Event(event));
        document.dispatchEvent(new Event("visibilitychange"));
      });
      // Longer than a token lives.
      await new Promise((resolve) => setTimeout(resolve, 13_000));
      assert.equal(tab.asked.length, asked);
    });

    scenario("two tabs: each is live, each renews, and one sees what the other does", LIFETIME, async (app, context) => {
      await app.send("alice", "Shared");
      const one = await Tab.open(context);
      await one.signIn(app, app.url, "alice");
      const two = await Tab.open(context);
      await two.page.goto(app.url);
      await two.ready(app, "alice", 2);
      await app.send("alice", "To both");
      for (const tab of [one, two]) await tab.sees("Shared", "To both");
      await one.page.bringToFront();
      await one.settled(app, "alice");
      await one.press("Shared", "read");
      await until("the other knows", async () => !(await two.isUnread("Shared")));
      await Promise.all([one.renewed(), two.renewed()]);
      await until("both sockets are back", async () => (await app.sockets("alice")).length === 2);
      await app.send("alice", "To both again");
      for (const tab of [one, two]) await tab.sees("To both again");
      for (const tab of [one, two]) assert.deepEqual(tab.late(), []);
    });

    scenario("without Courier's SDK the page says so, and the session is renewed all the same", 12, async (app, context) => {
      await context.route("**/sdk/**", (route) => route.abort());
      const tab = await Tab.open(context);
      await tab.page.goto(app.url);
      await tab.page.getByRole("button", { name: "alice" }).click();
      await tab.page.getByText("The inbox needs Courier’s SDK").waitFor();
      await until("there is a token", () => tab.tokens.length === 1);
      await until("it is renewed", () => tab.tokens.length > 1);
      assert.equal(await tab.page.locator("#token-id").textContent(), tab.tokens.at(-1).token_id);
      assert.equal(await tab.page.locator("courier-inbox").count(), 0);
      await tab.page.getByRole("button", { name: "Sign out" }).click();
      await tab.page.getByRole("button", { name: "bob" }).click();
      await tab.page.getByText("A token for bob").first().waitFor();
      assert.deepEqual(tab.errors, []);
    });

    async function anotherUser(app, context, url) {
      await app.send("alice", "Secret one", "Secret two");
      await app.send("bob", "For bob");
      const tab = await Tab.open(context);
      await tab.signIn(app, url, "alice");
      await tab.sees("Secret one", "Secret two");
      await tab.page.getByRole("button", { name: "Sign out" }).click();
      await until("no socket is open", async () => (await app.sockets("alice")).length === 0);
      // So that there is time to look, before the second user's messages take the place of the first one's.
      await app.control("POST", "/faults", { on: "inbox", fault: { latency_ms: 2000 }, calls: 2 });
      const before = tab.calls.length;
      await tab.page.getByLabel("or somebody else").fill("bob");
      await tab.page.getByRole("button", { name: "Sign in" }).click();
      await until("the inbox loads", () => tab.calls.length > before);
      assert.doesNotMatch(await tab.page.locator("body").innerText(), /Secret/);
      await tab.ready(app, "bob");
      await tab.sees("For bob");
      await app.send("alice", "Secret three");
      await app.send("bob", "Live for bob");
      await tab.sees("Live for bob");
      assert.doesNotMatch(await tab.page.locator("body").innerText(), /Secret/);
      assert.deepEqual(await tab.titles(), new Set(["Live for bob", "For bob"]));
      assert.equal((await app.sockets("alice")).length, 0);
      assert.deepEqual(tab.errors, []);
    }

    async function refreshes(app, context, url) {
      const tab = await Tab.open(context);
      const many = Array.from({ length: 60 }, (_, i) => `Message ${i + 1}`);
      await app.send("alice", ...many);
      await tab.signIn(app, url, "alice");
      await tab.sees("Message 60");
      // All pages, as a person scrolls to them.
      await until("all pages are there", async () => {
        await tab.page.locator("courier-inbox-list-item").last().scrollIntoViewIfNeeded().catch(() => {});
        return (await tab.titles()).size === many.length;
      });
      await tab.page.locator("courier-inbox-list").evaluate((list) => list.scrollTo(0, 0));
      // To stay.
      await tab.page.evaluate(() => document.querySelector("courier-toast").setAttribute("auto-dismiss", "false"));
      await app.send("alice", "A toast");
      await tab.page.locator("courier-toast-item", { hasText: "A toast" }).waitFor();
      let titles = await tab.titles();
      const removed = [];
      for (let n = 1; n <= REFRESHES; n += 1) {
        await tab.settled(app, "alice");
        await tab.mark();
        const old = await tab.renewed();
        await until("the old one is over", () => Date.now() > old.exp * 1000);
        await app.listening("alice");
        const marked = await tab.marked();
        assert.ok(marked.items >= titles.size && marked.toasts > 0);
        assert.equal(marked.itemsGone, 0, `rows replaced: ${marked.removed}`);
        assert.equal(marked.toastsGone, 0, `toasts replaced: ${marked.removed}`);
        removed.push(...marked.removed);
        assert.deepEqual(await tab.titles(), titles);

        const live = `Live ${n}`;
        await app.send("alice", live);
        await tab.sees(live);
        assert.equal(await tab.item(live).count(), 1);
        titles = titles.add(live);
        assert.deepEqual(new Set([...(await tab.titles())].sort()), new Set([...titles].sort()));
      }
      assert.deepEqual(removed, [], "nodes of the inbox were taken away");
      assert.ok(new Set(tab.calls.map(({ token }) => token)).size > REFRESHES);
      assert.deepEqual(tab.late().map(({ what }) => what), []);
      assert.deepEqual(tab.errors, []);
      const page = url === app.url ? "the demo page" : "the React page";
      console.log(`${example}, ${page}: ${REFRESHES} refreshes, ${removed.length} DOM nodes replaced, ${tab.calls.length} calls with ${tab.tokens.length} tokens`);
    }
  });
}

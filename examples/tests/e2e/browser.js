// Chromium, and what the tests see of a page.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { until } from "./app.js";

export async function startBrowser() {
  // With a profile of its own, which is all that tells it from a browser of somebody at work.
  const profile = await mkdtemp(join(tmpdir(), "courier-e2e-"));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    timeout: 120_000,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", `--crash-dumps-dir=${profile}`,
    ],
  });
  return {
    browser,
    /** Stops the processes of all pages, as sleep does, and returns what wakes them. */
    async sleep() {
      const session = await browser.newBrowserCDPSession();
      const { processInfo } = await session.send("SystemInfo.getProcessInfo");
      const pages = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
      for (const id of pages) process.kill(id, "SIGSTOP");
      return () => pages.forEach((id) => process.kill(id, "SIGCONT"));
    },
    async stop() {
      await browser.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** A page, and every request it makes. */
export class Tab {
  static async open(context) {
    const tab = new Tab();
    tab.page = await context.newPage();
    tab.page.setDefaultTimeout(60_000);
    tab.watch();
    return tab;
  }

  watch() {
    /** Calls to Courier, and sockets: when, and with which token. */
    this.calls = [];
    /** Requests of the token endpoint. */
    this.asked = [];
    /** The tokens that the endpoint handed out, the newest last. */
    this.tokens = [];
    this.errors = [];
    this.page.on("pageerror", (error) => this.errors.push(String(error)));
    this.page.on("console", (message) => {
      if (/content security policy/i.test(message.text())) this.errors.push(message.text());
    });
    this.page.on("websocket", (socket) => {
      this.calls.push({ what: "socket", at: Date.now(), token: new URL(socket.url()).searchParams.get("auth") });
    });
    this.page.on("request", (request) => {
      const token = /^Bearer (eyJ.*)/.exec(request.headers().authorization)?.[1];
      if (token) this.calls.push({ what: request.postData() ?? request.url(), at: Date.now(), token, request });
      if (new URL(request.url()).pathname === "/courier/token") this.asked.push({ at: Date.now() });
    });
    this.page.on("response", async (response) => {
      if (new URL(response.url()).pathname !== "/courier/token" || response.status() !== 200) return;
      const body = await response.json().catch(() => null); // of a page that is gone
      if (body?.token && this.tokens.at(-1)?.token !== body.token) this.tokens.push({ ...body, exp: expiry(body.token) });
    });
  }

  /** As a person does it. */
  async signIn(app, url, user) {
    await this.page.goto(url);
    await this.page.getByLabel("or somebody else").fill(user);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.ready(app, user);
  }

  /** Signed in to Courier, and listening. */
  async ready(app, user, tabs = 1) {
    await this.page.locator("courier-inbox").waitFor();
    await app.listening(user, tabs);
  }

  item(title) {
    return this.page.locator("courier-inbox-list-item").filter({ has: this.page.getByText(title, { exact: true }) });
  }

  async sees(...titles) {
    for (const title of titles) await this.item(title).first().waitFor();
  }

  async seesNot(title) {
    await this.item(title).first().waitFor({ state: "detached" });
  }

  /** The titles on the page, each once: while paging the SDK shows rows twice. */
  async titles() {
    return new Set(await this.page.locator("courier-inbox-list-item .title").allTextContents());
  }

  /** Presses a button of a message's own menu: "read" or "archive". */
  async press(title, button) {
    const item = this.item(title).first();
    await item.hover();
    await item.locator("courier-icon-button").nth(button === "read" ? 0 : 1).click();
  }

  isUnread(title) {
    return this.item(title).first().evaluate((item) => item.classList.contains("unread"));
  }

  /** The SDK draws the list anew with each message it gets and each it has shown. Waits until it is done with that. */
  async settled(app, user) {
    await until("what is on the screen is known as opened", async () => {
      const [newest] = await app.messages(user);
      return newest?.opened;
    });
    await this.page.evaluate(() => new Promise((resolve) => {
      const quiet = () => (observer.disconnect(), resolve());
      let timer = setTimeout(quiet, 1000);
      const observer = new MutationObserver(() => {
        clearTimeout(timer);
        timer = setTimeout(quiet, 1000);
      });
      observer.observe(document.querySelector("courier-inbox"), { subtree: true, childList: true });
    }));
  }

  /** Waits until there is a token beside those, and a socket with it. Returns the one before it. */
  async renewed() {
    const known = this.tokens.length;
    await until("the token is renewed", () => this.tokens.length > known, 90_000);
    const { token } = this.tokens.at(-1);
    await until("a socket with it", () => this.calls.some((call) => call.what === "socket" && call.token === token));
    return this.tokens[known - 1];
  }

  /** From now on counts what the page takes away of the inbox and of the toasts. */
  async mark() {
    await this.page.evaluate(() => {
      const seen = (globalThis.seen = { removed: [], items: [], toasts: [] });
      seen.items = [...document.querySelectorAll("courier-inbox-list-item")];
      seen.toasts = [...document.querySelectorAll("courier-toast-item")];
      seen.observer = new MutationObserver((records) => {
        for (const { removedNodes, target } of records) {
          for (const node of removedNodes) seen.removed.push(`${node.nodeName} from ${target.nodeName}.${target.className}`);
        }
      });
      for (const root of document.querySelectorAll("courier-inbox, courier-toast")) {
        seen.observer.observe(root, { subtree: true, childList: true });
      }
    });
  }

  /** What became of it. */
  marked() {
    return this.page.evaluate(() => ({
      items: seen.items.length,
      itemsGone: seen.items.filter((item) => !item.isConnected).length,
      toasts: seen.toasts.length,
      toastsGone: seen.toasts.filter((item) => !item.isConnected).length,
      removed: seen.removed,
    }));
  }

  /** The calls that were made with a token after it had expired. */
  late() {
    return this.calls.filter(({ at, token, request }) => {
      const started = request?.timing().startTime || at;
      return started >= expiry(token) * 1000;
    });
  }
}

function expiry(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url")).exp;
}

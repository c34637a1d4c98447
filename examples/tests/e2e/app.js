// An example as a process, and the emulator of Courier in it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Starts an example on a free port and waits until it listens. */
export async function startApp(name, lifetime) {
  const env = { ...process.env, PORT: "0", TOKEN_LIFETIME: String(lifetime), RUST_LOG: "info" };
  delete env.COURIER_API_KEY;
  delete env.COURIER_BASE_URL;
  const child = spawn(`${process.env.E2E_BINARIES}/${name}`, { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const seen = [];
  const app = await new Promise((resolve, reject) => {
    child.once("error", reject);
    ended.then(() => reject(new Error(`${name} ended: ${seen.join("\n")}`)), reject);
    let emulator = "";
    createInterface({ input: child.stdout }).on("line", (line) => {
      seen.push(line);
      emulator ||= /an emulator of Courier.*?\((http[^)]+)\)/.exec(line)?.[1] ?? "";
      const url = /listening on (http\S+)/.exec(line)?.[1];
      if (url) resolve(new App(url, emulator));
    });
  });
  app.stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  return app;
}

class App {
  constructor(url, emulator) {
    this.url = url;
    this.emulator = emulator;
  }

  /** What the emulator's control endpoint answers. */
  async control(method, path, body) {
    const response = await fetch(`${this.emulator}/emulator${path}`, {
      method,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return response.json();
  }

  /** Puts messages into an inbox, the last of them on top. */
  async send(user_id, ...titles) {
    for (const title of titles) {
      await this.control("POST", "/messages", { user_id, message: { title, preview: `About ${title}` } });
    }
  }

  async messages(user) {
    return (await this.control("GET", `/messages?user_id=${user}`)).messages;
  }

  /** The open sockets of a user. */
  async sockets(user) {
    const { sockets } = await this.control("GET", "");
    return sockets.filter((socket) => socket.user_id === user);
  }

  /** Waits until so many tabs of a user get what is sent from now on. */
  listening(user, tabs = 1) {
    const enough = async () => (await this.sockets(user)).filter(({ subscribed }) => subscribed).length >= tabs;
    return until(`${tabs} tabs of ${user} listen`, enough);
  }
}

/** Whatever `look` returns, once that is truthy. */
export async function until(what, look, limit = 60_000) {
  const end = Date.now() + limit;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`in vain for ${limit / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

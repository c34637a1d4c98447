// What the tests share: where the emulator and the app are, and who signs in.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

export const url = process.env.EMULATOR_URL;
export const app = process.env.APP_URL;
export const apiKey = process.env.COURIER_API_KEY;

// What the emulator's control endpoint answers.
export async function control(method, path, body) {
  const response = await fetch(`${url}/emulator${path}`, {
    method,
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(LIMIT),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
  return response.json();
}

export async function send(user_id, message) {
  const { message_id } = await control("POST", "/messages", { user_id, message });
  return message_id;
}

// Whatever `look` returns, once that is truthy.
export async function until(look) {
  const end = Date.now() + LIMIT;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`in vain: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// The token that our crate hands out, as a browser gets it from an app.
export async function ours(user) {
  const signal = AbortSignal.timeout(LIMIT);
  const body = new URLSearchParams({ user });
  const login = await fetch(`${app}/login`, { method: "POST", body, signal });
  const cookie = login.headers.get("set-cookie").split(";")[0];
  const response = await fetch(`${app}/courier/token`, { headers: { cookie }, signal });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

// Our crate's client, as a backend has it.
export async function readSync(...args) {
  const env = { ...process.env, COURIER_BASE_URL: url, COURIER_INBOX_URL: `${url}/q` };
  await promisify(execFile)(process.env.READ_SYNC, args, { env, timeout: LIMIT });
}

export function decode(token) {
  const [header, payload] = token.split(".").map((part) => Buffer.from(part, "base64url").toString());
  return { header, payload: JSON.parse(payload) };
}

// Only to end a test that would hang.
const LIMIT = 30_000;

// The page of all four examples. Worth copying is the first part; the rest draws.
//
// session.js does what a front end has to: it asks for the token, signs in to Courier's SDK and has
// the next token in place in time. This page only looks on, through the `fetch` it hands over.

import { startCourierSession } from "/courier/session.js";

const TOKEN_PATH = "/courier/token";
/** The emulator's URL, `courier` for Courier itself, or nothing: an emulator without inbox. */
const INBOX = document.documentElement.dataset.inbox;

let user = ""; // who signed in here
let bearer = null; // axum-jwt's own token; the other examples have a cookie that no script can read
let session = null; // what session.js returned
let held = null; // the answer with the token in use, to be shown
let next = null; // when it is asked for again

// --- Courier ---

const sdk = await loadSdk();
const courier = sdk?.inbox.Courier.shared ?? standIn();

/** Signs in to Courier as who is signed in here, and stays signed in. */
function start() {
  const started = startCourierSession({
    courier,
    ...(sdk && {
      inbox: sdk.inbox.CourierInboxDatastore.shared,
      toast: sdk.toast.CourierToastDatastore.shared,
      apiUrls: apiUrls(),
    }),
    headers: () => (bearer ? { Authorization: `Bearer ${bearer}` } : {}),
    fetch: lookOn,
    onSignedOut: leave,
    onError: failed,
  });
  session = started;
  started.ready.then((signedIn) => signedIn && session === started && showInbox());
  return started.refresh(); // the request under way
}

/** By the page's import map: from `web/node_modules`, else from a CDN. Null if there is neither. */
async function loadSdk() {
  if (!INBOX) return null;
  const patience = new Promise((_, reject) => setTimeout(reject, 8000));
  const modules = [import("@trycourier/courier-ui-inbox"), import("@trycourier/courier-ui-toast")];
  try {
    const [inbox, toast] = await Promise.race([Promise.all(modules), patience]);
    return { inbox, toast };
  } catch {
    return null;
  }
}

/** Where the SDK finds the emulator. Courier itself it finds alone, by the region of the token. */
function apiUrls() {
  if (INBOX === "courier") return undefined;
  return {
    courier: { rest: INBOX, graphql: `${INBOX}/client/q` },
    inbox: { graphql: `${INBOX}/q`, webSocket: INBOX.replace("http", "ws") },
  };
}

/** In place of the SDK, so that the token is asked for, and renewed, without it. */
function standIn() {
  return {
    client: undefined,
    signIn({ userId }) {
      this.client = { options: { userId } };
    },
    signOut() {
      this.client = undefined;
    },
  };
}

/** The `fetch` of session.js, and a look at what it asks for and gets. */
async function lookOn(url, init) {
  setBusy(true);
  const since = now(); // before the request, whose time counts as used up
  try {
    const response = await fetch(url, init);
    const json = /^application\/json\b/.test(response.headers.get("Content-Type"));
    const body = json ? await response.clone().json() : null;
    if (!init.signal.aborted) answered(response, body, since);
    return response;
  } finally {
    if (!init.signal.aborted) setBusy(false);
  }
}

function answered(response, body, since) {
  if (response.status === 200 && body?.token) {
    accept(body, since);
    schedule(body.refresh_in, since);
  } else if (response.status === 304) {
    held.served += 1;
    held.came = "304: this is still the one";
    tell("good", 304, "No newer token is due, the one in hand is the one to use");
    schedule(Number(response.headers.get("Retry-After")) || 60, since);
  } else if (response.status === 401) {
    tell("", 401, "Nobody is signed in");
  }
  showCalls();
}

function accept(body, since) {
  const [header, payload] = body.token.split(".").map(decode);
  const lifetime = payload?.exp - payload?.iat || body.expires_in;
  const same = held?.token_id === body.token_id;
  let came = "issued by Courier just now";
  if (same) came = "the same token again, from the app’s cache";
  else if (lifetime - body.expires_in > 2) came = "issued earlier, from the app’s cache";
  held = { ...body, header, payload, lifetime, since, came: `200: ${came}`, served: same ? held.served + 1 : 1 };
  user = body.user_id;
  tell("good", 200, `A token for ${user}: ${came}`);
  show(true);
}

/** No token came of it. The one in hand goes on working until it ends. */
function failed({ status, message, retryIn }) {
  const hope = held ? " The token in hand still works." : "";
  const again = retryIn === undefined ? "" : ` Asking again in ${words(retryIn)}.`;
  tell("bad", status || "–", `${message.replace(/\.$/, "")}.${hope}${again}`);
  if (retryIn !== undefined) schedule(retryIn, now());
  show(true);
  showCalls();
}

function schedule(seconds, since) {
  next = { since, seconds };
  draw();
}

// Durations, as session.js measures them.
function now() {
  return { mono: performance.now(), wall: Date.now() };
}
function left({ mono, wall }, seconds) {
  return Math.max(seconds - Math.max(performance.now() - mono, Date.now() - wall) / 1000, 0);
}

/** A part of a JWT, which is JSON in base64url. `null` if the token is opaque, as it may be. */
function decode(part) {
  try {
    const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

// --- The app's own session ---

async function signIn(name) {
  const response = await post("/login", new URLSearchParams({ user: name }));
  if (!response) return;
  leave();
  // axum-jwt answers with a bearer token, the others with 204 and a cookie.
  if (response.status === 200) bearer = (await response.json()).access_token;
  user = name;
  log("good", "POST", "/login", response.status, `The app signed ${name} in`);
  show(true);
  await start();
  $("fetch").focus();
}

async function signOut() {
  const response = await post("/logout");
  if (!response) return;
  leave();
  tell("", response.status, "Signed out. The app forgot the token, which stays valid until it ends", "POST", "/logout");
  document.querySelector(".user").focus();
}

/** Forgets everything about the user. */
function leave() {
  session?.stop();
  if (courier.client) courier.signOut();
  session = bearer = held = next = null;
  $("inbox").replaceChildren();
  $("toast").replaceChildren();
  setBusy(false);
  show(false);
}

async function post(path, body) {
  const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {};
  const response = await fetch(path, { method: "POST", headers, body }).catch(() => null);
  if (response?.ok) return response;
  tell("bad", response?.status ?? "–", response ? "The app refused" : "The app cannot be reached", "POST", path);
  return null;
}

async function sendOne() {
  const response = await post("/demo/send");
  if (response) log("good", "POST", "/demo/send", response.status, "The app sent a message, which comes through the socket");
}

// --- Drawing ---

const SCOPES = {
  user_id: "whose token it is",
  "inbox:read:messages": "list and count messages, receive new ones live",
  "inbox:write:events": "mark messages read, clicked or archived",
  "read:preferences": "show notification preferences",
  "write:preferences": "change notification preferences",
  "read:brands": "theme the preferences page",
  "write:user-tokens": "register devices for push",
};

function $(id) {
  return document.getElementById(id);
}

/** Always as text: a user id may look like HTML. */
function element(name, text, className = "") {
  return Object.assign(document.createElement(name), { textContent: text, className });
}

function show(signedIn) {
  $("signed-in").hidden = !signedIn;
  $("signed-out").hidden = signedIn;
  for (const part of document.querySelectorAll(".held")) part.hidden = !held;
  $("who").textContent = user;
  if (!held) return;
  const { header, payload } = held;
  const pretty = (part) => (part ? JSON.stringify(part, null, 2) : "opaque: this token is no JWT");
  const time = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleTimeString() : "…");
  $("token-id").textContent = held.token_id;
  $("region").textContent = held.region;
  $("valid").textContent = `${time(payload?.iat)} to ${time(held.expires_at)}`;
  $("lifetime").textContent = words(held.lifetime);
  $("header").textContent = pretty(header);
  $("payload").textContent = pretty(payload);
  $("raw").replaceChildren(...held.token.split(/(?=\.)/).map((part) => element("span", part)));
  $("scopes").replaceChildren(...held.scope.split(" ").map((scope) => {
    const item = element("li", "");
    const meaning = SCOPES[scope] ?? SCOPES[scope.split(":")[0]] ?? "";
    item.append(element("code", scope), element("span", meaning));
    return item;
  }));
  draw();
}

/** Courier's own components: the messages, and a toast for each that comes live. */
function showInbox() {
  if (!sdk || $("inbox").firstChild) return;
  $("inbox").append(component("courier-inbox", { mode: "system", height: "100%" }));
  $("toast").append(component("courier-toast", { mode: "system", "auto-dismiss": "true", "auto-dismiss-timeout-ms": "8000" }));
}

function component(name, attributes) {
  const component = document.createElement(name);
  for (const [name, value] of Object.entries(attributes)) component.setAttribute(name, value);
  return component;
}

/** What changes every second. */
function draw() {
  if (!next) return;
  const untilNext = left(next.since, next.seconds);
  $("next").textContent = words(untilNext);
  if (!held) return;
  const life = left(held.since, held.expires_in);
  const percent = (seconds) => Math.round(1000 * Math.min(Math.max(seconds / held.lifetime, 0), 1)) / 10;
  $("left").textContent = life > 0 ? clock(life) : "expired";
  $("bar").setAttribute("aria-valuenow", percent(life));
  $("bar").setAttribute("aria-valuetext", `${words(life)} left`);
  $("bar-fill").style.width = `${percent(life)}%`;
  $("bar-mark").style.left = `${percent(life - untilNext)}%`;
  $("came").textContent = held.came;
  $("served").textContent = held.served === 1 ? "once" : `${held.served} times, each time this same token`;
}
setInterval(draw, 1000);

/** 59:07, or 1:00:00 */
function clock(seconds) {
  const [h, m, s] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function words(seconds) {
  const s = Math.round(seconds);
  if (s < 120) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  return `${Math.round(s / 360) / 10} h`;
}

/** Says what happened: in the status line, which screen readers speak, and in the log. */
function tell(kind, status, meaning, method = "GET", path = TOKEN_PATH) {
  $("status").textContent = `${status}: ${meaning}`;
  $("status").className = `status ${kind}`;
  log(kind, method, path, status, meaning);
}

function log(kind, method, path, status, meaning) {
  const entry = element("li", "");
  const time = element("time", new Date().toLocaleTimeString());
  entry.append(time, element("code", `${method} ${path}`), element("span", status, `tag ${kind}`), element("p", meaning));
  $("log").prepend(entry);
  if ($("log").children.length > 50) $("log").lastChild.remove();
}

/** How often the app called Courier, which only the emulator tells. */
async function showCalls(method = "GET", path = "/demo/calls") {
  const response = await fetch(path, { method }).catch(() => null);
  if (!response?.ok) return;
  const { calls, outage } = await response.json();
  $("calls").textContent = calls;
  $("outage").checked = outage;
  $("calls-pill").hidden = $("outage-switch").hidden = false;
  $("send").hidden = !sdk;
}

function setBusy(busy) {
  $("fetch").disabled = $("refresh").disabled = busy;
}

$("fetch").addEventListener("click", start); // anew, as a page does that has no token yet
$("refresh").addEventListener("click", () => session?.refresh());
$("send").addEventListener("click", sendOne);
$("sign-out").addEventListener("click", signOut);
$("outage").addEventListener("change", (e) => showCalls(e.target.checked ? "POST" : "DELETE", "/demo/outage"));
$("sign-in").addEventListener("submit", (e) => {
  e.preventDefault();
  signIn($("user").value.trim());
});
for (const button of document.querySelectorAll(".user")) {
  button.addEventListener("click", () => signIn(button.dataset.user));
}
$("inbox-note").textContent = sdk
  ? "The real thing. It stays as it is while its token is renewed. Hover over a message to mark it read or to archive it."
  : INBOX
    ? "The inbox needs Courier’s SDK: run “npm ci” in examples/web and start again, or go online."
    : "This app was built without the inbox’s half of the emulator (the feature “inbox”).";
start(); // a session from before the page was loaded

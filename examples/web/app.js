// The page of all four examples. Worth copying is the first part; the rest draws.
//
// It asks for the token, keeps it in memory and asks again in time, which is what a front end has
// to do beside handing the token to Courier's SDK.

const TOKEN_URL = "/courier/token";

let user = ""; // who signed in here
let bearer = null; // axum-jwt's own token; the other examples have a cookie that no script can read
let held = null; // the Courier token in hand: in memory, never in a URL or in localStorage
let next = null; // when it is asked for again
let timer = 0;
let flight = null; // the request under way
let session = new AbortController(); // ends what belongs to a session that is over

// --- The Courier token ---

/** Asks for the token. `conditional` means: I hold this one, is there a newer one? */
function askForToken(conditional) {
  // One request at a time: the timer, a click and a wake-up may come together.
  if (flight) return flight;
  setBusy(true);
  const mine = request(conditional, session.signal).finally(() => {
    if (flight !== mine) return;
    flight = null;
    setBusy(false);
  });
  flight = mine;
  return mine;
}

async function request(conditional, signal) {
  const headers = conditional && held ? { "If-None-Match": `"${held.token_id}"` } : {};
  const since = now(); // before the request, whose time counts as used up
  let response, body;
  try {
    response = await send("GET", TOKEN_URL, { headers, signal });
    // A proxy's error page, say, is none of the endpoint's answers.
    const json = /^application\/(problem\+)?json\b/.test(response.headers.get("Content-Type"));
    body = json ? await response.json() : null;
  } catch {
    if (!signal.aborted) failed(10, "–", "The app cannot be reached");
    return;
  }
  if (signal.aborted) return;

  const retryAfter = Number(response.headers.get("Retry-After")) || 60;
  if (response.status === 200 && body?.token) {
    accept(body, since);
    schedule(body.refresh_in);
  } else if (response.status === 304) {
    held.served += 1;
    held.came = "304: this is still the one";
    tell("good", 304, "No newer token is due, the one in hand is the one to use");
    schedule(retryAfter);
  } else if (response.status === 401) {
    leave();
    tell("", 401, "Nobody is signed in");
  } else {
    failed(retryAfter, response.status, body?.detail ?? "This is not an answer of the token endpoint");
  }
  await showCalls();
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
function failed(seconds, status, why) {
  const hope = held ? " The token in hand still works." : "";
  tell("bad", status, `${why.replace(/\.$/, "")}.${hope} Asking again in ${words(seconds)}.`);
  schedule(seconds);
  show(true);
}

function schedule(seconds) {
  next = { since: now(), seconds };
  clearTimeout(timer);
  // Once a day at least: more than 24 days would overflow and mean "at once".
  timer = setTimeout(() => askForToken(true), Math.min(seconds, 86400) * 1000);
  draw();
}

/** Timers stand still while a computer sleeps or a phone has the page in the background. */
function wakeUp() {
  if (!document.hidden && next && elapsed(next.since) >= Math.min(next.seconds, 10)) askForToken(true);
}
document.addEventListener("visibilitychange", wakeUp);
addEventListener("online", wakeUp);
addEventListener("pageshow", wakeUp);

// Durations, since the computer's clock may be wrong. `performance.now` may stand still during
// sleep, and `Date.now` may be set; the later of the two is on the safe side.
function now() {
  return { mono: performance.now(), wall: Date.now() };
}
function elapsed(since) {
  return Math.max(performance.now() - since.mono, Date.now() - since.wall) / 1000;
}
function left(from, seconds) {
  return Math.max(seconds - elapsed(from), 0);
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
  await askForToken(false);
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
  session.abort();
  session = new AbortController();
  flight = bearer = held = next = null;
  clearTimeout(timer);
  setBusy(false);
  show(false);
}

async function post(path, body) {
  const response = await send("POST", path, { body }).catch(() => null);
  if (response?.ok) return response;
  tell("bad", response?.status ?? "–", response ? "The app refused" : "The app cannot be reached", "POST", path);
  return null;
}

function send(method, path, { headers = {}, ...rest } = {}) {
  if (bearer) headers = { ...headers, Authorization: `Bearer ${bearer}` };
  return fetch(path, { method, headers, ...rest });
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
function tell(kind, status, meaning, method = "GET", path = TOKEN_URL) {
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
}

function setBusy(busy) {
  $("fetch").disabled = $("refresh").disabled = busy;
}

$("fetch").addEventListener("click", () => askForToken(false));
$("refresh").addEventListener("click", () => askForToken(true));
$("sign-out").addEventListener("click", signOut);
$("outage").addEventListener("change", (e) => showCalls(e.target.checked ? "POST" : "DELETE", "/demo/outage"));
$("sign-in").addEventListener("submit", (e) => {
  e.preventDefault();
  signIn($("user").value.trim());
});
for (const button of document.querySelectorAll(".user")) {
  button.addEventListener("click", () => signIn(button.dataset.user));
}
askForToken(false); // a session from before the page was loaded
